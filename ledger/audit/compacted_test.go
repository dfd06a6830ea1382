package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
)

// After compaction the fold begins at the base. What is older is compared by roots, links, digests and sums.
func TestCompactedLedgersVerify(t *testing.T) {
	m := openMarket(t, 11, func(o *ledger.Options) { o.Retention = 10 * 24 * time.Hour })
	for range 200 {
		m.live()
	}
	for range 30 {
		m.Clock.Pass(12 * time.Hour)
		for range 10 {
			m.live()
		}
	}
	m.waitForCompaction()
	c := m.shut()
	r := c.verify(t, Options{Known: c.tail()})
	if !r.OK() || r.First == 1 || r.Charges != uint64(len(m.charges)) {
		t.Fatalf("from record %d, %d charges of %d: %s", r.First, r.Charges, len(m.charges), faultsOf(r))
	}
	m.tamperCompacted(t, c)
	tamperRecords(t, c)
	tamperTotals(t, c)
	tamperBase(t, c)
}

func (m *market) waitForCompaction() {
	m.Helper()
	m.Wait("the compaction", func() bool {
		base, err := fold.RestoreBase(m.copy())
		if err != nil {
			m.Fatal(err)
		}
		return base.Last().Sequence > 100
	})
}

func (m *market) tamperCompacted(t *testing.T, c *copied) {
	tables := append(slices.Clone(compared), journal.Accounts, journal.Base)
	for _, table := range tables {
		for i, r := range c.rows[table] {
			if i%9 > 0 && len(c.rows[table]) > 20 {
				continue
			}
			if len(r.Value) > 0 {
				at := i % len(r.Value)
				r.Value[at] ^= 1
				if found := c.verify(t, Options{}); found.OK() {
					t.Errorf("byte %d of %s flipped is not found", at, row{table, string(r.Key)})
				}
				r.Value[at] ^= 1
			}
			c.without(table, i, func() {
				if found := c.verify(t, Options{}); found.OK() {
					t.Errorf("%s removed is not found", row{table, string(r.Key)})
				}
			})
		}
	}
}

// tamperRecords flips a byte of the records that compaction has left, and removes them.
func tamperRecords(t *testing.T, c *copied) {
	t.Helper()
	base, err := fold.RestoreBase(c)
	if err != nil {
		t.Fatal(err)
	}
	tried := map[string]int{}
	for i, r := range c.rows[journal.Records] {
		record, err := fold.Decode(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		kind := fmt.Sprintf("%T", record.Body)
		switch record.Body.(type) {
		case *fold.Event, *fold.HourOpened, *fold.HourClosed, *fold.Movement, *fold.Credit:
		default:
			continue // terms, checkpoints and compactions of before a base are compared with their neighbours alone
		}
		if tried[kind]++; record.Sequence > base.Last().Sequence || tried[kind] > 12 {
			continue
		}
		at := len(r.Value) - 60 // in the body or the ruling
		r.Value[at] ^= 1
		found := c.verify(t, Options{})
		if r.Value[at] ^= 1; found.OK() || kind == "*fold.HourClosed" && found.Faults[0].Sequence != record.Sequence {
			t.Errorf("a flip in record %d, %s: %s", record.Sequence, kind, faultsOf(found))
		}
		c.without(journal.Records, i, func() {
			if found := c.verify(t, Options{}); found.OK() {
				t.Errorf("record %d, %s, removed is not found", record.Sequence, kind)
			}
		})
	}
	if len(tried) < 4 {
		t.Errorf("only %v were tried", tried)
	}
}

// tamperTotals moves an impression from one hour to another, so that the sums of the campaign stay as they are.
func tamperTotals(t *testing.T, c *copied) {
	t.Helper()
	var first *journal.Row
	for i := range c.rows[journal.Hours] {
		r := &c.rows[journal.Hours][i]
		// The first field of totals is their impressions, a byte after its tag.
		if r.Value[0] != 8 || r.Value[1] > 60 || r.Value[1] < 2 {
			continue
		}
		if first == nil {
			first = r
			continue
		}
		if string(first.Key[4:]) != string(r.Key[4:]) {
			continue
		}
		first.Value[1]++
		r.Value[1]--
		found := c.verify(t, Options{})
		if first.Value[1], r.Value[1] = first.Value[1]-1, r.Value[1]+1; found.OK() {
			t.Error("an impression moved to another hour is not found")
		}
		return
	}
	t.Error("no campaign has two hours with a few impressions")
}

// tamperBase changes an account of the base, and the digest beside it so that the two fit.
func tamperBase(t *testing.T, c *copied) {
	t.Helper()
	rows := c.rows[journal.Base]
	point := rows[0].Value // it ends with the digest, and after two bytes of tags a hash of all before
	for i := range rows[1:] {
		r := &rows[1+i]
		if journal.Table(r.Key[0]) != journal.Accounts || r.Key[1] != 'a' {
			continue
		}
		digest := tally{}
		for word := range digest.sum {
			digest.sum[word] = binary.LittleEndian.Uint64(point[len(point)-66+8*word:])
		}
		kept := slices.Clone(r.Value)
		digest.subtract(printOf(journal.Accounts, r.Key[1:], r.Value))
		r.Value[len(r.Value)-2] ^= 2 // in what the advertiser owed at the end of its last day
		digest.add(printOf(journal.Accounts, r.Key[1:], r.Value))
		changed := digest.digest()
		before := slices.Clone(point)
		copy(point[len(point)-66:], changed[:])
		print := sha256.Sum256(point[:len(point)-34])
		copy(point[len(point)-32:], print[:])
		if _, err := fold.RestoreBase(c); err != nil {
			t.Fatalf("the base does not even load: %v", err)
		}
		if found := c.verify(t, Options{}); found.OK() || !strings.Contains(faultsOf(found), "state ") {
			t.Errorf("a base that was made to fit: %s", faultsOf(found))
		}
		copy(point, before)
		copy(r.Value, kept)
		return
	}
	t.Error("the base has no advertiser")
}
