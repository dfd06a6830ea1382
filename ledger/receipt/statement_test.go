package receipt_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/ledgertest"
	"github.com/hexbid/hexbid/ledger/receipt"
)

var ctx = context.Background()

// entry is what one event or movement does to an advertiser's money, as whoever asked for it knows.
type entry struct {
	advertiser, campaign hexbid.UID
	date                 hexbid.Date
	what                 hexbid.MovementType // unspecified for a charge
	amount               hexbid.Money
}

// shop is a bank with the entries of its history.
type shop struct {
	*ledgertest.Bank
	draw     *rapid.T
	requests int
	entries  []entry
	charges  []ledger.Answer
	paid     map[uint64]entry // by sequence of the charge
}

var (
	begun = time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)
	zone  = time.FixedZone("UTC+8", 8*3600) // of statements
)

// today is the date of statements.
func (s *shop) today() hexbid.Date {
	now := s.Clock.Now()
	_, offset := now.In(zone).Zone()
	return hexbid.Date((now.Unix() + int64(offset)) / 86_400)
}

func openShop(t *rapid.T) *shop {
	s := &shop{draw: t, paid: map[uint64]entry{}}
	s.Bank = ledgertest.OpenBank(t, begun, func(b *ledgertest.Bank) { b.Options.Zone = zone })
	for campaign := hexbid.UID(1); campaign <= 4; campaign++ {
		s.setTerms(campaign, false)
	}
	return s
}

func ownerOf(campaign hexbid.UID) hexbid.UID { return 100 + campaign%2 }

func (s *shop) setTerms(campaign hexbid.UID, deleted bool) {
	s.Set(s.CatalogueVersion()+1, []fold.Terms{{Campaign: campaign, Advertiser: ownerOf(campaign),
		Name: fmt.Sprintf("advertisers/a%d/campaigns/c%d", ownerOf(campaign), campaign), DailyBudget: 5_000_000,
		Zone: []string{"America/Los_Angeles", "Pacific/Kiritimati"}[campaign%2], Deleted: deleted}},
		fold.AdvertiserTerms{Advertiser: ownerOf(campaign), Name: fmt.Sprintf("advertisers/a%d", ownerOf(campaign)),
			Deleted: deleted})
}

// click is a click that costs something.
func (s *shop) click() {
	campaign := hexbid.UID(rapid.IntRange(1, 4).Draw(s.draw, "campaign"))
	price := hexbid.Money(rapid.IntRange(1, 900_000).Draw(s.draw, "price"))
	a := s.Report(s.Event(hexbid.Click, s.Award(campaign, ownerOf(campaign), hexbid.CPC, price)))[0]
	if a.Charged > 0 {
		e := entry{ownerOf(campaign), campaign, s.today(), hexbid.MovementUnspecified, a.Charged}
		s.entries, s.charges = append(s.entries, e), append(s.charges, a)
		s.paid[a.Sequence] = e
	}
}

func (s *shop) move() {
	what := rapid.SampledFrom([]hexbid.MovementType{hexbid.TopUp, hexbid.Withdrawal, hexbid.ToPostpaid,
		hexbid.ToPrepaid}).Draw(s.draw, "movement")
	kinds := map[hexbid.MovementType]fold.MovementKind{hexbid.TopUp: fold.TopUp, hexbid.Withdrawal: fold.Withdrawal,
		hexbid.ToPostpaid: fold.ToPostpaid, hexbid.ToPrepaid: fold.ToPrepaid}
	m := fold.Movement{Advertiser: hexbid.UID(rapid.IntRange(100, 101).Draw(s.draw, "advertiser")), What: kinds[what],
		RequestID: s.requestID(), Who: "operator", Note: "note"}
	if what == hexbid.TopUp || what == hexbid.Withdrawal {
		m.Amount = hexbid.Money(rapid.IntRange(1, 3_000_000).Draw(s.draw, "amount"))
	}
	if _, err := s.Move(ctx, m); err == nil {
		s.entries = append(s.entries, entry{m.Advertiser, 0, s.today(), what, m.Amount})
	}
}

func (s *shop) credit() {
	if len(s.charges) == 0 {
		return
	}
	charge := s.charges[rapid.IntRange(0, len(s.charges)-1).Draw(s.draw, "charge")]
	paid := s.paid[charge.Sequence]
	amount := 1 + paid.amount/3
	if _, err := s.Credit(ctx, fold.Credit{Advertiser: paid.advertiser, Campaign: paid.campaign, Amount: amount,
		Charges: []uint64{charge.Sequence}, Charged: []hexbid.Money{paid.amount}, Amounts: []hexbid.Money{amount},
		RequestID: s.requestID(), Who: "operator", Note: "by mistake"}); err == nil {
		s.entries = append(s.entries, entry{paid.advertiser, paid.campaign, s.today(), hexbid.Credit, amount})
	}
}

func (s *shop) requestID() string {
	s.requests++
	return fmt.Sprint("request-", s.requests)
}

// sums are what a statement adds up.
type sums struct{ toppedUp, withdrawn, charged, credited hexbid.Money }

func (s *sums) add(e entry) {
	switch e.what {
	case hexbid.TopUp:
		s.toppedUp += e.amount
	case hexbid.Withdrawal:
		s.withdrawn += e.amount
	case hexbid.MovementUnspecified:
		s.charged += e.amount
	case hexbid.Credit:
		s.credited += e.amount
	}
}

func (s *sums) standing() hexbid.Money { return s.toppedUp - s.withdrawn - s.charged + s.credited }

// The statements of all months together are the history: nothing is in two of them, or in none, to the micro.
func TestStatementsPartitionEveryHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := openShop(t)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0, 1, 2, 3:
				s.click()
			case 4, 5:
				s.move()
			case 6:
				s.credit()
			case 7:
				s.setTerms(hexbid.UID(rapid.IntRange(1, 4).Draw(t, "edited")), rapid.Bool().Draw(t, "deleted"))
			default:
				s.Clock.Pass(time.Duration(rapid.IntRange(1, 20).Draw(t, "hours")) * time.Hour)
			}
		}
		v := s.Settled()
		for advertiser := hexbid.UID(100); advertiser <= 101; advertiser++ {
			s.checkStatements(v, advertiser)
		}
	})
}

func (s *shop) checkStatements(v journal.View, advertiser hexbid.UID) {
	var ever sums
	month := receipt.Month{Year: 2026, Month: time.October}
	for range 12 {
		got, err := receipt.ReadStatement(v, advertiser, month)
		if err != nil {
			s.Fatal(err)
		}
		opening := ever.standing()
		want := s.sumsOf(advertiser, month)
		for _, e := range s.entries {
			if e.advertiser == advertiser && monthOf(e.date) == month {
				ever.add(e)
			}
		}
		if (sums{got.ToppedUp, got.Withdrawn, got.Charged, got.Credited}) != want || got.Opening != opening ||
			got.Closing != ever.standing() {
			s.Fatalf("%s of advertiser %d: %+v, expected %+v from %d to %d", month, advertiser, got, want, opening,
				ever.standing())
		}
		s.checkLines(got)
		month = monthOf(hexbid.Date(time.Date(month.Year, month.Month+1, 2, 0, 0, 0, 0, time.UTC).Unix() / 86_400))
	}
	account, err := s.Advertiser(ctx, advertiser)
	if err != nil || account.Ever.Balance-account.Ever.Owed != ever.standing() {
		s.Fatalf("advertiser %d has %+v, %v; its statements end with %d", advertiser, account.Ever, err,
			ever.standing())
	}
}

func (s *shop) sumsOf(advertiser hexbid.UID, month receipt.Month) (of sums) {
	for _, e := range s.entries {
		if e.advertiser == advertiser && monthOf(e.date) == month {
			of.add(e)
		}
	}
	return of
}

func monthOf(d hexbid.Date) receipt.Month {
	t := time.Unix(int64(d)*86_400, 0).UTC()
	return receipt.Month{Year: t.Year(), Month: t.Month()}
}

// checkLines compares the lines and the campaigns of a statement with the history.
func (s *shop) checkLines(got *receipt.Statement) {
	type day struct {
		date     hexbid.Date
		campaign hexbid.UID
	}
	charged, movements, campaigns := map[day]hexbid.Money{}, 0, map[hexbid.UID]sums{}
	for _, e := range s.entries {
		if e.advertiser != got.Advertiser || monthOf(e.date) != got.Month {
			continue
		}
		of := campaigns[e.campaign]
		of.add(e)
		if campaigns[e.campaign] = of; e.what == hexbid.MovementUnspecified {
			charged[day{e.date, e.campaign}] += e.amount
		} else {
			movements++
		}
	}
	delete(campaigns, 0)
	sum, last := got.Opening, hexbid.Date(0)
	for _, line := range got.Lines {
		if sum += line.Amount; line.Date < last || line.Note == "" && line.Type != hexbid.MovementUnspecified {
			s.Fatalf("the line %+v after %s", line, last)
		}
		last = line.Date
		if line.Type == hexbid.MovementUnspecified && charged[day{line.Date, line.Campaign}] != -line.Amount {
			s.Fatalf("%+v; the history has %v", line, charged)
		}
	}
	if sum != got.Closing || len(got.Lines) != len(charged)+movements || len(got.Campaigns) != len(campaigns) {
		s.Fatalf("%d lines from %d to %d, %d campaigns; expected %d and %d, %d, %d", len(got.Lines), got.Opening, sum,
			len(got.Campaigns), len(charged), movements, got.Closing, len(campaigns))
	}
	for _, c := range got.Campaigns {
		if of := campaigns[c.Campaign]; of.charged != c.Charged || of.credited != c.Credited ||
			!strings.HasSuffix(c.Name, fmt.Sprintf("/c%d", c.Campaign)) {
			s.Fatalf("%+v; the history has %+v", c, of)
		}
	}
}

func TestStatementsOfNobodyAreNotFound(t *testing.T) {
	v, err := journal.NewMemory().View()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := receipt.ReadStatement(v, 5, receipt.Month{Year: 2026,
		Month: 11}); hexbid.KindOf(err) != hexbid.NotFound {
		t.Errorf("%v", err)
	}
	for _, text := range []string{"", "2026", "2026-13", "2026-1", "1969-12", "2026-11-22"} {
		if _, err := receipt.ParseMonth(text); hexbid.KindOf(err) != hexbid.Invalid {
			t.Errorf("month %q: %v", text, err)
		}
	}
	if m, err := receipt.ParseMonth("2026-11"); err != nil || m.String() != "2026-11" {
		t.Errorf("%v %v", m, err)
	}
}
