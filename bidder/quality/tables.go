package quality

import (
	"math"

	"github.com/hexbid/hexbid"
)

// Setting is where a result was shown: what the market learns of all campaigns alike, slots and distances, says how
// much an impression there counts.
type Setting struct {
	Way  Way   // how its client reports
	Slot int   // from 1; 0 if it does not matter
	Band uint8 // of distance, as in auction.Prediction; 0 if it does not matter
}

// Tables say how much impressions count by their settings.
type Tables struct {
	// Shares are clicks on a seen impression by way and slot, as a part of those in the first slot.
	Shares [WayCount][hexbid.MaxSlots]float64
	// Distances are the factors of bands of distance.
	Distances Distances
}

// evenTables are those of a market in which no slot and no distance differs.
func evenTables() (t Tables) {
	for way := range t.Shares {
		for slot := range t.Shares[way] {
			t.Shares[way][slot] = 1
		}
	}
	return t
}

// share returns the share of clicks of a setting's slot.
func (t *Tables) share(in Setting) float64 { return t.ofSlot(slotKey(in)) }

func (t *Tables) ofSlot(key uint8) float64 {
	if key == slotKeys {
		return 1
	}
	n := int(key - slotKeys - 1)
	return t.Shares[n/hexbid.MaxSlots][n%hexbid.MaxSlots]
}

func (t *Tables) ofBand(key uint8, c hexbid.Category) float64 {
	d, band := &t.Distances, int(key-bandKeys)
	switch {
	case band == 0 || !d.Count() || c >= hexbid.CategoryCount || band > len(d.FactorPPM)+1:
		return 1
	case band == len(d.FactorPPM)+1:
		return float64(d.WithoutPlacePPM[c]) / PPM
	}
	return float64(d.FactorPPM[band-1][c]) / PPM
}

// leastTableChange is the part of a share or factor by which it must change to count. All estimates then follow.
const leastTableChange = 0.005

// SetTables says by which tables evidence counts from now on, what was seen before too. Its distances are those that
// searches use. A change that is too small to matter is left out.
func (b *Book) SetTables(t *Tables) {
	if !b.tables.differs(t) {
		return
	}
	b.tables = *t
	b.refresh = len(b.round)
	if bands := t.Distances.print(); t.Distances.Count() && bands != b.bands {
		b.forgetBands()
		b.bands = bands
		b.change(rowOf{kind: marketRow})
	}
}

// forgetBands leaves all accounts as they are weighed, without bands of distance: the ends of the bands are others now.
func (b *Book) forgetBands() {
	for _, c := range b.round {
		c.mix.forgetBands()
		b.change(rowOf{campaignRow, c.subject.Campaign})
	}
	for uid, p := range b.programs {
		p.mix.forgetBands()
		b.change(rowOf{programRow, uid})
	}
}

// differs reports whether some share or factor differs by enough to matter.
func (t *Tables) differs(from *Tables) bool {
	for way := range t.Shares {
		for slot, share := range t.Shares[way] {
			if other := from.Shares[way][slot]; math.Abs(share-other) > leastTableChange*share {
				return true
			}
		}
	}
	return t.Distances.differ(&from.Distances)
}

func (d *Distances) differ(from *Distances) bool {
	if len(d.FactorPPM) != len(from.FactorPPM) || d.print() != from.print() {
		return true
	}
	for band := range d.FactorPPM {
		if d.FactorPPM[band].differ(&from.FactorPPM[band]) {
			return true
		}
	}
	return d.WithoutPlacePPM.differ(&from.WithoutPlacePPM)
}

func (f *Categories) differ(from *Categories) bool {
	for c, ppm := range f {
		if float64(max(ppm, from[c])-min(ppm, from[c])) > leastTableChange*float64(ppm) {
			return true
		}
	}
	return false
}
