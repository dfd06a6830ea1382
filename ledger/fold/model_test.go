package fold

import (
	"fmt"

	"github.com/hexbid/hexbid"
)

// model is the rules of money told a second time, as naively as they can be: maps that only grow, nothing forgotten,
// nothing encoded. It shares no code with Books.
type model struct {
	campaigns   map[uint64]*modelCampaign
	advertisers map[uint64]*modelAdvertiser
	used        map[string]bool                // "issuer/sequence/kind"
	impressions map[string]hexbid.EventOutcome // of tokens whose impression came for itself
	charges     map[uint64]*modelCharge
	posted      int32
	refused     int64 // tokens issued before this millisecond
}

type modelCampaign struct {
	advertiser   uint64
	daily, total int64
	coupons      map[uint8]modelCoupon
	taken        map[uint8]int64
	begun        bool
	date         int32
	byDate       map[int32]*tally
	byHour       map[int64]*tally
	ever         tally
}

type modelCoupon struct{ total, until int64 }

type modelAdvertiser struct {
	prepaid                                bool
	toppedUp, withdrawn, charged, credited int64
	owed                                   int64
	byDate                                 map[int32]*[4]int64 // charged, credited, topped up, withdrawn
}

type modelCharge struct{ campaign, charged, credited int64 }

// tally is one of everything that is counted.
type tally struct {
	impressions, clicks, conversions, claims, charged, credited, free, exhausted, filtered, value, beyond int64
}

// modelEvent is an event as its reporter knows it.
type modelEvent struct {
	kind                 hexbid.EventKind
	token                string
	campaign, advertiser uint64
	cpm                  bool
	price                int64
	host                 uint8
	value                int64
	issuedMS, expiryMS   int64
	at                   int64
	verdict              Verdict
	date, posted         int32
}

// modelAnswer is what the rules say of an event.
type modelAnswer struct {
	outcome       hexbid.EventOutcome
	charged, free int64
	implies       bool
	creative      uint8
	date, posted  int32
}

func newModel() *model {
	return &model{campaigns: map[uint64]*modelCampaign{}, advertisers: map[uint64]*modelAdvertiser{},
		used: map[string]bool{}, impressions: map[string]hexbid.EventOutcome{}, charges: map[uint64]*modelCharge{}}
}

func (m *model) key(token string, kind hexbid.EventKind) string {
	return fmt.Sprint(token, "/", int(kind))
}

func (m *model) advertiser(uid uint64) *modelAdvertiser {
	if m.advertisers[uid] == nil {
		m.advertisers[uid] = &modelAdvertiser{byDate: map[int32]*[4]int64{}}
	}
	return m.advertisers[uid]
}

func (a *modelAdvertiser) balance() int64 {
	return a.toppedUp - a.withdrawn - (a.charged - a.credited - a.owed)
}

func (a *modelAdvertiser) day(date int32) *[4]int64 {
	if a.byDate[date] == nil {
		a.byDate[date] = new([4]int64)
	}
	return a.byDate[date]
}

func (m *model) edit(t *Terms) {
	c := m.campaigns[uint64(t.Campaign)]
	if c == nil {
		m.advertiser(uint64(t.Advertiser))
		c = &modelCampaign{advertiser: uint64(t.Advertiser), taken: map[uint8]int64{}, byDate: map[int32]*tally{},
			byHour: map[int64]*tally{}}
		m.campaigns[uint64(t.Campaign)] = c
	}
	c.daily, c.total, c.coupons = int64(t.DailyBudget), int64(t.TotalBudget), map[uint8]modelCoupon{}
	for _, p := range t.Coupons {
		c.coupons[uint8(p.Host)] = modelCoupon{p.Total, p.ValidUntil}
	}
}

// event judges an event, and takes it in if it uses up its kind. sequence is that of the record that it would become.
func (m *model) event(e *modelEvent, sequence uint64) modelAnswer {
	c := m.campaigns[e.campaign]
	if c == nil || c.advertiser != e.advertiser {
		return modelAnswer{outcome: hexbid.EventRefused}
	}
	if e.issuedMS < m.refused {
		return modelAnswer{outcome: hexbid.EventExpired}
	}
	if e.kind != hexbid.Conversion {
		if e.at/1000 >= e.expiryMS {
			return modelAnswer{outcome: hexbid.EventExpired}
		}
		if m.used[m.key(e.token, e.kind)] {
			return modelAnswer{outcome: hexbid.EventDuplicate}
		}
	}
	answer := modelAnswer{date: e.date, posted: e.posted}
	if c.begun && c.date > answer.date {
		answer.date = c.date
	}
	if m.posted > answer.posted {
		answer.posted = m.posted
	}
	m.decide(c, e, &answer)
	m.take(c, e, &answer, sequence)
	return answer
}

func (m *model) decide(c *modelCampaign, e *modelEvent, answer *modelAnswer) {
	seenAs := m.impressions[e.token]
	if e.kind != hexbid.Click {
		seenAs = 0
	}
	if e.verdict == VerdictFiltered || seenAs == hexbid.EventFiltered {
		answer.outcome = hexbid.EventFiltered
		return
	}
	switch e.kind {
	case hexbid.Conversion:
		answer.outcome = hexbid.EventRecorded
		return
	case hexbid.Claim:
		m.decideClaim(c, e, answer)
		return
	}
	seenBefore := m.used[m.key(e.token, hexbid.Impression)]
	answer.implies = e.kind == hexbid.Click && !seenBefore
	var cost int64
	pays := false
	if e.cpm && (e.kind == hexbid.Impression || answer.implies) {
		pays, cost = true, e.price/1000
	}
	if !e.cpm && e.kind == hexbid.Click {
		pays, cost = true, e.price
	}
	if e.verdict == VerdictBeyondCap || seenAs == hexbid.EventBeyondCap {
		answer.outcome, answer.free = hexbid.EventBeyondCap, cost
	} else if !pays {
		answer.outcome = hexbid.EventRecorded
	} else if m.affords(c, answer.date, cost) {
		answer.outcome, answer.charged = hexbid.EventCharged, cost
	} else {
		answer.outcome, answer.free = hexbid.EventBudgetExhausted, cost
	}
}

func (m *model) affords(c *modelCampaign, date int32, cost int64) bool {
	if cost == 0 {
		return true
	}
	today := int64(0)
	if day := c.byDate[date]; day != nil {
		today = day.charged
	}
	if today+cost > c.daily {
		return false
	}
	if c.total != 0 && c.ever.charged+cost > c.total {
		return false
	}
	a := m.advertisers[c.advertiser]
	return !a.prepaid || cost <= a.balance()
}

func (m *model) decideClaim(c *modelCampaign, e *modelEvent, answer *modelAnswer) {
	coupon, own := c.coupons[e.host]
	answer.creative = e.host
	if !own {
		coupon, answer.creative = c.coupons[0], 0
	}
	switch {
	case e.verdict == VerdictAlready:
		answer.outcome = hexbid.EventAlready
	case coupon.total == 0 || e.at >= coupon.until*1000 || c.taken[answer.creative] >= coupon.total:
		answer.outcome = hexbid.EventGone
	default:
		answer.outcome = hexbid.EventGranted
	}
}

func (m *model) take(c *modelCampaign, e *modelEvent, answer *modelAnswer, sequence uint64) {
	if e.kind != hexbid.Conversion {
		m.used[m.key(e.token, e.kind)] = true
	}
	if answer.implies {
		m.used[m.key(e.token, hexbid.Impression)] = true
	}
	if e.kind == hexbid.Impression {
		m.impressions[e.token] = answer.outcome
	}
	var t tally
	if answer.outcome == hexbid.EventFiltered {
		t.filtered = 1
	} else {
		switch e.kind {
		case hexbid.Impression:
			t.impressions = 1
		case hexbid.Click:
			t.clicks = 1
			if answer.implies {
				t.impressions = 1
			}
		case hexbid.Conversion:
			t.conversions, t.value = 1, e.value
		}
	}
	switch answer.outcome {
	case hexbid.EventBudgetExhausted:
		t.exhausted = 1
	case hexbid.EventBeyondCap:
		t.beyond = 1
	case hexbid.EventGranted:
		t.claims = 1
		c.taken[answer.creative]++
	}
	t.charged, t.free = answer.charged, answer.free
	m.count(c, answer.date, e.at, &t)
	m.posted = answer.posted
	if answer.charged > 0 {
		a := m.advertisers[c.advertiser]
		a.charged += answer.charged
		a.day(answer.posted)[0] += answer.charged
		if !a.prepaid {
			a.owed += answer.charged
		}
		m.charges[sequence] = &modelCharge{campaign: int64(e.campaign), charged: answer.charged}
	}
}

func (m *model) count(c *modelCampaign, date int32, at int64, t *tally) {
	c.begun, c.date = true, date
	hour := at / 3_600_000_000
	if c.byDate[date] == nil {
		c.byDate[date] = new(tally)
	}
	if c.byHour[hour] == nil {
		c.byHour[hour] = new(tally)
	}
	for _, sum := range []*tally{c.byDate[date], c.byHour[hour], &c.ever} {
		sum.impressions += t.impressions
		sum.clicks += t.clicks
		sum.conversions += t.conversions
		sum.claims += t.claims
		sum.charged += t.charged
		sum.credited += t.credited
		sum.free += t.free
		sum.exhausted += t.exhausted
		sum.filtered += t.filtered
		sum.beyond += t.beyond
		sum.value += t.value
	}
}

// move changes a balance. It reports whether the rules permit it.
func (m *model) move(advertiser uint64, what MovementKind, amount int64, posted int32) (int32, bool) {
	a := m.advertisers[advertiser]
	if a == nil || what == Withdrawal && amount > a.balance() {
		return 0, false
	}
	m.posted = max(m.posted, posted)
	switch what {
	case TopUp:
		a.toppedUp += amount
		a.prepaid = true
		a.day(m.posted)[2] += amount
	case Withdrawal:
		a.withdrawn += amount
		a.day(m.posted)[3] += amount
	case ToPrepaid:
		a.prepaid = true
	case ToPostpaid:
		a.prepaid = false
	}
	return m.posted, true
}

// credit gives money back. It reports whether the rules permit it.
func (m *model) credit(r *Credit, at int64) bool {
	c := m.campaigns[uint64(r.Campaign)]
	if c == nil || c.advertiser != uint64(r.Advertiser) || int64(r.Amount) > c.ever.charged-c.ever.credited {
		return false
	}
	for i, sequence := range r.Charges {
		charge := m.charges[sequence]
		if charge.campaign != int64(r.Campaign) || int64(r.Amounts[i]) > charge.charged-charge.credited {
			return false
		}
	}
	for i, sequence := range r.Charges {
		m.charges[sequence].credited += int64(r.Amounts[i])
	}
	date := r.Date
	if c.begun && c.date > date {
		date = c.date
	}
	m.posted = max(m.posted, r.Posted)
	m.count(c, date, at, &tally{credited: int64(r.Amount)})
	a := m.advertisers[c.advertiser]
	a.credited += int64(r.Amount)
	a.day(m.posted)[1] += int64(r.Amount)
	if !a.prepaid {
		a.owed -= int64(r.Amount)
	}
	return true
}
