package bidder

import (
	"slices"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
)

// Found is a program at its nearest place.
type Found struct {
	Place, Program uint32
	Chord2         float64 // squared chord of the distance
}

// Pin is where a page of the nearby list ended.
type Pin struct {
	Chord2     float64
	ProgramUID hexbid.UID
}

// Nearby lists programs by the distance of their nearest approved place in the
// radius that passes the filters, then by uid (at equal distances of two places of one, at the place of
// lower uid): each once, only those that the viewer can open and that
// pass the request's filters, none of the programs to skip, and with a pin only
// what follows it. More says that the list goes on. The list is in scratch
// memory that the next Nearby overwrites.
func (s *Snapshot) Nearby(q *Query, skip []uint32, after *Pin, w *Scratch) (list []Found, more bool) {
	if q.Limit == 0 {
		return nil, false
	}
	if w.seen == nil {
		w.seen = map[uint32]struct{}{}
	}
	clear(w.seen)
	list = w.found[:0]
	w.nearest.Start(s.sites, q.At.Vec, geoindex.Chord2OfM(q.RadiusM), geoindex.Need{Some: q.need(w.need[:0]), All: q.Words.Bits()})
	for {
		site, chord2 := w.nearest.Next()
		if site == nil {
			return list, false
		}
		if _, again := w.seen[site.Group]; again {
			continue // a farther place of a program that has had its turn
		}
		if !s.opens(site, q) {
			continue
		}
		w.seen[site.Group] = struct{}{}
		if after != nil && !after.before(chord2, hexbid.UID(site.Rank)) || slices.Contains(skip, site.Group) {
			continue
		}
		if len(list) == q.Limit {
			return list, true
		}
		list = append(list, Found{Place: site.Ordinal, Program: site.Group, Chord2: chord2})
	}
}

func (p *Pin) before(chord2 float64, uid hexbid.UID) bool {
	return chord2 > p.Chord2 || chord2 == p.Chord2 && uid > p.ProgramUID
}

// need is what the tags of a site must meet.
func (q *Query) need(masks []uint64) []uint64 {
	masks = append(masks, 1<<(hostTags+uint(q.Host)), 1<<(osTags+uint(q.OS)))
	if q.Category != hexbid.CategoryUnknown {
		masks = append(masks, 1<<(categoryTags+uint(q.Category)))
	}
	return masks
}

// opens says whether the viewer can open a site's program, and the program and
// the place together have the words.
func (s *Snapshot) opens(site *geoindex.Site, q *Query) bool {
	p := s.programs.at(site.Group)
	want := q.Profile.Want()
	return want.Admits(p.gate) && q.Words.InEither(p.text, s.places.at(site.Ordinal).text)
}

// Pin is the pin of a page that ends with f.
func (s *Snapshot) Pin(f Found) Pin { return Pin{f.Chord2, s.programs.at(f.Program).uid} }
