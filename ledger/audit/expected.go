package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash/fnv"
	"math/bits"

	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
)

// expected is what the tables of a journal must hold. A log of ten million events has tens of millions of rows. So of
// most rows it keeps only how many there are and the sum of their hashes, by table and part. Where a part differs from
// the journal's, the journal is folded again, and the rows of that part are kept whole (suspects).
type expected struct {
	parts map[part]*tally
	// again are rows that may be put more than once, with the hash that the sum has of each.
	again map[row][sha256.Size]byte
	// state are the rows of accounts and used tokens at the last checkpoint.
	state map[row][]byte
	// settled are rows of totals that were not final when they were put, later those that were put after the accounts
	// in ever were kept. Both are kept for a compacted journal alone, later from that moment on.
	settled, later map[row][]byte
	// suspects are the parts whose rows are kept in rows; empty in a first pass.
	suspects map[part]bool
	rows     map[row][]byte
}

func newExpected(suspects map[part]bool) expected {
	return expected{parts: map[part]*tally{}, again: map[row][sha256.Size]byte{}, state: map[row][]byte{},
		suspects: suspects, rows: map[row][]byte{}}
}

// row names a row.
type row struct {
	table journal.Table
	key   string
}

// part is one of the parts that a table's rows are counted in.
type part struct {
	table  journal.Table
	number uint32
}

// parts is how many parts a table has, except Answers. These are parted by hour, because whole hours are forgotten.
const parts = 4096

func partOf(t journal.Table, key []byte) part {
	if t == journal.Answers && len(key) >= 4 {
		return part{t, binary.BigEndian.Uint32(key)}
	}
	h := fnv.New32a()
	h.Write(key)
	return part{t, h.Sum32() % parts}
}

// tally counts rows and adds up their hashes, modulo 2^256.
type tally struct {
	rows uint64
	sum  [4]uint64
}

func (t *tally) add(print [sha256.Size]byte) {
	t.rows++
	t.combine(print, bits.Add64)
}

func (t *tally) subtract(print [sha256.Size]byte) {
	t.rows--
	t.combine(print, bits.Sub64)
}

func (t *tally) combine(print [sha256.Size]byte, with func(a, b, carry uint64) (uint64, uint64)) {
	var carry uint64
	for i := range t.sum {
		t.sum[i], carry = with(t.sum[i], binary.LittleEndian.Uint64(print[8*i:]), carry)
	}
}

// digest returns the sum as the ledger writes it.
func (t *tally) digest() (d fold.Digest) {
	for i, word := range t.sum {
		binary.LittleEndian.PutUint64(d[8*i:], word)
	}
	return d
}

func printOf(t journal.Table, key, value []byte) [sha256.Size]byte {
	b := make([]byte, 0, 2+len(key)+len(value))
	b = append(b, byte(t), byte(len(key)))
	return sha256.Sum256(append(append(b, key...), value...))
}

// isState reports whether a table's rows stand for the last checkpoint.
func isState(t journal.Table) bool { return t == journal.Accounts || t == journal.Uses }

// putAgain reports whether rows of a table are put again whenever the record of a name or an hour comes.
func putAgain(t journal.Table) bool {
	return t == journal.Names || t == journal.Members || t == journal.Roots
}

// isTotals reports whether a table's rows are totals. They name no record, so the records that compaction has left do
// not tell them any more.
func isTotals(t journal.Table) bool {
	return t == journal.Hours || t == journal.Days || t == journal.AdvertiserDays
}

// asSettled returns a row of totals as it stood for the accounts in ever: its value in the journal, unless it was put
// again since. It returns nil for a row that was not there, and false if the journal's value is wrong.
func (e *expected) asSettled(at row, value []byte) ([]byte, bool) {
	if later, ok := e.later[at]; ok {
		return e.settled[at], bytes.Equal(later, value)
	}
	return value, true
}

// put takes in rows that follow from a record.
func (e *expected) put(rows []journal.Row) {
	for _, r := range rows {
		if r.Table != journal.Meta && !isState(r.Table) {
			e.add(r, putAgain(r.Table))
		}
	}
}

// settle takes in rows that stand for all records so far. Those of totals may be put again.
func (e *expected) settle(rows []journal.Row) {
	for _, r := range rows {
		switch {
		case r.Table == journal.Meta:
		case isState(r.Table):
			e.setState(r)
		default:
			e.add(r, true)
			if e.settled != nil {
				e.settled[row{r.Table, string(r.Key)}] = bytes.Clone(r.Value)
			}
		}
	}
}

func (e *expected) setState(r journal.Row) {
	at := row{r.Table, string(r.Key)}
	if r.Value == nil {
		delete(e.state, at)
		return
	}
	e.state[at] = bytes.Clone(r.Value)
}

// add adds a row to the sum of its part, instead of an earlier one with its key.
func (e *expected) add(r journal.Row, again bool) {
	at := row{r.Table, string(r.Key)}
	p := partOf(r.Table, r.Key)
	if e.later != nil && isTotals(r.Table) {
		e.later[at] = bytes.Clone(r.Value)
	}
	if e.suspects[p] {
		e.rows[at] = bytes.Clone(r.Value)
	}
	t := e.parts[p]
	if t == nil {
		t = new(tally)
		e.parts[p] = t
	}
	print := printOf(r.Table, r.Key, r.Value)
	if before, known := e.again[at]; known {
		t.subtract(before)
		again = true
	}
	if again {
		e.again[at] = print
	}
	t.add(print)
}
