package cli

import (
	"context"
	"fmt"
	"io"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

type ledgerShowCommand struct {
	Campaign    string `arg:"" help:"advertisers/{a}/campaigns/{c}, or a uid."`
	clientFlags `embed:""`
	outputFlags `embed:""`
}

// Run shows what a campaign has spent.
func (c *ledgerShowCommand) Run(s *session) error {
	a := parseAccount(c.Campaign)
	return c.call(s, func(ctx context.Context, conn *client) error {
		spend, err := conn.ledger.GetCampaignSpend(ctx, &pb.GetCampaignSpendRequest{Name: a.name, Uid: a.uid})
		if err != nil {
			return err
		}
		if c.Output == "json" {
			return printJSON(s, spend)
		}
		printSpend(s.Stdout, spend)
		return nil
	})
}

func printSpend(w io.Writer, s *pb.CampaignSpend) {
	fmt.Fprintf(w, "%s, %s in %s\n", accountTitle(s.GetName(), s.GetUid(), s.GetDeleted()), s.GetLocalDate(),
		s.GetTimeZone())
	for _, line := range budgetLines(s) {
		fmt.Fprintln(w, " ", line)
	}
	if last := s.GetLastCharge(); last != nil {
		fmt.Fprintf(w, "  last charge %s at %s, record %d: hexbid receipt get %[3]d\n", money(last.GetChargedMicros()),
			when(last.GetTime().AsTime()), last.GetSequence())
	}
	var t table
	t.add(append([]string{"WHEN"}, totalsHeads...)...)
	t.add(append([]string{"today"}, totalsCells(s.GetToday())...)...)
	t.add(append([]string{"in all"}, totalsCells(s.GetTotal())...)...)
	for _, day := range s.GetDays() {
		t.add(append([]string{day.GetLocalDate()}, totalsCells(day.GetTotals())...)...)
	}
	for _, hour := range s.GetHours() {
		start := hour.GetHourStartTime().AsTime().UTC().Format("2006-01-02 15h UTC")
		t.add(append([]string{start}, totalsCells(hour.GetTotals())...)...)
	}
	t.print(w)
	alsoNamed(w, s.GetOtherUids())
}

// budgetLines say what is spent and left of each limit.
func budgetLines(s *pb.CampaignSpend) []string {
	lines := []string{fmt.Sprintf("day: spent %s of %s, left %s", money(s.GetToday().GetChargedMicros()),
		money(s.GetDailyBudgetMicros()), money(s.GetDailyLeftMicros()))}
	if s.TotalLeftMicros != nil {
		lines = append(lines, fmt.Sprintf("in all: spent %s of %s, left %s", money(s.GetTotal().GetChargedMicros()),
			money(s.GetTotalBudgetMicros()), money(s.GetTotalLeftMicros())))
	}
	if s.BalanceLeftMicros != nil {
		lines = append(lines, "balance: left "+money(s.GetBalanceLeftMicros()))
	}
	lines = append(lines, fmt.Sprintf("over-delivery (shown free): %s today, %s in all",
		money(s.GetToday().GetFreeMicros()), money(s.GetTotal().GetFreeMicros())))
	if s.GetTotal().GetBeyondCap() > 0 {
		lines = append(lines, fmt.Sprintf("events beyond a frequency cap (shown free): %d today, %d in all",
			s.GetToday().GetBeyondCap(), s.GetTotal().GetBeyondCap()))
	}
	if d := s.GetDelivery(); d.GetSummary() != "" {
		lines = append(lines, fmt.Sprintf("plan: %s until now; %s", money(d.GetPlannedMicros()), d.GetSummary()))
	}
	if high := s.GetDelivery().GetQualityHighPpm(); high > 0 {
		lines = append(lines, fmt.Sprintf("chance of a click once seen: %s, between %s and %s",
			percent(s.GetDelivery().GetQualityPpm()), percent(s.GetDelivery().GetQualityLowPpm()), percent(high)))
	}
	if filtered := s.GetDelivery().GetFilteredSharePpm(); filtered > 0 {
		lines = append(lines, "filtered as invalid traffic: "+percent(filtered)+" of today's events"+
			filteredReasons(s.GetDelivery()))
	}
	if s.GetOutstandingMicros() > 0 {
		lines = append(lines, "expected of awards still out: "+money(s.GetOutstandingMicros()))
	}
	if s.GetBudgetSpent() {
		lines = append(lines, "out of auctions: what is left does not pay for another event")
	}
	return lines
}

// totalsHeads are the columns of totalsCells.
var totalsHeads = []string{"IMPRESSIONS", "CLICKS", "CONVERSIONS", "CLAIMS", "FILTERED", "CHARGED", "CREDITED",
	"FREE"}

func totalsCells(t *pb.EventTotals) []string {
	return []string{fmt.Sprint(t.GetImpressions()), fmt.Sprint(t.GetClicks()), fmt.Sprint(t.GetConversions()),
		fmt.Sprint(t.GetClaims()), fmt.Sprint(t.GetFiltered()), money(t.GetChargedMicros()), money(t.GetCreditedMicros()),
		money(t.GetFreeMicros())}
}
