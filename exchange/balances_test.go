package exchange

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/pacing"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
)

// squares are far from each other. In each one campaign of an advertiser serves.
var squares = []hexbid.Point{hub, {Lat: 31, Lng: 121}, {Lat: 32, Lng: 118}}

// openSquares opens a street whose advertiser has a campaign in each square, and half of what they may spend on a day.
func openSquares(t *testing.T) (s *street, half hexbid.Money, all []*hexbid.Campaign) {
	for i, at := range squares {
		c := even(fmt.Sprint("c", i))
		c.DailyBudget = 100_000_000
		c.Area = hexbid.Area{Circles: []hexbid.Circle{{Center: at, RadiusM: 1000}}}
		all = append(all, c)
	}
	s = openStreet(t, reserved, all...)
	half = 150_000_000
	s.topUp("advertisers/a", half)
	return s, half, all
}

// goOnIn lets time pass in which people search in some of the squares, in turn.
func (s *street) goOnIn(squares []hexbid.Point, d time.Duration) {
	s.Helper()
	n := 0
	for end := s.since() + d; s.since() < end; {
		n++
		response, err := s.Search(ctx, at(squares[n%len(squares)]), time.Now())
		if err != nil {
			s.Fatal(err)
		}
		s.react(response.Sponsored)
		s.pass(4 * time.Second)
		s.report()
		s.step()
	}
}

// plans returns what the plans of campaigns still have for their day, in all.
func (s *street) plans(all []*hexbid.Campaign) (left hexbid.Money) {
	for _, c := range all {
		day, _ := s.pacer().progressOf(s.uid(c.Name))
		left += day.budget - s.standing(s.uid(c.Name)).Today.Charged
	}
	return left
}

func (s *street) balance() hexbid.Money {
	s.Helper()
	record, err := s.store.Get(ctx, "advertisers/a")
	if err != nil {
		s.Fatal(err)
	}
	account, err := s.ledger.Advertiser(ctx, record.Meta().UID)
	if err != nil {
		s.Fatal(err)
	}
	return account.Ever.Balance
}

// TestABalanceIsSpreadOverTheDayOfAllCampaigns: their plans add up to it, and it follows the traffic of what is left of
// the day. If each planned with all of it, it would be gone after half of that.
func TestABalanceIsSpreadOverTheDayOfAllCampaigns(t *testing.T) {
	s, half, all := openSquares(t)
	day := pacing.NewDay(new(pacing.Curve).Shape(), dateAt(time.UTC, s.now().Add(8*time.Hour)),
		&pacing.Service{Zone: shanghaiZone(t)})
	began := day.Left(s.now().UnixMilli())
	for range 11 {
		s.goOnIn(squares, time.Hour)
		got, want := 1-float64(s.balance())/float64(half), 1-day.Left(s.now().UnixMilli())/began
		t.Logf("%s: %.3f is spent, %.3f of the day's traffic has passed", s.now().Add(8*time.Hour).Format("15:04"), got, want)
		if math.Abs(got-want) > 3/math.Sqrt(600) {
			t.Errorf("%.3f of the balance is spent, of the day's traffic %.3f has passed", got, want)
		}
		if plans := s.plans(all); plans > s.balance()*103/100 {
			t.Errorf("of a balance of %s the plans have %s", s.balance(), plans)
		}
	}
	s.goOnIn(squares, 52*time.Minute)
	if left := s.balance(); left > half*3/100 {
		t.Errorf("%s of %s are left at midnight", left, half)
	}
}

// TestACampaignThatNobodySearchesForLeavesItsPart of the balance to the others.
func TestACampaignThatNobodySearchesForLeavesItsPart(t *testing.T) {
	s, half, all := openSquares(t)
	s.pass(6 * time.Hour) // to 18:07
	s.goOnIn(squares, time.Hour)
	s.goOnIn(squares[:2], 4*time.Hour+52*time.Minute)
	if left := s.balance(); left > half*5/100 {
		t.Errorf("%s of %s are left at midnight", left, half)
	}
	for _, c := range all[:2] {
		if spent := s.spent(c.Name); spent < 0.6 {
			t.Errorf("%s has spent %.3f of its budget", c.Name, spent)
		}
	}
}

// TestClaimsOnABalance are served in proportion to what is likely, and lapse.
func TestClaimsOnABalance(t *testing.T) {
	b := balances{}
	day := pacing.NewDay(new(pacing.Curve).Shape(), 20_000, &pacing.Service{Zone: time.UTC})
	at := int64(20_000*86_400_000 + 36_000_000)
	claimed := func(c *paced, most, balance hexbid.Money) hexbid.Money {
		t.Helper()
		var s ledger.Standing
		s.Advertiser = 7
		s.Left = fold.Left{Daily: most, Total: fold.NoLimit, Balance: balance, Min: min(most, balance)}
		return b.budget(&s, c, &pacing.Input{At: at, Day: day})
	}
	one, two, three := &paced{}, &paced{}, &paced{}
	if got := claimed(one, 100, 90); got != 90 {
		t.Errorf("a campaign alone gets %d of 90", got)
	}
	for range 3 { // renewing a claim changes nothing
		claimed(two, 200, 90)
		claimed(one, 100, 90)
	}
	if x, y := claimed(one, 100, 90), claimed(two, 200, 90); x != 30 || y != 60 {
		t.Errorf("of 90 they get %d and %d", x, y)
	}
	if x, y := claimed(one, 100, 300), claimed(two, 200, 300); x != 100 || y != 200 {
		t.Errorf("of 300 they get %d and %d", x, y)
	}
	two.state.Evidence, two.state.Demand = 1, 0.01 // hardly anybody searches for it
	claimed(two, 200, 150)
	if x, y := claimed(one, 100, 150), claimed(two, 200, 150); x < 95 || x > 100 || x+y > 150 || x+y < 149 {
		t.Errorf("of 150 the one that is searched for gets %d, and the other %d", x, y)
	}
	at += hourMillis
	if got := claimed(three, 150, 150); got > 95 {
		t.Errorf("another one gets %d beside claims of the hour before", got)
	}
	at += 2 * hourMillis
	if got := claimed(three, 150, 150); got != 150 {
		t.Errorf("beside claims that have lapsed it gets %d", got)
	}
	b.withdraw(three)
	if left := b[7].now; left != (amounts{}) {
		t.Errorf("%+v is left of a claim", left)
	}
	b.forget(time.UnixMilli(at + 2*hourMillis))
	if claimed(one, 100, fold.NoLimit); len(b) != 0 || one.claim != (claim{}) {
		t.Errorf("a postpaid campaign has the claim %+v", one.claim)
	}
}
