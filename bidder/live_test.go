package bidder

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
)

// dense posts 10,000 campaigns over one point, the best first: each of its own
// advertiser unless owner says otherwise.
func dense(t *testing.T, m *testMarket, owner func(i int) int, change func(i int, c *hexbid.Campaign)) {
	var owners, all []hexbid.Resource
	seen := map[int]bool{}
	for i := range 10_000 {
		a := fmt.Sprintf("advertisers/d%d", owner(i))
		if !seen[owner(i)] {
			seen[owner(i)] = true
			owners = append(owners, &hexbid.Advertiser{Meta: hexbid.Meta{Name: a}},
				&hexbid.Program{Meta: hexbid.Meta{Name: a + "/programs/p"}, Category: hexbid.Catering,
					Hosts: []hexbid.Host{hexbid.WeChat}})
		}
		c := &hexbid.Campaign{Meta: hexbid.Meta{Name: fmt.Sprintf("%s/campaigns/c%d", a, i)}, Program: a + "/programs/p",
			Pricing: hexbid.CPC, Bid: hexbid.Money(20_000_000 - 1000*i),
			Area: hexbid.Area{Circles: []hexbid.Circle{{Center: hangzhou, RadiusM: 2000}}}}
		change(i, c)
		all = append(all, c)
		m.names = append(m.names, c.Name)
	}
	m.commit(t, append(owners, all...)...)
}

// search runs one auction of ten slots at the dense point, checks it against the
// plain evaluation, and returns the work that it took.
func (m *testMarket) searchDense(t *testing.T) *Scratch {
	t.Helper()
	s, _, err := m.indexer.SnapshotNow(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var w Scratch
	q := NewQuery(&hexbid.Request{Point: hangzhou, Slots: 10, Viewer: hexbid.Viewer{Age: 30}}, "r", m.now)
	got, want := s.Search(&q, &w), s.Plain(&q).Awards
	if len(got) != 10 || !slices.Equal(got, want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	return &w
}

func TestWorkIsBoundedOverTheDensestPoints(t *testing.T) {
	each := func(i int) int { return i }
	for name, c := range map[string]struct {
		owner          func(int) int
		change         func(int, *hexbid.Campaign)
		sifted, tested int
	}{
		"all match": {each, func(int, *hexbid.Campaign) {}, 64, 32},
		"the best 9,980 fail the audience": {each, func(i int, c *hexbid.Campaign) {
			if i < 9980 {
				c.Audience.Ages = []hexbid.AgeRange{{Min: 40, Max: 50}}
			}
		}, 10_000, 32},
		"one advertiser owns the best 5,000": {func(i int) int { return max(0, i-4999) },
			func(int, *hexbid.Campaign) {}, 5200, 256},
		"one advertiser owns every other": {func(i int) int { return i * (i % 2) },
			func(int, *hexbid.Campaign) {}, 128, 64},
	} {
		t.Run(name, func(t *testing.T) {
			m := newTestMarket(t, 2, hangzhou)
			dense(t, m, c.owner, c.change)
			if w := m.searchDense(t); w.Sifted > c.sifted || w.Tested > c.tested {
				t.Errorf("%d sifted, %d tested; want at most %d and %d", w.Sifted, w.Tested, c.sifted, c.tested)
			}
		})
	}
}

// TestTheThrottledAndTheExhaustedDoNotStandInTheWay: the best half falls
// 100-fold, and then runs out of budget.
func TestTheThrottledAndTheExhaustedDoNotStandInTheWay(t *testing.T) {
	m := newTestMarket(t, 3, hangzhou)
	dense(t, m, func(i int) int { return i }, func(int, *hexbid.Campaign) {})
	adjust := func(to stated) {
		var some []stated
		for _, name := range m.names[:5000] {
			r, err := m.store.Get(context.Background(), name)
			if err != nil {
				t.Fatal(err)
			}
			to.campaign = r.Meta().UID
			some = append(some, to)
		}
		m.indexer.handInAll(t, some)
	}
	adjust(stated{pacingPPM: auction.PPM / 100, qualityPPM: 30_000})
	if w := m.searchDense(t); w.Sifted > 128 || w.Tested > 64 {
		t.Errorf("throttled: %d sifted, %d tested", w.Sifted, w.Tested)
	}
	adjust(stated{pacingPPM: auction.PPM, qualityPPM: 30_000})
	adjust(stated{pacingPPM: auction.PPM, qualityPPM: 30_000, spent: true})
	m.searchDense(t) // at once none of them wins
	m.now = m.now.Add(2 * offFor)
	m.clock.Store(m.now.UnixNano())
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		w := m.searchDense(t)
		if w.Sifted <= 128 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("exhausted for long: %d sifted", w.Sifted)
		}
	}
}

// TestAReaderNeverWaitsForAnInstantThatIsOver: the clock goes over quarter hours,
// far ahead and back again, while readers read it.
func TestAReaderNeverWaitsForAnInstantThatIsOver(t *testing.T) {
	m := newTestMarket(t, 7, hangzhou)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 200 {
			m.clock.Store(testStart.Add(time.Duration(i*7%50) * 5 * time.Minute).UnixNano())
			time.Sleep(time.Millisecond)
		}
	}()
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		s, now, err := m.indexer.SnapshotNow(ctx)
		if err != nil || !s.Holds(now) {
			t.Fatalf("at %s: %v", now, err)
		}
	}
}

// TestReadersUnderChangeSeeOneMarketEach: every answer is the plain evaluation's
// of the snapshot that the reader took, and snapshots follow each other.
func TestReadersUnderChangeSeeOneMarketEach(t *testing.T) {
	const searches = 100_000 // under the race detector too
	compareEvery := 1        // with the plain evaluation, which the race detector makes a hundred times as slow
	if testing.Short() {
		compareEvery = 25
	}
	m := newTestMarket(t, 5, hangzhou)
	m.fill(t, 200)
	turn := make(chan struct{}, 1) // the writer changes the market a few times a hundred searches, on any machine
	var readers sync.WaitGroup
	const crowd = 4
	for reader := range crowd {
		draw := &testMarket{r: rand.New(rand.NewPCG(uint64(reader), 7)), now: m.now, center: m.center}
		readers.Go(func() {
			var w Scratch
			last := uint64(0)
			for n := range searches / crowd {
				if n%50 == 0 {
					select {
					case turn <- struct{}{}:
					default: // the writer is behind
					}
				}
				s := m.indexer.Snapshot()
				if s.Version < last {
					t.Errorf("version %d after %d", s.Version, last)
					return
				}
				last = s.Version
				_, q := draw.request()
				got := s.Search(&q, &w)
				if n%compareEvery != 0 || s.Returning > 0 {
					continue
				}
				if want := s.Plain(&q).Awards; !slices.Equal(got, want) {
					t.Errorf("version %d: got %+v, want %+v", s.Version, got, want)
					return
				}
			}
		})
	}
	changed := make(chan struct{})
	go func() {
		defer close(changed)
		for range turn {
			m.commit(t, m.campaign(m.r.IntN(250)), m.campaign(m.r.IntN(250)), m.program(m.r.IntN(programs)))
			m.adjust(t)
		}
	}()
	readers.Wait()
	close(turn)
	<-changed
	t.Logf("%d searches while the catalogue went to version %d", searches, m.indexer.Snapshot().Version)
}

// TestAChangedMarketIsAsAFreshOne: the same answers, and within 10 % the same
// memory.
func TestAChangedMarketIsAsAFreshOne(t *testing.T) {
	changes := 30_000
	if os.Getenv("HEXBID_LONG") != "" {
		changes = 10_000_000
	}
	if testing.Short() {
		changes = 5_000
	}
	m := newTestMarket(t, 6, hangzhou)
	m.fill(t, 3000)
	for n := 0; n < changes; {
		var batch []hexbid.Resource
		for range 500 {
			batch = append(batch, m.campaign(m.r.IntN(3000)))
		}
		n += len(batch)
		m.commit(t, batch...)
		for range 10 {
			m.wait(t, m.deletion())
		}
	}
	heapOf := func() uint64 {
		runtime.GC()
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before := heapOf()
	market := *m.indexer.market
	fresh := NewIndexer(&market, m.indexer.clock, slog.New(slog.DiscardHandler))
	if err := fresh.Load(context.Background(), m.store); err != nil {
		t.Fatal(err)
	}
	freshBytes := heapOf() - before
	changed := m.indexer.Snapshot()
	var w Scratch
	for range 500 {
		_, q := m.request()
		got, want := namedAwards(changed, changed.Search(&q, &w)),
			namedAwards(fresh.Snapshot(), fresh.Snapshot().Plain(&q).Awards)
		if !slices.Equal(got, want) {
			t.Fatalf("got %v\nof a fresh index %v", got, want)
		}
	}
	both := heapOf()
	m.indexer.published.Store(nil)
	m.dropIndexer()
	changedBytes := both - heapOf()
	t.Logf("%d changes: %d KB, fresh %d KB", changes, changedBytes>>10, freshBytes>>10)
	if float64(changedBytes) > 1.1*float64(freshBytes) {
		t.Errorf("after %d changes the index takes %d bytes, a fresh one %d", changes, changedBytes, freshBytes)
	}
	runtime.KeepAlive(fresh)
}

type namedAward struct {
	campaign hexbid.UID
	price    hexbid.Money
}

func namedAwards(s *Snapshot, awards []auction.Award) (named []namedAward) {
	for _, a := range awards {
		named = append(named, namedAward{s.CampaignRef(a.Entry.Ordinal).UID, a.Price})
	}
	return named
}
