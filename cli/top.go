package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

type topCommand struct {
	Parent      string        `arg:"" optional:"" help:"Only campaigns of this advertiser: advertisers/{a}." default:"advertisers/-"`
	Lines       int32         `help:"Campaigns shown, those that have spent the most today first." default:"20"`
	Every       time.Duration `help:"How often it looks again." default:"1s"`
	Once        bool          `help:"Print one table, and end."`
	clientFlags `embed:""`
	outputFlags `embed:""`
}

// leastEvery keeps a table from asking a server without a pause.
const leastEvery = 100 * time.Millisecond

// Help explains the columns.
func (*topCommand) Help() string {
	return `TODAY is what the campaign was charged on its local date, and OF DAY the part of its daily budget that this is.
OF PLAN is how far the day is ahead of its plan, or behind it, in parts of the day's budget. BID is what its bid is
multiplied by, and PART the part of matching searches that it takes part in. PRICE is what a charged click, or a thousand
charged impressions, cost on average today. FREE is what was shown without a charge, because a budget or a balance did
not hold the price, or because the viewer had seen it as often as a frequency cap allows; BEYOND CAP counts the
impressions and clicks of such viewers. FILTERED is the part of today's events that were invalid traffic, which cost
nothing. The line above the table says how many of the sponsored slots that searches asked for had an ad.

  hexbid top
  hexbid top advertisers/acme --once --lines 5`
}

// Run prints tables until it is interrupted.
func (c *topCommand) Run(s *session) error {
	if c.Every < leastEvery {
		return fmt.Errorf("--every: %s is too often: use %s or more", c.Every, leastEvery)
	}
	return c.follow(s, func(ctx context.Context, conn *client) error {
		for {
			if err := c.look(ctx, s, conn); err != nil || c.Once {
				return err
			}
			select {
			case <-time.After(c.Every):
			case <-ctx.Done():
				return nil
			}
		}
	})
}

// look asks once and prints the answer.
func (c *topCommand) look(ctx context.Context, s *session, conn *client) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	page, err := conn.ledger.ListCampaignSpend(ctx, &pb.ListCampaignSpendRequest{
		Parent: named("advertisers", c.Parent), PageSize: c.Lines,
		Order: pb.CampaignSpendOrder_CAMPAIGN_SPEND_ORDER_SPENT_TODAY})
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return c.printJSON(s.Stdout, page)
	}
	if !c.Once && isTerminal(s.Stdout) {
		fmt.Fprint(s.Stdout, "\x1b[H\x1b[2J") // to the top left corner, and clear
	}
	printTop(s.Stdout, page)
	return nil
}

// noSpend follows a table without rows.
const noSpend = `Charges come with events that search clients report (hexbid events). "hexbid explain CAMPAIGN" says why a
campaign does not show, "hexbid ledger show CAMPAIGN" what it spent before.`

func printTop(w io.Writer, page *pb.ListCampaignSpendResponse) {
	var spent int64
	for _, c := range page.GetCampaigns() {
		spent += c.GetToday().GetChargedMicros()
	}
	said := "no campaign has been charged today"
	if len(page.GetCampaigns()) > 0 {
		said = "the rows below spent " + money(spent) + " today"
	}
	fmt.Fprintf(w, "%s  %s", page.GetAsOfTime().AsTime().Local().Format(time.TimeOnly), said)
	if asked := page.GetRequestedSlots(); asked > 0 {
		fmt.Fprintf(w, "; ads filled %s of %d slots since the server started", share(page.GetFilledSlots(), asked), asked)
	}
	fmt.Fprintln(w)
	if len(page.GetCampaigns()) == 0 {
		fmt.Fprintln(w, noSpend)
		return
	}
	var t table
	t.add("CAMPAIGN", "TODAY", "OF DAY", "OF PLAN", "BID", "PART", "IMPRESSIONS", "CLICKS", "PRICE", "FREE", "BEYOND CAP",
		"FILTERED", "")
	for _, c := range page.GetCampaigns() {
		out := ""
		if c.GetBudgetSpent() {
			out = "spent"
		}
		today := c.GetToday()
		t.add(c.GetName(), money(today.GetChargedMicros()), share(today.GetChargedMicros(), c.GetDailyBudgetMicros()),
			aheadCell(c.GetDelivery()), partCell(c.GetDelivery().GetPacingMultiplierPpm(), c.GetDelivery()),
			partCell(c.GetDelivery().GetParticipationPpm(), c.GetDelivery()),
			fmt.Sprint(today.GetImpressions()), fmt.Sprint(today.GetClicks()), averagePrice(c), money(today.GetFreeMicros()),
			fmt.Sprint(today.GetBeyondCap()), filteredShare(today)+firstReason(c.GetDelivery()), out)
	}
	t.print(w)
}

// filteredShare writes which part of events was invalid traffic. Filtered events count as nothing else.
func filteredShare(t *pb.EventTotals) string {
	return share(t.GetFiltered(), t.GetImpressions()+t.GetClicks()+t.GetConversions()+t.GetClaims()+t.GetFiltered())
}

// filteredReasons lists why events were filtered, in words that follow their share.
func filteredReasons(d *pb.Delivery) string {
	if len(d.GetFiltered()) == 0 {
		return ""
	}
	var reasons []string
	for _, f := range d.GetFiltered() {
		reasons = append(reasons, fmt.Sprintf("%s %d", f.GetReason(), f.GetEvents()))
	}
	return " (" + strings.Join(reasons, ", ") + ")"
}

// firstReason is the most frequent of them, for a cell.
func firstReason(d *pb.Delivery) string {
	if len(d.GetFiltered()) == 0 {
		return ""
	}
	return " " + d.GetFiltered()[0].GetReason()
}

// aheadCell writes how far a day's spend is from its plan, in hundredths of the day's budget.
func aheadCell(d *pb.Delivery) string {
	if d.GetStatus() == pb.DeliveryStatus_DELIVERY_STATUS_UNSPECIFIED {
		return "-"
	}
	return fmt.Sprintf("%+.1f %%", float64(d.GetAheadPpm())/10_000)
}

// partCell writes parts per million of a delivery that is known.
func partCell(ppm int64, d *pb.Delivery) string {
	if d == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", float64(ppm)/10_000)
}

// share writes a part of a whole as a percentage.
func share(part, whole int64) string {
	if whole <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(part)/float64(whole))
}

// averagePrice is what a charged click, or a thousand charged impressions, cost today.
func averagePrice(c *pb.CampaignSpend) string {
	micros, ok := averageMicros(c)
	if !ok {
		return "-"
	}
	return price(micros, c.GetPricingModel())
}

func averageMicros(c *pb.CampaignSpend) (micros int64, ok bool) {
	t := c.GetToday()
	events, per := t.GetClicks(), int64(1)
	if c.GetPricingModel() == pb.PricingModel_PRICING_MODEL_CPM {
		events, per = t.GetImpressions(), 1000
	}
	if events -= t.GetBudgetExhausted(); events <= 0 || t.GetChargedMicros() == 0 {
		return 0, false
	}
	return t.GetChargedMicros() / events * per, true
}

// topCampaign is a campaign of the table for programs. Amounts are micros.
type topCampaign struct {
	Name             string            `json:"name"`
	UID              uint64            `json:"uid,string"`
	LocalDate        string            `json:"local_date"`
	SpendTodayMicros int64             `json:"spend_today_micros,string"`
	DailyBudget      int64             `json:"daily_budget_micros,string"`
	DailyLeftMicros  int64             `json:"daily_left_micros,string"`
	Impressions      int64             `json:"impressions,string"`
	Clicks           int64             `json:"clicks,string"`
	AveragePrice     int64             `json:"average_price_micros,string"`
	PricingModel     string            `json:"pricing_model"`
	FreeMicros       int64             `json:"free_micros,string"`
	BeyondCap        int64             `json:"beyond_cap,string"`
	Filtered         int64             `json:"filtered,string"`
	FilteredBy       map[string]string `json:"filtered_by,omitempty"`
	BudgetSpent      bool              `json:"budget_spent"`
}

// topTable is the table for programs.
type topTable struct {
	Campaigns      []topCampaign `json:"campaigns"`
	RequestedSlots int64         `json:"requested_slots,string"`
	FilledSlots    int64         `json:"filled_slots,string"`
	AsOf           time.Time     `json:"as_of_time"`
}

func byReason(d *pb.Delivery) (by map[string]string) {
	for _, f := range d.GetFiltered() {
		if by == nil {
			by = map[string]string{}
		}
		by[f.GetReason()] = strconv.FormatInt(f.GetEvents(), 10)
	}
	return by
}

// printJSON prints a table on one line, so that each look is a line.
func (c *topCommand) printJSON(w io.Writer, page *pb.ListCampaignSpendResponse) error {
	t := topTable{Campaigns: []topCampaign{}, RequestedSlots: page.GetRequestedSlots(),
		FilledSlots: page.GetFilledSlots(), AsOf: page.GetAsOfTime().AsTime()}
	for _, c := range page.GetCampaigns() {
		average, _ := averageMicros(c)
		t.Campaigns = append(t.Campaigns, topCampaign{Name: c.GetName(), UID: c.GetUid(), LocalDate: c.GetLocalDate(),
			SpendTodayMicros: c.GetToday().GetChargedMicros(), DailyBudget: c.GetDailyBudgetMicros(),
			DailyLeftMicros: c.GetDailyLeftMicros(), Impressions: c.GetToday().GetImpressions(),
			Clicks: c.GetToday().GetClicks(), AveragePrice: average, PricingModel: enumName(c.GetPricingModel()),
			FreeMicros: c.GetToday().GetFreeMicros(), BeyondCap: c.GetToday().GetBeyondCap(),
			Filtered: c.GetToday().GetFiltered(), FilteredBy: byReason(c.GetDelivery()), BudgetSpent: c.GetBudgetSpent()})
	}
	return json.NewEncoder(w).Encode(t)
}
