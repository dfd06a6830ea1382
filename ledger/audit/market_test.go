package audit

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/ledgertest"
)

var (
	ctx   = context.Background()
	start = time.Date(2026, 11, 29, 20, 0, 0, 0, time.UTC) // the end of a month is near, and of days in several zones
)

// market is a bank on which a seeded history happens.
type market struct {
	*ledgertest.Bank
	random  *rand.Rand
	events  []ledger.Event // to be followed by other kinds
	charges []fold.Point   // of charges, Sequence alone
	version uint64
	request int
}

func openMarket(t testing.TB, seed uint64, change func(o *ledger.Options)) *market {
	m := &market{random: rand.New(rand.NewPCG(seed, 2))}
	m.Bank = ledgertest.OpenBank(t, start, func(b *ledgertest.Bank) {
		b.Options.CheckpointRecords, b.Options.CheckpointAge = 40, 20*time.Minute
		if change != nil {
			change(&b.Options)
		}
	})
	for uid := range campaigns {
		m.setTerms(hexbid.UID(uid+1), 30_000_000)
	}
	return m
}

const (
	campaigns   = 6 // of advertisers 101 and 102 in turn
	advertisers = 2
)

func advertiserOf(campaign hexbid.UID) hexbid.UID { return 101 + (campaign-1)%advertisers }

func (m *market) setTerms(campaign hexbid.UID, daily hexbid.Money) {
	m.Helper()
	m.version++
	zones := []string{"Asia/Shanghai", "America/Los_Angeles", "UTC", "Pacific/Kiritimati"}
	advertiser := advertiserOf(campaign)
	m.Set(m.version, []fold.Terms{{Campaign: campaign, Advertiser: advertiser,
		Name: fmt.Sprintf("advertisers/%d/campaigns/%d", advertiser, campaign), DailyBudget: daily,
		Zone: zones[int(campaign)%len(zones)]}}, fold.AdvertiserTerms{Advertiser: advertiser,
		Name: fmt.Sprintf("advertisers/%d", advertiser)})
}

// event returns an event of a new token.
func (m *market) event() ledger.Event {
	campaign := hexbid.UID(1 + m.random.IntN(campaigns))
	basis := auction.Basis{Mechanism: hexbid.MechanismGSP, Pricing: hexbid.CPC, Bid: 2_000_000, MultiplierPPM: auction.PPM,
		QualityPPM: 30_000, Reserve: 1000, Next: 1 + m.random.Int64N(50_000_000_000), Factors: []int64{700_000}}
	kind := hexbid.Impression
	if m.random.IntN(2) == 0 {
		basis.Pricing, basis.Bid = hexbid.CPM, 90_000_000
	} else if m.random.IntN(2) == 0 {
		kind = hexbid.Click
	}
	price, _ := basis.Price()
	award := m.Award(campaign, advertiserOf(campaign), basis.Pricing, price)
	award.Basis = basis
	e := m.Event(kind, award)
	award.RequestID, award.Viewer = fmt.Sprint("request-", e.Name.Sequence), [16]byte{byte(e.Name.Sequence)}
	return e
}

func (m *market) record(e ledger.Event) {
	m.Helper()
	if a := m.Report(e)[0]; a.Charged > 0 && !a.Again {
		m.charges = append(m.charges, fold.Point{Sequence: a.Sequence})
	}
}

// live lets something happen.
func (m *market) live() {
	m.Helper()
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
		m.Clock.Pass(time.Duration(m.random.IntN(900)) * time.Second)
	}
	m.Clock.Pass(time.Duration(m.random.IntN(1000)) * time.Millisecond)
}

func (m *market) requestID() string {
	m.request++
	return fmt.Sprint("request-", m.request)
}

func (m *market) move() {
	m.Helper()
	what := []fold.MovementKind{fold.TopUp, fold.TopUp, fold.Withdrawal, fold.ToPostpaid,
		fold.ToPrepaid}[m.random.IntN(5)]
	movement := fold.Movement{Advertiser: hexbid.UID(101 + m.random.IntN(advertisers)), What: what,
		RequestID: m.requestID(),
		Who:       "operator", Note: "a note"}
	if what == fold.TopUp || what == fold.Withdrawal {
		movement.Amount = hexbid.Money(1 + m.random.IntN(20_000_000))
	}
	if _, err := m.Move(ctx, movement); err != nil && what != fold.Withdrawal {
		m.Fatal(err)
	}
}

// credit gives something of a charge back. One that is credited already is refused.
func (m *market) credit() {
	sequence := m.charges[m.random.IntN(len(m.charges))].Sequence
	v := m.Settled()
	encoded, err := v.Get(journal.Records, fold.RecordKey(sequence))
	if err != nil || encoded == nil {
		return // compacted or not there: nothing to credit
	}
	r, err := fold.Decode(encoded)
	if err != nil {
		m.Fatal(err)
	}
	e := r.Body.(*fold.Event)
	amount := 1 + e.Charged/2
	_, _ = m.Credit(ctx, fold.Credit{Advertiser: e.Award.Advertiser, Campaign: e.Award.Campaign, Amount: amount,
		Charges: []uint64{sequence}, Charged: []hexbid.Money{e.Charged}, Amounts: []hexbid.Money{amount},
		RequestID: m.requestID(), Who: "operator", Note: "by mistake"})
}

// shut closes the ledger in good order, and returns what it left.
func (m *market) shut() *copied {
	m.Helper()
	if err := m.Ledger.Close(); err != nil {
		m.Fatal(err)
	}
	return m.copy()
}

// copy copies what is synced now, as a kill leaves it.
func (m *market) copy() *copied {
	m.Helper()
	c := copyOf(m, m.Synced())
	c.now = m.Clock.Now().Truncate(time.Millisecond)
	return c
}

// copied is a journal's content that a test may alter.
type copied struct {
	rows map[journal.Table][]journal.Row // in order of keys
	last uint64
	now  time.Time // when it was copied
}

func copyOf(t ledgertest.TB, v journal.View) *copied {
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
