package exchange

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/token"
)

// populate adds campaigns around the hub, whose daily budget pays for one click.
func (m *till) populate(campaigns int) (uids []hexbid.UID) {
	m.Helper()
	fill(m, m.Exchange, place("l", hub))
	for i := 0; i < campaigns; i += 1000 {
		var rows []hexbid.Resource
		for j := range 1000 {
			c := campaign(fmt.Sprint("c", i+j))
			c.DailyBudget, c.Bid = 1_000_000, hexbid.Money(500_000+i+j)
			c.Area = around(i + j)
			rows = append(rows, c)
		}
		for _, o := range m.Import(ctx, rows, false) {
			if o.Err != nil {
				m.Fatal(o.Err)
			}
			uids = append(uids, o.Resource.Metadata().UID)
		}
	}
	return uids
}

// around is one of many overlapping discs, some thirteen over a point.
func around(i int) hexbid.Area {
	return hexbid.Area{Circles: []hexbid.Circle{{RadiusM: 3000,
		Center: hexbid.Point{Lat: hub.Lat + float64(i/1000)/50, Lng: hub.Lng + float64(i%1000)/100}}}}
}

// exhaust charges each campaign its whole day. It returns when the charges are durable.
func (m *till) exhaust(uids []hexbid.UID) {
	m.Helper()
	owner, err := m.store.Get(ctx, "advertisers/a")
	if err != nil {
		m.Fatal(err)
	}
	for some := range slices.Chunk(uids, hexbid.MaxEvents) {
		events := make([]ledger.Event, len(some))
		for i, uid := range some {
			m.events++
			at := m.ledger.Now()
			events[i] = ledger.Event{Kind: hexbid.Click, Name: token.Name{Sequence: uint64(m.events)},
				EventID: fmt.Sprint("click ", m.events), Award: &token.Award{Campaign: uid,
					Advertiser: owner.Meta().UID, Price: 1_000_000, Slot: 1, ClientID: "app", IssuedAt: at,
					ClickExpiry: at.Add(time.Hour), Basis: auction.Basis{Pricing: hexbid.CPC, Bid: 1_000_000,
						MultiplierPPM: auction.PPM, QualityPPM: 30_000}}}
		}
		answers, err := m.ledger.Record(ctx, events)
		if err != nil || answers[0].Outcome != hexbid.EventCharged {
			m.Fatal(answers, err)
		}
	}
}

// editBids edits bids at 10,000 a second until the test says so.
func (m *till) editBids(campaigns int, stop <-chan struct{}) {
	const rowsACall = 200
	for n := 0; ; n++ {
		due := time.NewTimer(time.Second * rowsACall / 10_000)
		var rows []hexbid.Resource
		for i := range rowsACall {
			c := campaign(fmt.Sprint("c", (n*rowsACall+i)%campaigns))
			c.DailyBudget, c.Bid = 1_000_000, hexbid.Money(500_000+(n+i)%400_000)
			c.Area = around((n*rowsACall + i) % campaigns)
			rows = append(rows, c)
		}
		m.Import(ctx, rows, false)
		select {
		case <-due.C:
		case <-stop:
			return
		}
	}
}

// BenchmarkASpentCampaignWinsNothing measures the time from a durable charge that exhausts a budget until searches
// know, beside 10,000 edits a second.
func BenchmarkASpentCampaignWinsNothing(b *testing.B) {
	const campaigns = 20_000
	m := openTill(b, nil)
	uids := m.populate(campaigns)
	stop := make(chan struct{})
	var editing sync.WaitGroup
	before := m.store.Version()
	editing.Go(func() { m.editBids(campaigns, stop) })
	var took []time.Duration
	began := time.Now()
	for n := 0; b.Loop(); n++ {
		if n%campaigns == campaigns-1 {
			m.pass(24 * time.Hour)
		}
		uid := uids[n%campaigns]
		m.exhaust([]hexbid.UID{uid})
		durable := time.Now()
		for live := (bidder.LiveState{}); !live.BudgetSpent; live, _ = m.indexer.Snapshot().LiveState(uid) {
			time.Sleep(50 * time.Microsecond)
		}
		took = append(took, time.Since(durable))
	}
	edits := float64(m.store.Version()-before) / time.Since(began).Seconds()
	close(stop)
	editing.Wait()
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds()*1e3, "ms-p50")
	b.ReportMetric(took[len(took)*99/100].Seconds()*1e3, "ms-p99")
	b.ReportMetric(took[len(took)-1].Seconds()*1e3, "ms-max")
	b.ReportMetric(edits, "edits/s")
}

// BenchmarkMidnight measures how long 50,000 spent campaigns take to return after a midnight, and the p99 of searches
// meanwhile, as a multiple of that afterwards.
func BenchmarkMidnight(b *testing.B) {
	const campaigns = 50_000
	m := openTill(b, nil)
	uids := m.populate(campaigns)
	q := bidder.NewQuery(at(hexbid.Point{Lat: hub.Lat + 0.5, Lng: hub.Lng + 5}), "r", m.now())
	var w bidder.Scratch
	searches := func(goOn func(n int) bool) time.Duration {
		var took []time.Duration
		for n := 0; goOn(n); n++ {
			started := time.Now()
			for range 50 {
				m.indexer.Snapshot().Search(&q, &w)
			}
			took = append(took, time.Since(started))
		}
		slices.Sort(took)
		return took[len(took)*99/100]
	}
	for b.Loop() {
		m.exhaust(uids)
		isSpent := func(uid hexbid.UID) bool { live, _ := m.indexer.Snapshot().LiveState(uid); return live.BudgetSpent }
		m.await("all are spent", func() bool {
			return !slices.ContainsFunc(uids, func(u hexbid.UID) bool { return !isSpent(u) })
		})
		for range 8 { // they leave the lists
			m.pass(10 * time.Second)
			time.Sleep(time.Second)
		}
		m.pass(24 * time.Hour)
		began := time.Now()
		back := make(chan time.Duration)
		go func() {
			for _, uid := range uids {
				for isSpent(uid) {
					time.Sleep(time.Millisecond)
				}
			}
			back <- time.Since(began)
		}()
		var took time.Duration
		busy := searches(func(int) bool {
			select {
			case took = <-back:
				return false
			default:
				return true
			}
		})
		quiet := searches(func(n int) bool { return n < 10_000 })
		b.ReportMetric(took.Seconds(), "s-until-back")
		b.ReportMetric(float64(busy)/float64(quiet), "p99-ratio")
	}
}
