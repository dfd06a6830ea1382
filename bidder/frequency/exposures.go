// Package frequency decides whether a viewer has seen a campaign as often as a cap allows. It is pure: it reads no
// clock, and instants are stamps of the ledger, microseconds since 1970.
//
// Exposures are what one viewer has seen of one campaign, or of all campaigns of one advertiser. A History is all of
// one viewer's. A Filter knows who has none.
package frequency

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/hexbid/hexbid"
)

// Bounds of caps, as hexbid.FrequencyCap has them.
const (
	LongestWindow = 30 * 24 * time.Hour
	MaxStamps     = 1000 // the most impressions that a cap allows
)

// Exposures are the impressions that one viewer has had of a campaign, or of an advertiser's campaigns together. The
// stamps of old ones go: of the last MaxStamps impressions, Exposures keep those within LongestWindow of the last one.
// Every cap that can be set is therefore decided exactly, also after it was edited.
type Exposures struct {
	Ever   uint64  // impressions
	Stamps []int64 // of the last ones, ascending
}

// Caps are the caps that an impression of a campaign counts towards. A cap of 0 impressions is none.
type Caps struct {
	Campaign   hexbid.FrequencyCap // its own
	Advertiser hexbid.FrequencyCap // its advertiser's, of all its campaigns together
}

// Any reports whether there is a cap.
func (c *Caps) Any() bool { return c.Campaign.Impressions > 0 || c.Advertiser.Impressions > 0 }

// Allow reports whether a cap admits one more impression at a stamp, which is none below the last. A window is half
// open: an impression leaves it when exactly the window's length has passed.
func (x *Exposures) Allow(limit *hexbid.FrequencyCap, at int64) bool {
	switch {
	case limit.Impressions == 0:
		return true
	case limit.Window == 0:
		return x.Ever < uint64(limit.Impressions)
	}
	first := len(x.Stamps) - limit.Impressions
	return first < 0 || x.Stamps[first] <= at-limit.Window.Microseconds()
}

// Add counts an impression. Stamps of awards that are still out may come out of order. Add may change the memory of
// Stamps beyond their length, and never their elements.
func (x *Exposures) Add(at int64) {
	x.Ever++
	if n := len(x.Stamps); n == 0 || x.Stamps[n-1] <= at {
		x.Stamps = append(x.Stamps, at)
	} else {
		place, _ := slices.BinarySearch(x.Stamps, at)
		x.Stamps = slices.Insert(slices.Clone(x.Stamps), place, at)
	}
	x.prune()
}

// prune drops the stamps that no cap looks at.
func (x *Exposures) prune() {
	x.Stamps = x.Stamps[max(0, len(x.Stamps)-MaxStamps):]
	oldest := x.Stamps[len(x.Stamps)-1] - LongestWindow.Microseconds()
	gone, _ := slices.BinarySearch(x.Stamps, oldest+1)
	x.Stamps = x.Stamps[gone:]
}

// Last returns the stamp of the last impression, 0 of none.
func (x *Exposures) Last() int64 {
	if len(x.Stamps) == 0 {
		return 0
	}
	return x.Stamps[len(x.Stamps)-1]
}

// AppendTo appends the encoded exposures: the count, the number of stamps, the last stamp, and back from it the times
// between stamps, as unsigned varints.
func (x *Exposures) AppendTo(b []byte) []byte {
	b = binary.AppendUvarint(b, x.Ever)
	b = binary.AppendUvarint(b, uint64(len(x.Stamps)))
	for i := len(x.Stamps) - 1; i >= 0; i-- {
		if i == len(x.Stamps)-1 {
			b = binary.AppendUvarint(b, uint64(x.Stamps[i]))
		} else {
			b = binary.AppendUvarint(b, uint64(x.Stamps[i+1]-x.Stamps[i]))
		}
	}
	return b
}

// Decode reverses AppendTo. It refuses, with an error of kind DataLoss, bytes that AppendTo does not return.
func Decode(b []byte) (Exposures, error) {
	d := decoder{b}
	x := Exposures{Ever: d.number()}
	n := d.number()
	if n == 0 || n > MaxStamps || n > x.Ever || n > uint64(len(d.rest)) {
		return Exposures{}, damaged("has %d stamps of %d impressions", n, x.Ever)
	}
	x.Stamps = make([]int64, n)
	at := d.number()
	const highest = 1 << 62
	for i := len(x.Stamps) - 1; at <= highest; i-- {
		if x.Stamps[i] = int64(at); i == 0 {
			break
		}
		between := d.number()
		if between > at {
			return Exposures{}, damaged("has a stamp before 1970")
		}
		at -= between
	}
	span := x.Last() - x.Stamps[0]
	if d.rest == nil || len(d.rest) > 0 || at > highest || span >= LongestWindow.Microseconds() {
		return Exposures{}, damaged("does not decode")
	}
	return x, nil
}

func damaged(format string, args ...any) error {
	return hexbid.Errorf(hexbid.DataLoss, "a viewer's exposures", format, args...)
}

// decoder reads canonical varints. Its rest is nil after bytes that are none.
type decoder struct{ rest []byte }

func (d *decoder) number() uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 || size > 1 && d.rest[size-1] == 0 {
		d.rest = nil
		return 0
	}
	d.rest = d.rest[size:]
	return n
}
