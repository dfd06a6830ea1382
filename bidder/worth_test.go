package bidder

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid/bidder/auction"
)

func TestWorthKeepsEachOfItsPartsWhateverTheOthersAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w worth
		ppm := rapid.Int64Range(0, auction.PPM)
		var multiplier, participation int64
		quality, explored := int64(0), int64(0)
		for range 6 {
			switch rapid.IntRange(0, 2).Draw(t, "part") {
			case 0:
				multiplier = ppm.Draw(t, "multiplier")
				w = w.withMultiplier(multiplier)
			case 1:
				participation = ppm.Draw(t, "participation")
				w = w.withParticipation(participation)
			case 2:
				quality = rapid.Int64Range(1, auction.PPM).Draw(t, "quality")
				explored = rapid.Int64Range(quality, min(2*quality, auction.PPM)).Draw(t, "explored")
				w = w.withQuality(quality, explored)
			}
		}
		if w.multiplierPPM() != multiplier || w.participationPPM() != participation || w.qualityPPM() != quality {
			t.Fatalf("%d %d %d, want %d %d %d", w.multiplierPPM(), w.participationPPM(), w.qualityPPM(), multiplier,
				participation, quality)
		}
		if got, want := w.exploredPPM(), plainExplored(quality, explored); got != want {
			t.Fatalf("%d of %d is explored as %d, want %d", explored, quality, got, want)
		}
	})
}

// plainExplored is the greatest of sixteen steps that is not above the wanted quality.
func plainExplored(qualityPPM, exploredPPM int64) (step int64) {
	for n := range int64(16) {
		if q := qualityPPM * (15 + n) / 15; q <= exploredPPM {
			step = q
		}
	}
	return step
}
