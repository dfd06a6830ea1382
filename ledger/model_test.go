package ledger_test

import (
	"fmt"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/ledgertest"
	"github.com/hexbid/hexbid/token"
)

// model is the rules of money, written as they are told and not for speed. It reads the chain and says what each record
// should have said. It shares no code with package fold but the records.
type model struct {
	ledgertest.TB
	terms    map[hexbid.UID]fold.Terms
	prepaid  map[hexbid.UID]bool
	balance  map[hexbid.UID]hexbid.Money
	spent    map[hexbid.UID]hexbid.Money
	onDate   map[hexbid.UID]map[int32]hexbid.Money
	last     map[hexbid.UID]int32
	used     map[use]*fold.Record
	credited map[hexbid.UID]hexbid.Money
	taken    map[hexbid.UID]int64
	at       int64
	previous [32]byte
	number   uint64
}

// use is a token's kind.
type use struct {
	name token.Name
	kind hexbid.EventKind
}

func newModel(t ledgertest.TB) *model {
	return &model{TB: t, terms: map[hexbid.UID]fold.Terms{}, prepaid: map[hexbid.UID]bool{},
		balance: map[hexbid.UID]hexbid.Money{}, spent: map[hexbid.UID]hexbid.Money{},
		onDate: map[hexbid.UID]map[int32]hexbid.Money{}, last: map[hexbid.UID]int32{}, used: map[use]*fold.Record{},
		credited: map[hexbid.UID]hexbid.Money{}, taken: map[hexbid.UID]int64{}}
}

// read takes the next record in.
func (m *model) read(encoded []byte) {
	m.Helper()
	r, err := fold.Decode(encoded)
	if err != nil {
		m.Fatal(err)
	}
	if m.number++; r.Sequence != m.number || r.Previous != m.previous || r.At < m.at {
		m.Fatalf("record %d does not follow record %d", r.Sequence, m.number-1)
	}
	m.previous, m.at = fold.HashOf(encoded), r.At
	switch body := r.Body.(type) {
	case *fold.Terms:
		m.terms[body.Campaign] = *body
	case *fold.Event:
		m.event(r, body)
	case *fold.Movement:
		m.movement(body)
	case *fold.Credit:
		m.last[body.Campaign] = max(m.last[body.Campaign], m.dateOf(r.At, m.terms[body.Campaign].Zone))
		m.credited[body.Campaign] += body.Amount
		if m.prepaid[body.Advertiser] {
			m.balance[body.Advertiser] += body.Amount
		}
		if m.credited[body.Campaign] > m.spent[body.Campaign] {
			m.Fatalf("record %d credits more than was charged", r.Sequence)
		}
	}
}

func (m *model) movement(b *fold.Movement) {
	m.Helper()
	switch b.What {
	case fold.TopUp:
		m.prepaid[b.Advertiser] = true
		m.balance[b.Advertiser] += b.Amount
	case fold.Withdrawal:
		m.balance[b.Advertiser] -= b.Amount
	case fold.ToPrepaid:
		m.prepaid[b.Advertiser] = true
	case fold.ToPostpaid:
		m.prepaid[b.Advertiser] = false
	}
	if m.balance[b.Advertiser] < 0 || m.balance[b.Advertiser] != b.Balance {
		m.Fatalf("a balance is %s, the record says %s", m.balance[b.Advertiser], b.Balance)
	}
}

func (m *model) event(r *fold.Record, e *fold.Event) {
	m.Helper()
	if first := m.used[use{e.Token, e.Kind}]; first != nil {
		m.Fatalf("record %d uses up what record %d used up", r.Sequence, first.Sequence)
	}
	m.used[use{e.Token, e.Kind}] = r
	m.onTime(r, e)
	c := e.Award.Campaign
	date := max(m.last[c], m.dateOf(r.At, m.terms[c].Zone))
	filtered := m.filtered(e)
	implies := e.Kind == hexbid.Click && !filtered && m.used[use{e.Token, hexbid.Impression}] == nil
	if implies {
		m.used[use{e.Token, hexbid.Impression}] = r
	}
	want := ruled{outcome: hexbid.EventFiltered}
	if !filtered {
		want = m.judge(e, date, implies)
	}
	m.last[c] = date
	got := ruled{e.Outcome, e.Charged, e.Free}
	if got != want || e.Date != date || e.Implies != implies {
		m.Fatalf("record %d is %+v on %d, implies %v; the model says %+v on %d, implies %v", r.Sequence, got, e.Date,
			e.Implies, want, date, implies)
	}
	m.charge(e, date)
}

// onTime checks that the token admits the event.
func (m *model) onTime(r *fold.Record, e *fold.Event) {
	m.Helper()
	if e.Kind != hexbid.Conversion {
		if r.At >= e.Award.ClickExpiry*1000 {
			m.Fatalf("record %d is of an expired token", r.Sequence)
		}
		return
	}
	click := m.used[use{e.Token, hexbid.Click}]
	if click == nil || r.At >= click.At+(7*24*time.Hour).Microseconds() {
		m.Fatalf("record %d is a conversion without a click of the last seven days", r.Sequence)
	}
}

// filtered reports whether an event is invalid traffic: by its own verdict, as the click of such an impression, or as
// the conversion of such a click.
func (m *model) filtered(e *fold.Event) bool {
	if e.Kind == hexbid.Conversion {
		return m.filtered(m.used[use{e.Token, hexbid.Click}].Body.(*fold.Event))
	}
	seen := m.impressionOf(e)
	return e.Verdict == fold.VerdictFiltered || seen != nil && seen.Verdict == fold.VerdictFiltered
}

// beyondCap reports whether an impression or a click is beyond a cap: by its own verdict, or as the click of such an
// impression.
func (m *model) beyondCap(e *fold.Event) bool {
	seen := m.impressionOf(e)
	return e.Verdict == fold.VerdictBeyondCap || seen != nil && seen.Verdict == fold.VerdictBeyondCap
}

// impressionOf returns the impression that was recorded before a click, nil for none.
func (m *model) impressionOf(e *fold.Event) *fold.Event {
	if e.Kind != hexbid.Click || m.used[use{e.Token, hexbid.Impression}] == nil {
		return nil
	}
	seen := m.used[use{e.Token, hexbid.Impression}].Body.(*fold.Event)
	if seen.Kind != hexbid.Impression { // the click itself implied it
		return nil
	}
	return seen
}

func (m *model) dateOf(at int64, zone string) int32 {
	location, err := time.LoadLocation(zone)
	if err != nil {
		m.Fatal(err)
	}
	y, month, d := time.UnixMicro(at).In(location).Date()
	return int32(time.Date(y, month, d, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

// ruled is what an event costs.
type ruled struct {
	outcome       hexbid.EventOutcome
	charged, free hexbid.Money
}

func (m *model) judge(e *fold.Event, date int32, implies bool) ruled {
	if e.Kind == hexbid.Claim {
		coupons := m.terms[e.Award.Campaign].Coupons
		switch {
		case e.Verdict == fold.VerdictAlready:
			return ruled{outcome: hexbid.EventAlready}
		case len(coupons) == 0 || m.taken[e.Award.Campaign] >= coupons[0].Total || m.at >= coupons[0].ValidUntil*1000:
			return ruled{outcome: hexbid.EventGone}
		}
		return ruled{outcome: hexbid.EventGranted}
	}
	price, pays := e.Award.Price, e.Kind == hexbid.Click
	if e.Award.Basis.Pricing == hexbid.CPM {
		price, pays = price/1000, e.Kind == hexbid.Impression || implies
	}
	if !pays {
		price = 0
	}
	switch {
	case m.beyondCap(e):
		return ruled{outcome: hexbid.EventBeyondCap, free: price}
	case !pays:
		return ruled{outcome: hexbid.EventRecorded}
	case price <= m.left(e, date):
		return ruled{outcome: hexbid.EventCharged, charged: price}
	}
	return ruled{outcome: hexbid.EventBudgetExhausted, free: price}
}

func (m *model) left(e *fold.Event, date int32) hexbid.Money {
	c, a := e.Award.Campaign, e.Award.Advertiser
	terms := m.terms[c]
	left := max(0, terms.DailyBudget-m.onDate[c][date])
	if terms.TotalBudget > 0 {
		left = min(left, max(0, terms.TotalBudget-m.spent[c]))
	}
	if m.prepaid[a] {
		left = min(left, m.balance[a])
	}
	return left
}

func (m *model) charge(e *fold.Event, date int32) {
	c, a := e.Award.Campaign, e.Award.Advertiser
	if m.onDate[c] == nil {
		m.onDate[c] = map[int32]hexbid.Money{}
	}
	m.spent[c] += e.Charged
	m.onDate[c][date] += e.Charged
	if m.prepaid[a] {
		m.balance[a] -= e.Charged
	}
	if e.Outcome == hexbid.EventGranted {
		m.taken[c]++
	}
}

// String names a use in messages.
func (u use) String() string { return fmt.Sprintf("%s of token %d", u.kind, u.name.Sequence) }
