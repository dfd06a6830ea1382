package bidder

import (
	"log/slog"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/targeting"
)

// wanted is what the room should have of a campaign.
type wanted struct {
	on       bool
	placing  placing
	listing  listing
	postings []geoindex.Posting // of listing
}

// TestListsHoldWhoIsPostedWithWhatTheyAreListedWith relists campaigns at random, changes their
// scores, has them go off and come back, and compares each publication's lists with what the
// listings say.
func TestListsHoldWhoIsPostedWithWhatTheyAreListedWith(t *testing.T) {
	var masks []targeting.Mask
	for _, genders := range [][]hexbid.Gender{nil, {hexbid.Female}, {hexbid.Male}} {
		rule := targeting.Compile(&hexbid.Campaign{Audience: hexbid.Audience{Genders: genders}})
		masks = append(masks, rule.Mask())
	}
	var coverings [][]geoindex.Posting
	for i := range 4 {
		coverings = append(coverings, geoindex.CoverDisc(geoindex.VecOf(hexbid.Point{Lat: 30 + float64(i)/100, Lng: 120}),
			1500))
	}
	rapid.Check(t, func(t *rapid.T) {
		r := newRecords()
		surrounds := newSurrounds(r)
		m := &postingMarket{masks, coverings, newPostings(r, surrounds, true, slog.New(slog.DiscardHandler)), testStart,
			map[uint32]*wanted{}}
		for range rapid.IntRange(1, 6).Draw(t, "publications") {
			for range rapid.IntRange(1, 20).Draw(t, "steps") {
				m.step(t)
			}
			m.postWaiting(surrounds.follow(func(surroundChange) {}))
			s := &Snapshot{}
			m.freezeInto(s)
			checkPostings(t, m.postings, s, m.want)
		}
		for m.movesInPortions() {
			m.portion()
			m.postWaiting(surrounds.follow(func(surroundChange) {}))
			m.freezeInto(&Snapshot{})
		}
		for i, w := range m.want {
			if w.on && !m.states.at(i).posted {
				t.Fatalf("campaign %d is on, the queue is empty, and it is not posted", i)
			}
		}
	})
}

// postingMarket is the room, and what it should have.
type postingMarket struct {
	masks     []targeting.Mask
	coverings [][]geoindex.Posting
	*postings
	now  time.Time
	want map[uint32]*wanted
}

// step makes a random change to some campaign.
func (m *postingMarket) step(t *rapid.T) {
	i, isNew := m.records.campaignSlot(hexbid.UID(rapid.IntRange(1, 9).Draw(t, "uid")))
	if isNew {
		m.add(i)
		*m.records.campaigns.edit(i) = campaign{uid: m.records.campaigns.at(i).uid, pricing: hexbid.CPC, bid: 1_000_000,
			worth: handedIn{}.worth(30_000)}
		m.want[i] = &wanted{placing: placing{several: true}}
	}
	w := m.want[i]
	switch rapid.IntRange(0, 7).Draw(t, "step") {
	case 0:
		w.postings = rapid.SampledFrom(m.coverings).Draw(t, "covering")
		w.listing = listing{gated: gated{mask: rapid.SampledFrom(m.masks).Draw(t, "mask")},
			covering: geoindex.PackCovering(nil, w.postings)}
		m.relist(i, *m.records.specificsOf(i), w.listing)
	case 1:
		c := m.records.campaigns.edit(i)
		c.worth = c.worth.withMultiplier(rapid.Int64Range(0, 1_000_000).Draw(t, "pacing"))
	case 2:
		w.on = true
	case 3:
		w.on = false
		m.hold(i, m.now)
	case 4:
		m.now = m.now.Add(rapid.SampledFrom([]time.Duration{time.Second, offFor}).Draw(t, "later"))
		m.findOff(m.now)
		m.portion()
	case 5:
		m.returns.atOnce = mostAtOnce // so that it queues
		if w.on = true; !m.states.at(i).posted {
			m.bringBack(i)
			return
		}
	case 6:
		near := geoindex.VecOf(hexbid.Point{Lat: 30 + rapid.Float64Range(0, 0.1).Draw(t, "place"), Lng: 120})
		w.placing = rapid.SampledFrom([]placing{{}, {several: true}, {only: onlyPlace{true, near}}}).Draw(t, "placing")
		if posted := m.states.at(i).posted; m.settle(i, premisesOf(w.placing)) != (posted && !m.states.at(i).posted) {
			t.Fatalf("campaign %d was posted: %v, and settle says something else", i, posted)
		}
	case 7:
		c := m.records.campaigns.edit(i)
		c.worth = c.worth.withQuality(rapid.SampledFrom([]int64{5, leastLoweredPPM, 30_000}).Draw(t, "quality"), 0)
	}
	if w.on {
		m.post(i)
	}
}

func checkPostings(t *rapid.T, p *postings, s *Snapshot, want map[uint32]*wanted) {
	type at struct {
		key     uint64
		ordinal uint32
	}
	found := map[at]posting{}
	s.lists.each(func(e *entry[posting, tail]) {
		for _, posting := range e.run {
			found[at{e.key, posting.ordinal}] = posting
		}
	})
	for i, w := range want {
		state := p.states.at(i)
		if w.on && !state.posted && !s.returning.has(i) {
			t.Fatalf("campaign %d is on, not posted, and not in the queue", i)
		}
		if s.returning.has(i) && !state.queued {
			t.Fatalf("campaign %d returns without an entry in the queue", i)
		}
		if s.returning.has(i) && (state.posted || !w.on) {
			t.Fatalf("campaign %d is said to return: posted %v, on %v", i, state.posted, w.on)
		}
		if cap := capOf(p.records.bestScore(i)); w.on && state.posted && (state.cap < cap || state.cap >= cap+twofold) {
			t.Fatalf("campaign %d is posted with cap %d, its score has %d", i, state.cap, cap)
		}
		if !state.posted {
			continue
		}
		if lowers := p.records.campaigns.at(i).worth.qualityPPM() >= leastLoweredPPM; w.on && state.lowers != lowers {
			t.Fatalf("postings of campaign %d tell of places: %v, want %v", i, state.lowers, lowers)
		}
		for _, c := range w.postings {
			k := at{uint64(c.Key), i}
			cap := state.cap.at(w.whereabouts(c.Key, state.lowers))
			if got, wanted := found[k], (posting{postingMask(w.listing.mask, c), i, cap}); got != wanted {
				t.Fatalf("campaign %d under %x: %+v, want %+v", i, c.Key, got, wanted)
			}
			delete(found, k)
		}
	}
	if len(found) > 0 {
		t.Fatalf("nobody should stand in %v", found)
	}
}

// whereabouts is what a posting of the campaign tells.
func (w *wanted) whereabouts(key geoindex.Key, tells bool) geoindex.Whereabouts {
	switch {
	case !tells || w.placing.several:
		return 0
	case w.placing.only.is:
		return geoindex.Cell(key).Whereabouts(geoindex.SpotOf(w.placing.only.vec))
	}
	return geoindex.NoPoint
}

// TestTheKeysInUseAreCountedByResolution has lists come and go: a search asks for keys of
// those resolutions alone.
func TestTheKeysInUseAreCountedByResolution(t *testing.T) {
	cell := geoindex.CellAt(geoindex.VecOf(hangzhou))
	keys := []geoindex.Key{geoindex.Everywhere, geoindex.KeyOfCell(cell.Parent(5)), geoindex.KeyOfCell(cell.Parent(7))}
	rapid.Check(t, func(t *rapid.T) {
		var l lists
		stand := map[uint64]bool{}
		for range rapid.IntRange(1, 30).Draw(t, "edits") {
			key := uint64(rapid.SampledFrom(keys).Draw(t, "key")) | rapid.SampledFrom([]uint64{0, withKeywords}).Draw(t, "kind")
			l.note(key, posting{ordinal: 1, cap: 7}, stand[key])
			if stand[key] = !stand[key]; rapid.Bool().Draw(t, "apply") {
				l.apply(fakeSource{})
			}
		}
		s, want := &Snapshot{}, uint32(0)
		l.apply(fakeSource{})
		l.freezeInto(s)
		for i, res := range []int{otherKeys, 5, 7} {
			if stand[uint64(keys[i])] || stand[uint64(keys[i])|withKeywords] {
				want |= 1 << res
			}
		}
		if s.resolutions != want {
			t.Fatalf("resolutions %b are in use, want %b", s.resolutions, want)
		}
	})
}
