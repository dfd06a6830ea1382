package bidder

import (
	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
)

// blockPlaces tells of the postings of a block where their programs' places are and of which categories these are. In
// a full block it takes two cache lines.
type blockPlaces struct {
	// told holds for each posting the whereabouts but for their highest bit, and above them the category less 1. nil
	// tells nothing of any.
	told    []uint16
	highest uint64 // the highest bits of whereabouts
}

const (
	lowAboutBits = aboutBits - 1
	lowAboutMask = 1<<lowAboutBits - 1
	_            = 1<<(16-lowAboutBits) - uint(hexbid.CategoryCount-1) // categories must fit
)

func newBlockPlaces(postings []posting) (b blockPlaces) {
	for i := range postings {
		p := &postings[i]
		about := p.cap.whereabouts()
		if about == 0 && b.told == nil {
			continue
		}
		if b.told == nil {
			b.told = make([]uint16, len(postings))
		}
		b.told[i] = uint16(p.mask.Category()-1)<<lowAboutBits | uint16(about)&lowAboutMask
		b.highest |= uint64(about>>lowAboutBits) << i
	}
	return b
}

// at returns the whereabouts of posting i.
func (b *blockPlaces) at(i int) geoindex.Whereabouts {
	if b.told == nil {
		return 0
	}
	return geoindex.Whereabouts(b.told[i]&lowAboutMask) | geoindex.Whereabouts(b.highest>>i&1)<<lowAboutBits
}

// category returns the category of posting i, if something is told of any.
func (b *blockPlaces) category(i int) hexbid.Category {
	return hexbid.Category(b.told[i]>>lowAboutBits) + 1
}
