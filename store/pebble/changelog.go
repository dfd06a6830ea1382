package pebble

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hexbid/hexbid"
	diskpb "github.com/hexbid/hexbid/proto/hexbid/disk/v1"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/wire"
)

// The log of changes has one record for each change, under the change's version, written in the change's own batch. A
// record holds who made the change, from where and when, what stood under each name before, and the SHA-256 of the
// record before. The clock holds the hash of the last record, and that of the record before the first. So a reader of
// the log notices any record that is altered or missing.
//
// The log does not store what a change put. The next change of that name holds it as what stood before. If there is no
// next change, it is the present record. An index by name leads to the next change.

// log adds a group to the log of changes, and sets the hashes of its change.
func (r *round) log(got *store.Taken) error {
	c := &got.Change
	c.Previous = r.clock.log.lastHash
	entries, err := r.entriesOf(got)
	if err != nil {
		return err
	}
	value, err := appendHead(r.value[:0], c)
	if err != nil {
		return err
	}
	for i := range entries {
		r.room = entries[i].append(r.room[:0])
		value = appendBytes(value, changeEntries, r.room)
	}
	value = appendEnd(value, c.Version, c.Previous)
	r.value = value
	c.Hash = sha256.Sum256(value)
	r.room = appendChangeKey(r.room[:0], c.Version)
	_ = r.batch.Set(r.room, value, nil) // a batch in memory takes every Set
	for i := range entries {
		r.room = appendHistoryKey(r.room[:0], entries[i].name, c.Version)
		_ = r.batch.Set(r.room, nil, nil)
	}
	r.indexOwners(entries, got)
	r.clock.log.lastHash = c.Hash
	r.clock.log.bytes += uint64(len(value))
	r.logged = append(r.logged, stagedChange{*c, len(value)})
	return nil
}

// entriesOf returns an entry for each name that a group touches.
func (r *round) entriesOf(got *store.Taken) ([]entry, error) {
	list := entryList{entries: r.entries[:0]}
	clear(r.entries)
	for _, name := range got.Names { // whose order the log keeps
		list.add(name)
	}
	for i := range got.Change.Deletes {
		before := &got.Change.Deletes[i]
		if err := list.of(before.Meta().Name).replaces(before); err != nil {
			return nil, err
		}
	}
	for i := range got.Change.Puts {
		put := &got.Change.Puts[i]
		e := list.of(put.Meta().Name)
		e.after = put.Meta().UID
		if put.Before.Resource == nil {
			continue
		}
		if err := e.replaces(&put.Before); err != nil {
			return nil, err
		}
	}
	for i := range got.Verdicts {
		v := &got.Verdicts[i]
		if err := list.of(v.Name).replacesVerdict(&v.Before); err != nil {
			return nil, err
		}
	}
	r.entries = list.entries
	return list.entries, nil
}

// entryList has one entry for each name. It searches a few names one by one and indexes many.
type entryList struct {
	entries []entry
	at      map[string]int
}

const indexedAbove = 8

func (l *entryList) of(name string) *entry {
	i := -1
	if l.at != nil {
		if at, there := l.at[name]; there {
			i = at
		}
	} else {
		i = slices.IndexFunc(l.entries, func(e entry) bool { return e.name == name })
	}
	if i < 0 {
		i = len(l.entries)
		l.add(name)
	}
	return &l.entries[i]
}

func (l *entryList) add(name string) {
	l.entries = append(l.entries, entry{name: name})
	if len(l.entries) == indexedAbove {
		l.at = map[string]int{}
		for i := range l.entries {
			l.at[l.entries[i].name] = i
		}
	} else if l.at != nil {
		l.at[name] = len(l.entries) - 1
	}
}

func (e *entry) replaces(before *store.Record) (err error) {
	e.before = before.Meta().UID
	e.image, err = encode(before)
	return err
}

// replacesVerdict notes the verdict that stood before, the empty one if there was none.
func (e *entry) replacesVerdict(before *store.Verdict) (err error) {
	if e.verdict = []byte{}; before.Version > 0 {
		e.verdict, err = encodeVerdict(before)
	}
	return err
}

// Log implements store.Store.
func (s *Store) Log(ctx context.Context, after uint64, visit func(*store.Change) bool) error {
	v := s.look()
	if v == nil {
		return errClosed
	}
	defer v.release()
	if after < v.clock.log.start || after > v.clock.version {
		return store.Gap(after, v.clock.log.start)
	}
	reader, err := v.readLog(after)
	if err != nil {
		return err
	}
	defer reader.close()
	for {
		c, err := reader.next(ctx)
		if err != nil || c == nil || !visit(c) {
			return err
		}
	}
}

// logReader reads the log of changes of a view.
type logReader struct {
	view     *view
	changes  *pebble.Iterator
	history  *pebble.Iterator
	previous digest
	last     uint64 // version of the last change read
	later    laterChanges
	// follow returns the entry of the change that found the record which the change of a version put, nil for none.
	follow func(ctx context.Context, version uint64, name string) (*diskpb.Entry, error)
}

// readLog starts after a version, which the log must reach back to.
func (v *view) readLog(after uint64) (*logReader, error) {
	r := &logReader{view: v, previous: v.clock.log.startHash, last: after, later: laterChanges{view: v}}
	r.follow = r.laterImage
	var err error
	if r.changes, err = v.iterate(changeSpace); err != nil {
		return nil, err
	}
	if r.history, err = v.iterate(historySpace); err != nil {
		return nil, errors.Join(err, r.changes.Close())
	}
	if r.changes.SeekLT(changeKey(after + 1)) {
		r.previous = sha256.Sum256(r.changes.Value())
		r.changes.Next()
	} else {
		r.changes.First()
	}
	return r, nil
}

// iterate returns an iterator over a space of keys.
func (v *view) iterate(letter byte) (*pebble.Iterator, error) {
	from, end := space(letter)
	iter, err := v.snapshot.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: end})
	if err != nil {
		return nil, v.store.folder.Unreadable(err)
	}
	return iter, nil
}

func (r *logReader) close() {
	_, _ = r.changes.Close(), r.history.Close() // their errors were told when they came
}

// next returns the next change, nil at the end of the log.
func (r *logReader) next(ctx context.Context) (*store.Change, error) {
	previous := r.previous
	record, err := r.link(ctx)
	if err != nil || record == nil {
		return nil, err
	}
	c := headOf(record)
	c.Previous, c.Hash = previous, r.previous
	for _, e := range record.GetEntries() {
		if err := r.fill(ctx, c, e); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// headOf returns what a record says of the change as a whole.
func headOf(record *diskpb.Change) *store.Change {
	c := &store.Change{Version: record.GetVersion(), Who: record.GetWho(), From: record.GetFrom(),
		Key: record.GetCredential(), Undoes: record.GetUndoes()}
	if record.GetAt() != nil {
		c.At = record.GetAt().AsTime()
	}
	return c
}

// link reads the next record and checks that it holds the hash of the one before; nil at the end of the log.
func (r *logReader) link(ctx context.Context) (*diskpb.Change, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !r.changes.Valid() {
		err := r.view.store.folder.Ended(r.changes)
		if err == nil && r.previous != r.view.clock.log.lastHash {
			err = r.broken("its end is missing")
		}
		return nil, err
	}
	value, err := r.changes.ValueAndErr()
	if err != nil {
		return nil, r.view.store.folder.Unreadable(err)
	}
	record, err := decodeChange(value)
	if err != nil {
		return nil, r.broken(err.Error())
	}
	if !bytes.Equal(record.GetPrevious(), r.previous[:]) || record.GetVersion() != versionIn(r.changes.Key()) {
		return nil, r.broken("a record was altered, or is missing")
	}
	r.previous, r.last = sha256.Sum256(value), record.GetVersion()
	r.changes.Next()
	return record, nil
}

// broken returns the error for a log whose chain is broken. The catalogue's records do not depend on the log.
func (r *logReader) broken(how string) error {
	return hexbid.Errorf(hexbid.DataLoss, "data", "the log of changes in %s breaks off behind version %d (%s): "+
		"restore the catalogue from a copy, or start once with --accept-loss to begin the log anew",
		r.view.store.folder.Dir, r.last, how)
}

// logIsWhole reads the whole log. Its error says where the chain breaks.
func (s *Store) logIsWhole(ctx context.Context) error {
	v, err := s.opening()
	if err != nil {
		return err
	}
	defer v.release()
	reader, err := v.readLog(v.clock.log.start)
	if err != nil {
		return err
	}
	defer reader.close()
	for {
		if record, err := reader.link(ctx); err != nil || record == nil {
			return err
		}
	}
}

// fill adds to a change what it did to the name of one of its entries.
func (r *logReader) fill(ctx context.Context, c *store.Change, e *diskpb.Entry) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := r.view.store.addVerdict(c, e); err != nil {
		return err
	}
	before, err := r.view.store.image(e)
	if err != nil {
		return err
	}
	if e.GetUidBefore() != 0 && e.GetUidBefore() != e.GetUidAfter() {
		c.Deletes = append(c.Deletes, before)
		before = store.Record{}
	}
	if e.GetUidAfter() == 0 {
		return nil
	}
	w := store.Written{Before: before}
	if w.Record, err = r.after(ctx, c.Version, e); err != nil {
		return err
	}
	if w.Derived, err = r.view.derivedOf(&w.Record); err != nil {
		return err
	}
	c.Puts = append(c.Puts, w)
	return nil
}

// addVerdict adds the verdict that an entry found, if the change has replaced it.
func (s *Store) addVerdict(c *store.Change, e *diskpb.Entry) error {
	if e.GetVerdictBefore() == nil {
		return nil
	}
	v, err := wire.UnpackVerdict(e.GetVerdictBefore())
	if err != nil {
		return s.folder.Damaged(err)
	}
	c.Verdicts = append(c.Verdicts, store.PastVerdict{Name: e.GetName(), Verdict: store.Verdict(v)})
	return nil
}

// image decodes the record that stood before an entry's change, the zero Record if there was none.
func (s *Store) image(e *diskpb.Entry) (store.Record, error) {
	if e.GetUidBefore() == 0 {
		return store.Record{}, nil
	}
	r, err := unpack(kindIn(e.GetName()), e.GetBefore())
	if err != nil {
		return r, s.folder.Damaged(err)
	}
	return r, nil
}

// after returns the record that the change of a version left under a name: the image that the next change of the name
// found, or the present record if there is no later change.
func (r *logReader) after(ctx context.Context, version uint64,
	e *diskpb.Entry) (record store.Record, err error) {
	later, err := r.follow(ctx, version, e.GetName())
	there := later != nil
	if there {
		record, err = r.view.store.image(later)
	}
	if err == nil && !there {
		record, there, err = r.view.Record(e.GetName())
	}
	if err == nil && (!there || uint64(record.Meta().UID) != e.GetUidAfter() || record.Meta().Version != version) {
		err = r.broken(fmt.Sprintf("what version %d put under %q is not there", version, e.GetName()))
	}
	return record, err
}

// laterImage returns the first entry of a name after a version that found a record. Those that found none set the
// verdict alone. A reader of the whole log passes over each of them once, because it goes from record to record.
func (r *logReader) laterImage(ctx context.Context, version uint64, name string) (*diskpb.Entry, error) {
	return r.laterEntry(ctx, version, name, foundRecord)
}

// laterEntry returns the first entry of a name after a version that is wanted, nil if there is none.
func (r *logReader) laterEntry(ctx context.Context, version uint64, name string,
	wanted func(*diskpb.Entry) bool) (*diskpb.Entry, error) {
	prefix := appendHistoryKey(nil, name, version)
	from := appendHistoryKey(nil, name, version+1)
	for ok := r.history.SeekGE(from); ok && bytes.HasPrefix(r.history.Key(),
		prefix[:len(prefix)-8]); ok = r.history.Next() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		later, err := r.later.entry(versionIn(r.history.Key()), name)
		if err != nil || wanted(later) {
			return later, err
		}
	}
	return nil, r.view.store.folder.Ended(r.history)
}

// derivedOf reads the data derived from a record, nil when there is none of its version.
func (v *view) derivedOf(r *store.Record) (kept *store.Derived, err error) {
	m := r.Meta()
	_, err = v.read(appendDerivedKey(nil, kindIn(m.Name), m.Name), func(value []byte) error {
		d, err := decodeDerived(value)
		if err != nil {
			return v.store.folder.Damaged(err)
		}
		if d.UID == m.UID && d.Version == m.Version {
			kept = &d
		}
		return nil
	})
	return kept, err
}

// mostLaterBytes bounds the memory for later changes that a reader of the log has decoded, measured by their size in
// the log. The last one is always kept.
const mostLaterBytes = 16 << 20

// laterChanges finds entries of changes by name. Successive changes often touch the same names, for example when a file
// is uploaded again. So laterChanges decodes each change once and keeps it.
type laterChanges struct {
	view    *view
	changes *pebble.Iterator                    // unless nil, changes are compared with the hash that the next holds
	kept    map[uint64]map[string]*diskpb.Entry // by version, then name
	bytes   int                                 // of what is kept
	decoded int                                 // changes, all in all
	read    int                                 // bytes of them
}

func (l *laterChanges) entry(version uint64, name string) (*diskpb.Entry, error) {
	byName := l.kept[version]
	if byName == nil {
		var err error
		if byName, err = l.decode(version); err != nil {
			return nil, err
		}
	}
	e := byName[name]
	if e == nil {
		return nil, l.view.store.folder.Damaged(fmt.Errorf("the log of changes has version %d without %q", version, name))
	}
	return e, nil
}

func (l *laterChanges) decode(version uint64) (map[string]*diskpb.Entry, error) {
	byName := map[string]*diskpb.Entry{}
	l.decoded++
	size := 0
	err := l.value(version, func(value []byte) error {
		size = len(value)
		record, err := decodeChange(value)
		if err != nil {
			return l.view.store.folder.Damaged(err)
		}
		for _, e := range record.GetEntries() {
			byName[e.GetName()] = e
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	l.read += size
	if l.bytes += size; l.kept == nil || l.bytes > mostLaterBytes {
		l.kept, l.bytes = map[uint64]map[string]*diskpb.Entry{}, size
	}
	l.kept[version] = byName
	return byName, nil
}

// value calls use with the record of a version.
func (l *laterChanges) value(version uint64, use func(value []byte) error) error {
	if l.changes != nil {
		value, err := l.view.verified(l.changes, version)
		if err != nil {
			return err
		}
		return use(value)
	}
	found, err := l.view.read(changeKey(version), use)
	if err == nil && !found {
		err = l.view.store.folder.Damaged(fmt.Errorf("the log of changes lacks version %d", version))
	}
	return err
}

// latestChange returns when the last change was made.
func (s *Store) latestChange() (at time.Time, err error) {
	value, err := s.folder.Read(changeKey(s.clock.version))
	if err != nil || value == nil {
		return at, err
	}
	change, err := decodeChange(value)
	if err != nil {
		return at, s.folder.Damaged(err)
	}
	return change.GetAt().AsTime(), nil
}
