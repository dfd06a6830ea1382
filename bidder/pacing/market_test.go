package pacing

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
)

// market runs one campaign through days of virtual time: real auctions against rivals, clicks that come later, a budget
// that the ledger would enforce, and the controller as often as it asks for. Big campaigns have auctions that stand for
// many, so a day takes well under a second.
type market struct {
	testing.TB
	random  *rand.Rand
	zone    *time.Location
	shape   *Shape // that the controller plans by
	traffic *Shape // that people follow
	service Service
	mode    Mode
	bid     hexbid.Money
	budget  hexbid.Money
	target  hexbid.Money
	quality int64
	aDay    float64                          // auctions that it matches on a day of 24 hours
	rivals  func(r *rand.Rand) (score int64) // the best of them
	values  func(r *rand.Rand) float64       // of an auction to the campaign, as a share of its bid; nil for 1
	reserve func(r *rand.Rand) int64         // in the unit of score; nil for none
	surge   func(time.Time) float64          // multiplies the traffic; nil for 1
	step    func(*State, *Input) Output      // the controller; nil for State.Step

	now       time.Time
	state     State
	reserves  Reserves
	told      Output
	charged   hexbid.Money // today
	everPaid  hexbid.Money
	clicks    int64
	today     int64
	date      int32
	out       []outAward // by the instant when they are decided
	pending   pendingSum
	hours     []hour
	matched   float64
	joined    float64
	unpaced   bool
	replanned bool     // the day's plan began anew
	said      struct { // of the target cost, until the last step
		clicks int64
		paid   hexbid.Money
	}
	dry, noted time.Time
	since      sinceStep
	steps      int
}

// sinceStep is what happened since the last step of the controller.
type sinceStep struct {
	awards      int
	won, events float64
	paid        hexbid.Money // everPaid at the step
	due         int64        // Unix milliseconds of the next one
}

// hour is how a day stood at the end of an hour.
type hour struct {
	at               time.Time
	spent, planned   float64 // of the budget
	budget           hexbid.Money
	clicks           int64
	multiplier, part float64
}

type outAward struct {
	at     time.Time
	price  hexbid.Money
	weight float64 // auctions that it stands for
	chance float64
}

type pendingSum struct{ cost, events float64 }

var shanghai = must(time.LoadLocation("Asia/Shanghai"))

func must(l *time.Location, err error) *time.Location {
	if err != nil {
		panic(err)
	}
	return l
}

// newMarket is a market of 28 November 2026 in Shanghai, whose people follow the curve that is assumed. The campaign's
// rivals bid anything up to its own bid.
func newMarket(t testing.TB, seed uint64) *market {
	m := &market{TB: t, random: rand.New(rand.NewPCG(seed, 7)), zone: shanghai, shape: new(Curve).Shape(),
		bid: 1_000_000, quality: 20_000, told: Full}
	m.traffic = m.shape
	m.service = Service{Zone: m.zone}
	m.rivals = func(r *rand.Rand) int64 { return int64(r.Float64() * float64(m.bid) * float64(m.quality)) }
	m.now = time.Date(2026, 11, 28, 0, 0, 0, 0, m.zone)
	m.date = dateOf(m.now)
	return m
}

// lumpy is a shape unlike the assumed one: an early morning, no lunch, a late evening.
func lumpy() *Shape {
	s := new(Shape)
	for q := range s {
		h := float64(q%quartersADay) / 4
		s[q] = 0.3 + 2*math.Exp(-(h-8)*(h-8)/4) + 3*math.Exp(-(h-21)*(h-21)/3)
	}
	return s
}

func (m *market) mean() float64 {
	sum := 0.0
	for _, w := range m.traffic[:quartersADay] {
		sum += w
	}
	return sum / quartersADay
}

// buys sets the budget of a day: so many clicks at a cost.
func (m *market) buys(clicks float64, cost hexbid.Money) {
	m.budget = hexbid.Money(clicks * float64(cost))
}

// mostAuctions is the most that one step evaluates.
const mostAuctions = 200

// run goes on to an instant.
func (m *market) run(until time.Time) *market {
	for m.now.Before(until) {
		m.tick()
	}
	return m
}

func (m *market) tick() {
	local := m.now.In(m.zone)
	if date := dateOf(local); date != m.date {
		m.date, m.charged, m.today = date, 0, 0
	}
	span := Every
	if m.state.At == 0 { // the first control follows within a tenth of a second
		span /= 100
	}
	awards, won, events := m.auctions(local, span)
	m.decide()
	m.now = m.now.Add(span)
	m.since.awards, m.since.won, m.since.events = m.since.awards+awards, m.since.won+won, m.since.events+events
	if !m.unpaced && m.isDue() {
		m.control()
	}
	if now := m.now.Truncate(time.Hour); m.noted.IsZero() {
		m.noted = now
	} else if now.After(m.noted) {
		m.noted = now
		m.note()
	}
}

func (m *market) serves(at time.Time) bool {
	return (m.service.InHours == nil || m.service.InHours(at)) &&
		(m.service.Start.IsZero() || !at.Before(m.service.Start)) && (m.service.End.IsZero() || at.Before(m.service.End))
}

// auctions holds those of ten seconds.
func (m *market) auctions(local time.Time, span time.Duration) (awards int, won, events float64) {
	if !m.serves(m.now) {
		return 0, 0, 0
	}
	mean := m.aDay * m.traffic.at(local) / m.mean() * span.Seconds() / 86_400
	if m.surge != nil {
		mean *= m.surge(m.now)
	}
	weight := max(mean/mostAuctions, 1)
	n := m.poisson(mean / weight)
	for range n {
		m.matched += weight
		if m.random.Int64N(PPM) >= m.told.ParticipationPPM {
			continue
		}
		m.joined += weight
		if a, cost := m.auction(weight); cost > 0 {
			awards, won, events = awards+int(math.Ceil(weight)), won+cost, events+a*weight
		}
	}
	return awards, won, events
}

// affordable is the most that a click may cost by the law of budgets: what is left, less what awards out will cost.
func (m *market) affordable() hexbid.Money {
	return m.budget - m.charged - hexbid.Money(max(m.pending.cost, 0))
}

// auction holds one by the real arithmetic. It returns the chance of a click and the expected cost.
func (m *market) auction(weight float64) (chance, cost float64) {
	worth := m.bid
	if m.values != nil {
		worth = hexbid.Money(m.values(m.random) * float64(m.bid))
	}
	us := auction.Entry{Candidate: auction.Candidate{Advertiser: 1, CampaignUID: 1, Pricing: hexbid.CPC, Bid: worth,
		MultiplierPPM: min(m.told.MultiplierPPM, auction.MultiplierWithin(hexbid.CPC, m.bid, m.affordable())),
		QualityPPM:    m.quality}}
	if m.reserve != nil {
		us.Reserve = m.reserve(m.random)
	}
	if !us.Enter() {
		return 0, 0
	}
	entries := []auction.Entry{us}
	if score := m.rivals(m.random); score > 0 {
		rival := auction.Entry{Candidate: auction.Candidate{Advertiser: 2, CampaignUID: 2}, Score: score}
		if score > us.Score {
			return 0, 0
		}
		entries = append(entries, rival)
	}
	award := auction.Price(entries, auction.Pricing{Mechanism: hexbid.MechanismGSP, Slots: 1, Factors: []int64{1}}, nil)[0]
	chance = float64(m.quality) / PPM
	cost = chance * float64(award.Price) * weight
	if us.Reserve > 0 {
		meets := (us.Reserve + m.quality - 1) / m.quality * PPM
		m.reserves.Add(m.now.UnixMilli(), (meets+int64(worth)-1)/int64(worth), m.random.Uint64())
	}
	m.out = append(m.out, outAward{m.now.Add(m.delay()), award.Price, weight, chance})
	m.pending.cost, m.pending.events = m.pending.cost+cost, m.pending.events+chance*weight
	return chance, cost
}

// delay is that of clicks: a median of fifteen seconds.
func (m *market) delay() time.Duration {
	return time.Duration(15 * math.Exp(m.random.NormFloat64()) * float64(time.Second))
}

// decide draws the clicks of awards whose delay is over.
func (m *market) decide() {
	kept := m.out[:0]
	for _, a := range m.out {
		if a.at.After(m.now) {
			kept = append(kept, a)
			continue
		}
		m.pending.cost -= a.chance * float64(a.price) * a.weight
		m.pending.events -= a.chance * a.weight
		for range m.poisson(a.chance * a.weight) {
			if m.charged+a.price <= m.budget {
				m.charged, m.everPaid = m.charged+a.price, m.everPaid+a.price
				m.clicks, m.today = m.clicks+1, m.today+1
			}
		}
	}
	m.out = kept
	if m.dry.IsZero() && m.affordable() < m.bid/100 {
		m.dry = m.now
	}
}

// isDue reports whether the controller is to be stepped: after its pause, and before it when much was won.
func (m *market) isDue() bool {
	return m.state.At == 0 || m.since.won+float64(m.everPaid-m.since.paid) >= m.state.Enough(m.budget) ||
		m.now.UnixMilli() >= m.since.due
}

func (m *market) control() {
	awards, won, events := m.since.awards, m.since.won, m.since.events
	m.steps++
	m.service.Zone = m.zone
	date := dateOf(m.now.In(m.zone))
	charged := m.charged
	if date != m.date {
		charged = 0
	}
	in := Input{At: m.now.UnixMilli(), Date: date, Day: m.day(date), Mode: m.mode, Budget: m.budget, Charged: charged,
		Out: hexbid.Money(max(m.pending.cost, 0)), Told: m.told, Awards: awards, Won: won, Events: events,
		Entry: m.reserves.Median(m.now.UnixMilli()), Short: m.affordable() < m.bid}
	if m.target > 0 {
		in.Cost = Cost{Target: m.target, Bid: m.bid, Clicks: m.clicks - m.said.clicks, Charged: m.everPaid - m.said.paid,
			Events: max(m.pending.events, 0), Out: in.Out}
		m.said.clicks, m.said.paid = m.clicks, m.everPaid
	}
	step := m.step
	if step == nil {
		step = (*State).Step
	}
	out := step(&m.state, &in)
	m.since = sinceStep{paid: m.everPaid, due: m.state.Due(&in)}
	if out.Calls(m.told, m.state.Grain(m.budget)) {
		m.told = out
	}
}

var days = map[[3]any]*Day{}

// day is the service's day; those of campaigns that always serve are made once.
func (m *market) day(date int32) *Day {
	key := [3]any{m.shape, date, m.service.Zone}
	if m.service.InHours != nil || !m.service.Start.IsZero() || !m.service.End.IsZero() {
		key = [3]any{m, date, m.service.End}
	}
	if days[key] == nil {
		days[key] = NewDay(m.shape, date, &m.service)
	}
	return days[key]
}

func (m *market) note() {
	m.hours = append(m.hours, hour{at: m.now, spent: float64(m.charged) / float64(m.budget),
		planned: m.state.Planned / float64(m.budget), budget: m.budget, clicks: m.today,
		multiplier: float64(m.told.MultiplierPPM) / PPM, part: float64(m.told.ParticipationPPM) / PPM})
}

// poisson draws a number of events of a mean.
func (m *market) poisson(mean float64) int {
	if mean > 500 {
		return int(max(math.Round(mean+math.Sqrt(mean)*m.random.NormFloat64()), 0))
	}
	n := 0
	for p := m.random.ExpFloat64(); p < mean; p += m.random.ExpFloat64() {
		n++
	}
	return n
}
