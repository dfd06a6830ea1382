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
	parts := []string{bid}
	if part := s.GetParticipationPpm(); part < whole {
		parts = append(parts, percent(part)+" of the searches")
	}
	if explored := s.GetExploredQualityPpm(); explored > s.GetQualityPpm() {
		quality += ", up to " + percent(explored) + " where a search tries it"
	}
	parts = append(parts, quality)
	if s.GetNoBalance() {
		parts = append(parts, "no balance left")
	}
	if s.GetBudgetSpent() {
		parts = append(parts, "budget spent")
	}
	if s.GetReturning() {
		parts = append(parts, "back within seconds")
	}
	if s.GetFrequencyCapped() {
		parts = append(parts, "frequency capped")
	}
	return "Right now: " + strings.Join(parts, ", ")
}

// whole is all of something in parts per million.
const whole = 1_000_000

// percent writes parts per million as a percentage.
func percent(ppm int64) string { return strconv.FormatFloat(float64(ppm)/10_000, 'f', -1, 64) + " %" }
