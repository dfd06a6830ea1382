package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// TestAMovementIsAskedForUnderOneID: every repetition has the id of the first, so money moves once.
func TestAMovementIsAskedForUnderOneID(t *testing.T) {
	b := &bank{failures: 2}
	code, stdout, stderr := b.run(t, "", "ledger", "top-up", "advertisers/acme", "12.50", "--note", "n")
	if code != 0 || len(b.moved) != 3 {
		t.Fatalf("status %d, %d calls: %s", code, len(b.moved), stderr)
	}
	first := b.moved[0]
	for _, r := range b.moved {
		if !proto.Equal(r, first) {
			t.Errorf("%v, and first %v", r, first)
		}
	}
	if first.GetAmountMicros() != 12_500_000 || first.GetParent() != "advertisers/acme" || first.GetNote() != "n" ||
		len(first.GetRequestId()) != 32 || !strings.Contains(stdout, first.GetRequestId()) ||
		!strings.Contains(stdout, "top_up of 12.50 (done before") || !strings.Contains(stdout, "balance 7.00, prepaid") {
		t.Errorf("%v: %s", first, stdout)
	}
}

// TestAMovementOfUnknownFateNamesItsID, so that the user can ask again.
func TestAMovementOfUnknownFateNamesItsID(t *testing.T) {
	b := &bank{failures: 100}
	code, _, stderr := b.run(t, "", "ledger", "top-up", "17", "1", "-o", "json")
	if code != 1 || !strings.Contains(stderr, "--request-id "+b.moved[0].GetRequestId()) {
		t.Fatalf("status %d: %s", code, stderr)
	}
	if b.moved[0].GetAdvertiserUid() != 17 || b.moved[0].GetParent() != "" {
		t.Errorf("%v", b.moved[0])
	}
}

func TestCreditsNameChargesOrACampaign(t *testing.T) {
	b := &bank{}
	if code, _, stderr := b.run(t, "", "ledger", "credit", "advertisers/a", "--charge", "8", "--charge", "9=0.50",
		"--reason", "r", "--request-id", "mine"); code != 0 {
		t.Fatal(stderr)
	}
	want := &pb.CreateCreditRequest{Parent: "advertisers/a", RequestId: "mine", Reason: "r",
		Charges: []*pb.CreditedCharge{{Sequence: 8}, {Sequence: 9, AmountMicros: 500_000}}}
	if !proto.Equal(b.credits[0], want) {
		t.Errorf("%v", b.credits[0])
	}
	for _, bad := range [][]string{{}, {"--charge", "8", "--campaign", "c"}, {"--campaign", "c"}, {"--charge", "x"},
		{"--charge", "8=0"}, {"--charge", "8", "--amount", "1"}, {"--charge", "8=1.2.3"}} {
		if code, _, stderr := b.run(t, "", append([]string{"ledger", "credit", "advertisers/a", "--reason", "r"},
			bad...)...); code != 1 || !strings.Contains(stderr, "--charge") {
			t.Errorf("%v: status %d: %s", bad, code, stderr)
		}
	}
	if len(b.credits) != 1 {
		t.Errorf("%d credits were asked for", len(b.credits))
	}
}

// aStatement opens with 10, and its lines add up to its closing.
func aStatement() *pb.Statement {
	return &pb.Statement{Name: "advertisers/acme", Uid: 7, Deleted: true, Month: "2026-11", Currency: "CNY",
		TimeZone: "Asia/Shanghai", OpeningMicros: 10_000_000, ToppedUpMicros: 5_000_000, ChargedMicros: 3_250_000,
		CreditedMicros: 250_000, ClosingMicros: 12_000_000, Billing: pb.Billing_BILLING_PREPAID, Open: true, AsOf: 9,
		OtherUids: []uint64{3}, Lines: []*pb.StatementLine{
			{LocalDate: "2026-11-02", Type: pb.MovementType_MOVEMENT_TYPE_TOP_UP, AmountMicros: 5_000_000, RequestId: "t",
				Note: "=HYPERLINK(1)", Sequence: 4},
			{LocalDate: "2026-11-03", AmountMicros: -3_250_000, CampaignUid: 5},
			{LocalDate: "2026-11-03", Type: pb.MovementType_MOVEMENT_TYPE_CREDIT, AmountMicros: 250_000, Sequence: 8,
				CampaignUid: 5}},
		Campaigns: []*pb.StatementCampaign{{Name: "advertisers/acme/campaigns/c", Uid: 5,
			ChargedMicros: 3_250_000, CreditedMicros: 250_000}}}
}

func TestAStatementAsCSVAddsUp(t *testing.T) {
	var out bytes.Buffer
	if err := writeStatementCSV(&out, aStatement()); err != nil {
		t.Fatal(err)
	}
	want := `date,type,amount,currency,request_id,note,record,campaign_uid
2026-11,opening,10.00,CNY,,,,
2026-11-02,top_up,5.00,CNY,t,'=HYPERLINK(1),4,
2026-11-03,charges,-3.25,CNY,,,,5
2026-11-03,credit,0.25,CNY,,,8,5
2026-11,closing,12.00,CNY,,,9,
`
	if out.String() != want {
		t.Errorf("%s", out.String())
	}
}

func TestAStatementForPeople(t *testing.T) {
	var out bytes.Buffer
	printStatement(&out, aStatement())
	want := `advertisers/acme (uid 7, deleted), prepaid: statement of 2026-11 in CNY, net of tax, dates in Asia/Shanghai
  Opening      10.00
  Top-ups      5.00
  Withdrawals  0.00
  Charges      -3.25
  Credits      0.25
  Closing      12.00
  DATE        WHAT     AMOUNT  CAMPAIGN UID  REQUEST  NOTE
  2026-11-02  top_up   5.00                  t        =HYPERLINK(1)
  2026-11-03  charges  -3.25   5
  2026-11-03  credit   0.25    5
  CAMPAIGN                      UID  CHARGED  CREDITED
  advertisers/acme/campaigns/c  5    3.25     0.25
Up to record 9
The month is not over: the statement may still grow.
Others had this name: uid 3. Give a uid in place of the name to see one of them.
`
	if out.String() != want {
		t.Errorf("%s", out.String())
	}
}

// aSpend is a campaign that has spent 3 of 10 today by two clicks, a third of which was free.
func aSpend() *pb.CampaignSpend {
	return &pb.CampaignSpend{Name: "advertisers/a/campaigns/c", Uid: 5, PricingModel: pb.PricingModel_PRICING_MODEL_CPC,
		TimeZone: "Asia/Shanghai", LocalDate: "2026-11-22", DailyBudgetMicros: 10_000_000, DailyLeftMicros: 7_000_000,
		TotalBudgetMicros: 20_000_000, TotalLeftMicros: proto.Int64(1_000_000), BudgetSpent: true,
		Today: &pb.EventTotals{Impressions: 40, Clicks: 3, ChargedMicros: 3_000_000, FreeMicros: 1_500_000,
			BudgetExhausted: 1, BeyondCap: 6},
		Total: &pb.EventTotals{ChargedMicros: 19_000_000, FreeMicros: 1_500_000, BeyondCap: 8},
		Delivery: &pb.Delivery{Status: pb.DeliveryStatus_DELIVERY_STATUS_AHEAD, PlannedMicros: 2_500_000, AheadPpm: 50_000,
			PacingMultiplierPpm: 700_000, ParticipationPpm: 1_000_000, QualityPpm: 30_000, QualityLowPpm: 20_000,
			QualityHighPpm: 41_000, FilteredSharePpm: 15_000,
			Filtered: []*pb.FilteredEvents{{Reason: "too_soon", Events: 3}, {Reason: "repeated", Events: 1}},
			Summary:  "ahead of its plan"}}
}

func TestSpendForPeople(t *testing.T) {
	var out bytes.Buffer
	printSpend(&out, aSpend())
	for _, words := range []string{"day: spent 3.00 of 10.00, left 7.00", "in all: spent 19.00 of 20.00, left 1.00",
		"over-delivery (shown free): 1.50 today, 1.50 in all",
		"events beyond a frequency cap (shown free): 6 today, 8 in all", "out of auctions",
		"plan: 2.50 until now; ahead of its plan", "chance of a click once seen: 3 %, between 2 % and 4.1 %",
		"filtered as invalid traffic: 1.5 % of today's events (too_soon 3, repeated 1)"} {
		if !strings.Contains(out.String(), words) {
			t.Errorf("%q is missing:\n%s", words, out.String())
		}
	}
	if strings.Contains(out.String(), "balance") {
		t.Errorf("a postpaid advertiser has no balance to show:\n%s", out.String())
	}
}

func TestTopAsATableAndAsJSON(t *testing.T) {
	cpm := aSpend()
	cpm.Name, cpm.PricingModel, cpm.BudgetSpent = "advertisers/b/campaigns/c", pb.PricingModel_PRICING_MODEL_CPM, false
	cpm.Today = &pb.EventTotals{Impressions: 2000, ChargedMicros: 50_000_000}
	page := &pb.ListCampaignSpendResponse{Campaigns: []*pb.CampaignSpend{aSpend(), cpm}, RequestedSlots: 100,
		FilledSlots: 50}
	var out bytes.Buffer
	printTop(&out, page)
	for _, words := range []string{"the rows below spent 53.00 today", "ads filled 50.0 % of 100 slots",
		"3.00   30.0 %   +5.0 %   70.0 %  100.0 %  40           3       1.50 a click      1.50  6           " +
			"0.0 % too_soon  spent",
		"25.00 a thousand"} {
		if !strings.Contains(out.String(), words) {
			t.Errorf("%q is missing:\n%s", words, out.String())
		}
	}
	out.Reset()
	if err := (&topCommand{}).printJSON(&out, page); err != nil {
		t.Fatal(err)
	}
	var printed struct {
		Campaigns []struct {
			Name                string
			Spent               int64 `json:"spend_today_micros,string"`
			Impressions, Clicks int64 `json:",string"`
		}
	}
	if err := json.Unmarshal(out.Bytes(), &printed); err != nil || len(printed.Campaigns) != 2 {
		t.Fatalf("%v: %s", err, out.String())
	}
	if c := printed.Campaigns[0]; c.Name != "advertisers/a/campaigns/c" || c.Spent != 3_000_000 ||
		c.Impressions != 40 || c.Clicks != 3 {
		t.Errorf("%+v", c)
	}
}

func TestAlertsReadAsLines(t *testing.T) {
	for want, a := range map[string]*pb.Alert{
		"advertisers/a/campaigns/c has spent 80 % of its budget for 2026-11-22: 8.00 of 10.00": {
			Type: pb.AlertType_ALERT_TYPE_DAILY_BUDGET, Campaign: "advertisers/a/campaigns/c", ThresholdPpm: 800_000,
			AmountMicros: 8_000_000, LimitMicros: 10_000_000, LocalDate: "2026-11-22"},
		"advertisers/a/campaigns/c has spent 100 % of its total budget: 10.00 of 10.00 (over)": {
			Type: pb.AlertType_ALERT_TYPE_TOTAL_BUDGET, Campaign: "advertisers/a/campaigns/c", ThresholdPpm: 1_000_000,
			AmountMicros: 10_000_000, LimitMicros: 10_000_000, Cleared: true},
		"advertisers/a has 10 % of its balance left: 1.00 of 10.00": {Type: pb.AlertType_ALERT_TYPE_BALANCE,
			Advertiser: "advertisers/a", ThresholdPpm: 100_000, AmountMicros: 1_000_000, LimitMicros: 10_000_000},
	} {
		if got := alertLine(a); !strings.HasSuffix(got, want) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// TestGroupsTakeCommandsOfTheProgram: "hexbid ledger" and "hexbid receipt" hold offline commands too.
func TestGroupsTakeCommandsOfTheProgram(t *testing.T) {
	type added struct {
		Verify versionCommand `cmd:"" help:"h"`
	}
	for _, group := range []string{"ledger", "receipt"} {
		var out bytes.Buffer
		env := Env{Stdout: &out, Stderr: &out, Version: "1", LedgerCommands: []any{&added{}},
			ReceiptCommands: []any{&added{}}}
		if code := Run(t.Context(), []string{group, "verify"}, env); code != 0 || out.String() != "hexbid 1\n" {
			t.Errorf("%s: status %d: %s", group, code, out.String())
		}
	}
}

func TestAmountsOnTheCommandLine(t *testing.T) {
	if code, _, stderr := (&bank{}).run(t, "", "ledger", "top-up", "advertisers/a", "1.2345678"); code != 2 ||
		!strings.Contains(stderr, "six decimals") {
		t.Errorf("status %d: %s", code, stderr)
	}
}

func TestErrorsSayAmountsInCurrency(t *testing.T) {
	bad := &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "amount_micros",
		Description: `1500000 micros is more than the balance "7 micros"`}}}
	s, err := status.New(codes.FailedPrecondition, "m").WithDetails(bad)
	if err != nil {
		t.Fatal(err)
	}
	if got := explainError(s.Err()); got != `amount: 1.50 is more than the balance "7 micros"` {
		t.Error(got)
	}
}

// TestAnErrorWithoutAFieldIsSaidInItsOwnWords, without those of gRPC.
func TestAnErrorWithoutAFieldIsSaidInItsOwnWords(t *testing.T) {
	_, _, stderr := (&bank{failures: 100}).run(t, "", "ledger", "top-up", "advertisers/a", "1")
	if !strings.HasSuffix(stderr, "hexbid: killed\n") {
		t.Error(stderr)
	}
}

func TestTopSaysThatNothingIsSpentYet(t *testing.T) {
	var out bytes.Buffer
	printTop(&out, &pb.ListCampaignSpendResponse{RequestedSlots: 10})
	for _, words := range []string{"no campaign has been charged today; ads filled 0.0 % of 10 slots", "hexbid explain"} {
		if !strings.Contains(out.String(), words) {
			t.Errorf("%q is missing:\n%s", words, out.String())
		}
	}
	if strings.Contains(out.String(), "CAMPAIGN  ") {
		t.Errorf("heads without rows:\n%s", out.String())
	}
}
