package cli

import (
	"strconv"
	"strings"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// liveLine describes in one line what a campaign is worth right now.
func liveLine(s *pb.LiveState) string {
	quality := percent(s.GetQualityPpm()) + " chance of a click"
	if s.GetQualityIsPrior() {
		quality += " (its category's prior)"
	}
	bid := percent(s.GetPacingMultiplierPpm()) + " of its bid"
	if s.GetLoweredByBudget() {
		bid += " (what is left to spend allows no more)"
	}
	parts := []string{bid, quality}
	if s.GetNoBalance() {
		parts = append(parts, "no balance left")
	}
	if s.GetBudgetSpent() {
		parts = append(parts, "budget spent")
	}
	if s.GetFrequencyCapped() {
		parts = append(parts, "held back by its frequency cap")
	}
	return "Right now: " + strings.Join(parts, ", ")
}

// percent writes parts per million as a percentage.
func percent(ppm int64) string { return strconv.FormatFloat(float64(ppm)/10_000, 'f', -1, 64) + " %" }
