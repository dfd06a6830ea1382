package audit

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sort"
	"sync"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/token"
)

var (
	ctx   = context.Background()
	start = time.Date(2026, 11, 29, 20, 0, 0, 0, time.UTC) // the end of a month is near, and of days in several zones
)

// market is a ledger in memory on which a seeded history happens.
type market struct {
	t testing.TB
	*ledger.Ledger
	memory  *journal.Memory
	options ledger.Options
	random  *rand.Rand
	mu      sync.Mutex // guards passed
	passed  time.Duration
	events  []ledger.Event // to be followed by other kinds
	charges []fold.Point   // of charges, Sequence alone
	next    uint64
	version uint64
	request int
}

func openMarket(t testing.TB, seed uint64, change func(o *ledger.Options)) *market {
	m := &market{t: t, memory: journal.NewMemory(), random: rand.New(rand.NewPCG(seed, 2))}
	m.options = ledger.Options{Wall: func() time.Time { return start.Add(m.since()) }, Monotonic: m.since,
		Log: slog.New(slog.DiscardHandler), CheckpointRecords: 40, CheckpointAge: 20 * time.Minute}
	if change != nil {
		change(&m.options)
	}
	m.open()
	t.Cleanup(func() { _ = m.Ledger.Close() })
	for uid := range campaigns {
		m.setTerms(hexbid.UID(uid+1), 30_000_000)
	}
	return m
}

const (
	campaigns   = 6 // of advertisers 101 and 102 in turn
	advertisers = 2
)

func (m *market) open() {
	m.t.Helper()
	m.options.Journal = m.memory
	l, err := ledger.Open(ctx, m.options)
	if err != nil {
		m.t.Fatal(err)
	}
	m.Ledger = l
}

func (m *market) since() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.passed
}

func (m *market) pass(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.passed += d
}

func (m *market) now() time.Time { return start.Add(m.since()).Truncate(time.Millisecond) }

func advertiserOf(campaign hexbid.UID) hexbid.UID { return 101 + (campaign-1)%advertisers }

func (m *market) setTerms(campaign hexbid.UID, daily hexbid.Money) {
	m.t.Helper()
	m.version++
	zones := []string{"Asia/Shanghai", "America/Los_Angeles", "UTC", "Pacific/Kiritimati"}
	advertiser := advertiserOf(campaign)
	if err := m.SetTerms(ctx, m.version, []fold.Terms{{Campaign: campaign, Advertiser: advertiser,
		Name: fmt.Sprintf("advertisers/%d/campaigns/%d", advertiser, campaign), DailyBudget: daily,
		Zone: zones[int(campaign)%len(zones)]}}, []fold.AdvertiserTerms{{Advertiser: advertiser,
		Name: fmt.Sprintf("advertisers/%d", advertiser)}}); err != nil {
		m.t.Fatal(err)
	}
}

// event returns an event of a new token.
func (m *market) event() ledger.Event {
	m.next++
	campaign := hexbid.UID(1 + m.random.IntN(campaigns))
	basis := auction.Basis{Mechanism: auction.GSP, Pricing: hexbid.CPC, Bid: 2_000_000, MultiplierPPM: auction.PPM,
		QualityPPM: 30_000, Reserve: 1000, Next: 1 + m.random.Int64N(50_000_000_000), Factors: []int64{700_000}}
	kind := hexbid.Impression
	if m.random.IntN(2) == 0 {
		basis.Pricing, basis.Bid = hexbid.CPM, 90_000_000
	} else if m.random.IntN(2) == 0 {
		kind = hexbid.Click
	}
	price, _ := basis.Price()
	now := m.now()
	return ledger.Event{Kind: kind, Name: token.Name{Issuer: token.Issuer{9}, Sequence: m.next},
		EventID: fmt.Sprint("event-", m.next),
		Award: &token.Award{RequestID: fmt.Sprint("request-", m.next), Campaign: campaign,
			Advertiser: advertiserOf(campaign),
			Price:      price, Slot: 1, MarketVersion: 3, ClientID: "super-app", HasViewer: true,
			Viewer:   [16]byte{byte(m.next)},
			IssuedAt: now, ClickExpiry: now.Add(30 * time.Minute), Basis: basis}}
}

func (m *market) record(e ledger.Event) {
	m.t.Helper()
	answers, err := m.Record(ctx, []ledger.Event{e})
	if err != nil {
		m.t.Fatal(err)
	}
	if answers[0].Charged > 0 && !answers[0].Again {
		m.charges = append(m.charges, fold.Point{Sequence: answers[0].Sequence})
	}
}

// live lets something happen.
func (m *market) live() {
	m.t.Helper()
	switch dice := m.random.IntN(100); {
	case dice < 55:
		e := m.event()
		m.record(e)
		m.events = append(m.events, e)
	case dice < 75 && len(m.events) > 0:
		e := m.events[m.random.IntN(len(m.events))]
		e.Kind = []hexbid.EventKind{hexbid.Click, hexbid.Conversion, hexbid.Impression}[m.random.IntN(3)]
		if e.Kind == hexbid.Conversion {
			e.Value = 99
		}
		m.record(e)
	case dice < 82:
		m.move()
	case dice < 87 && len(m.charges) > 0:
		m.credit()
	case dice < 90:
		m.setTerms(hexbid.UID(1+m.random.IntN(campaigns)), hexbid.Money(1+m.random.IntN(40_000_000)))
	default:
		m.pass(time.Duration(m.random.IntN(900)) * time.Second)
	}
	m.pass(time.Duration(m.random.IntN(1000)) * time.Millisecond)
}

func (m *market) requestID() string {
	m.request++
	return fmt.Sprint("request-", m.request)
}

func (m *market) move() {
	m.t.Helper()
	what := []fold.MovementKind{fold.TopUp, fold.TopUp, fold.Withdrawal, fold.ToPostpaid,
		fold.ToPrepaid}[m.random.IntN(5)]
	movement := fold.Movement{Advertiser: hexbid.UID(101 + m.random.IntN(advertisers)), What: what,
		RequestID: m.requestID(),
		Who:       "operator", Note: "a note"}
	if what == fold.TopUp || what == fold.Withdrawal {
		movement.Amount = hexbid.Money(1 + m.random.IntN(20_000_000))
	}
	if _, err := m.Move(ctx, movement); err != nil && what != fold.Withdrawal {
		m.t.Fatal(err)
	}
}

// credit gives something of a charge back. One that is credited already is refused.
func (m *market) credit() {
	sequence := m.charges[m.random.IntN(len(m.charges))].Sequence
	v := m.view()
	encoded, err := v.Get(journal.Records, fold.RecordKey(sequence))
	if err != nil || encoded == nil {
		return // compacted or not there: nothing to credit
	}
	r, err := fold.Decode(encoded)
	if err != nil {
		m.t.Fatal(err)
	}
	e := r.Body.(*fold.Event)
	amount := 1 + e.Charged/2
	_, _ = m.Credit(ctx, fold.Credit{Advertiser: e.Award.Advertiser, Campaign: e.Award.Campaign, Amount: amount,
		Charges: []uint64{sequence}, Charged: []hexbid.Money{e.Charged}, Amounts: []hexbid.Money{amount},
		RequestID: m.requestID(), Who: "operator", Note: "by mistake"})
}

// view returns what is synced, with all totals.
func (m *market) view() journal.View {
	m.t.Helper()
	var settled journal.View
	if err := m.Read(ctx, func(v journal.View) error { settled = v; return nil }); err != nil {
		m.t.Fatal(err)
	}
	return settled
}

// shut closes the ledger in good order, and returns what it left.
func (m *market) shut() *copied {
	m.t.Helper()
	if err := m.Ledger.Close(); err != nil {
		m.t.Fatal(err)
	}
	return m.copy()
}

// copy copies what is synced now, as a kill leaves it.
func (m *market) copy() *copied {
	m.t.Helper()
	v, err := m.memory.View()
	if err != nil {
		m.t.Fatal(err)
	}
	c := copyOf(m.t, v)
	c.now = m.now()
	return c
}

// copied is a journal's content that a test may alter.
type copied struct {
	rows map[journal.Table][]journal.Row // in order of keys
	last uint64
	now  time.Time // when it was copied
}

func copyOf(t testing.TB, v journal.View) *copied {
	t.Helper()
	c := &copied{rows: map[journal.Table][]journal.Row{}, last: v.Last()}
	for table := journal.Records; table < journal.TableCount; table++ {
		if err := v.Scan(table, nil, nil, func(key, value []byte) (bool, error) {
			c.rows[table] = append(c.rows[table], journal.Row{Table: table, Key: bytes.Clone(key),
				Value: slices.Clone(value)})
			return true, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c *copied) find(t journal.Table, key []byte) int {
	rows := c.rows[t]
	return sort.Search(len(rows), func(i int) bool { return bytes.Compare(rows[i].Key, key) >= 0 })
}

func (c *copied) Get(t journal.Table, key []byte) ([]byte, error) {
	if i := c.find(t, key); i < len(c.rows[t]) && bytes.Equal(c.rows[t][i].Key, key) {
		return c.rows[t][i].Value, nil
	}
	return nil, nil
}

func (c *copied) Scan(t journal.Table, from, to []byte, visit journal.Visit) error {
	for i := c.find(t, from); i < len(c.rows[t]); i++ {
		r := c.rows[t][i]
		if to != nil && bytes.Compare(r.Key, to) >= 0 {
			return nil
		}
		if more, err := visit(r.Key, r.Value); !more || err != nil {
			return err
		}
	}
	return nil
}

func (c *copied) ScanBack(t journal.Table, from, to []byte, visit journal.Visit) error {
	end := len(c.rows[t])
	if to != nil {
		end = c.find(t, to)
	}
	for i := end - 1; i >= 0 && bytes.Compare(c.rows[t][i].Key, from) >= 0; i-- {
		if more, err := visit(c.rows[t][i].Key, c.rows[t][i].Value); !more || err != nil {
			return err
		}
	}
	return nil
}

func (c *copied) Last() uint64 { return c.last }
func (c *copied) Close() error { return nil }

// tail is the last record, as a witness knows it.
func (c *copied) tail() []Known {
	records := c.rows[journal.Records]
	return []Known{{Point: fold.Point{Sequence: c.last, Tail: fold.HashOf(records[len(records)-1].Value)},
		By: "the witness"}}
}

// without runs f while a row is missing.
func (c *copied) without(t journal.Table, i int, f func()) {
	rows := c.rows[t]
	c.rows[t] = slices.Delete(slices.Clone(rows), i, i+1)
	f()
	c.rows[t] = rows
}

// verify verifies at the time of the copy.
func (c *copied) verify(t testing.TB, o Options) *Report {
	t.Helper()
	o.View, o.Now = c, c.now
	r, err := Verify(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
