package outstanding

import "github.com/hexbid/hexbid"

// An account is far from its end while what its awards out will cost is a small part of what its payer has left. In a
// large market nearly all accounts are, so they cost little more than the sum of their awards: budgets hear nothing of
// them, their slices are coarse, and their rows are kept seldom.
//
// Budgets may do without: at 1/calmShare of what is left, with prices of at most 1/calmPrice of it, an estimate and its
// margin come to 21 % of what is left together. The law then bounds no event that costs less than 79 % of it. A crash
// may take what no row has: an account's row is kept each second from 1/farShare of what is left on.
const (
	calmShare = 16
	calmPrice = 32
	farShare  = 256
	farEvery  = 10 * 60 * ticksASecond // between two rows of an account that is far: they keep what was learned
)

// stake compares what an account's awards out will cost with what its payer has left.
type stake struct {
	left    float64 // told by Knows; 0 when unknown, which is never far
	ceiling float64 // the last estimate, and the awards since at their full worth: what they will cost, or more
	highest float64 // price of an award that is out, or more
	factor  float64 // of the last estimate
}

// add counts an award.
func (s *stake) add(price, chance float64) {
	s.ceiling += s.factor * price * chance
	s.highest = max(s.highest, price)
}

// settle takes over an estimate.
func (s *stake) settle(e *estimate, factor float64) {
	s.ceiling, s.highest, s.factor = e.expected, e.highest, max(1, factor)
}

// isCalm reports whether budgets need not look at an account.
func (s *stake) isCalm() bool { return calmShare*s.ceiling <= s.left && calmPrice*s.highest <= s.left }

// isFar reports whether a crash may take what the account has out.
func (s *stake) isFar() bool { return farShare*s.ceiling <= s.left && calmPrice*s.highest <= s.left }

// Noticed are the campaigns and prepaid advertisers that budgets should look at. An account may be in it twice.
type Noticed struct{ Campaigns, Advertisers []hexbid.UID }

// note marks an account whose awards or events have changed: for its row, and for budgets.
func (b *Book) note(a *account, event bool) {
	if !a.stale && (!a.stake.isFar() || b.now-a.written >= farEvery) {
		a.stale = true
		b.stale = append(b.stale, a)
	}
	if a.noticed || a.of.uid == 0 || !event && a.stake.isCalm() && !b.hasSpilled {
		return
	}
	a.noticed = true
	b.noticed = append(b.noticed, a)
}

// HasNoticed reports whether TakeNoticed has something to return.
func (b *Book) HasNoticed() bool { return len(b.noticed) > 0 }

// TakeNoticed returns whom budgets should look at since the last call: who had an event, whose awards have come to
// matter, and who is not known to have enough left.
func (b *Book) TakeNoticed() (n Noticed) {
	for i, a := range b.noticed {
		a.noticed, b.noticed[i] = false, nil
		if a.of.advertiser {
			n.Advertisers = append(n.Advertisers, a.of.uid)
		} else {
			n.Campaigns = append(n.Campaigns, a.of.uid)
		}
	}
	b.noticed = b.noticed[:0]
	return n
}

// Knows tells what a campaign, or a prepaid advertiser, has left: 0 for unknown. Tell it only where searches are bound
// to nothing below twice the campaign's dearest event; budgets look at every award of the others.
func (b *Book) Knows(uid hexbid.UID, advertiser bool, left hexbid.Money) {
	for _, pricing := range pricings {
		if a := b.of(party{uid, advertiser, pricing}); a != nil {
			a.stake.left = float64(left)
		}
	}
}

// Follow keeps accounts for advertisers that pay ahead. It begins with what their campaigns have out.
func (b *Book) Follow(advertisers []hexbid.UID) {
	fresh := map[hexbid.UID]bool{}
	for _, uid := range advertisers {
		if uid != 0 && !b.prepaid[uid] {
			b.prepaid[uid] = true
			fresh[uid] = b.of(party{uid, true, hexbid.CPC}) == nil && b.of(party{uid, true, hexbid.CPM}) == nil
		}
	}
	if !b.hasAdded {
		return // no account knows its payer yet
	}
	for _, a := range b.round {
		if !a.of.advertiser && fresh[a.payer] {
			b.account(party{a.payer, true, a.of.pricing}).take(a, b.now)
		}
	}
}
