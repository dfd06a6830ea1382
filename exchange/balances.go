package exchange

import (
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/pacing"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
)

// balances divides what is left to prepaid advertisers among the days of their campaigns. If each campaign planned with
// the whole balance, it would be gone long before the evening.
//
// Each campaign claims what its own budgets leave of its day. Where the claims of an advertiser are more than its
// balance, those parts of them come first that searches are likely to bring, in proportion, and then the others. So the
// plans add up to the balance, and a campaign that few search for leaves its part to the others.
//
// Claims lapse: one that was renewed neither in this hour nor in the last is of a campaign that wins nothing.
type balances map[hexbid.UID]*claims

// claims are those of an advertiser: the sums of those that were renewed in an hour, and in the hour before.
type claims struct {
	hour        int64 // since 1970
	now, before amounts
}

// claim is what a campaign claimed at its last step; zero for one of an advertiser that is not prepaid.
type claim struct {
	amounts
	advertiser hexbid.UID
	hour       int64
	day        float64 // what its day's budget came to
}

// amounts are what is left of a campaign's day, or of several, in micros: as floats, which no sum of budgets overflows.
type amounts struct {
	most   float64 // as far as its own budgets allow
	likely float64 // of it, what demand is likely to take
}

func (a *amounts) add(b amounts, times float64) {
	a.most, a.likely = max(a.most+times*b.most, 0), max(a.likely+times*b.likely, 0)
}

const (
	// likelyShare is how many times the demand that it saw a campaign is likely to find.
	likelyShare = 1.5
	hourMillis  = int64(time.Hour / time.Millisecond)
)

// budget renews a campaign's claim, and returns the budget that its day comes to.
func (b balances) budget(s *ledger.Standing, c *paced, in *pacing.Input) hexbid.Money {
	b.withdraw(c)
	left := max(s.Left.Min, 0)
	if s.Left.Balance == fold.NoLimit {
		c.claim = claim{}
		return in.Charged + left
	}
	c.claim.advertiser, c.claim.hour = s.Advertiser, in.At/hourMillis
	c.claim.amounts = c.asks(s, in)
	of := b.of(&c.claim)
	of.now.add(c.claim.amounts, 1)
	left = min(left, hexbid.Money(of.share(c.claim.amounts, float64(s.Left.Balance))))
	c.claim.day = float64(in.Charged + left)
	return in.Charged + left
}

// asks returns what a campaign of a prepaid advertiser claims: nothing when it does not serve any more today.
func (c *paced) asks(s *ledger.Standing, in *pacing.Input) amounts {
	left := in.Day.Left(in.At)
	if s.Paused || left == 0 {
		return amounts{}
	}
	most := float64(max(min(s.Left.Daily, s.Left.Total), 0))
	if c.state.Evidence == 0 || c.claim.day == 0 {
		return amounts{most, most}
	}
	return amounts{most, min(most, likelyShare*float64(c.state.Demand)*c.claim.day*left)}
}

// of returns the claims of an advertiser in the hour of a claim.
func (b balances) of(c *claim) *claims {
	of := b[c.advertiser]
	if of == nil {
		of = &claims{hour: c.hour}
		b[c.advertiser] = of
	}
	switch passed := c.hour - of.hour; {
	case passed == 1:
		of.now, of.before = amounts{}, of.now
	case passed > 1:
		of.now, of.before = amounts{}, amounts{}
	}
	of.hour = max(of.hour, c.hour)
	return of
}

// withdraw takes a campaign's claim back, unless it has lapsed.
func (b balances) withdraw(c *paced) {
	if c.claim.advertiser == 0 {
		return
	}
	of := b[c.claim.advertiser]
	switch {
	case of == nil:
	case of.hour == c.claim.hour:
		of.now.add(c.claim.amounts, -1)
	case of.hour == c.claim.hour+1:
		of.before.add(c.claim.amounts, -1)
	}
}

// share returns the part of a balance that is for a campaign with a claim among all.
func (a *claims) share(mine amounts, balance float64) float64 {
	all := a.now
	all.add(a.before, 1)
	switch {
	case all.most <= balance:
		return mine.most
	case all.likely >= balance:
		return balance * mine.likely / all.likely
	}
	return mine.likely + (balance-all.likely)*(mine.most-mine.likely)/(all.most-all.likely)
}

// forget drops the advertisers all of whose claims have lapsed.
func (b balances) forget(now time.Time) {
	for uid, of := range b {
		if now.UnixMilli()/hourMillis > of.hour+1 {
			delete(b, uid)
		}
	}
}
