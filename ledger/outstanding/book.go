package outstanding

import (
	"time"

	"github.com/hexbid/hexbid"
)

// Book holds the awards that are still out, by campaign and by advertiser. One goroutine at a time uses it. Its
// memory is bounded by the campaigns and advertisers that had awards out of late, some kilobyte each at the most.
type Book struct {
	life     time.Duration                                   // of a token, for impressions and clicks
	accounts [2][hexbid.PricingCount]map[hexbid.UID]*account // of campaigns, and of advertisers
	market   [hexbid.PricingCount]*account                   // of the uid 0
	prepaid  map[hexbid.UID]bool                             // advertisers that have accounts
	round    []*account                                      // all of them; tidy goes round
	hasAdded bool                                            // since it was made or restored
	next     int                                             // of the round
	delays   [hexbid.PricingCount]*delays
	now      tick
	second   tick // the instant of the last learning

	spilled    [allCells]*spilled
	hasSpilled bool // some cell of spilled holds awards

	stale   []*account // whose rows are to be made, forgotten accounts too
	noticed []*account // that budgets are to look at
}

// party names an account: a campaign or an advertiser, and a pricing model.
type party struct {
	uid        hexbid.UID
	advertiser bool
	pricing    hexbid.PricingModel
}

// pricings are the models that awards have.
var pricings = [...]hexbid.PricingModel{hexbid.CPC, hexbid.CPM}

// of returns a party's account, nil for none.
func (b *Book) of(p party) *account { return b.accountsOf(p)[p.uid] }

func (b *Book) accountsOf(p party) map[hexbid.UID]*account {
	side := 0
	if p.advertiser {
		side = 1
	}
	return b.accounts[side][p.pricing]
}

// New makes an empty book. Life is how long a token admits an impression and a click.
func New(life time.Duration) *Book {
	b := &Book{life: life, prepaid: map[hexbid.UID]bool{}}
	for _, pricing := range pricings {
		b.accounts[0][pricing], b.accounts[1][pricing] = map[hexbid.UID]*account{}, map[hexbid.UID]*account{}
	}
	b.delays[hexbid.CPC] = newDelays(assumedOfClicks, life)
	b.delays[hexbid.CPM] = newDelays(assumedOfImpressions, life)
	return b
}

// Advance moves the book to an instant in Unix milliseconds, which should follow a monotonic clock. The calls after it
// are at that instant. An earlier one than the last changes nothing.
func (b *Book) Advance(unixMillis int64) {
	now := max(tickOf(unixMillis), b.now)
	b.now = now
	for _, d := range b.delays[hexbid.CPC:] {
		d.advance(now)
	}
	if now-b.second >= ticksASecond {
		b.second = now
		for _, d := range b.delays[hexbid.CPC:] {
			d.learn(now)
		}
		b.tidy()
	}
}

// secondsARound is how long tidy takes to see every account.
const secondsARound = 32

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
	if b.hasSpilled {
		b.tidySpilled()
	}
}

// tidySpilled forgets what is too old for an event in the cells.
func (b *Book) tidySpilled() {
	b.hasSpilled = false
	for i, s := range b.spilled {
		if s != nil && !s.tidy(b.now, b.delays[hexbid.CPC]) {
			b.spilled[i] = nil
		}
		b.hasSpilled = b.hasSpilled || b.spilled[i] != nil
	}
}

// forget drops the account at a place of the round. The last account takes the place. A row that it has goes.
func (b *Book) forget(at int) {
	a, last := b.round[at], len(b.round)-1
	delete(b.accountsOf(a.of), a.of.uid)
	if b.market[a.of.pricing] == a {
		b.market[a.of.pricing] = nil
	}
	if a.isForgotten = true; !a.stale && a.hasRow {
		a.stale = true
		b.stale = append(b.stale, a)
	}
	b.round[at], b.round[last] = b.round[last], nil
	b.round = b.round[:last]
}

// Add counts an award as out from now on.
func (b *Book) Add(a *Award) {
	b.hasAdded = true
	b.delays[a.Pricing].issue(b.now, a.Chance)
	campaign := b.account(party{a.Campaign, false, a.Pricing})
	campaign.payer = a.Advertiser
	b.addTo(campaign, a)
	if b.prepaid[a.Advertiser] {
		b.addTo(b.account(party{a.Advertiser, true, a.Pricing}), a)
	}
	market := b.market[a.Pricing]
	if market == nil {
		market = b.account(party{0, false, a.Pricing})
	}
	b.addTo(market, a)
}

func (b *Book) addTo(account *account, a *Award) {
	account.add(b.now, float64(a.Price), float64(a.Chance))
	b.note(account, false)
}

// AddSpilled counts awards that found no room in a buffer, as the sum of a cell: value is what they may cost together,
// highest the price of one.
func (b *Book) AddSpilled(cell int, value, highest hexbid.Money) {
	if b.spilled[cell] == nil {
		b.spilled[cell] = new(spilled)
	}
	b.spilled[cell].add(b.now, float64(highest), float64(value))
	b.hasSpilled = true
}

// parties returns the accounts that an award counts in: its campaign's, its advertiser's, and that of the whole market,
// whose uid is 0.
func (a *Award) parties() [3]party {
	return [3]party{{a.Campaign, false, a.Pricing}, {a.Advertiser, true, a.Pricing}, {0, false, a.Pricing}}
}

func (b *Book) account(p party) *account {
	a := b.of(p)
	if a == nil {
		a = &account{of: p, aged: b.now, written: b.now, stake: stake{factor: 1}}
		b.enter(a)
	}
	return a
}

func (b *Book) enter(a *account) {
	b.accountsOf(a.of)[a.of.uid], b.round = a, append(b.round, a)
	if a.of.uid == 0 && !a.of.advertiser {
		b.market[a.of.pricing] = a
	}
}

// Happen takes out an award, issued at an instant in Unix milliseconds, whose event has come now: the click of a CPC
// award, the impression of a CPM award. An event that is not billable (invalid traffic, a viewer's cap) counts as none
// for the campaign's factor.
func (b *Book) Happen(a *Award, issued int64, billable bool) {
	at := min(tickOf(issued), b.now)
	b.delays[a.Pricing].come(b.now - at)
	for _, p := range a.parties() {
		account := b.of(p)
		if account == nil || b.spilled[p.cell()].holds(at) {
			continue // it may be a spilled award, and then no other must be removed in its place
		}
		account.happen(at, float64(a.Price), float64(a.Chance), billable)
		b.note(account, true)
	}
}

// Campaign returns what the awards of a campaign that are still out will cost.
func (b *Book) Campaign(uid hexbid.UID) Out { return b.out(uid, false).rounded() }

// Factor returns how many more or fewer events of a campaign come than by the prior.
func (b *Book) Factor(uid hexbid.UID, pricing hexbid.PricingModel) float64 {
	a := b.of(party{uid: uid, pricing: pricing})
	if a == nil {
		return 1
	}
	factor, _ := a.factor(b.now, b.delays[pricing])
	return factor
}

// Advertiser returns what the awards of all campaigns of an advertiser that are still out will cost.
func (b *Book) Advertiser(uid hexbid.UID) Out { return b.out(uid, true).rounded() }

// Market returns what all awards that are still out will cost.
func (b *Book) Market() Out { return b.out(0, false).rounded() }

func (b *Book) out(uid hexbid.UID, advertiser bool) (e estimate) {
	factor := 1.0
	for _, pricing := range pricings {
		if a := b.of(party{uid, advertiser, pricing}); a != nil {
			out, own := a.out(b.now, b.delays[pricing])
			factor = max(factor, own)
			e.add(out)
		}
	}
	if s := b.spilled[party{uid: uid, advertiser: advertiser}.cell()]; s != nil {
		e.add(s.out(b.now, b.delays[hexbid.CPC], factor))
	}
	return e
}

// Accounts returns the number of accounts. The book's memory is in proportion to it.
func (b *Book) Accounts() int { return len(b.round) }
