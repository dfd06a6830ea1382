package bidder

import (
	"math"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/geoindex"
)

// capFactors holds by how much the distances of postings lower their caps: an upper bound of the factor of everyone who
// is at least so far away.
type capFactors struct {
	rows    [chordSteps]uint8               // of factors, by step of a squared chord
	factors [][hexbid.CategoryCount]float64 // the last row is of programs without a place
}

// A step of squared chords is a sixteenth of a doubling, which is three parts in a hundred of a distance. Steps begin
// at a meter and a half. The last one is of what is farther than any point: no place.
const (
	chordBits   = 4
	leastChord2 = 0x1p-44
	chordSteps  = (44+3)<<chordBits + 1
	belowChord  = 52 - chordBits
)

func newCapFactors(d *distances) (f capFactors) {
	first := math.Float64bits(leastChord2) >> belowChord
	for step := range f.rows {
		begins := math.Float64frombits((first + uint64(step)) << belowChord)
		f.rows[step] = d.band(begins) - 1
	}
	f.rows[0], f.rows[chordSteps-1] = 0, uint8(len(d.factor)-1)
	for _, row := range d.factor {
		var factors [hexbid.CategoryCount]float64
		for c, ppm := range row {
			factors[c] = max(float64(ppm)/auction.PPM, 1.0/leastLoweredPPM) * (1 + 1e-9)
		}
		f.factors = append(f.factors, factors)
	}
	return f
}

// of returns the factor of a least squared chord and a category.
func (f *capFactors) of(chord2 float64, category hexbid.Category) float64 {
	step := int(math.Float64bits(chord2)>>belowChord) - int(math.Float64bits(leastChord2)>>belowChord)
	return f.factors[f.rows[min(max(step, 0), chordSteps-1)]][category]
}

// lowered returns the cap of a posting under one of the keys over a viewer: lowered by the distance, as far as the
// posting tells it.
func (d *distances) lowered(
	cap capCode, about geoindex.Whereabouts, category hexbid.Category, from *geoindex.Viewpoint,
) capCode {
	if about == 0 {
		return cap
	}
	return cap.lowered(d.caps.of(from.LeastChord2(about), category))
}

// narrow lowers the caps of a batch and keeps the matches that may still win.
func (d *distances) narrow(batch []match, w *Scratch) []match {
	if w.floor == 0 {
		return batch
	}
	n := 0
	for i := range batch {
		x := batch[i]
		if about := x.cap.whereabouts(); about != 0 {
			least := w.views[x.cursor()].LeastChord2(about)
			x.cap = x.cap.lowered(d.caps.of(least, x.mask.Category()))
		}
		batch[n] = x
		if x.cap >= w.floor {
			n++
		}
	}
	return batch[:n]
}
