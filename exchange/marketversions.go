package exchange

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/quality"
	"github.com/hexbid/hexbid/ledger/journal"
)

// market puts the operator's rules into force, with what is learned of all campaigns alike: each change of the rules at
// once, and each hour that changes what was learned. Every time is a version of the market. It keeps the versions, so
// that a start goes on with the last one.
//
// No two versions have one number, because receipts and answers name it. A version is durable before searches follow
// it, so no crash forgets a number that was named. A number is at least the time at which its version begins, so a
// folder that is restored from a copy does not give numbers again that were given since the copy.
type market struct {
	indexer marketIndex
	log     *slog.Logger
	now     func() time.Time
	learn   []func(*bidder.Learned)                    // by other parts: each states what it has learned
	goOn    []func(*bidder.Market)                     // tell other parts of new rules, from which they go on
	commit  func(context.Context, []journal.Row) error // returns when rows are durable

	sample auctionSample // of the last hour, for forecasts

	operator atomic.Pointer[bidder.Market] // the operator's rules
	// recent are the last versions since the start, the newest last. Awards that are out were made by them.
	recent atomic.Pointer[[]recentVersion]

	// mu guards the fields below. Its holder may wait until searches follow a version, which takes up to a minute where
	// priors rise. Who must not wait so long tries the lock.
	mu       sync.Mutex
	versions []uint64      // that are kept, in order
	kept     marketVersion // the last one
	inForce  marketVersion // the last one kept, or the one before while searches do not follow it yet
	due      time.Time     // when the next version with what was learned may come into force

	waiting  sync.Mutex    // guards the fields below
	followed uint64        // version of the catalogue up to which changes of the rules are in force
	advance  chan struct{} // closed and replaced when followed changes
}

// marketIndex is what the market uses of a bidder.Indexer.
type marketIndex interface {
	SetMarket(ctx context.Context, m *bidder.Market) error
	SetMarketFirst(m *bidder.Market) error
	Snapshot() *bidder.Snapshot
}

// marketVersion is a version of the market, as kept.
type marketVersion struct {
	number   uint64         // in the key
	Since    time.Time      `json:"since"`
	Operator string         `json:"operator"` // fingerprint of the operator's own rules
	Learned  bidder.Learned `json:"learned"`
}

// says reports whether a version has the same rules as another one.
func (v *marketVersion) says(other *marketVersion) bool {
	return v.Operator == other.Operator && reflect.DeepEqual(&v.Learned, &other.Learned)
}

// recentVersion is a version with its whole rules.
type recentVersion struct {
	marketVersion
	rules *bidder.Market
}

const (
	// marketEvery spaces the versions of the market with what was learned.
	marketEvery = time.Hour
	// marketAgain is how long after a failure such a version is tried again.
	marketAgain = time.Minute
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
	m.kept = v
	return nil
}

// open goes on with the last version, or with a new one if the operator's rules are others now.
func (m *market) open(ctx context.Context, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	operator, next := m.operator.Load(), m.kept
	if next.Operator = rulesOf(operator); next.Operator != m.kept.Operator {
		if err := m.keep(ctx, next, now); err != nil {
			return err
		}
	}
	m.inForce = m.kept
	m.due = now.Truncate(marketEvery).Add(marketEvery)
	return m.indexer.SetMarketFirst(m.coming(operator))
}

// begin keeps a version and puts it into force. When it fails, the version before stays in force, and begin may be
// called again.
func (m *market) begin(ctx context.Context, operator *bidder.Market, next marketVersion, now time.Time) error {
	if !next.says(&m.kept) { // or else it was kept before, and did not come into force
		if err := m.keep(ctx, next, now); err != nil {
			return err
		}
	}
	if err := m.indexer.SetMarket(ctx, m.coming(operator)); err != nil {
		return fmt.Errorf("putting version %d of the market into force: %w", m.kept.number, err)
	}
	m.inForce = m.kept
	return nil
}

// keep gives a version a number, and returns when it is durable.
func (m *market) keep(ctx context.Context, next marketVersion, now time.Time) error {
	next.number, next.Since = m.numberAt(now), now.UTC()
	value, err := json.Marshal(&next)
	if err != nil {
		panic(err) // a version has numbers and texts alone
	}
	versions := append(m.versions, next.number)
	rows := []journal.Row{{Table: journal.Learned, Key: m.key(next.number), Value: value}}
	for len(versions) > mostMarkets {
		rows = append(rows, journal.Row{Table: journal.Learned, Key: m.key(versions[0])})
		versions = versions[1:]
	}
	if err := m.commit(ctx, rows); err != nil {
		return fmt.Errorf("keeping version %d of the market: %w", next.number, err)
	}
	m.versions, m.kept = versions, next
	return nil
}

// numberAt returns the number of a version that begins at an instant: its milliseconds since 1970, or the number after
// the last one's if that is higher.
func (m *market) numberAt(now time.Time) uint64 {
	after := m.inForce.number + 1
	if last := len(m.versions) - 1; last >= 0 {
		after = m.versions[last] + 1
	}
	return max(after, uint64(max(now.UnixMilli(), 0)))
}

// coming returns the market of the version that was kept last, and notes it as the newest. The caller holds mu.
func (m *market) coming(operator *bidder.Market) *bidder.Market {
	coming := operator.With(&m.kept.Learned, m.kept.number)
	var recent []recentVersion
	if before := m.recent.Load(); before != nil {
		recent = (*before)[max(0, len(*before)+1-mostRecent):]
	}
	recent = append(slices.Clone(recent), recentVersion{m.kept, coming})
	m.recent.Store(&recent)
	return coming
}

// recentOf returns a version of the market that is at hand, nil for another one.
func (m *market) recentOf(version uint64) *recentVersion {
	recent := m.recent.Load()
	if recent == nil {
		return nil
	}
	for i := len(*recent) - 1; i >= 0; i-- {
		if one := &(*recent)[i]; one.number == version {
			return one
		}
	}
	return nil
}

// of returns the market of a version. One that is no longer at hand, or is of before the start, is taken to be like the
// market in force: only estimates need it.
func (m *market) of(version uint64) *bidder.Market {
	if one := m.recentOf(version); one != nil {
		return one.rules
	}
	return m.indexer.Snapshot().Market()
}

// since returns when a version began, zero if that is not known.
func (m *market) since(version uint64) time.Time {
	if one := m.recentOf(version); one != nil {
		return one.Since
	}
	return time.Time{}
}

func (m *market) key(number uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{m.letter()}, number)
}

// change puts other rules of the operator into force, and returns when searches follow them. Rules that are stored are
// valid. What was learned stays, where the new rules do not pin it. After an error nothing has changed, and the same
// change may be tried again.
func (m *market) change(ctx context.Context, rules *hexbid.Market) error {
	operator, err := bidder.MarketOf(rules)
	if err != nil {
		m.log.Error("the stored market cannot come into force: update it", "error", err)
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	next := m.inForce
	if next.Operator = rulesOf(&operator); next.Operator == m.inForce.Operator {
		return nil
	}
	if err := operator.With(&next.Learned, 1).Validate(); err != nil {
		m.log.Error("the stored market does not go with what was learned: update it", "error", err)
		return nil // with nothing changed, so that the next update counts
	}
	if err := m.begin(ctx, &operator, next, m.now()); err != nil {
		return err
	}
	m.operator.Store(&operator)
	for _, goOn := range m.goOn {
		goOn(&operator)
	}
	m.log.Info("other rules of the market are in force", "version", m.inForce.number, "catalogue", rules.Version)
	return nil
}

// step puts what was learned into force when that is due. While other rules come into force it lets them go first. If
// it fails, it tries again in a minute.
func (m *market) step(ctx context.Context, now time.Time) error {
	if !m.mu.TryLock() {
		return nil
	}
	defer m.mu.Unlock()
	if now.Before(m.due) {
		return nil
	}
	m.due = now.Truncate(marketEvery).Add(marketEvery)
	next := m.inForce
	next.Learned = bidder.Learned{}
	for _, learn := range m.learn {
		learn(&next.Learned)
	}
	if !differs(&next.Learned, &m.inForce.Learned) {
		return nil
	}
	err := m.begin(ctx, m.operator.Load(), next, now)
	if err != nil {
		m.due = now.Add(marketAgain)
	}
	return err
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
