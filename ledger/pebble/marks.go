package pebble

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hexbid/hexbid/folder"
)

// Every batch writes a mark, a key with its number. Open looks for the marks, because Pebble itself notices neither of
// two losses. It replays the logs of writes that it finds, and does not notice that one in the middle is gone. Nor does
// it notice the loss of tables when somebody has put an older manifest back, which does not list them.
//
// A mark may be removed only when the loss of its batch would show without it. So a mark stays until its batch is in a
// table. Of the batches in tables, every span-th keeps its mark for good. After an older manifest was put back, either
// one of these or a younger mark is missing.
const defaultSpan = 1 << 16

// marks adds a journal's marks and thins them out.
type marks struct {
	span     uint64
	inTables uint64          // every batch up to this number is in a table
	flushed  <-chan struct{} // closed when every batch up to flushing is; nil for no flush
	flushing uint64
}

func appendMarkKey(b []byte, number uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, 0, 'b'), number)
}

func markKey(number uint64) []byte { return appendMarkKey(nil, number) }

// add marks a batch, and removes the marks that may go by now.
func (m *marks) add(batch *pebble.Batch, next *end) {
	_ = batch.Set(markKey(next.number), nil, nil) // a batch in memory takes every step
	for next.marked+m.span <= m.inTables {
		_ = batch.DeleteRange(markKey(next.marked+1), markKey(next.marked+m.span), nil)
		next.marked += m.span
	}
}

// thin has Pebble write its batches to tables when two spans of marks are left. It does not wait for that: commits go
// on meanwhile, and on a disk that refuses, Pebble would try for ever.
func (m *marks) thin(f *folder.Folder, now *end) {
	if m.flushed != nil {
		select {
		case <-m.flushed:
			m.inTables, m.flushed = m.flushing, nil
		default:
		}
		return
	}
	if now.number < now.marked+2*m.span || now.marked+m.span <= m.inTables {
		return
	}
	var flushed <-chan struct{}
	if err := f.Attempt(func() (err error) { flushed, err = f.DB.AsyncFlush(); return err }); err != nil {
		return // the folder has failed
	}
	m.flushed, m.flushing = flushed, now.number
}

// check reports the first batch whose mark is missing, 0 for none.
func (m *marks) check(f *folder.Folder, e *end) (missing uint64, err error) {
	iter, err := f.DB.NewIter(&pebble.IterOptions{LowerBound: markKey(0), UpperBound: []byte{0, 'b' + 1}})
	if err != nil {
		return 0, f.Unreadable(err)
	}
	defer iter.Close()
	wanted := m.after(0, e)
	for ok := iter.First(); ok && wanted <= e.number; ok = iter.Next() {
		if len(iter.Key()) != len(markKey(0)) {
			return 0, f.Damaged(fmt.Errorf("a mark %x", iter.Key()))
		}
		if number := binary.BigEndian.Uint64(iter.Key()[2:]); number != wanted {
			break
		}
		wanted = m.after(wanted, e)
	}
	if err := f.Ended(iter); err != nil || wanted > e.number {
		return 0, err
	}
	return wanted, nil
}

// after returns the number of the mark that follows one.
func (m *marks) after(number uint64, e *end) uint64 {
	if number < e.marked {
		return number + m.span
	}
	return number + 1
}
