package bidder

import (
	"bytes"
	"slices"
)

// coverings holds packed coverings by campaign. One allocation holds those of a whole page of campaigns, because a
// million separate ones would be a million objects for the garbage collector to mark.
type coverings struct{ pages []*coveringPage }

type coveringPage struct {
	ends  [1 << pageBits]uint32
	bytes []byte
}

// at returns a campaign's covering, valid until the next set.
func (c *coverings) at(campaign uint32) []byte {
	page := campaign >> pageBits
	if int(page) >= len(c.pages) {
		return nil
	}
	start, end := c.pages[page].span(campaign % (1 << pageBits))
	return c.pages[page].bytes[start:end]
}

func (p *coveringPage) span(i uint32) (start, end uint32) {
	if i > 0 {
		start = p.ends[i-1]
	}
	return start, p.ends[i]
}

// set replaces a campaign's covering.
func (c *coverings) set(campaign uint32, covering []byte) {
	if bytes.Equal(c.at(campaign), covering) {
		return // as of most changes
	}
	for int(campaign>>pageBits) >= len(c.pages) {
		c.pages = append(c.pages, &coveringPage{})
	}
	p, i := c.pages[campaign>>pageBits], campaign%(1<<pageBits)
	start, end := p.span(i)
	p.bytes = slices.Replace(p.bytes, int(start), int(end), covering...)
	grown := uint32(len(covering)) - (end - start) // modulo 2³²
	for ; i < 1<<pageBits; i++ {
		p.ends[i] += grown
	}
}
