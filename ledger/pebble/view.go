package pebble

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hexbid/hexbid/folder"
	"github.com/hexbid/hexbid/ledger/journal"
)

// view is the journal after a synced batch. All readers share it until the next batch; the journal is one of the
// holders of its snapshot.
type view struct {
	reader
	snapshot *folder.Snapshot
}

// reader reads the tables from a Pebble, or from a snapshot of one.
type reader struct {
	pebble.Reader
	folder *folder.Folder
	last   uint64
}

// publish makes the present content of Pebble the view of all readers. Only the writer calls it, between two batches.
func (j *Journal) publish() error {
	snapshot, err := j.folder.Snapshot()
	if err != nil {
		return err
	}
	next := &view{reader{snapshot, j.folder, j.end.last}, snapshot}
	if before := j.synced.Swap(next); before != nil {
		before.snapshot.Release()
	}
	return nil
}

// View implements journal.Journal.
func (j *Journal) View() (journal.View, error) {
	for !j.closed.Load() {
		v := j.synced.Load()
		if v == nil {
			break
		}
		if v.snapshot.Hold() {
			return &held{view: v}, nil
		}
	}
	return nil, errClosed
}

// held is a view in the hands of one caller.
type held struct {
	*view
	closed bool
}

// Close implements journal.View. Only the first call has an effect.
func (h *held) Close() error {
	if !h.closed {
		h.closed = true
		h.snapshot.Release()
	}
	return nil
}

// Last implements journal.View.
func (r *reader) Last() uint64 { return r.last }

// Get implements journal.View.
func (r *reader) Get(t journal.Table, key []byte) ([]byte, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	var room [64]byte
	value, closer, err := r.Reader.Get(append(append(room[:0], byte(t)), key...))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, r.folder.Unreadable(err)
	}
	defer closer.Close()
	return append([]byte{}, value...), nil
}

// Scan implements journal.View.
func (r *reader) Scan(t journal.Table, from, to []byte, visit journal.Visit) error {
	return r.walk(t, from, to, visit, order{(*pebble.Iterator).First, (*pebble.Iterator).Next})
}

// ScanBack implements journal.View.
func (r *reader) ScanBack(t journal.Table, from, to []byte, visit journal.Visit) error {
	return r.walk(t, from, to, visit, order{(*pebble.Iterator).Last, (*pebble.Iterator).Prev})
}

// order is a way through the keys of an iterator. Both steps report whether it stands on a key.
type order struct{ first, next func(*pebble.Iterator) bool }

func (r *reader) walk(t journal.Table, from, to []byte, visit journal.Visit, o order) error {
	if err := t.Validate(); err != nil {
		return err
	}
	lower, upper := bounds(t, from, to)
	iter, err := r.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return r.folder.Unreadable(err)
	}
	defer iter.Close()
	for ok := o.first(iter); ok; ok = o.next(iter) {
		value, err := iter.ValueAndErr()
		if err != nil {
			return r.folder.Unreadable(err)
		}
		if more, err := visit(iter.Key()[1:], value); err != nil || !more {
			return err
		}
	}
	return r.folder.Ended(iter)
}
