package bidder

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hexbid/hexbid"
)

// found is everything that a search and its nearby list tell.
type found struct {
	awards, nearby         string
	more                   bool
	sifted, tested, scored int
}

func findAll(s *Snapshot, q *Query, w *Scratch) found {
	awards := fmt.Sprint(s.Search(q, w))
	list, more := s.Nearby(q, w)
	return found{awards, fmt.Sprint(list), more, w.Sifted, w.Tested, w.Scored}
}

// abandon leaves a scratch as a search that panics half-way may leave it: with
// matches in the batch, which another request's audience and area let through,
// and with numbers that shut others out.
func (w *Scratch) abandon(r *rand.Rand, campaigns uint32) {
	w.batched = 1 + r.IntN(enough)
	for i := range w.batch[:w.batched] {
		w.batch[i] = match{posting{0, r.Uint32N(campaigns), ^capCode(0)}, 1}
	}
	w.floor, w.slack, w.ahead = ^capCode(0), ^capCode(0), true
	w.scenePPM, w.explores = r.Int64(), true
	for i := range w.onBoard {
		w.onBoard[i] = onBoard{r.Uint32N(advertisers), ^capCode(0)}
	}
	w.oldest = uint8(r.Uint32())
	for i := range w.bands {
		w.bands[i] = knownBand{r.Uint32N(campaigns), 1}
	}
	w.Sifted, w.Tested, w.Scored = r.Int(), r.Int(), r.Int()
	w.listed, w.listGoesOn = r.IntN(hexbid.MaxNearbyLimit), true
	for program := range uint32(2 * reusedGroups) {
		w.seen.add(program)
	}
}

func TestASearchSeesNothingOfTheOneBeforeInItsScratch(t *testing.T) {
	m := newTestMarket(t, 5, hangzhou, byDistance)
	m.fill(t, 1500)
	s := m.indexer.Snapshot()
	var used Scratch
	for n := range 400 {
		_, q := m.request()
		if n%2 == 1 {
			used.abandon(m.r, uint32(s.Campaigns))
		}
		if got, want := findAll(s, &q, &used), findAll(s, &q, new(Scratch)); got != want {
			t.Fatalf("search %d: got\n%+v\nwant\n%+v", n, got, want)
		}
	}
}

func TestAScratchDoesNotKeepTheMapOfADeepPage(t *testing.T) {
	var g groups
	for program := range uint32(fewGroups + reusedGroups + 1) {
		g.add(program)
	}
	if g.reset(); g.many != nil {
		t.Error("every later reset clears a map of the deepest page's size")
	}
	for program := range uint32(fewGroups + 10) {
		g.add(program)
	}
	if g.reset(); g.many == nil || len(g.many) > 0 || slices.Contains(g.few, 1) {
		t.Error("a small map is not used again, or not empty")
	}
}
