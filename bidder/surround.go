package bidder

import "github.com/hexbid/hexbid/geoindex"

// surround is the covering around a program's approved places at one radius. All campaigns that buy that radius around
// the places are its members and share it.
//
// Every place's disc is covered by itself. A cell counts the discs that touch and fill each of its children. A place
// that is added or removed therefore changes only the few cells of its own disc, however many places there are.
type surround struct {
	program      uint32
	radiusM      float64
	next, before *surround // in the list of its program's surrounds
	members      []uint32  // campaigns
	alone        onlyPlace // the only place, as members know it

	filled bool // the fields below are set when the first member is posted
	// packed holds the covering of one place, which is all that most programs have. cells holds that of several.
	packed  []byte
	cells   map[geoindex.Key]overlap
	changed map[geoindex.Key]geoindex.Posting // cells changed since the last publication, as they were then
}

// overlap counts the discs over a cell, by its children.
type overlap struct{ touched, full [7]uint32 }

// onlyPlace is the place of a program with exactly one.
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

// count adds a posting of one disc, or subtracts it.
func (o *overlap) count(p geoindex.Posting, by uint32) {
	for child := range o.touched {
		o.touched[child] += uint32(p.Touched>>child&1) * by
		o.full[child] += uint32(p.Full>>child&1) * by
	}
}

// one and lessOne are what count counts by, modulo 2³².
const one, lessOne = uint32(1), ^uint32(0)

// add adds the covering of a place's disc.
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

// remove subtracts the covering of a place's disc.
func (s *surround) remove(disc []geoindex.Posting) {
	s.unpack()
	for _, p := range disc {
		s.count(p, lessOne)
	}
}

func (s *surround) isEmpty() bool { return len(s.packed) == 0 && len(s.cells) == 0 }

// unpack turns the packed covering of one place into cells.
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

// note remembers what a cell was at the last publication.
func (s *surround) note(before geoindex.Posting) {
	if s.changed == nil {
		s.changed = map[geoindex.Key]geoindex.Posting{}
	}
	if _, noted := s.changed[before.Key]; !noted {
		s.changed[before.Key] = before
	}
}

// postings appends the unpacked covering of s.packed.
func (s *surround) postings(to []geoindex.Posting) []geoindex.Posting {
	to, _ = geoindex.UnpackCovering(to, s.packed) // PackCovering made it, so it unpacks
	return to
}

// at returns the posting of a cell. It touches no child if there is none.
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

// cellChange is the posting of a surround under one cell, before and now.
type cellChange struct{ before, now geoindex.Posting }

// takeChanges returns the changes since the last publication and forgets them.
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
