package cli

import (
	"testing"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

func TestALiveStateReadsAsALine(t *testing.T) {
	for want, s := range map[string]*pb.LiveState{
		"Right now: 100 % of its bid, 3 % chance of a click (its category's prior)": {
			PacingMultiplierPpm: 1_000_000, ParticipationPpm: 1_000_000, QualityPpm: 30_000, ExploredQualityPpm: 30_000,
			QualityIsPrior: true},
		"Right now: 0 % of its bid, 12.5 % of the searches, 0.0001 % chance of a click, budget spent, frequency capped": {
			ParticipationPpm: 125_000, QualityPpm: 1, BudgetSpent: true, FrequencyCapped: true},
		"Right now: 30 % of its bid (what is left to spend allows no more), 1 % chance of a click, no balance left": {
			PacingMultiplierPpm: 300_000, ParticipationPpm: 1_000_000, QualityPpm: 10_000, LoweredByBudget: true,
			NoBalance: true},
		"Right now: 33.3333 % of its bid, 50 % chance of a click, up to 60 % where a search tries it": {
			PacingMultiplierPpm: 333_333, ParticipationPpm: 1_000_000, QualityPpm: 500_000, ExploredQualityPpm: 600_000},
	} {
		if got := liveLine(s); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
