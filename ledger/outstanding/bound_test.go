package outstanding

import (
	"os"
	"testing"
	"time"

	"github.com/hexbid/hexbid/ledger/journal"
)

// mostShare is the most that over-delivery may be of all that is charged.
const mostShare = 0.005

// simulations are those of a test: few and small, or with HEXBID_LONG many and large.
func simulations(t *testing.T, seen func(Out) Out) (them []settings) {
	few := settings{campaigns: 300, dearest: 100, length: 30 * time.Minute, seen: seen}
	seeds := uint64(2)
	if os.Getenv("HEXBID_LONG") != "" {
		few, seeds = settings{campaigns: 2000, dearest: 300, length: time.Hour, seen: seen}, 8
	}
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		few.seed = seed
		them = append(them, few)
	}
	return them
}

// all and none are what a law can see of the awards that are out.
func all(out Out) Out { return out }
func none(Out) Out    { return Out{} }

// report says what a simulation has shown.
func (m *simulation) report() verdict {
	v := m.judge()
	m.Logf("seed %d: %d campaigns won %d awards and were charged %s; over-delivery %s, %.2f per cent; %d of %d payers "+
		"spent all, %d are beyond their bound", m.seed, len(m.campaigns), m.awards, v.charged, v.free, 100*v.share(),
		v.spent, len(m.payers), len(v.beyond))
	return v
}

// check fails when over-delivery is beyond its bound, or when the simulation has proven nothing because budgets lasted.
func (m *simulation) check() {
	m.Helper()
	v := m.report()
	if v.share() > mostShare {
		m.Errorf("seed %d: over-delivery is %.2f per cent of what is charged", m.seed, 100*v.share())
	}
	for _, of := range v.beyond {
		m.Errorf("seed %d: of %s charged, payer %d got %s free, with %.1f events of at most %s in flight", m.seed, of.charged,
			of.uid, of.free, of.full.Events, of.full.Highest)
	}
	if 3*v.spent < 2*len(m.payers) {
		m.Errorf("seed %d: only %d of %d payers spent all", m.seed, v.spent, len(m.payers))
	}
}

func TestOverDeliveryStaysWithinItsBound(t *testing.T) {
	for _, s := range simulations(t, all) {
		newSimulation(t, s).run().check()
	}
}

func TestWithoutTheExpectedSpendOverDeliveryIsBeyondItsBound(t *testing.T) {
	for _, s := range simulations(t, none)[:1] {
		if v := newSimulation(t, s).run().report(); v.share() < 4*mostShare || len(v.beyond) == 0 {
			t.Errorf("seed %d: over-delivery is %.2f per cent, and %d payers are beyond their bound", s.seed, 100*v.share(),
				len(v.beyond))
		}
	}
}

// crashing makes a simulation lose its book every thirty seconds, up to two seconds after the last rows were kept,
// and go on with what resume makes of the rows.
func (m *simulation) crashing(resume func(rows map[string][]byte) *Book) *simulation {
	rows, crashed := map[string][]byte{}, m.now
	m.turn = func(*simulation) {
		if m.now-crashed > 30_000+m.random.Int64N(2000) {
			m.out, crashed = resume(rows), m.now
			m.restart()
		}
		if m.now%2000 == 0 {
			keepIn(rows, m.out.Rows(false))
		}
	}
	return m
}

func keepIn(kept map[string][]byte, rows []journal.Row) {
	for _, r := range rows {
		if kept[string(r.Key)] = r.Value; r.Value == nil {
			delete(kept, string(r.Key))
		}
	}
}

func TestCrashesKeepOverDeliveryWithinItsBound(t *testing.T) {
	for _, s := range simulations(t, all)[:1] {
		m := newSimulation(t, s)
		m.crashing(func(rows map[string][]byte) *Book { return restored(t, m.now, rows) }).run().check()
	}
}

func TestABookThatIsForgottenInACrashLeavesOverDeliveryBeyondItsBound(t *testing.T) {
	for _, s := range simulations(t, all)[:1] {
		m := newSimulation(t, s)
		v := m.crashing(func(map[string][]byte) *Book {
			b := New(30 * time.Minute)
			b.Advance(m.now)
			return b
		}).run().report()
		if v.share() < mostShare && len(v.beyond) == 0 { // of large budgets it is a smaller share
			t.Errorf("seed %d: over-delivery is %.2f per cent, and nobody is beyond the bound", s.seed, 100*v.share())
		}
	}
}
