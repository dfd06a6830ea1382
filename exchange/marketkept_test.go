package exchange

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/journal"
	ledgerpebble "github.com/hexbid/hexbid/ledger/pebble"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/store/pebble"
	"github.com/hexbid/hexbid/token"
)

// rulesWith returns a market whose increment tells it from others.
func rulesWith(increment int) *hexbid.Market {
	m := &hexbid.Market{Meta: hexbid.Meta{Name: hexbid.MarketName}, Increment: hexbid.Money(increment)}
	completeMarket(m)
	return m
}

// faultyIndex is an index that refuses the next versions of a market, so many.
type faultyIndex struct {
	marketIndex
	refusals int
}

func (x *faultyIndex) SetMarket(ctx context.Context, m *bidder.Market) error {
	if x.refusals > 0 {
		x.refusals--
		return fmt.Errorf("version %d is refused", m.Version)
	}
	return x.marketIndex.SetMarket(ctx, m)
}

// refuse has the index refuse the next versions.
func (m *market) refuse(versions int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.indexer = &faultyIndex{m.indexer, versions}
}

// TestRulesThatTheIndexRefusesOnceComeIntoForce: after a refusal nothing has changed, and no other part knows of the
// new rules. The follower tries again, so the update that waits returns when they are in force.
func TestRulesThatTheIndexRefusesOnceComeIntoForce(t *testing.T) {
	m := openTill(t, manual)
	first := m.market.inForce
	var toldOf []hexbid.Money
	m.market.goOn = append(m.market.goOn, func(rules *bidder.Market) { toldOf = append(toldOf, rules.Increment) })
	m.market.refuse(1)
	if err := m.market.change(ctx, rulesWith(77)); err == nil {
		t.Fatal("the index refused rules, and they are in force")
	}
	if got := m.market.inForce; got.number != first.number || !got.says(&first) || len(toldOf) > 0 ||
		m.market.operator.Load().Increment != 0 || m.indexer.Snapshot().MarketVersion() != first.number {
		t.Errorf("after a refusal %+v is in force, before %+v, and others were told of %v", got, first, toldOf)
	}
	if err := m.market.change(ctx, rulesWith(77)); err != nil {
		t.Fatal(err)
	}
	if got := m.indexer.Snapshot().Market(); got.Increment != 77 || len(m.market.versions) != 2 ||
		got.Version != m.market.versions[1] || len(toldOf) != 1 {
		t.Errorf("version %d with increment %d is in force, versions %v are kept and others were told of %v", got.Version,
			got.Increment, m.market.versions, toldOf)
	}
	m.market.refuse(1)
	if _, err := FirstMarket(ctx, m.store, rulesWith(78), now); err != nil { // which the exchange follows
		t.Fatal(err)
	}
	m.await("the stored rules are in force", func() bool { return m.indexer.Snapshot().Market().Increment == 78 })
}

// marketDisk refuses the rows of versions of the market while it is full, and remembers which are durable.
type marketDisk struct {
	journal.Journal
	full    atomic.Bool
	refused atomic.Int64
	durable sync.Map // numbers
}

func (d *marketDisk) Commit(ctx context.Context, b *journal.Batch) error {
	if d.full.Load() && len(versionsIn(b.Rows)) > 0 {
		d.refused.Add(1)
		return hexbid.Errorf(hexbid.Exhausted, "", "the disk is full")
	}
	err := d.Journal.Commit(ctx, b)
	for _, number := range versionsIn(b.Rows) {
		if err == nil {
			d.durable.Store(number, true)
		}
	}
	return err
}

// openOnMarketDisk opens a market whose store has rules, on a disk that is not full yet.
func openOnMarketDisk(t *testing.T) (*till, *marketDisk) {
	m := openTill(t, manual)
	m.stop()
	if _, err := FirstMarket(ctx, m.store, rulesWith(1), now); err != nil {
		t.Fatal(err)
	}
	disk := &marketDisk{Journal: m.Journal}
	m.Journal = disk
	m.start()
	return m, disk
}

// TestRulesComeIntoForceWhenTheirVersionIsDurable fills the disk under an update of the market. Searches follow the
// rules of before until there is room, and then the new ones, without another update.
func TestRulesComeIntoForceWhenTheirVersionIsDurable(t *testing.T) {
	m, disk := openOnMarketDisk(t)
	before := m.indexer.Snapshot().Market()
	disk.full.Store(true)
	updated := make(chan error)
	go func() {
		_, err := updateMarket(m.Exchange, rulesWith(2), store.AnyVersion)
		updated <- err
	}()
	m.await("the disk refuses the version twice", func() bool { return disk.refused.Load() >= 2 })
	if got := m.indexer.Snapshot().Market(); got.Version != before.Version || got.Increment != before.Increment {
		t.Errorf("version %d of increment %d is in force, and not durable", got.Version, got.Increment)
	}
	select {
	case err := <-updated:
		t.Errorf("the update returned before it is in force: %v", err)
	default:
	}
	disk.full.Store(false)
	if err := <-updated; err != nil {
		t.Error(err)
	}
	after := m.indexer.Snapshot().Market()
	if _, durable := disk.durable.Load(after.Version); !durable || after.Increment != 2 ||
		after.Version <= before.Version {
		t.Errorf("version %d of increment %d is in force, durable: %t", after.Version, after.Increment, durable)
	}
}

// TestWhatIsLearnedWaitsForTheDiskToo, and is tried again after a minute.
func TestWhatIsLearnedWaitsForTheDiskToo(t *testing.T) {
	m, disk := openOnMarketDisk(t)
	m.market.learn = []func(*bidder.Learned){func(l *bidder.Learned) { l.SceneFactorPPM = learnedOf(1) }}
	before := m.indexer.Snapshot().MarketVersion()
	disk.full.Store(true)
	m.pass(time.Hour)
	if err := m.market.step(ctx, m.now()); err == nil {
		t.Error("the disk is full, and a step has not failed")
	}
	disk.full.Store(false)
	m.await("the ledger has read its books again", func() bool { return commitLearned(ctx, m.ledger, nil) == nil })
	for _, after := range []struct {
		passed time.Duration
		begins bool
	}{{marketAgain - time.Millisecond, false}, {time.Millisecond, true}} {
		m.pass(after.passed)
		if err := m.market.step(ctx, m.now()); err != nil {
			t.Error(err)
		}
		got := m.indexer.Snapshot().Market()
		if begun := got.Version != before; begun != after.begins {
			t.Errorf("version %d is in force after version %d", got.Version, before)
		}
		if _, durable := disk.durable.Load(got.Version); !durable || after.begins && got.SceneFactorPPM != *learnedOf(1) {
			t.Errorf("version %d of %v is in force, durable: %t", got.Version, got.SceneFactorPPM, durable)
		}
	}
}

// machine is an exchange whose catalogue and ledger are on a disk that a test fills, copies and takes the power from.
type machine struct {
	*testing.T
	*Exchange
	ledger  *ledger.Ledger
	stored  *pebble.Store
	disk    *vfs.MemFS
	ledgers *marketDisk
	at      time.Time // by all clocks
	named   map[uint64]hexbid.Money
	keys    *token.Keys
}

// newMachine starts a market on an empty disk.
func newMachine(t *testing.T) *machine {
	keys, err := token.OpenKeys(token.Source{Path: filepath.Join(t.TempDir(), "keys")})
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{T: t, keys: keys, disk: vfs.NewCrashableMem(), at: now, named: map[uint64]hexbid.Money{}}
	m.boot()
	return m
}

// boot opens what is on the disk, as a program that starts a second later than the last one.
func (m *machine) boot() {
	m.Helper()
	m.at = m.at.Add(time.Second)
	at := m.at
	log := slog.New(slog.DiscardHandler)
	var err error
	if m.stored, err = pebble.Open(pebble.Options{Dir: "catalogue", FS: m.disk, Currency: "CNY"}); err != nil {
		m.Fatal(err)
	}
	j, err := ledgerpebble.Open(ledgerpebble.Options{Dir: "ledger", FS: m.disk, Currency: "CNY", Log: log})
	if err != nil {
		m.Fatal(err)
	}
	m.ledgers = &marketDisk{Journal: j}
	wall := func() time.Time { return at }
	m.ledger, err = ledger.Open(ctx, ledger.Options{Journal: m.ledgers, Wall: wall, Log: log,
		Monotonic: func() time.Duration { return 0 }})
	if err != nil {
		m.Fatal(err)
	}
	if _, err := FirstMarket(ctx, m.stored, rulesWith(1), at); err != nil {
		m.Fatal(err)
	}
	config := DefaultConfig()
	config.Clock, config.Stopwatch, config.Log, config.Cards = wall, wall, log, plainCards{}
	config.Ledger, config.Manual = m.ledger, true
	if m.Exchange, err = Open(ctx, config, m.stored, m.keys); err != nil {
		m.Fatal(err)
	}
	opened, stored := m.Exchange, m.stored
	l := m.ledger
	m.Cleanup(func() { // what was killed too, so that its goroutines end
		opened.Close()
		_, _, _ = l.Close(), j.Close(), stored.Close()
	})
}

// kill takes the power away. What was not synced is gone.
func (m *machine) kill() { m.disk = m.disk.CrashClone(vfs.CrashCloneCfg{}) }

// wantOne fails if the number in force was that of other rules before. It returns the number.
func (m *machine) wantOne(increment hexbid.Money) uint64 {
	m.Helper()
	got := m.indexer.Snapshot().Market()
	if got.Increment != increment {
		m.Errorf("the increment in force is %d, want %d", got.Increment, increment)
	}
	if before, named := m.named[got.Version]; named && before != got.Increment {
		m.Errorf("version %d is of the increments %d and %d", got.Version, before, got.Increment)
	}
	m.named[got.Version] = got.Increment
	return got.Version
}

// updateTo puts rules into force.
func (m *machine) updateTo(increment int) {
	m.Helper()
	if _, err := updateMarket(m.Exchange, rulesWith(increment), store.AnyVersion); err != nil {
		m.Fatal(err)
	}
	m.wantOne(hexbid.Money(increment))
}

// TestAKillOnAFullDiskGivesNoNumberTwice stores rules whose version the ledger's disk refuses, and kills the program.
// The rules are in force after the start, under a number that no rules had.
func TestAKillOnAFullDiskGivesNoNumberTwice(t *testing.T) {
	m := newMachine(t)
	for round := range 4 {
		m.updateTo(10*round + 2)
		before := m.wantOne(hexbid.Money(10*round + 2))
		m.ledgers.full.Store(true)
		short, cancel := context.WithCancel(ctx)
		follow := make(chan error)
		go func() {
			_, err := m.Update(short, hexbid.MarketName, store.AnyVersion, false,
				func(hexbid.Resource) (hexbid.Resource, error) { return rulesWith(10*round + 3), nil })
			follow <- err
		}()
		waitFor(t, "the disk refuses the version", func() bool { return m.ledgers.refused.Load() > 0 })
		cancel()
		<-follow
		if got := m.wantOne(hexbid.Money(10*round + 2)); got != before {
			t.Errorf("version %d is in force after version %d, and not durable", got, before)
		}
		m.kill()
		m.boot()
		if got := m.wantOne(hexbid.Money(10*round + 3)); got <= before {
			t.Errorf("version %d comes after version %d", got, before)
		}
	}
}

// TestACopyGivesNoNumberOfTheTimeSince copies the disk, updates the market, and starts from the copy. Awards of the
// time since name versions that the copy does not know. None of its own has such a number.
func TestACopyGivesNoNumberOfTheTimeSince(t *testing.T) {
	m := newMachine(t)
	for increment := 2; increment < 6; increment++ {
		m.updateTo(increment)
	}
	last := m.wantOne(5)
	whole := m.disk.CrashClone(vfs.CrashCloneCfg{})
	for copies := range 3 { // of which each lacks the times of those before
		for increment := range 8 {
			m.updateTo(100*(copies+1) + increment)
		}
		m.disk = whole.CrashClone(vfs.CrashCloneCfg{})
		m.boot()
		if got := m.wantOne(5); got != last {
			t.Errorf("copy %d goes on with version %d, want %d", copies, got, last)
		}
	}
	m.updateTo(1000)
}
