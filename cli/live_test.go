package cli

import (
	"testing"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

func TestALiveStateReadsAsALine(t *testing.T) {
	for want, s := range map[string]*pb.LiveState{
		"Right now: 100 % of its bid, 3 % chance of a click (its category's prior)": {
			PacingMultiplierPpm: 1_000_000, QualityPpm: 30_000, QualityIsPrior: true},
		"Right now: 0 % of its bid, 0.0001 % chance of a click, budget spent, held back by its frequency cap": {
			QualityPpm: 1, BudgetSpent: true, FrequencyCapped: true},
		"Right now: 30 % of its bid (what is left to spend allows no more), 1 % chance of a click, no balance left": {
			PacingMultiplierPpm: 300_000, QualityPpm: 10_000, LoweredByBudget: true, NoBalance: true},
		"Right now: 33.3333 % of its bid, 100 % chance of a click": {PacingMultiplierPpm: 333_333, QualityPpm: 1_000_000},
	} {
		if got := liveLine(s); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
