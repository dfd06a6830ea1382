package quality

import (
	"math"

	"github.com/hexbid/hexbid"
)

// deciles compare predicted with observed clicks by predicted quality: eight bins for each doubling.
type deciles [decileBins]Account

const decileBins = 8 * 20 // 2^20 is above PPM

// Decile is a tenth of the impressions of late, by predicted quality: the clicks that were predicted, and those that
// came.
type Decile struct{ Predicted, Observed float64 }

func binOfQuality(ppm int64) int { return min(int(8*math.Log2(float64(max(ppm, 1)))), decileBins-1) }

// seen counts an impression by its predicted clicks.
func (d *deciles) seen(at, ppm int64, s *impression) { d[binOfQuality(ppm)].seen(at, s) }

func (d *deciles) clicked(at, ppm int64) { d[binOfQuality(ppm)].Clicked(at) }

// Calibration returns the deciles of predicted quality, the lowest first. Trials of exploration are not in them. A bin
// that belongs to several deciles is shared among them.
func (b *Book) Calibration(now int64) (out [10]Decile) {
	var bins [decileBins]Evidence // Weight is of predicted clicks
	var impressions [decileBins]float64
	all := 0.0
	for i := range b.decile {
		bins[i] = b.decile[i].evidence(now, b.delays, &b.tables, hexbid.CategoryUnknown)
		impressions[i] = bins[i].Weight / math.Exp2((float64(i)+0.5)/8) // in any unit
		all += impressions[i]
	}
	below := 0.0
	for i := range bins {
		if impressions[i] == 0 {
			continue
		}
		from, to := 10*below/all, 10*(below+impressions[i])/all
		below += impressions[i]
		for k := int(from); k < 10 && float64(k) < to; k++ {
			part := (min(to, float64(k+1)) - max(from, float64(k))) / (to - from)
			out[k].Predicted += part * bins[i].Weight
			out[k].Observed += part * bins[i].Clicks
		}
	}
	return out
}
