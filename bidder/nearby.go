package bidder

import (
	"math"
	"slices"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/targeting"
)

// Found is a program at its nearest place.
type Found struct {
	Place, Program uint32
	Chord2         float64 // squared chord of the distance
}

// Pin marks where a page of the nearby list ended.
type Pin struct {
	Chord2     float64
	ProgramUID hexbid.UID
}

// Nearby lists programs by the distance of their nearest approved place, then by uid. Each program appears once, at its
// nearest place within the radius that passes the filters (of two equally near, the place of the lower uid). The list
// has only programs that the viewer can open, that pass the request's filters and that the query does not skip. With a
// pin it continues after the pin. more says that the list goes on. The list lies in scratch memory, which the next
// search overwrites.
func (s *Snapshot) Nearby(q *Query, w *Scratch) (list []Found, more bool) {
	s.StartNearby(q, w)
	s.ContinueNearby(q, math.MaxInt, w)
	return w.NearbyFound()
}

// StartNearby begins the list that Nearby describes. A caller that watches its clock uses it with ContinueNearby.
func (s *Snapshot) StartNearby(q *Query, w *Scratch) {
	w.seen.reset()
	w.listed, w.listGoesOn = 0, false
	w.nearest.Start(s.sites, q.At.Vec, geoindex.Chord2OfM(q.RadiusM),
		geoindex.Need{Some: q.need(w.need[:0]), All: q.Words.Bits()})
}

// ContinueNearby extends the list by about so many steps of geoindex.Nearest. It reports whether the list is done: at
// its end, or at the query's limit.
func (s *Snapshot) ContinueNearby(q *Query, steps int, w *Scratch) (done bool) {
	if q.Limit == 0 {
		return true
	}
	want := q.Profile.Want()
	w.nearest.Allow(steps)
	for {
		site, chord2 := w.nearest.Next()
		if site == nil {
			return !w.nearest.Paused()
		}
		if !s.opens(site, &want, q) || !w.seen.add(site.Group) {
			continue // not open to this viewer, or a program already listed
		}
		if q.After != nil && !q.After.before(chord2, hexbid.UID(site.Rank)) ||
			slices.Contains(q.Skip, hexbid.UID(site.Rank)) {
			continue
		}
		if w.listed == q.Limit {
			w.listGoesOn = true
			return true
		}
		w.found[w.listed] = Found{Place: site.Ordinal, Program: site.Group, Chord2: chord2}
		w.listed++
	}
}

// NearbyFound returns the list so far. more says that it has reached the limit and goes on.
func (w *Scratch) NearbyFound() (list []Found, more bool) {
	return w.found[:w.listed], w.listGoesOn
}

func (p *Pin) before(chord2 float64, uid hexbid.UID) bool {
	return chord2 > p.Chord2 || chord2 == p.Chord2 && uid > p.ProgramUID
}

// need returns the masks that the tags of a site must meet.
func (q *Query) need(masks []uint64) []uint64 {
	masks = append(masks, 1<<(hostTags+uint(q.Host)), 1<<(osTags+uint(q.OS)))
	if q.Category != hexbid.CategoryUnknown {
		masks = append(masks, 1<<(categoryTags+uint(q.Category)))
	}
	return masks
}

// opens reports whether the viewer can open a site's program, and whether the program and the place together have the
// words.
func (s *Snapshot) opens(site *geoindex.Site, want *targeting.Want, q *Query) bool {
	if !want.Admits(targeting.Mask(site.Note)) { // the program's gate
		return false
	}
	return q.Words.None() || q.Words.InEither(s.programs.at(site.Group).text, s.places.at(site.Ordinal).text)
}

// groups is a set of programs. A short set is a list, a long one a map.
type groups struct {
	few  []uint32
	many map[uint32]struct{}
}

const (
	fewGroups    = 64
	reusedGroups = 1 << 12 // a map up to this size is reused
)

// reset empties the set. Clearing a map costs as much as the most it ever held, so reset drops a map that one deep page
// has made large.
func (g *groups) reset() {
	g.few = g.few[:0]
	if len(g.many) > reusedGroups {
		g.many = nil
	}
	clear(g.many)
}

// add adds a program and reports whether it was new to the set.
func (g *groups) add(program uint32) bool {
	if slices.Contains(g.few, program) {
		return false
	}
	if len(g.few) < fewGroups {
		g.few = append(g.few, program)
		return true
	}
	if g.many == nil {
		g.many = map[uint32]struct{}{}
	}
	_, again := g.many[program]
	g.many[program] = struct{}{}
	return !again
}

// Pin returns the pin of a page that ends with f.
func (s *Snapshot) Pin(f Found) Pin { return Pin{f.Chord2, s.programs.at(f.Program).uid} }
