package exchange

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/receipt"
	"github.com/hexbid/hexbid/store"
)

func (b *billed) uidOf(name string) hexbid.UID {
	b.Helper()
	r, err := b.store.Get(ctx, name)
	if err != nil {
		b.Fatal(err)
	}
	return r.Meta().UID
}

func TestADeletedCampaignIsFoundByItsUIDAndItsName(t *testing.T) {
	b := openBank(t)
	b.put(campaign("c"))
	const name = "advertisers/a/campaigns/c"
	first, out := b.uidOf(name), b.token("app")
	b.click()
	if err := b.Delete(ctx, name, store.AnyVersion, false); err != nil {
		t.Fatal(err)
	}
	if s := b.spend("c"); s.UID != first || !s.Deleted || s.Total.Clicks != 1 || s.Name != name || s.DisplayName != "" {
		t.Errorf("deleted: %+v", s)
	}
	b.put(campaign("c"))
	second := b.uidOf(name)
	if s := b.spend("c"); s.UID != second || s.Deleted || s.Total.Clicks != 0 || s.DisplayName != "c" ||
		!slices.Equal(s.OtherUIDs, []hexbid.UID{first}) {
		t.Errorf("made again: %+v", s)
	}
	if got := b.report("app", hexbid.Event{Kind: hexbid.Click, Token: out, ID: "late"})[0]; got.Charged != clickPrice {
		t.Errorf("a token of the deleted campaign: %+v", got)
	}
	s, err := b.CampaignSpend(ctx, hexbid.Account{UID: first})
	if err != nil || s.Total.Clicks != 2 || s.Total.Charged != 2*clickPrice || !slices.Equal(s.OtherUIDs,
		[]hexbid.UID{second}) {
		t.Errorf("by its uid: %+v, %v", s, err)
	}
}

func TestAnAccountThatIsNotThereIsNamed(t *testing.T) {
	b := openBank(t)
	for _, c := range []struct {
		account hexbid.Account
		kind    hexbid.ErrorKind
	}{
		{hexbid.Account{}, hexbid.Invalid},
		{hexbid.Account{Name: "advertisers/a"}, hexbid.Invalid},
		{hexbid.Account{Name: "advertisers/-/campaigns/c"}, hexbid.Invalid},
		{hexbid.Account{Name: "advertisers/a/campaigns/c", UID: 7}, hexbid.Invalid},
		{hexbid.Account{Name: "advertisers/a/campaigns/never"}, hexbid.NotFound},
		{hexbid.Account{UID: 1 << 60}, hexbid.NotFound},
	} {
		_, err := b.CampaignSpend(ctx, c.account)
		if hexbid.KindOf(err) != c.kind || err == nil {
			t.Errorf("%+v: %v", c.account, err)
		}
	}
}

func TestATransferIsDoneOnce(t *testing.T) {
	b := openBank(t)
	top := &hexbid.Transfer{Advertiser: hexbid.Account{Name: "advertisers/a"}, Type: hexbid.TopUp, RequestID: "r",
		Amount: 5_000_000, Note: "cash"}
	first, err := b.Transfer(ctx, top)
	if err != nil {
		t.Fatal(err)
	}
	if first.Balance != 5_000_000 || first.Billing != hexbid.Prepaid || first.Advertiser != "advertisers/a" ||
		first.Principal != "system tests" || first.Sequence == 0 || first.Note != "cash" || first.Repeated ||
		first.Amount != 5_000_000 || first.RecordedAt != now.Truncate(time.Microsecond) {
		t.Errorf("%+v", first)
	}
	again, err := b.Transfer(ctx, top)
	if err != nil || !again.Repeated || again.Sequence != first.Sequence || again.Balance != first.Balance {
		t.Errorf("again: %+v, %v", again, err)
	}
	other := *top
	other.Amount++
	if _, err := b.Transfer(ctx, &other); hexbid.KindOf(err) != hexbid.AlreadyExists {
		t.Errorf("another amount: %v", err)
	}
	too := &hexbid.Transfer{Advertiser: top.Advertiser, Type: hexbid.Withdrawal, RequestID: "w", Amount: 5_000_001}
	if _, err := b.Transfer(ctx, too); err == nil {
		t.Error("more than the balance was withdrawn")
	}
	balance, err := b.AdvertiserBalance(ctx, top.Advertiser)
	if err != nil || balance.Balance != 5_000_000 || balance.ToppedUp != 5_000_000 || balance.Withdrawn != 0 ||
		balance.Billing != hexbid.Prepaid {
		t.Errorf("%+v, %v", balance, err)
	}
}

func TestACreditNamesChargesOrACampaign(t *testing.T) {
	b := openBank(t)
	b.put(campaign("c"))
	charge := b.click()
	b.click()
	advertiser := hexbid.Account{Name: "advertisers/a"}
	byCharge, err := b.Credit(ctx, &hexbid.CreditOrder{Advertiser: advertiser, RequestID: "1", Reason: "wrong click",
		Charges: []hexbid.CreditedCharge{{Sequence: charge.Sequence}}})
	if err != nil || byCharge.Amount != clickPrice || byCharge.Type != hexbid.Credit || byCharge.Note != "wrong click" {
		t.Errorf("%+v, %v", byCharge, err)
	}
	order := hexbid.CreditOrder{Advertiser: advertiser, RequestID: "2", Reason: "more",
		Charges: []hexbid.CreditedCharge{{Sequence: charge.Sequence, Amount: 1}}}
	if _, err := b.Credit(ctx, &order); err == nil {
		t.Error("a charge was credited beyond what it cost")
	}
	order = hexbid.CreditOrder{Advertiser: advertiser, RequestID: "3", Reason: "goodwill", Amount: clickPrice,
		Campaign: hexbid.Account{Name: "advertisers/a/campaigns/c"}}
	if m, err := b.Credit(ctx, &order); err != nil || m.Amount != clickPrice {
		t.Errorf("%+v, %v", m, err)
	}
	order.RequestID, order.Amount = "4", 1
	if _, err := b.Credit(ctx, &order); err == nil {
		t.Error("a campaign was credited beyond what it cost")
	}
	s := b.spend("c")
	if s.Total.Credited != 2*clickPrice || s.Today.Charged != 2*clickPrice || s.DailyLeft != 10_000_000-2*clickPrice {
		t.Errorf("%+v", s)
	}
}

func TestCampaignsAreListedByUIDAndByWhatTheySpentToday(t *testing.T) {
	b := openBank(t)
	const campaigns = 7
	for i := range campaigns {
		b.put(campaign(fmt.Sprint("c", i)))
		for range i { // only the latest serves: the earlier ones are paused below
			b.click()
		}
		c := campaign(fmt.Sprint("c", i))
		c.State = hexbid.Paused
		b.put(c)
	}
	if err := b.Delete(ctx, "advertisers/a/campaigns/c6", store.AnyVersion, false); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		q    SpendQuery
		want string
	}{
		{SpendQuery{Advertiser: "advertisers/-"}, "c0 c1 c2 c3 c4 c5"},
		{SpendQuery{Advertiser: "advertisers/a"}, "c0 c1 c2 c3 c4 c5"},
		{SpendQuery{Advertiser: "advertisers/a", ShowDeleted: true}, "c0 c1 c2 c3 c4 c5 c6"},
		{SpendQuery{Advertiser: "advertisers/-", SpentToday: true}, "c5 c4"},
		{SpendQuery{Advertiser: "advertisers/a", SpentToday: true, ShowDeleted: true}, "c6 c5"},
	} {
		c.q.Limit = 2
		var got []string
		for {
			page, err := b.ListCampaignSpend(ctx, c.q)
			if err != nil || len(page.Campaigns) > c.q.Limit {
				t.Fatal(page, err)
			}
			for _, s := range page.Campaigns {
				got = append(got, strings.TrimPrefix(s.Name, "advertisers/a/campaigns/"))
			}
			if c.q.After = page.Next; page.Next == 0 {
				break
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%+v: got %v, want %s", c.q, got, c.want)
		}
	}
}

func TestWhatWasSpentTodayIsNothingTomorrow(t *testing.T) {
	b := openBank(t)
	b.put(campaign("c"))
	b.click()
	if s := b.spend("c"); s.Today.Charged != clickPrice || s.LocalDate.String() != "2026-11-20" {
		t.Errorf("%+v", s)
	}
	b.clock.pass(24 * time.Hour)
	s := b.spend("c")
	if s.Today != (hexbid.EventTotals{}) || s.LocalDate.String() != "2026-11-21" || s.DailyLeft != 10_000_000 ||
		s.Total.Charged != clickPrice || len(s.Days) != 1 || s.LastCharge.Charged != clickPrice {
		t.Errorf("%+v", s)
	}
	page, err := b.ListCampaignSpend(ctx, SpendQuery{Advertiser: "advertisers/-", Limit: 9, SpentToday: true})
	if err != nil || len(page.Campaigns) != 0 {
		t.Errorf("%+v, %v", page, err)
	}
}

func TestAStatementChargesAndAReceiptAreRead(t *testing.T) {
	b := openBank(t)
	b.put(campaign("c"))
	charge := b.click()
	account := hexbid.Account{Name: "advertisers/a"}
	s, err := b.Statement(ctx, account, "2026-11")
	if err != nil || s.Closing != -clickPrice || !s.Open || s.Billing != hexbid.Postpaid || s.Currency != "CNY" ||
		s.Zone != "UTC" || len(s.Campaigns) != 1 || len(s.Gone) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := b.Statement(ctx, account, "november"); hexbid.KindOf(err) != hexbid.Invalid {
		t.Errorf("%v", err)
	}
	page, err := b.Charges(ctx, hexbid.Account{Name: "advertisers/a/campaigns/c"}, receipt.ChargeQuery{Limit: 5})
	if err != nil || len(page.Charges) != 1 || page.Charges[0].Sequence != charge.Sequence || page.Next != 0 {
		t.Errorf("%+v, %v", page, err)
	}
	r, err := b.Receipt(ctx, charge.Sequence)
	if err != nil || !r.Pending() || r.Campaign != "advertisers/a/campaigns/c" {
		t.Errorf("%+v, %v", r, err)
	}
	b.clock.pass(2 * time.Hour)
	b.click() // what happens in a later hour closes the first
	waitFor(t, "the receipt is there", func() bool {
		r, err = b.Receipt(ctx, charge.Sequence)
		return err == nil && !r.Pending()
	})
	hours, err := b.Roots(ctx, time.Time{}, time.Time{}, 10)
	if err != nil || len(hours.Roots) != 1 || !hours.Next.IsZero() || hours.Roots[0].Link != r.Root.Link {
		t.Fatalf("%+v, %v", hours, err)
	}
	file, err := r.File()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := receipt.Verify(file, []receipt.Hash{hours.Roots[0].Link}); err != nil {
		t.Errorf("the receipt does not verify: %v", err)
	}
	if _, err := b.Receipt(ctx, 0); hexbid.KindOf(err) != hexbid.Invalid {
		t.Errorf("%v", err)
	}
	b.clock.pass(30 * 24 * time.Hour)
	if s, err = b.Statement(ctx, account, "2026-11"); err != nil || s.Open {
		t.Errorf("a month that is over: %+v, %v", s, err)
	}
}
