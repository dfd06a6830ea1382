package audit

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/journal"
)

func faultsOf(r *Report) string {
	var lines []string
	for _, f := range r.Faults {
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n")
}

// Whatever happens, and wherever a kill stops the ledger, what it leaves verifies.
func TestLedgersVerifyWhereverTheyStop(t *testing.T) {
	var checkpoints, hours int
	for seed := range uint64(30) {
		m := openMarket(t, seed, nil)
		for step := range 300 {
			m.live()
			if step%60 == 59 {
				c := m.copy() // killed here
				if r := c.verify(t, Options{Known: c.tail()}); !r.OK() || !r.TailWitnessed {
					t.Fatalf("seed %d, step %d, killed: %s", seed, step, faultsOf(r))
				}
				m.Crash()
			}
		}
		r := m.shut().verify(t, Options{})
		if !r.OK() || r.TailWitnessed {
			t.Fatalf("seed %d, closed: %s", seed, faultsOf(r))
		}
		if r.Charges != uint64(len(m.charges)) || r.Campaigns != campaigns || r.Advertisers != advertisers ||
			r.Last.Sequence != r.Records+r.First-1 {
			t.Errorf("seed %d: %+v; %d charges", seed, r, len(m.charges))
		}
		checkpoints, hours = checkpoints+r.Checkpoints, hours+r.Hours
	}
	if checkpoints < 100 || hours < 60 {
		t.Errorf("only %d checkpoints and %d hours were compared", checkpoints, hours)
	}
}

// aLedger is what a history of several hours has left.
func aLedger(t testing.TB, steps int) *copied {
	m := openMarket(t, 7, nil)
	for range steps {
		m.live()
	}
	return m.shut()
}

// Every byte of every record counts, and the record is named.
func TestAFlippedByteOfARecordIsFoundWhereItIs(t *testing.T) {
	c := aLedger(t, 80)
	tail := c.tail()
	flips := 0
	for i, record := range c.rows[journal.Records] {
		for at := range record.Value {
			bit := byte(1) << (at % 8)
			record.Value[at] ^= bit
			r := c.verify(t, Options{Known: tail})
			if r.OK() || r.Faults[0].Sequence != uint64(i+1) {
				t.Fatalf("record %d, byte %d of %d, bit %#x: %s", i+1, at, len(record.Value), bit, faultsOf(r))
			}
			record.Value[at] ^= bit
			flips++
		}
	}
	if r := c.verify(t, Options{Known: tail}); !r.OK() || flips < 5000 {
		t.Errorf("%d flips; at the end: %s", flips, faultsOf(r))
	}
}

func TestAMissingRecordIsFoundWhereItIs(t *testing.T) {
	c := aLedger(t, 200)
	for i := range c.rows[journal.Records] {
		if i == len(c.rows[journal.Records])-1 {
			continue // that is a missing tail
		}
		c.without(journal.Records, i, func() {
			r := c.verify(t, Options{})
			if r.OK() || r.Faults[0].Sequence != uint64(i+1) || r.Faults[0].Expected != fmt.Sprintf("record %d", i+1) {
				t.Errorf("record %d is missing: %s", i+1, faultsOf(r))
			}
		})
	}
}

// Every byte of every row that follows from records counts, and so does the row as a whole. The row is named.
func TestAFlippedByteOfARowIsFoundWhereItIs(t *testing.T) {
	c := aLedger(t, 120)
	flips := map[journal.Table]int{}
	for _, table := range append(slices.Clone(compared), journal.Accounts, journal.Uses) {
		for i, r := range c.rows[table] {
			place := row{table, string(r.Key)}.String()
			for at := range r.Value {
				if len(r.Value) > 100 && at%7 != 0 {
					continue // tiles and bitmaps: every seventh byte
				}
				r.Value[at] ^= 1 << (at % 8)
				c.mustFind(t, place, "byte %d of %s flipped", at, place)
				r.Value[at] ^= 1 << (at % 8)
				flips[table]++
			}
			c.without(table, i, func() { c.mustFind(t, place, "%s removed", place) })
		}
		added := journal.Row{Table: table, Key: []byte("zzzzzzzzzzzz"), Value: []byte{1}}
		c.rows[table] = append(c.rows[table], added)
		c.mustFind(t, row{table, string(added.Key)}.String(), "a row added to table %d", table)
		c.rows[table] = c.rows[table][:len(c.rows[table])-1]
		if len(c.rows[table]) == 0 {
			t.Errorf("table %d is empty: the history is too tame", table)
		}
	}
	t.Logf("flips by table: %v", flips)
	if r := c.verify(t, Options{}); !r.OK() {
		t.Errorf("at the end: %s", faultsOf(r))
	}
}

// The row that says what accounts stand for cannot be changed, and the one of totals cannot go beyond the records.
func TestFlippedBytesOfMarksAreFound(t *testing.T) {
	c := aLedger(t, 120)
	found := 0
	for _, r := range c.rows[journal.Meta] {
		for at := range r.Value {
			key := string(r.Key)
			if key != "checkpoint" && (key != "settled" || at > 6) {
				continue
			}
			r.Value[at] ^= 1
			if c.verify(t, Options{}).OK() {
				t.Errorf("byte %d of the mark %q flipped is not found", at, key)
			}
			r.Value[at] ^= 1
			found++
		}
	}
	if found < 50 {
		t.Errorf("there are %d bytes of marks", found)
	}
}

// mustFind verifies and expects a fault at a place.
func (c *copied) mustFind(t *testing.T, place, format string, args ...any) {
	t.Helper()
	r := c.verify(t, Options{})
	if !slices.ContainsFunc(r.Faults, func(f Fault) bool { return strings.Contains(f.String(), place) }) {
		t.Fatalf("%s: found %q, expected a fault at %q", fmt.Sprintf(format, args...), faultsOf(r), place)
	}
}

func TestAMissingTailIsFoundByWhoeverKnowsIt(t *testing.T) {
	m := openMarket(t, 9, nil)
	for range 100 {
		m.live()
	}
	early := m.copy()
	for range 20 {
		m.live()
	}
	late := m.shut()
	if r := early.verify(t, Options{}); !r.OK() || r.TailWitnessed {
		t.Errorf("without a witness: %s", faultsOf(r))
	}
	r := early.verify(t, Options{Known: late.tail()})
	if r.OK() || r.Faults[0].Sequence != early.last+1 || !strings.Contains(r.Faults[0].Expected,
		fmt.Sprint(late.last)) {
		t.Errorf("with a witness: %s", faultsOf(r))
	}
	within := early.tail()
	within[0].Within = true
	if r := early.verify(t, Options{Known: within}); !r.OK() || r.TailWitnessed {
		t.Errorf("the journal's own word passes for a witness: %s", faultsOf(r))
	}
	if r := late.verify(t, Options{Known: early.tail()}); !r.OK() || r.TailWitnessed {
		t.Errorf("an expectation in the middle: %s", faultsOf(r))
	}
	wrong := early.tail()
	wrong[0].Tail[5] ^= 1
	if r := late.verify(t, Options{Known: wrong}); r.OK() || r.Faults[0].Sequence != early.last {
		t.Errorf("a wrong expectation in the middle: %s", faultsOf(r))
	}
}

// Rows that stand for records beyond the end of the log tell of a tail that is missing.
func TestRowsTellOfAMissingTail(t *testing.T) {
	c := aLedger(t, 100)
	records := c.rows[journal.Records]
	c.rows[journal.Records], c.last = records[:len(records)-1], c.last-1
	if r := c.verify(t, Options{}); r.OK() || r.Faults[0].Sequence != c.last+1 {
		t.Errorf("%s", faultsOf(r))
	}
}

// A restored ledger goes on with a new epoch in the same chain, and verifies.
func TestRestoredLedgersVerify(t *testing.T) {
	m := openMarket(t, 13, nil)
	for range 80 {
		m.live()
	}
	m.shut()
	if _, err := ledger.BeginEpoch(ctx, m.Options, false); err != nil {
		t.Fatal(err)
	}
	if c := m.copy(); !c.verify(t, Options{Known: c.tail()}).OK() {
		t.Errorf("restored: %s", faultsOf(c.verify(t, Options{})))
	}
	m.Open()
	for range 80 {
		m.live()
	}
	if r := m.shut().verify(t, Options{}); !r.OK() || r.Charges < 10 {
		t.Errorf("after the restore: %+v", r)
	}
}

// The rows of an hour that has ended are written by whoever reads the clock next. In an hour without a charge no record
// says so. A kill right then leaves a journal that verifies.
func TestAnHourThatEndsWithoutARecordVerifies(t *testing.T) {
	m := openMarket(t, 3, func(o *ledger.Options) { o.CheckpointAge = 24 * time.Hour })
	_ = m.Settled() // which writes all totals for the next minute
	e := m.event()
	for e.Award.Basis.Pricing != hexbid.CPC || e.Kind != hexbid.Impression {
		e = m.event()
	}
	m.Report(e)
	m.Clock.Pass(time.Hour)
	m.Report(e)
	c := m.copy()
	if r := c.verify(t, Options{Known: c.tail()}); !r.OK() {
		t.Error(faultsOf(r))
	}
}
