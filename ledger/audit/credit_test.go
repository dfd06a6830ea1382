package audit

import (
	"strings"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/token"
)

// chained makes a journal of bodies that books judge, without an owner who looks anything up.
func chained(t *testing.T, bodies ...fold.Body) *copied {
	t.Helper()
	books, memory := fold.New(), journal.NewMemory()
	w := &journal.Batch{}
	for _, body := range bodies {
		books.Advance(start.UnixMicro(), w)
		switch body := body.(type) {
		case *fold.Event:
			if err := books.Judge(body); err != nil {
				t.Fatal(err)
			}
		case *fold.Credit:
			if err := books.JudgeCredit(body); err != nil {
				t.Fatal(err)
			}
		}
		record := books.Next(body)
		encoded := record.Encode()
		if err := books.Apply(&record, encoded, w); err != nil {
			t.Fatal(err)
		}
		w.Records = append(w.Records, encoded)
	}
	books.Settle(w)
	w.Tail = books.Last().Tail
	if err := memory.Commit(ctx, w); err != nil {
		t.Fatal(err)
	}
	v, err := memory.View()
	if err != nil {
		t.Fatal(err)
	}
	c := copyOf(t, v)
	c.now = start
	return c
}

// A credit that says other than the record of its charge does follows from the records before it, and is wrong.
func TestCreditsForWhatWasNotChargedAreFound(t *testing.T) {
	for name, alter := range map[string]func(*fold.Credit){
		"":                       func(*fold.Credit) {},
		"more than was charged":  func(c *fold.Credit) { c.Charged[0]++ },
		"no charge":              func(c *fold.Credit) { c.Charges[0] = 2 },
		"a campaign of its name": func(c *fold.Credit) { c.Campaign = 2 },
	} {
		event := func(campaign hexbid.UID) *fold.Event {
			return &fold.Event{Kind: hexbid.Click, Token: token.Name{Sequence: uint64(campaign)},
				Award: fold.Award{Campaign: campaign, Advertiser: 5, Price: 1000, Slot: 1, MarketVersion: 1,
					IssuedAt: start.UnixMilli(), ClickExpiry: start.UnixMilli() + 60_000,
					Basis: auction.Basis{Mechanism: hexbid.MechanismFirstPrice, Pricing: hexbid.CPC, Bid: 1000, MultiplierPPM: 1e6,
						QualityPPM: 1000, Factors: []int64{1}}}}
		}
		credit := &fold.Credit{Advertiser: 5, Campaign: 1, Amount: 700, Charges: []uint64{5}, Charged: []hexbid.Money{1000},
			Amounts: []hexbid.Money{700}, RequestID: "r", Who: "operator", Note: "n"}
		alter(credit)
		c := chained(t, &fold.Epoch{Number: 1}, &fold.Terms{Campaign: 1, Advertiser: 5, DailyBudget: 1e9, Zone: "UTC"},
			&fold.Terms{Campaign: 2, Advertiser: 5, DailyBudget: 1e9, Zone: "UTC"},
			&fold.HourOpened{Hour: fold.HourOf(start.UnixMicro())}, event(1), event(2), credit)
		r := c.verify(t, Options{})
		if r.OK() != (name == "") || !r.OK() && (r.Faults[0].Sequence != 7 ||
			!strings.Contains(r.Faults[0].Expected, "what was charged")) {
			t.Errorf("%q: %s", name, faultsOf(r))
		}
	}
}
