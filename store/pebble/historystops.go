package pebble

import (
	"bytes"
	"cmp"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// A history goes down the changes of a thread: all of them, those of a name, or those of an owner. Each has an iterator
// over keys that end with a version.
//
// Where a block of a file is damaged, Pebble cannot say which keys it held, but it can seek to keys beside it. The
// history then tells one stretch for all that the block may have held, and goes on below. It finds the lower end of the
// stretch by halving: a seek from there works, and a seek from the next version does not.

// thread is where the changes of a thread are found.
type thread struct {
	iter   *pebble.Iterator
	prefix []byte // of its keys; the version follows
}

func (r *historyReader) threadOf(of *store.Thread) thread {
	t := thread{iter: r.log.changes, prefix: changeKey(0)}
	switch {
	case of.Whole:
		t = thread{iter: r.owners, prefix: appendOwnerKey(nil, of.Name, 0)}
	case of.Name != "":
		t = thread{iter: r.log.history, prefix: appendHistoryKey(nil, of.Name, 0)}
	}
	t.prefix = t.prefix[:len(t.prefix)-8]
	return t
}

func (t *thread) key(version uint64) []byte {
	return binary.BigEndian.AppendUint64(bytes.Clone(t.prefix), version)
}

// below returns the last change of a thread before a version.
func (r *historyReader) below(of *store.Thread, before uint64) (store.Stop, error) {
	t := r.threadOf(of)
	if before <= r.lowest() {
		return store.Stop{}, nil
	}
	version, err := r.seek(&t, before)
	switch {
	case hexbid.KindOf(err) == hexbid.DataLoss:
		return r.stretch(&t, before)
	case err == nil && version == 0 && t.iter == r.log.changes:
		err = r.checkStart()
	}
	return store.Stop{Version: version}, err
}

// lowest returns the lowest version that the log may hold.
func (r *historyReader) lowest() uint64 { return r.log.view.clock.log.start + 1 }

// seek returns the version of the last change of a thread before a version, 0 for none. It does not walk over the keys
// that the log has dropped, which may stay in the files for a while.
func (r *historyReader) seek(t *thread, before uint64) (uint64, error) {
	r.seeks++
	if t.iter.SeekLTWithLimit(t.key(before), t.key(r.lowest())) != pebble.IterValid {
		return 0, r.log.view.store.folder.Ended(t.iter)
	}
	if found := t.iter.Key(); len(found) != len(t.prefix)+8 || !bytes.HasPrefix(found, t.prefix) {
		return 0, nil
	}
	return versionIn(t.iter.Key()), nil
}

// stretch returns the stretch that ends before a version, from which no seek works.
func (r *historyReader) stretch(t *thread, before uint64) (store.Stop, error) {
	works := func(version uint64) (bool, error) {
		_, err := r.seek(t, version)
		if hexbid.KindOf(err) == hexbid.DataLoss {
			return false, nil
		}
		return err == nil, err
	}
	low, high := before, before // where a seek works, once one does, and where it does not
	for step := uint64(1); ; step *= 2 {
		low = max(r.lowest(), high-min(step, high))
		if ok, err := works(low); err != nil || !ok && low == r.lowest() {
			return store.Stop{Version: low, Stretch: true}, err
		} else if ok {
			break
		}
		high = low
	}
	for high-low > 1 {
		middle := low + (high-low)/2
		if ok, err := works(middle); err != nil {
			return store.Stop{}, err
		} else if ok {
			low = middle
		} else {
			high = middle
		}
	}
	return store.Stop{Version: low, Stretch: true}, nil
}

// checkStart returns an error if the first change of the log is missing.
func (r *historyReader) checkStart() error {
	changes, bounds := r.log.changes, &r.log.view.clock.log
	first := bounds.lastHash[:]
	if changes.First() {
		value, err := changes.ValueAndErr()
		if err != nil {
			return r.log.view.store.folder.Unreadable(err)
		}
		first = previousIn(value)
	}
	if !bytes.Equal(first, bounds.startHash[:]) {
		r.log.last = bounds.start
		return cmp.Or(r.log.view.store.folder.Ended(changes), r.log.broken("its first record is missing"))
	}
	return nil
}

// previousIn returns the hash that ends a record of the log: that of the record before.
func previousIn(value []byte) []byte { return value[max(0, len(value)-len(digest{})):] }
