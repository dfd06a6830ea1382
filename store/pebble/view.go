package pebble

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/folder"
	"github.com/hexbid/hexbid/store"
)

// view is the catalogue after a synced round of commits. Pebble shows a batch to readers before its sync has ended, so
// all reads go through a view, which the committer replaces after each sync. The store is one of the holders of a
// view's snapshot.
type view struct {
	store    *Store
	snapshot *folder.Snapshot
	clock    clock
	round    uint64    // number of the last round in the view
	latest   time.Time // when the last change was made
}

var _ store.View = (*view)(nil)

// publish makes the present content of Pebble the view of all readers. Only one goroutine writes and publishes.
func (s *Store) publish(next *view) (err error) {
	next.store = s
	if next.snapshot, err = s.folder.Snapshot(); err != nil {
		return err
	}
	if before := s.synced.Swap(next); before != nil {
		before.release()
	}
	return nil
}

// opening returns a view of the folder while the store is being opened. The caller releases it.
func (s *Store) opening() (*view, error) {
	snapshot, err := s.folder.Snapshot()
	return &view{store: s, snapshot: snapshot, clock: s.clock}, err
}

// reading calls f with the present view unless the store is closed.
func (s *Store) reading(f func(*view) error) error {
	v := s.look()
	if v == nil {
		return errClosed
	}
	defer v.release()
	return f(v)
}

// look returns the present view, held, or nil when the store is closed. The caller releases it.
func (s *Store) look() *view {
	if s.closed.Load() {
		return nil
	}
	return s.hold()
}

// hold is look for the committer, which continues until its last round has ended.
func (s *Store) hold() *view {
	for {
		v := s.synced.Load()
		if v == nil || v.snapshot.Hold() {
			return v
		}
	}
}

func (v *view) release() { v.snapshot.Release() }

// read calls use with the value of a key; use must not retain it. found is false when there is none.
func (v *view) read(key []byte, use func(value []byte) error) (found bool, err error) {
	value, closer, err := v.snapshot.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, v.store.folder.Unreadable(err)
	}
	defer closer.Close()
	return true, use(value)
}

// Record implements store.View.
func (v *view) Record(name string) (r store.Record, there bool, err error) {
	kind := kindIn(name)
	there, err = v.read(recordKey(kind, name), func(value []byte) (err error) {
		r, err = v.store.decode(kind, value)
		return err
	})
	return r, there && err == nil, err
}

// Exists implements store.View.
func (v *view) Exists(name string) (bool, error) {
	return v.read(recordKey(kindIn(name), name), func([]byte) error { return nil })
}

// NameOf implements store.View.
func (v *view) NameOf(uid hexbid.UID) (name string, err error) {
	_, err = v.read(uidKey(uid), func(value []byte) error {
		name = string(value)
		return nil
	})
	return name, err
}

// Verdict implements store.View.
func (v *view) Verdict(name string) (verdict store.Verdict, err error) {
	_, err = v.read(verdictKey(name), func(value []byte) (err error) {
		verdict, err = v.store.decodeVerdict(value)
		return err
	})
	return verdict, err
}

// Counted implements store.View.
func (v *view) Counted(owner string, c store.Counter) (value int64, err error) {
	_, err = v.read(appendCounterKey(nil, owner, c), func(b []byte) (err error) {
		value, err = v.store.decodeCounter(b)
		return err
	})
	return value, err
}

// Referrers implements store.View.
func (v *view) Referrers(name string, visit func(string) bool) error {
	from := appendReferenceKey(nil, name, "")
	end := append(from[:len(from)-1:len(from)-1], 1)
	iter, err := v.snapshot.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: end})
	if err != nil {
		return v.store.folder.Unreadable(err)
	}
	defer iter.Close()
	for ok := iter.First(); ok && visit(string(iter.Key()[len(from):])); ok = iter.Next() {
	}
	return v.store.folder.Ended(iter)
}

// isVersion reports whether the record of a name has a uid and a version. It decodes nothing else.
func (v *view) isVersion(name string, want numbers) (is bool, err error) {
	_, err = v.read(recordKey(kindIn(name), name), func(value []byte) error {
		got, err := decodeNumbers(value)
		if err != nil {
			return v.store.folder.Damaged(err)
		}
		is = got == want
		return nil
	})
	return is, err
}

func (s *Store) decodeCounter(b []byte) (int64, error) {
	value, n := binary.Varint(b)
	if n != len(b) {
		return 0, s.folder.Damaged(errors.New("a counter that is no number"))
	}
	return value, nil
}
