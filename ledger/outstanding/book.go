package outstanding

import (
	"time"

	"github.com/hexbid/hexbid"
)

// Book holds the awards that are still out, by campaign and by advertiser. One goroutine at a time uses it. Its
// memory is bounded by the campaigns and advertisers that had awards out of late, some kilobyte each at the most.
type Book struct {
	life     time.Duration // of a token, for impressions and clicks
	accounts map[party]*account
	round    []*account // all of them; tidy goes round
	next     int        // of the round
	delays   [hexbid.PricingCount]*delays
	spilled  [allCells]*spilled
	now      tick
	second   tick // the instant of the last learning

	changed map[party]struct{} // accounts that changed, or were forgotten, since rows were kept
}

// party names an account: a campaign or an advertiser, and a pricing model.
type party struct {
	uid        hexbid.UID
	advertiser bool
	pricing    hexbid.PricingModel
}

// New makes an empty book. Life is how long a token admits an impression and a click.
func New(life time.Duration) *Book {
	b := &Book{life: life, accounts: map[party]*account{}, changed: map[party]struct{}{}}
	b.delays[hexbid.CPC] = newDelays(assumedOfClicks, life)
	b.delays[hexbid.CPM] = newDelays(assumedOfImpressions, life)
	return b
}

// Advance moves the book to an instant in Unix milliseconds, which should follow a monotonic clock. The calls after it
// are at that instant. An earlier one than the last changes nothing.
func (b *Book) Advance(unixMillis int64) {
	now := max(tickOf(unixMillis), b.now)
	b.now = now
	for _, d := range b.pricings() {
		d.advance(now)
	}
	if now-b.second >= ticksASecond {
		b.second = now
		for _, d := range b.pricings() {
			d.learn(now)
		}
		b.tidy()
	}
}

func (b *Book) pricings() []*delays { return b.delays[hexbid.CPC:] }

// secondsARound is how long tidy takes to see every account.
const secondsARound = 8

// tidy closes what is too old for an event, in a part of the accounts, and forgets accounts without anything.
func (b *Book) tidy() {
	for range len(b.round)/secondsARound + 1 {
		if len(b.round) == 0 {
			break
		}
		b.next %= len(b.round)
		if a := b.round[b.next]; a.tidy(b.now, b.delays[a.of.pricing]) {
			b.next++
		} else {
			b.forget(b.next)
		}
	}
	for i, s := range b.spilled {
		if s != nil && !s.tidy(b.now, b.delays[hexbid.CPC]) {
			b.spilled[i] = nil
		}
	}
}

// forget drops the account at a place of the round. The last account takes the place.
func (b *Book) forget(at int) {
	p, last := b.round[at].of, len(b.round)-1
	delete(b.accounts, p)
	b.changed[p] = struct{}{}
	b.round[at], b.round[last] = b.round[last], nil
	b.round = b.round[:last]
}

// Add counts an award as out from now on.
func (b *Book) Add(a *Award) {
	b.delays[a.Pricing].issue(b.now, a.Chance)
	for _, p := range a.parties() {
		b.account(p).add(b.now, float64(a.Price), float64(a.Chance))
	}
}

// AddSpilled counts awards that found no room in a buffer, as the sum of a cell: value is what they may cost together,
// highest the price of one.
func (b *Book) AddSpilled(cell int, value, highest hexbid.Money) {
	if b.spilled[cell] == nil {
		b.spilled[cell] = new(spilled)
	}
	b.spilled[cell].add(b.now, float64(highest), float64(value))
}

// parties returns the accounts that an award counts in: its campaign's, its advertiser's, and that of the whole market,
// whose uid is 0.
func (a *Award) parties() [3]party {
	return [3]party{{a.Campaign, false, a.Pricing}, {a.Advertiser, true, a.Pricing}, {0, false, a.Pricing}}
}

func (b *Book) account(p party) *account {
	a := b.accounts[p]
	if a == nil {
		a = &account{of: p, aged: b.now}
		b.enter(a)
	}
	b.changed[p] = struct{}{}
	return a
}

func (b *Book) enter(a *account) {
	b.accounts[a.of], b.round = a, append(b.round, a)
}

// Happen takes out an award, issued at an instant in Unix milliseconds, whose event has come now: the click of a CPC
// award, the impression of a CPM award. An event that is not billable (invalid traffic, a viewer's cap) counts as none
// for the campaign's factor.
func (b *Book) Happen(a *Award, issued int64, billable bool) {
	at := min(tickOf(issued), b.now)
	b.delays[a.Pricing].come(b.now - at)
	for _, p := range a.parties() {
		account := b.accounts[p]
		if account == nil || b.spilled[p.cell()].holds(at) {
			continue // it may be a spilled award, and then no other must be removed in its place
		}
		account.happen(at, float64(a.Price), float64(a.Chance), billable)
		b.changed[p] = struct{}{}
	}
}

// Campaign returns what the awards of a campaign that are still out will cost.
func (b *Book) Campaign(uid hexbid.UID) Out { return b.out(uid, false).rounded() }

// Advertiser returns what the awards of all campaigns of an advertiser that are still out will cost.
func (b *Book) Advertiser(uid hexbid.UID) Out { return b.out(uid, true).rounded() }

// Market returns what all awards that are still out will cost.
func (b *Book) Market() Out { return b.out(0, false).rounded() }

func (b *Book) out(uid hexbid.UID, advertiser bool) (e estimate) {
	factor := 1.0
	for _, pricing := range [...]hexbid.PricingModel{hexbid.CPC, hexbid.CPM} {
		a, d := b.accounts[party{uid, advertiser, pricing}], b.delays[pricing]
		if a != nil {
			own, _ := a.factor(b.now, d)
			factor = max(factor, own)
			e.add(a.out(b.now, d))
		}
	}
	if s := b.spilled[party{uid: uid, advertiser: advertiser}.cell()]; s != nil {
		e.add(s.out(b.now, b.delays[hexbid.CPC], factor))
	}
	return e
}

// Accounts returns the number of accounts. The book's memory is in proportion to it.
func (b *Book) Accounts() int { return len(b.accounts) }
