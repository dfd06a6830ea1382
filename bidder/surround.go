package bidder

import "github.com/hexbid/hexbid/geoindex"

// surround is the covering around a program's approved places at one radius. All
// campaigns that go around the places at that radius are its members and share it.
//
// Every place's disc is covered on its own, and a cell counts the discs that touch
// and fill each of its children. So a place that comes or goes changes the few cells
// of its own disc, however many places there are.
type surround struct {
	program      uint32
	radiusM      float64
	next, before *surround // of the same program
	members      []uint32  // campaigns
	alone        onlyPlace // what members know of the places

	filled bool // below are filled in when the first member is posted
	// One place, as most programs have, is a packed covering; several are cells.
	packed  []byte
	cells   map[geoindex.Key]overlap
	changed map[geoindex.Key]geoindex.Posting // cells changed by the publication in the making, as they were before
}

// overlap counts the discs over a cell, by its children.
type overlap struct{ touched, full [7]uint32 }

// onlyPlace is the one place of a program that has no other.
type onlyPlace struct {
	is  bool
	vec geoindex.Vec
}

func (o *overlap) posting(key geoindex.Key) geoindex.Posting {
	p := geoindex.Posting{Key: key}
	for child := range o.touched {
		if o.touched[child] > 0 {
			p.Touched |= 1 << child
		}
		if o.full[child] > 0 {
			p.Full |= 1 << child
		}
	}
	return p
}

// count adds a posting of one disc, or takes it away again.
func (o *overlap) count(p geoindex.Posting, by uint32) {
	for child := range o.touched {
		o.touched[child] += uint32(p.Touched>>child&1) * by
		o.full[child] += uint32(p.Full>>child&1) * by
	}
}

// one and lessOne are what count counts by; it counts modulo 2³².
const one, lessOne = uint32(1), ^uint32(0)

// add joins the covering of a place's disc.
func (s *surround) add(disc []geoindex.Posting) {
	if s.isEmpty() {
		s.packed = geoindex.PackCovering(nil, disc)
		for _, p := range disc {
			s.note(geoindex.Posting{Key: p.Key})
		}
		return
	}
	s.unpack()
	for _, p := range disc {
		s.count(p, one)
	}
}

// remove takes the covering of a place's disc away again.
func (s *surround) remove(disc []geoindex.Posting) {
	s.unpack()
	for _, p := range disc {
		s.count(p, lessOne)
	}
}

func (s *surround) isEmpty() bool { return len(s.packed) == 0 && len(s.cells) == 0 }

// unpack makes cells of the covering of one place.
func (s *surround) unpack() {
	if s.cells == nil {
		s.cells = map[geoindex.Key]overlap{}
	}
	one := s.postings(nil)
	s.packed = nil
	for _, p := range one {
		o := s.cells[p.Key]
		o.count(p, 1)
		s.cells[p.Key] = o
	}
}

// count changes the counts of a posting's cell.
func (s *surround) count(p geoindex.Posting, by uint32) {
	o := s.cells[p.Key]
	before := o.posting(p.Key)
	o.count(p, by)
	after := o.posting(p.Key)
	if after.Touched == 0 {
		delete(s.cells, p.Key)
	} else {
		s.cells[p.Key] = o
	}
	if after != before {
		s.note(before)
	}
}

// note keeps what a cell was before the publication in the making.
func (s *surround) note(before geoindex.Posting) {
	if s.changed == nil {
		s.changed = map[geoindex.Key]geoindex.Posting{}
	}
	if _, noted := s.changed[before.Key]; !noted {
		s.changed[before.Key] = before
	}
}

// postings appends what s.packed unpacks to.
func (s *surround) postings(to []geoindex.Posting) []geoindex.Posting {
	to, _ = geoindex.UnpackCovering(to, s.packed) // what PackCovering packed unpacks
	return to
}

// at is the posting of a cell; one that touches no child is none.
func (s *surround) at(key geoindex.Key) geoindex.Posting {
	if o, there := s.cells[key]; there {
		return o.posting(key)
	}
	for _, p := range s.postings(nil) {
		if p.Key == key {
			return p
		}
	}
	return geoindex.Posting{Key: key}
}

// each calls f for every posting, in no order.
func (s *surround) each(f func(geoindex.Posting)) {
	for _, p := range s.postings(nil) {
		f(p)
	}
	for key, o := range s.cells {
		f(o.posting(key))
	}
}

// cellChange is the posting of a surround under one cell, before and after.
type cellChange struct{ before, now geoindex.Posting }

// takeChanges tells what has changed since the last publication, and forgets it.
func (s *surround) takeChanges() []cellChange {
	changes := make([]cellChange, 0, len(s.changed))
	for key, before := range s.changed {
		if now := s.at(key); now != before {
			changes = append(changes, cellChange{before, now})
		}
	}
	s.changed = nil
	return changes
}
