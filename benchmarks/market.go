package benchmarks

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sort"
	"sync"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/bidder/frequency"
	"github.com/hexbid/hexbid/bidder/quality"
	"github.com/hexbid/hexbid/store"
)

// Population is a workload in an index. It holds what package bidder stores, and no nouns.
type Population struct {
	*Workload
	Indexer   *bidder.Indexer
	Campaigns int
	HeapBytes uint64 // after two garbage collections, with the indexer's own state
	Took      time.Duration

	before  uint64 // bytes of heap without it
	owners  int
	renamed int // programs so far
	tape    *store.Tape
	log     changeLog
	version uint64
	stop    context.CancelFunc
	done    chan struct{}
}

// generated is a catalogue that makes its records while the indexer scans it.
type generated struct {
	tape *store.Tape
	each func(func(record) error) error
}

// changeLog holds all changes, for a feed that falls behind the tape.
type changeLog struct {
	mu      sync.Mutex // guards changes
	changes []store.Change
}

func (l *changeLog) append(c store.Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changes = append(l.changes, c)
}

// read implements store.LogReader.
func (l *changeLog) read(_ context.Context, after uint64, visit func(*store.Change) bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := sort.Search(len(l.changes), func(i int) bool { return l.changes[i].Version > after })
	for i := first; i < len(l.changes) && visit(&l.changes[i]); i++ {
	}
	return nil
}

// record is a resource as a store holds it. A campaign has its covering.
type record struct {
	hexbid.Resource
	derived *store.Derived
}

// Watch implements bidder.Catalogue.
func (g *generated) Watch(after uint64) *store.Feed { return g.tape.Feed(after) }

// KeepDerived implements bidder.Catalogue. It has nothing to keep, because every record comes with its covering.
func (g *generated) KeepDerived(context.Context, []store.Derived) error { return nil }

// Scan implements bidder.Catalogue.
func (g *generated) Scan(_ context.Context, f func(store.Record, *store.Derived) error) (uint64, error) {
	uid := hexbid.UID(0)
	return 1, g.each(func(r record) error {
		uid++
		meta := r.Metadata()
		meta.UID, meta.Version = uid, 1
		return f(store.Record{Resource: r.Resource}, r.derived)
	})
}

// made calls f for n records in order. All cores make the records ahead of these calls.
func made(n int, of func(i int) record, f func(record) error) (err error) {
	const chunk = 20_000
	chunks := make(chan []record)
	go func() {
		defer close(chunks)
		for first := 0; first < n; first += chunk {
			chunks <- makeChunk(first, min(chunk, n-first), of)
		}
	}()
	for records := range chunks {
		for i := 0; i < len(records) && err == nil; i++ {
			err = f(records[i])
		}
	}
	return err
}

func makeChunk(first, n int, of func(i int) record) []record {
	records := make([]record, n)
	var group sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for worker := range workers {
		group.Go(func() {
			for i := worker; i < n; i += workers {
				records[i] = of(first + i)
			}
		})
	}
	group.Wait()
	return records
}

// covered returns a campaign as a store holds it, with its covering.
func covered(c *hexbid.Campaign) record {
	derived, _, err := bidder.Derive(c)
	if err != nil {
		panic(err) // the workload draws circles
	}
	return record{c, derived}
}

// NewPopulation indexes the given number of campaigns. If owners is 0, it takes as many owners as the workload has for
// them. The indexer runs until Close.
func NewPopulation(w *Workload, campaigns, owners int) (*Population, error) {
	if owners == 0 {
		owners = (campaigns + w.anOwner - 1) / w.anOwner
	}
	m := &Population{Workload: w, Campaigns: campaigns, owners: owners}
	return m, m.index(func(f func(record) error) error {
		for kind := range 3 {
			err := made(owners, func(i int) record {
				advertiser, program, place := w.Owner(i)
				return record{Resource: []hexbid.Resource{advertiser, program, place}[kind]}
			}, f)
			if err != nil {
				return err
			}
		}
		return made(campaigns, func(i int) record { return covered(w.Campaign(i)) }, f)
	})
}

// NewDense indexes 10,000 campaigns over one point, the best first. Function change changes each before it is covered.
// Campaign i belongs to advertiser owner(i).
func NewDense(w *Workload, owner func(i int) int, change func(i int, c *hexbid.Campaign)) (*Population, error) {
	const n = 10_000
	m := &Population{Workload: w, Campaigns: n, owners: n}
	return m, m.index(func(f func(record) error) error {
		for kind := range 2 {
			for i := range n {
				advertiser, program, _ := w.Owner(i)
				program.Category = hexbid.Catering
				if err := f(record{Resource: []hexbid.Resource{advertiser, program}[kind]}); err != nil {
					return err
				}
			}
		}
		return made(n, func(i int) record {
			c := &hexbid.Campaign{Meta: hexbid.Meta{Name: fmt.Sprintf("%s/campaigns/c%d", ownerName(owner(i)), i)},
				Program: ownerName(owner(i)) + "/programs/p", Pricing: hexbid.CPC, Bid: hexbid.Money(20_000_000 - 1000*i),
				Area: hexbid.Area{Circles: []hexbid.Circle{{Center: DensePoint, RadiusM: 2000}}}}
			change(i, c)
			return covered(c)
		}, f)
	})
}

// DensePoint is where NewDense puts its campaigns.
var DensePoint = hexbid.Point{Lat: 30.2553, Lng: 120.1640}

// uidOf is the uid of campaign i in a population of NewPopulation.
func (m *Population) uidOf(i int) hexbid.UID { return hexbid.UID(3*m.owners + i + 1) }

// CampaignOf is the number of the campaign with a uid: uidOf backwards.
func (m *Population) CampaignOf(uid hexbid.UID) int { return int(uid) - 3*m.owners - 1 }

func (m *Population) index(each func(func(record) error) error) error {
	m.before = heap()
	started := time.Now()
	rules := bidder.DefaultMarket()
	if !m.defaultPriors {
		for c := range rules.PriorPPM {
			rules.PriorPPM[c] = 1_000_000 // all factors 1
		}
	}
	if rules.Distance = (quality.Distances{}); m.byDistance {
		rules.Distance = quality.PriorDistances()
	}
	m.Indexer = bidder.NewIndexer(&rules, time.Now, slog.New(slog.DiscardHandler))
	m.tape = store.NewTape(1, m.log.read)
	ctx, stop := context.WithCancel(context.Background())
	catalogue := &generated{tape: m.tape, each: each}
	if err := m.Indexer.Load(ctx, catalogue); err != nil {
		stop()
		return fmt.Errorf("indexing the workload: %w", err)
	}
	m.version, m.stop, m.done = 1, stop, make(chan struct{})
	m.Took, m.HeapBytes = time.Since(started), heap()-m.before
	go func() { defer close(m.done); m.Indexer.Run(ctx, catalogue) }()
	return nil
}

// changedBids returns campaigns with other bids. They have their coverings, as an exchange commits them.
func (m *Population) changedBids(n int) []record {
	changed := make([]record, 0, n)
	made(n, func(i int) record {
		r := m.rand(changeStream, i)
		at := r.IntN(m.Campaigns)
		c := m.Campaign(at)
		c.UID, c.Bid = m.uidOf(at), hexbid.Money(500_000+r.IntN(2_000_000))
		return covered(c)
	}, func(r record) error {
		changed = append(changed, r)
		return nil
	})
	return changed
}

// changedPrograms returns programs with other keywords, and with names that no program had before.
func (m *Population) changedPrograms(n int) []record {
	changed := make([]record, n)
	for i := range changed {
		m.renamed++
		r := m.rand(changeStream, m.renamed)
		at := r.IntN(m.owners)
		_, program, _ := m.Owner(at)
		program.UID = hexbid.UID(m.owners + at + 1)
		program.DisplayName, program.Keywords = fmt.Sprintf("小程序 新 %d", m.renamed), []string{words[r.IntN(len(words))]}
		changed[i] = record{Resource: program}
	}
	return changed
}

// put commits one record. It returns the version to wait for.
func (m *Population) put(r record) uint64 {
	m.version++
	r.Metadata().Version = m.version
	change := store.Change{Version: m.version,
		Puts: []store.Written{{Record: store.Record{Resource: r.Resource}, Derived: r.derived}}}
	m.log.append(change)
	m.tape.Append(change, 0)
	return m.version
}

// Close ends the indexer.
func (m *Population) Close() {
	m.stop()
	<-m.done
}

// SearchBytes ends the indexer, drops its state, and returns the heap bytes that its last snapshot alone takes.
func (m *Population) SearchBytes() uint64 {
	m.Close()
	s := m.Indexer.Snapshot()
	m.Indexer, m.tape = nil, nil
	bytes := heap() - m.before
	runtime.KeepAlive(s)
	return bytes
}

// history draws what the viewer of a request has seen today: sixteen campaigns, one to three times each.
func (m *Population) history(i int, now time.Time) *frequency.History {
	r := m.rand(historyStream, i)
	seen := make([]frequency.Seen, 16)
	for i := range seen {
		seen[i].Subject = m.uidOf(r.IntN(m.Campaigns))
		for range 1 + r.IntN(3) {
			seen[i].Add(now.Add(-time.Duration(r.Int64N(int64(24 * time.Hour)))).UnixMicro())
		}
	}
	return frequency.NewHistory(seen)
}

// HandIn hands in live states for all campaigns. Multipliers and qualities vary fourfold, a fifth takes part in 10 % to
// all of its searches, and 5 % of the campaigns have spent their budget.
func (m *Population) HandIn() error {
	for first := 0; first < m.Campaigns; first += bidder.MaxLiveUpdates {
		n := min(bidder.MaxLiveUpdates, m.Campaigns-first)
		pacing, quality, spent := make([]bidder.LiveUpdate, n), make([]bidder.LiveUpdate, n), make([]bidder.LiveUpdate, n)
		for i := range n {
			r, uid := m.rand(changeStream, first+i), m.uidOf(first+i)
			pacing[i] = bidder.LiveUpdate{Campaign: uid, PacingPPM: 250_000 + r.Int64N(750_001), ParticipationPPM: auction.PPM}
			quality[i] = bidder.LiveUpdate{Campaign: uid, QualityPPM: 10_000 + r.Int64N(30_001)}
			spent[i] = bidder.LiveUpdate{Campaign: uid, BudgetSpent: r.IntN(20) == 0}
			if r.IntN(5) == 0 {
				pacing[i].ParticipationPPM = 100_000 + r.Int64N(900_000)
			}
		}
		for owner, updates := range map[bidder.Owner][]bidder.LiveUpdate{bidder.OwnerPacing: pacing,
			bidder.OwnerQuality: quality, bidder.OwnerLedger: spent} {
			if err := m.Indexer.HandIn(context.Background(), owner, updates); err != nil {
				return fmt.Errorf("handing in the workload's live states: %w", err)
			}
		}
	}
	return nil
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
