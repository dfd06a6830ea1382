package fold

import (
	"fmt"
	"runtime"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/ledger/journal"
	diskpb "github.com/hexbid/hexbid/proto/hexbid/disk/v1"
	"github.com/hexbid/hexbid/token"
)

// step is an event of the token with a number, and what it should be answered.
type step struct {
	kind    hexbid.EventKind
	number  uint64
	verdict Verdict
	want    hexbid.EventOutcome
	charged hexbid.Money
}

// tell takes in a story of events and compares each answer.
func (d *desk) tell(pricing hexbid.PricingModel, price hexbid.Money, story []step) {
	d.Helper()
	for i, s := range story {
		e := d.event(s.kind, token.Name{Sequence: s.number})
		e.Award.Price, e.Award.Basis, e.Verdict = price, auction.Basis{Mechanism: hexbid.MechanismGSP,
			Pricing: pricing}, s.verdict
		if d.take(e); e.Outcome != s.want || e.Charged != s.charged {
			d.Errorf("step %d, %s of token %d, is %s and charges %d; expected %s and %d", i+1, s.kind, s.number, e.Outcome,
				e.Charged, s.want, s.charged)
		}
	}
}

func TestCPCPaysOnTheClick(t *testing.T) {
	d := openDesk(t)
	d.tell(hexbid.CPC, 700, []step{
		{hexbid.Impression, 1, 0, hexbid.EventRecorded, 0},
		{hexbid.Click, 1, 0, hexbid.EventCharged, 700},
		{hexbid.Click, 1, 0, hexbid.EventDuplicate, 0},
		{hexbid.Conversion, 1, 0, hexbid.EventRecorded, 0},
		{hexbid.Click, 2, 0, hexbid.EventCharged, 700}, // implies its impression
		{hexbid.Impression, 2, 0, hexbid.EventDuplicate, 0},
		{hexbid.Click, 3, VerdictFiltered, hexbid.EventFiltered, 0}, // implies nothing
		{hexbid.Impression, 3, 0, hexbid.EventRecorded, 0},
		{hexbid.Click, 3, 0, hexbid.EventDuplicate, 0},
		{hexbid.Click, 4, VerdictBeyondCap, hexbid.EventBeyondCap, 0},
	})
	account, _ := d.Campaign(1)
	want := Totals{Impressions: 4, Clicks: 3, Conversions: 1, Charged: 1400, Free: 700, Filtered: 1, BeyondCap: 1}
	if account.Ever != want || account.Today != want || account.ThisHour != want {
		t.Errorf("the campaign has %+v, expected %+v of each", account, want)
	}
}

func TestCPMPaysAThousandthOnTheImpression(t *testing.T) {
	d := openDesk(t)
	d.tell(hexbid.CPM, 5000, []step{
		{hexbid.Impression, 1, 0, hexbid.EventCharged, 5},
		{hexbid.Click, 1, 0, hexbid.EventRecorded, 0},
		{hexbid.Click, 2, 0, hexbid.EventCharged, 5}, // for the impression that it implies
		{hexbid.Impression, 2, 0, hexbid.EventDuplicate, 0},
		{hexbid.Impression, 3, VerdictBeyondCap, hexbid.EventBeyondCap, 0},
		{hexbid.Click, 3, 0, hexbid.EventBeyondCap, 0},
	})
	if a, _ := d.Advertiser(2); a.Ever.Owed != 10 || a.Ever.Charged != 10 || a.Ever.Balance != 0 {
		t.Errorf("a postpaid advertiser has %+v", a)
	}
}

func TestAClickSharesTheOutcomeOfAnImpressionThatNobodyPaysFor(t *testing.T) {
	d := openDesk(t)
	d.tell(hexbid.CPC, 700, []step{
		{hexbid.Impression, 1, VerdictBeyondCap, hexbid.EventBeyondCap, 0},
		{hexbid.Impression, 2, VerdictFiltered, hexbid.EventFiltered, 0},
		{hexbid.Impression, 3, 0, hexbid.EventRecorded, 0},
		{hexbid.Click, 4, VerdictBeyondCap, hexbid.EventBeyondCap, 0}, // implies an impression beyond the cap
	})
	d.write(d.Checkpoint(1, d.batch))
	d.restart() // what became of impressions is in the checkpoint
	d.tell(hexbid.CPC, 700, []step{
		{hexbid.Click, 1, 0, hexbid.EventBeyondCap, 0},
		{hexbid.Click, 2, 0, hexbid.EventFiltered, 0},
		{hexbid.Click, 3, 0, hexbid.EventCharged, 700},
		{hexbid.Claim, 1, 0, hexbid.EventGranted, 0}, // a claim costs nothing and follows nothing
		{hexbid.Click, 1, 0, hexbid.EventDuplicate, 0},
	})
	account, _ := d.Campaign(1)
	want := Totals{Impressions: 3, Clicks: 3, Claims: 1, Charged: 700, Free: 1400, Filtered: 2, BeyondCap: 3}
	if account.Ever != want {
		t.Errorf("the campaign has %+v, expected %+v", account.Ever, want)
	}
}

func TestAPriceOfNothingIsCharged(t *testing.T) {
	d := openDesk(t)
	d.write(&Terms{Campaign: 1, Advertiser: 2, DailyBudget: 0, Version: 2})
	d.tell(hexbid.CPC, 0, []step{{hexbid.Click, 1, 0, hexbid.EventCharged, 0}})
	d.tell(hexbid.CPC, 1, []step{{hexbid.Click, 2, 0, hexbid.EventBudgetExhausted, 0}})
}

// TestAChargeIsAllOrNothing spends a daily budget of 1000, a total one of 1500 and a balance of 1200, at 400 a click.
func TestAChargeIsAllOrNothing(t *testing.T) {
	d := openDesk(t)
	d.write(&Terms{Campaign: 1, Advertiser: 2, DailyBudget: 1000, TotalBudget: 1500, Version: 2})
	d.write(&Movement{Advertiser: 2, What: TopUp, Amount: 1200, Ruling: Ruling{Balance: 1200}})
	d.tell(hexbid.CPC, 400, []step{
		{hexbid.Click, 1, 0, hexbid.EventCharged, 400},
		{hexbid.Click, 2, 0, hexbid.EventCharged, 400},
		{hexbid.Click, 3, 0, hexbid.EventBudgetExhausted, 0}, // 200 are left of the day
	})
	if left := d.Left(1, 0); left != (Left{Daily: 200, Total: 700, Balance: 400, Min: 200}) {
		t.Errorf("%+v is left", left)
	}
	d.write(&Terms{Campaign: 1, Advertiser: 2, DailyBudget: 1200, TotalBudget: 1500, Version: 3})
	d.tell(hexbid.CPC, 400, []step{
		{hexbid.Click, 4, 0, hexbid.EventCharged, 400},
		{hexbid.Click, 5, 0, hexbid.EventBudgetExhausted, 0}, // nothing is left of the day, nor of the balance
	})
	d.write(&Terms{Campaign: 1, Advertiser: 2, DailyBudget: 900, TotalBudget: 1500, Version: 4}) // below what is spent
	if left := d.Left(1, 0); left.Daily != 0 || left.Min != 0 {
		t.Errorf("%+v is left of a budget below what is spent", left)
	}
	if left := d.Left(1, 30_000); left.Daily != 900 || left.Total != 300 || left.Balance != 0 {
		t.Errorf("%+v is left tomorrow", left)
	}
	if left := d.Left(9, 0); left != (Left{}) {
		t.Errorf("%+v is left of a campaign that is not known", left)
	}
}

// TestADeletedCampaignIsChargedWithinItsLastLimits returns tokens that were out when a campaign was deleted and made
// again under another uid.
func TestADeletedCampaignIsChargedWithinItsLastLimits(t *testing.T) {
	d := openDesk(t)
	d.write(&Terms{Campaign: 1, Advertiser: 2, DailyBudget: 900, Deleted: true, Version: 2})
	d.write(&Terms{Campaign: 3, Advertiser: 2, DailyBudget: 1 << 40, Version: 3})
	d.tell(hexbid.CPC, 600, []step{
		{hexbid.Click, 1, 0, hexbid.EventCharged, 600},
		{hexbid.Click, 2, 0, hexbid.EventBudgetExhausted, 0},
	})
	if old, _ := d.Campaign(1); old.Ever.Charged != 600 || !old.Deleted {
		t.Errorf("the deleted campaign has %+v", old)
	}
	if fresh, _ := d.Campaign(3); fresh.Ever != (Totals{}) {
		t.Errorf("the campaign that was made again has %+v", fresh)
	}
}

// TestBalanceAndDebtAreApart takes an advertiser from postpaid to prepaid and back, and deletes it.
func TestBalanceAndDebtAreApart(t *testing.T) {
	d := openDesk(t)
	move := func(what MovementKind, amount, balance hexbid.Money) {
		t.Helper()
		m := &Movement{Advertiser: 2, What: what, Amount: amount}
		if err := d.JudgeMovement(m); err != nil || m.Balance != balance {
			t.Fatalf("a movement of %d leaves %d, %v; expected %d", amount, m.Balance, err, balance)
		}
		d.write(m)
	}
	click := func(number uint64, want hexbid.EventOutcome, charged hexbid.Money) {
		t.Helper()
		d.tell(hexbid.CPC, 300, []step{{hexbid.Click, number, 0, want, charged}})
	}
	click(1, hexbid.EventCharged, 300) // owed
	move(TopUp, 500, 500)              // prepaid from now on; the debt is not taken out of it
	click(2, hexbid.EventCharged, 300)
	click(3, hexbid.EventBudgetExhausted, 0)
	move(ToPostpaid, 0, 200)
	click(4, hexbid.EventCharged, 300) // owed
	move(ToPrepaid, 0, 200)
	click(5, hexbid.EventBudgetExhausted, 0)
	d.write(&AdvertiserTerms{Advertiser: 2, Deleted: true, Version: 2})
	move(Withdrawal, 200, 0)
	want := AdvertiserTotals{Charged: 900, ToppedUp: 500, Withdrawn: 200, Owed: 600}
	if a, _ := d.Advertiser(2); a.Ever != want || !a.Deleted || !a.Prepaid {
		t.Errorf("the advertiser has %+v, expected %+v", a, want)
	}
}

// TestADateNeverGoesBack turns a campaign's clock back over midnight, as an edit of its zone does.
func TestADateNeverGoesBack(t *testing.T) {
	d := openDesk(t)
	d.write(&Terms{Campaign: 1, Advertiser: 2, DailyBudget: 100, Version: 2})
	click := func(number uint64, date int32) *Event {
		e := d.event(hexbid.Click, token.Name{Sequence: number})
		e.Award.Price, e.Date = 60, date
		d.take(e)
		return e
	}
	for i, c := range []struct{ computed, date, charged int32 }{{100, 100, 60}, {101, 101, 60}, {100, 101, 0},
		{99, 101, 0}, {102, 102, 60}} {
		if e := click(uint64(i), c.computed); e.Date != c.date || e.Charged != hexbid.Money(c.charged) {
			t.Errorf("a click on date %d is of date %d and charges %d, expected %+v", c.computed, e.Date, e.Charged, c)
		}
	}
}

func TestACouponIsCountedForItsCreative(t *testing.T) {
	d := openDesk(t)
	until := d.at/1000 + 600_000
	terms := func(version uint64, coupons ...Coupon) {
		d.write(&Terms{Campaign: 1, Advertiser: 2, DailyBudget: 1, Version: version, Coupons: coupons})
	}
	claim := func(number uint64, host hexbid.Host, verdict Verdict, want hexbid.EventOutcome) {
		t.Helper()
		e := d.event(hexbid.Claim, token.Name{Sequence: number})
		e.Award.Host, e.Verdict = host, verdict
		if got := d.take(e); got != want || e.Charged != 0 {
			t.Errorf("claim %d on host %d is %s, expected %s", number, host, got, want)
		}
	}
	terms(2, Coupon{Total: 2, ValidUntil: until}, Coupon{Host: hexbid.QQ})
	claim(1, hexbid.WeChat, 0, hexbid.EventGranted)
	claim(1, hexbid.WeChat, 0, hexbid.EventDuplicate)
	claim(2, hexbid.WeChat, VerdictAlready, hexbid.EventAlready)
	claim(3, hexbid.QQ, 0, hexbid.EventGone) // its own creative has no coupon
	claim(4, 0, 0, hexbid.EventGranted)
	claim(5, hexbid.Alipay, 0, hexbid.EventGone) // both are taken
	terms(3)
	claim(6, 0, 0, hexbid.EventGone)
	terms(4, Coupon{Total: 3, ValidUntil: until}) // what was taken is not forgotten
	claim(7, 0, 0, hexbid.EventGranted)
	claim(8, 0, 0, hexbid.EventGone)
	terms(5, Coupon{Total: 9, ValidUntil: until})
	d.Advance(until*1000, d.batch)
	claim(9, 0, 0, hexbid.EventGone)
	if account, _ := d.Campaign(1); account.Ever.Claims != 3 || !slices.Equal(account.Taken, []int64{3}) {
		t.Errorf("the account has %+v", account)
	}
}

// TestAnIdleCampaignTakesLittleMemory measures the heap of campaigns without events, five an advertiser.
func TestAnIdleCampaignTakesLittleMemory(t *testing.T) {
	const campaigns = 200_000
	b, before := New(), heap()
	for i := range uint64(campaigns) {
		terms := &Terms{Campaign: hexbid.UID(1 + i), Advertiser: hexbid.UID(1 + campaigns + i/5), DailyBudget: 5,
			Zone: fmt.Sprint("zone ", i%3), Name: "a name that is not kept", Version: i}
		if err := b.takeTerms(terms, &Point{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	b.Checkpoint(1, new(journal.Batch)) // so that no lists of changes are counted
	b.Campaigns(0, 1)                   // so that the order is made
	b.rows.unhashed, b.rows.scratch = nil, nil
	each := (heap() - before) / campaigns
	t.Logf("%d bytes a campaign, a fifth of an advertiser included", each)
	if each > 140 {
		t.Errorf("an idle campaign takes %d bytes", each)
	}
	runtime.KeepAlive(b)
}

// TestRowsAreTheMessagesThatTheContractOfTheDiskDescribes decodes rows of every kind by the generated code.
func TestRowsAreTheMessagesThatTheContractOfTheDiskDescribes(t *testing.T) {
	d := funded(t)
	credit := aCredit(3)
	if err := d.JudgeCredit(credit); err != nil {
		t.Fatal(err)
	}
	d.write(credit)
	d.take(d.event(hexbid.Claim, token.Name{Sequence: 9}))
	*d.batch = journal.Batch{}
	d.Settle(d.batch)
	d.write(d.Checkpoint(1, d.batch))
	seen := map[string]int{}
	for _, row := range d.batch.Rows {
		kind := fmt.Sprint(row.Table)
		if row.Table == journal.Accounts {
			kind = string(row.Key[:1])
		}
		m := map[string]proto.Message{"c": new(diskpb.CampaignAccount), "a": new(diskpb.AdvertiserAccount),
			"k": new(diskpb.CreditedCharge), "s": new(diskpb.LedgerState), fmt.Sprint(journal.Hours): new(diskpb.LedgerTotals),
			fmt.Sprint(journal.Days):           new(diskpb.LedgerTotals),
			fmt.Sprint(journal.AdvertiserDays): new(diskpb.AdvertiserDay)}[kind]
		if row.Table == journal.Meta && string(row.Key) == checkpointKey {
			m = new(diskpb.LedgerPoint)
		}
		if m == nil {
			continue // a bitmap, a tree or a number
		}
		seen[fmt.Sprintf("%T", m)]++
		if err := proto.Unmarshal(row.Value, m); err != nil || len(m.ProtoReflect().GetUnknown()) > 0 {
			t.Errorf("row %x of table %d is no %T: %v", row.Key, row.Table, m, err)
		}
	}
	if len(seen) != 7 {
		t.Errorf("rows of only %v were looked at", seen)
	}
}
