package outstanding

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/bidder/pacing"
)

// simulation runs a market of campaigns in virtual time: the ledger's real books, the real book of awards out, and the
// real law of budgets. Participation is fixed: while a campaign has a bid it wins whenever its people search, at its
// own bid or at the price that the others set. Rates are true: events come with the chance that the prior says.
// Delays are not those that are assumed before they are learned.
type simulation struct {
	testing.TB
	settings
	random    *rand.Rand
	campaigns []*player
	payers    []*payer
	books     *bills
	out       *Book
	now       int64 // Unix milliseconds
	searches  line
	events    line
	touched   map[*player]bool // those that won an award in this step
	looked    int              // hand-ins that were worked out
	lowered   map[*player]struct{}
	awards    int
	day       *pacing.Day       // of paced campaigns
	turn      func(*simulation) // called after each step
}

// settings are what a simulation varies.
type settings struct {
	seed      uint64
	campaigns int
	dearest   float64 // the largest budget, yuan
	length    time.Duration
	seen      func(Out) Out // what the law sees of the awards that are out
	paced     bool          // campaigns spread what they have over the length
}

// payer is who runs out of money: a campaign with a daily or a total budget, or an advertiser with a balance.
type payer struct {
	uid           hexbid.UID // of the advertiser
	prepaid       bool
	told          Funds
	limit         hexbid.Money
	campaigns     []*player
	charged, free hexbid.Money
	full          Out // what was out when it last won with all campaigns at their full bids
	dearest       hexbid.Money
}

// player is a campaign of the simulation.
type player struct {
	*payer
	uid     hexbid.UID
	pricing hexbid.PricingModel
	bid     hexbid.Money // a click, or a thousand impressions
	market  hexbid.Money // price that the others set, likewise
	quality int64
	rate    float64 // searches a second that it wins while it has a bid
	bursts  []burst
	told    Remainder
	over    bool // nothing more can be charged
	pace    pace
}

// burst multiplies a rate between two instants.
type burst struct {
	from, to int64
	by       float64
}

// stepMillis is how long a change of what is left takes until searches know.
const stepMillis = 100

// minimumBid is the least bid of the market for a click; an impression's is a thousandth.
const minimumBid = 50_000

var leastOfAll = PriceOfEvent(hexbid.CPM, minimumBid)

var factors = []int64{1000, 720, 560}

func newSimulation(t testing.TB, s settings) *simulation {
	m := &simulation{TB: t, settings: s, random: rand.New(rand.NewPCG(s.seed, 1)), out: New(30 * time.Minute),
		now: time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC).UnixMilli(), lowered: map[*player]struct{}{},
		touched: map[*player]bool{}, turn: func(*simulation) {}}
	m.out.Advance(m.now)
	m.books = openBills(t, m.now)
	for len(m.campaigns) < s.campaigns {
		m.enter()
	}
	m.follow()
	return m
}

// follow makes the book follow the advertisers with a balance.
func (m *simulation) follow() {
	var prepaid []hexbid.UID
	for _, of := range m.payers {
		if of.prepaid {
			prepaid = append(prepaid, of.uid)
		}
	}
	m.out.Follow(prepaid)
}

// enter draws a payer with its campaigns. One in ten is an advertiser with a balance for several campaigns.
func (m *simulation) enter() {
	of := &payer{uid: hexbid.UID(1_000_000 + len(m.payers)), prepaid: m.random.IntN(10) == 0,
		limit: hexbid.Money(5e6 * math.Pow(m.dearest/5, m.random.Float64()))}
	m.payers = append(m.payers, of)
	count := 1
	if of.prepaid {
		count += m.random.IntN(5)
	}
	for range count {
		p := m.draw(of, count)
		of.campaigns, m.campaigns = append(of.campaigns, p), append(m.campaigns, p)
		of.dearest = max(of.dearest, PriceOfEvent(p.pricing, p.bid))
	}
	m.books.open(of)
	for _, p := range of.campaigns {
		m.handIn(p)
		m.plan(p, m.now)
	}
}

// draw makes a campaign. Prices go over a factor of twenty, and a budget would last from a fiftieth of the time to
// beyond the end.
func (m *simulation) draw(of *payer, campaigns int) *player {
	r := m.random
	p := &player{pace: pace{told: pacing.Full}, payer: of, uid: hexbid.UID(len(m.campaigns) + 1), pricing: hexbid.CPC,
		quality: int64(40_000 * math.Exp(2*r.Float64())), bid: hexbid.Money(200_000 * math.Exp(3*r.Float64()))}
	if r.Float64() < 0.3 {
		p.pricing, p.bid = hexbid.CPM, 1000*hexbid.Money(10_000*math.Exp(2*r.Float64()))
	}
	p.market = p.bid/2 + hexbid.Money(r.Int64N(int64(p.bid)))
	last := m.length.Seconds() * (0.02 + 1.2*r.Float64())
	mean := float64(PriceOfEvent(p.pricing, min(p.bid, p.market))) * 0.76 * float64(Chance(p.pricing, p.quality, 1,
		factors))
	p.rate = float64(of.limit) / float64(campaigns) / mean / last
	for range r.IntN(4) {
		from := m.now + r.Int64N(m.length.Milliseconds())
		p.bursts = append(p.bursts, burst{from, from + r.Int64N(60_000), 1 + 20*r.Float64()})
	}
	return p
}

// plan draws the next search that a campaign can win, by thinning a process of its highest rate.
func (m *simulation) plan(p *player, after int64) {
	highest := p.rate
	for _, b := range p.bursts {
		highest = max(highest, p.rate*b.by)
	}
	for end := after + m.length.Milliseconds(); after < end; {
		after += int64(math.Ceil(m.random.ExpFloat64() / highest * 1000))
		now := p.rate
		for _, b := range p.bursts {
			if b.from <= after && after < b.to {
				now = max(now, p.rate*b.by)
			}
		}
		if m.random.Float64()*highest < now {
			m.searches.push(planned{at: after, of: p})
			return
		}
	}
}

// run goes on to the end.
func (m *simulation) run() *simulation {
	for end := m.now + m.length.Milliseconds(); m.now < end; {
		m.step()
		if m.paced {
			m.control()
		}
		m.turn(m)
	}
	return m
}

// step goes on by the time that a hand-in takes.
func (m *simulation) step() {
	m.now += stepMillis
	m.out.Advance(m.now)
	clear(m.touched)
	for s := m.searches.due(m.now); s != nil; s = m.searches.due(m.now) {
		if m.search(s.of) {
			m.touched[s.of] = true
		}
		if !s.of.over {
			m.plan(s.of, s.at)
		}
	}
	for p := range m.touched {
		if !m.isLowered(p.payer) {
			p.full = m.inFlight(p.payer)
		}
	}
	for e := m.events.due(m.now); e != nil; e = m.events.due(m.now) {
		m.happen(e)
	}
	if m.now%1000 == 0 { // awards that decay give back what was held for them
		for p := range m.lowered {
			m.handIn(p)
		}
	}
	m.takeNoticed()
}

// restart follows a new book.
func (m *simulation) restart() {
	m.follow()
	for _, p := range m.campaigns {
		m.handIn(p)
	}
}

// takeNoticed hands in what the book notices, and what waits for awards to decay.
func (m *simulation) takeNoticed() {
	noticed := m.out.TakeNoticed()
	for _, uid := range noticed.Campaigns {
		m.handIn(m.campaigns[uid-1])
	}
	for _, uid := range noticed.Advertisers {
		m.handIn(m.payers[uid-1_000_000].campaigns[0])
	}
}

func (m *simulation) isLowered(of *payer) bool {
	return slices.ContainsFunc(of.campaigns, func(p *player) bool { return p.may() < PriceOfEvent(p.pricing, p.bid) })
}

func (m *simulation) inFlight(of *payer) Out {
	if of.prepaid {
		return m.out.Advertiser(of.uid)
	}
	return m.out.Campaign(of.campaigns[0].uid)
}

// search lets a campaign win a slot at the bid that its budget leaves it.
func (m *simulation) search(p *player) (won bool) {
	if m.paced && m.random.Int64N(auction.PPM) >= p.pace.told.ParticipationPPM {
		return false
	}
	multiplier := auction.MultiplierWithin(p.pricing, p.bid, p.may())
	if m.paced {
		multiplier = min(multiplier, p.pace.told.MultiplierPPM)
	}
	paced, _ := auction.Pace(p.pricing, p.bid, multiplier, p.quality)
	if paced < minimumBid || m.paced && paced < min(p.market, p.bid) {
		return false
	}
	m.awards++
	slot := 1 + m.random.IntN(len(factors))
	award := Award{Campaign: p.uid, Advertiser: p.payer.uid, Pricing: p.pricing,
		Price: PriceOfEvent(p.pricing, min(paced, p.market)), Chance: Chance(p.pricing, p.quality, slot, factors)}
	m.out.Add(&award)
	p.pace.saw(&award)
	if m.random.Float64() < float64(award.Chance) {
		if delay := m.delay(p.pricing); delay < m.out.life.Milliseconds() {
			m.events.push(planned{at: m.now + delay, of: p, award: award, issued: m.now})
		}
	}
	return true
}

// delay draws the time from an award to its event.
func (m *simulation) delay(pricing hexbid.PricingModel) int64 {
	median, sigma := 15_000.0, 1.0
	if pricing == hexbid.CPM {
		median, sigma = 3000, 0.7
	}
	return int64(median*math.Exp(sigma*m.random.NormFloat64())) + m.random.Int64N(2000)
}

// happen bills an event.
func (m *simulation) happen(e *planned) {
	charged, free := m.books.bill(m.now, e)
	e.of.charged, e.of.free = e.of.charged+charged, e.of.free+free
	m.out.Happen(&e.award, e.issued, true)
	for _, p := range e.of.campaigns { // the ledger tells of their accounts
		m.handIn(p)
	}
}

// handIn tells searches what is left, as the exchange does.
func (m *simulation) handIn(p *player) {
	m.looked++
	left, dearest, least := m.books.left(p), PriceOfEvent(p.pricing, p.bid), PriceOfEvent(p.pricing, minimumBid)
	prices := Prices{least, dearest}
	own := min(left.Daily, left.Total)
	now := RemainderOf(own, m.seen(m.out.Campaign(p.uid)), prices)
	if now.Calls(p.told, prices) {
		p.told = now
	}
	if now.Spent || now.Bound() < 2*dearest {
		own = 0
	}
	m.out.Knows(p.uid, false, own)
	if p.prepaid {
		if now := FundsOf(left.Balance, m.seen(m.out.Advertiser(p.payer.uid)), leastOfAll); now.Calls(p.payer.told) {
			p.payer.told = now
		}
		m.out.Knows(p.payer.uid, true, left.Balance)
	}
	p.over = left.Min < least
	if p.may() < dearest && !p.over {
		m.lowered[p] = struct{}{}
	} else {
		delete(m.lowered, p)
	}
}

// may is what one event of the campaign may cost, as searches know.
func (p *player) may() hexbid.Money {
	funds := Remainder{p.payer.told.None, p.payer.told.Left}
	if p.told.Spent || funds.Spent {
		return 0
	}
	return min(p.told.Bound(), funds.Bound())
}

// verdict is what a simulation has shown.
type verdict struct {
	charged, free hexbid.Money
	spent         int // payers who have spent all but one event
	beyond        []*payer
}

func (v verdict) share() float64 { return float64(v.free) / float64(v.charged) }

// judge compares the over-delivery of each payer with its bound: half a per cent, or one event and five standard
// deviations of the events in flight, at the highest price out. In flight are those when it last won at full bids.
func (m *simulation) judge() (v verdict) {
	for _, of := range m.payers {
		v.charged, v.free = v.charged+of.charged, v.free+of.free
		if of.limit-of.charged < of.dearest {
			v.spent++
		}
		highest := float64(max(of.full.Highest, 1))
		if of.full.Highest == 0 { // it never won at its full bid
			highest = float64(of.dearest)
		}
		if float64(of.free) > max(0.005*float64(of.charged), highest+5*math.Sqrt(of.full.Events)*highest) {
			v.beyond = append(v.beyond, of)
		}
	}
	return v
}

// planned is a search or an event at an instant.
type planned struct {
	at     int64
	order  uint64
	of     *player
	award  Award
	issued int64
}

// line holds what is planned: a heap, the earliest first.
type line struct {
	heap []planned
	next uint64
}

func (l *line) before(i, j int) bool {
	a, b := &l.heap[i], &l.heap[j]
	return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.order, b.order)) < 0
}

func (l *line) push(p planned) {
	p.order, l.next = l.next, l.next+1
	l.heap = append(l.heap, p)
	for i := len(l.heap) - 1; i > 0 && l.before(i, (i-1)/2); i = (i - 1) / 2 {
		l.heap[i], l.heap[(i-1)/2] = l.heap[(i-1)/2], l.heap[i]
	}
}

// due takes the first that is planned for an instant or before; nil when there is none.
func (l *line) due(now int64) *planned {
	if len(l.heap) == 0 || l.heap[0].at > now {
		return nil
	}
	first, last := l.heap[0], len(l.heap)-1
	l.heap[0], l.heap = l.heap[last], l.heap[:last]
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if l.before(child, least) {
				least = child
			}
		}
		if least == i {
			return &first
		}
		l.heap[i], l.heap[least] = l.heap[least], l.heap[i]
		i = least
	}
}
