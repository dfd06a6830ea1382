package exchange

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/quality"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/outstanding"
)

// market puts the operator's rules into force, with what is learned of all campaigns alike: each change of the rules at
// once, and each hour that changes what was learned. Every time is a version of the market. It keeps the versions, so
// that a start goes on with the last one and a receipt's version can be looked up.
type market struct {
	indexer *bidder.Indexer
	log     *slog.Logger
	now     func() time.Time
	learn   []func(*bidder.Learned)                    // by other parts: each states what it has learned
	goOn    []func(*bidder.Market)                     // tell other parts of new rules, from which they go on
	commit  func(context.Context, []journal.Row) error // returns when rows are durable

	sample auctionSample // of the last hour, for forecasts

	operator atomic.Pointer[bidder.Market] // the operator's rules
	shown    atomic.Pointer[marketVersion] // in force, or about to be
	// recent are the markets of the last versions since the start, the newest last. Awards that are out were made by
	// them.
	recent atomic.Pointer[[]*bidder.Market]

	// mu guards the fields below. Its holder may wait until searches follow a version, which takes up to a minute where
	// priors rise. Who must not wait so long tries the lock.
	mu       sync.Mutex
	versions []uint64 // that are kept, in order
	inForce  marketVersion
	due      time.Time     // when the next version with what was learned may come into force
	unkept   []journal.Row // that could not be kept yet

	waiting  sync.Mutex    // guards the fields below
	followed uint64        // version of the catalogue up to which changes of the rules are in force
	advance  chan struct{} // closed and replaced when followed changes
}

// marketVersion is a version of the market, as kept.
type marketVersion struct {
	number   uint64         // in the key
	Since    time.Time      `json:"since"`
	Operator string         `json:"operator"` // fingerprint of the operator's own rules
	Learned  bidder.Learned `json:"learned"`
}

const (
	// marketEvery spaces the versions of the market with what was learned.
	marketEvery = time.Hour
	// mostMarkets is how many versions are kept: six weeks of new ones each hour.
	mostMarkets = 1000
	// mostVersion leaves numbers for later versions.
	mostVersion = 1 << 62
	// mostRecent is how many versions of the market are at hand: two days of new ones each hour.
	mostRecent = 48
	// leastChange is the part of a factor by which it must change to be worth a version.
	leastChange = 0.001
)

// newMarket makes the market of an exchange. Without a ledger it learns and keeps nothing.
func newMarket(e *Exchange) *market {
	m := &market{indexer: e.indexer, log: e.config.Log, now: e.config.Clock,
		commit: func(context.Context, []journal.Row) error { return nil }, advance: make(chan struct{})}
	m.operator.Store(&e.config.Market)
	m.inForce.number = e.config.Market.Version
	m.inForce.Operator = rulesOf(&e.config.Market)
	return m
}

// learnFrom has the market keep its versions in a ledger, and take over what parts learn.
func (m *market) learnFrom(e *Exchange, learn ...func(*bidder.Learned)) *market {
	m.commit = func(ctx context.Context, rows []journal.Row) error { return commitLearned(ctx, e.config.Ledger, rows) }
	m.now, m.learn = e.config.Ledger.Now, learn
	m.inForce = marketVersion{}
	return m
}

// rulesOf returns a fingerprint of the operator's rules.
func rulesOf(m *bidder.Market) string {
	rules := *m
	rules.Version = 0
	text, err := json.Marshal(&rules)
	if err != nil {
		panic(err) // rules are numbers and texts
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

func (m *market) letter() byte { return 'm' }

// owner is of no matter: nothing is handed in about single campaigns.
func (m *market) owner() bidder.Owner { return bidder.OwnerQuality }

func (m *market) awarded(*outstanding.Award, int64) {}

func (m *market) happened(*happening) {}

// restore takes in a version. The number of one that cannot be read counts all the same, for tokens may name it: no
// later version gets it.
func (m *market) restore(latest time.Time, key, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(key) != 9 {
		return hexbid.Errorf(hexbid.DataLoss, "learned", "a key of %d bytes is of no version of the market", len(key))
	}
	v := marketVersion{number: binary.BigEndian.Uint64(key[1:])}
	if v.number > mostVersion {
		return hexbid.Errorf(hexbid.DataLoss, "learned", "%d is no number of a version of the market", v.number)
	}
	m.versions = append(m.versions, v.number)
	if err := json.Unmarshal(value, &v); err != nil {
		return hexbid.Errorf(hexbid.DataLoss, "learned", "a row of %d bytes is no version of the market", len(value))
	}
	if v.Since.After(latest) {
		return hexbid.Errorf(hexbid.DataLoss, "learned", "version %d of the market is of later than now", v.number)
	}
	if rules := m.operator.Load().With(&v.Learned, max(v.number, 1)); rules.Validate() != nil {
		return hexbid.Errorf(hexbid.DataLoss, "learned", "version %d of the market has factors that no auction takes",
			v.number)
	}
	m.inForce = v
	return nil
}

// opened goes on with the last version, or with a new one if the operator's rules are others now.
func (m *market) opened(now time.Time) []bidder.LiveUpdate {
	m.mu.Lock()
	defer m.mu.Unlock()
	operator := m.operator.Load()
	if print := rulesOf(operator); m.inForce.Operator != print {
		m.inForce.Operator = print
		m.begin(context.Background(), max(m.next(), operator.Version), now) // the ledger's end ends it
	}
	m.show()
	m.due = now.Truncate(marketEvery).Add(marketEvery)
	// restore has checked the factors.
	_ = m.indexer.SetMarketFirst(m.coming())
	return nil
}

// next returns a number that no version has had.
func (m *market) next() uint64 {
	if last := len(m.versions) - 1; last >= 0 {
		return m.versions[last] + 1
	}
	return m.inForce.number + 1
}

// begin makes the version in force another one, and returns when that is durable. Only then may searches use it and
// answers name it, so that no crash lets another version have its number.
func (m *market) begin(ctx context.Context, number uint64, now time.Time) {
	m.inForce.number, m.inForce.Since = number, now.UTC()
	value, err := json.Marshal(&m.inForce)
	if err != nil {
		panic(err) // a version has numbers and texts alone
	}
	m.versions = append(m.versions, number)
	m.unkept = append(m.unkept, journal.Row{Table: journal.Learned, Key: m.key(number), Value: value})
	for len(m.versions) > mostMarkets {
		m.unkept = append(m.unkept, journal.Row{Table: journal.Learned, Key: m.key(m.versions[0])})
		m.versions = m.versions[1:]
	}
	if m.commit(ctx, m.unkept) == nil { // or with the rows of other parts, which tell of a failure
		m.unkept = nil
	}
	m.show()
}

// show tells readers of the version in force.
func (m *market) show() {
	shown := m.inForce
	m.shown.Store(&shown)
}

// coming returns the market of the version that is about to come into force, and notes it as the newest. The caller
// holds mu.
func (m *market) coming() *bidder.Market {
	coming := m.operator.Load().With(&m.inForce.Learned, m.inForce.number)
	var recent []*bidder.Market
	if before := m.recent.Load(); before != nil {
		recent = (*before)[max(0, len(*before)+1-mostRecent):]
	}
	recent = append(slices.Clone(recent), coming)
	m.recent.Store(&recent)
	return coming
}

// of returns the market of a version. One that is no longer at hand, or is of before the start, is taken to be like the
// market in force: only estimates need it.
func (m *market) of(version uint64) *bidder.Market {
	if recent := m.recent.Load(); recent != nil {
		for _, one := range slices.Backward(*recent) {
			if one.Version == version {
				return one
			}
		}
	}
	return m.indexer.Snapshot().Market()
}

// since returns when the version in force began, zero if that is not known.
func (m *market) since() time.Time {
	if v := m.shown.Load(); v != nil {
		return v.Since
	}
	return time.Time{}
}

func (m *market) key(number uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{m.letter()}, number)
}

// change puts other rules of the operator into force, and returns when searches follow them. Rules that are stored are
// valid. What was learned stays, where the new rules do not pin it.
func (m *market) change(ctx context.Context, rules *hexbid.Market) {
	operator, err := bidder.MarketOf(rules)
	if err != nil {
		m.log.Error("the stored market cannot come into force: update it", "error", err)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	print := rulesOf(&operator)
	if print == m.inForce.Operator {
		return
	}
	if err := operator.With(&m.inForce.Learned, m.next()).Validate(); err != nil {
		m.log.Error("the stored market does not go with what was learned: update it", "error", err)
		return // with nothing changed, so that the next update counts
	}
	m.operator.Store(&operator)
	for _, goOn := range m.goOn {
		goOn(&operator)
	}
	m.inForce.Operator = print
	m.begin(ctx, m.next(), m.now())
	if err := m.indexer.SetMarket(ctx, m.coming()); err != nil && ctx.Err() == nil {
		m.log.Error("searches do not follow the market: restart the server", "error", err)
		return
	}
	m.log.Info("other rules of the market are in force", "version", m.inForce.number, "catalogue", rules.Version)
}

// step puts what was learned into force when that is due. While other rules come into force it lets them go first.
func (m *market) step(ctx context.Context, now time.Time, _ int) ([]bidder.LiveUpdate, error) {
	if !m.mu.TryLock() {
		return nil, nil
	}
	defer m.mu.Unlock()
	if now.Before(m.due) {
		return nil, nil
	}
	m.due = now.Truncate(marketEvery).Add(marketEvery)
	var learned bidder.Learned
	for _, learn := range m.learn {
		learn(&learned)
	}
	if !differs(&learned, &m.inForce.Learned) {
		return nil, nil
	}
	before := m.inForce.Learned
	m.inForce.Learned = learned
	m.begin(ctx, m.next(), now)
	err := m.indexer.SetMarket(ctx, m.coming())
	if err != nil {
		m.inForce.Learned = before // the next hour tries again, under another number
	}
	return nil, err
}

func (m *market) rows() []journal.Row {
	if !m.mu.TryLock() {
		return nil
	}
	defer m.mu.Unlock()
	rows := m.unkept
	m.unkept = nil
	return rows
}

// reached notes that changes of the rules up to a version of the catalogue are in force.
func (m *market) reached(version uint64) {
	m.waiting.Lock()
	defer m.waiting.Unlock()
	m.followed = version
	close(m.advance)
	m.advance = make(chan struct{})
}

// waitFor returns when changes of the rules up to a version of the catalogue are in force, or when the context ends:
// nothing undoes the write any more.
func (m *market) waitFor(ctx context.Context, version uint64) {
	for {
		m.waiting.Lock()
		followed, advance := m.followed, m.advance
		m.waiting.Unlock()
		if followed >= version {
			return
		}
		select {
		case <-advance:
		case <-ctx.Done():
			return
		}
	}
}

// differs reports whether some factor differs by more than leastChange of it.
func differs(a, b *bidder.Learned) bool {
	return factorsDiffer(a.PositionFactors, b.PositionFactors) || factorsDiffer(a.FactorsOnRender, b.FactorsOnRender) ||
		scenesDiffer(a.SceneFactorPPM, b.SceneFactorPPM) || distancesDiffer(a.Distance, b.Distance)
}

func scenesDiffer(a, b *bidder.SceneFactors) bool {
	if a == nil || b == nil {
		return a != b
	}
	for host := range a {
		if factorsDiffer(a[host][:], b[host][:]) {
			return true
		}
	}
	return false
}

func distancesDiffer(a, b *quality.Distances) bool {
	if a == nil || b == nil {
		return a != b
	}
	return !slices.Equal(a.EndsM, b.EndsM) || factorsDiffer(a.WithoutPlacePPM[:], b.WithoutPlacePPM[:]) ||
		!slices.EqualFunc(a.FactorPPM, b.FactorPPM, func(a, b quality.Categories) bool { return !factorsDiffer(a[:], b[:]) })
}

func factorsDiffer(a, b []int64) bool {
	return !slices.EqualFunc(a, b, func(a, b int64) bool {
		return float64(max(a, b)-min(a, b)) <= leastChange*float64(max(a, b))
	})
}
