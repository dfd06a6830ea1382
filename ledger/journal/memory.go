package journal

import (
	"bytes"
	"context"
	"encoding/binary"
	"sync"

	"github.com/tidwall/btree"

	"github.com/hexbid/hexbid"
)

// Memory keeps a journal in memory, for tests, demonstrations and simulations. Nothing survives the process.
type Memory struct {
	mu      sync.Mutex // guards the fields below
	rows    [TableCount]*btree.BTreeG[Row]
	changed [TableCount]bool // since the last commit
	last    uint64
	synced  *memoryView // what the last commit left
	closed  bool

	failed chan struct{} // never closed: memory takes every write
}

// NewMemory makes an empty journal.
func NewMemory() *Memory {
	m := &Memory{failed: make(chan struct{}), synced: &memoryView{}}
	for t := range m.rows {
		m.rows[t], m.changed[t] = btree.NewBTreeGOptions(func(a, b Row) bool { return bytes.Compare(a.Key, b.Key) < 0 },
			btree.Options{NoLocks: true}), true
	}
	m.publish()
	return m
}

var errClosed = hexbid.Errorf(hexbid.Unavailable, "", "the journal is closed")

// publish shows readers what stands in the tables. A copy of a tree shares its nodes until one of the two changes.
func (m *Memory) publish() {
	v := *m.synced
	v.last = m.last
	for t := range m.rows {
		if m.changed[t] {
			v.rows[t] = m.rows[t].Copy()
		}
	}
	m.synced, m.changed = &v, [TableCount]bool{}
}

// View implements Journal.
func (m *Memory) View() (View, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, errClosed
	}
	return m.synced, nil
}

// Commit implements Journal.
func (m *Memory) Commit(ctx context.Context, b *Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := b.Validate(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return errClosed
	}
	if err := b.Follows(m.last); err != nil {
		return err
	}
	for i := range b.Erase {
		m.erase(&b.Erase[i])
	}
	for _, record := range b.Records {
		m.last++
		m.put(&Row{Records, SequenceKey(m.last), record})
	}
	for i := range b.Rows {
		m.put(&b.Rows[i])
	}
	m.publish()
	return nil
}

// Keep implements Journal.
func (m *Memory) Keep(rows []Row) error {
	if err := (&Batch{Rows: rows}).Validate(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return errClosed
	}
	for i := range rows {
		m.put(&rows[i])
	}
	return nil
}

// put changes a row. It copies key and value, which the caller may use again.
func (m *Memory) put(r *Row) {
	m.changed[r.Table] = true
	if r.Value == nil {
		m.rows[r.Table].Delete(*r)
		return
	}
	m.rows[r.Table].Set(Row{r.Table, bytes.Clone(r.Key), append([]byte{}, r.Value...)})
}

func (m *Memory) erase(r *Range) {
	m.changed[r.Table] = true
	rows := m.rows[r.Table]
	var keys [][]byte
	rows.Ascend(Row{Key: r.From}, func(row Row) bool {
		if r.To != nil && bytes.Compare(row.Key, r.To) >= 0 {
			return false
		}
		keys = append(keys, row.Key)
		return true
	})
	for _, key := range keys {
		rows.Delete(Row{Key: key})
	}
}

// Checkpoint implements Journal. A journal in memory refuses.
func (m *Memory) Checkpoint(string) error {
	return hexbid.Errorf(hexbid.Unavailable, "data", "the journal is in memory: there is no folder to copy")
}

// Failed implements Journal.
func (m *Memory) Failed() <-chan struct{} { return m.failed }

// Failure implements Journal.
func (m *Memory) Failure() error { return nil }

// Close implements Journal. Views stay whole.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

// Restart closes the journal and returns one with what a power cut would have left: the last commit. Rows kept since
// then are lost.
func (m *Memory) Restart() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	next := &Memory{failed: make(chan struct{}), last: m.synced.last, synced: m.synced}
	for t := range next.rows {
		next.rows[t] = m.synced.rows[t].Copy()
	}
	return next
}

// memoryView is a copy of the trees. Nobody changes it, and reading a tree writes nothing to it.
type memoryView struct {
	rows [TableCount]*btree.BTreeG[Row]
	last uint64
}

// Get implements View.
func (v *memoryView) Get(t Table, key []byte) ([]byte, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	row, _ := v.rows[t].Get(Row{Key: key})
	return bytes.Clone(row.Value), nil
}

// Scan implements View.
func (v *memoryView) Scan(t Table, from, to []byte, visit Visit) (err error) {
	if err := t.Validate(); err != nil {
		return err
	}
	v.rows[t].Ascend(Row{Key: from}, func(row Row) (more bool) {
		if to != nil && bytes.Compare(row.Key, to) >= 0 {
			return false
		}
		more, err = visit(row.Key, row.Value)
		return more && err == nil
	})
	return err
}

// ScanBack implements View.
func (v *memoryView) ScanBack(t Table, from, to []byte, visit Visit) (err error) {
	if err := t.Validate(); err != nil {
		return err
	}
	each := func(row Row) (more bool) {
		switch {
		case to != nil && bytes.Compare(row.Key, to) >= 0:
			return true // the upper bound itself is outside
		case bytes.Compare(row.Key, from) < 0:
			return false
		}
		more, err = visit(row.Key, row.Value)
		return more && err == nil
	}
	if to == nil {
		v.rows[t].Reverse(each)
	} else {
		v.rows[t].Descend(Row{Key: to}, each)
	}
	return err
}

// Last implements View.
func (v *memoryView) Last() uint64 { return v.last }

// Close implements View.
func (v *memoryView) Close() error { return nil }

// SequenceKey returns the key of a record in Records.
func SequenceKey(sequence uint64) []byte { return binary.BigEndian.AppendUint64(nil, sequence) }
