package pebble

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hexbid/hexbid"
	diskpb "github.com/hexbid/hexbid/proto/hexbid/disk/v1"
	"github.com/hexbid/hexbid/store"
)

// History reads the log from its end. An index by name leads to the changes of one name, and another by owner to those
// of everything that belongs to an advertiser, a user or a client. Without the second, a page of an advertiser's
// history would cost what other advertisers have changed meanwhile, and its reader could measure that.

// History implements store.Store.
func (s *Store) History(ctx context.Context, q store.HistoryQuery, visit func(*store.Past) bool) (uint64, error) {
	v := s.look()
	if v == nil {
		return 0, errClosed
	}
	defer v.release()
	reader, err := v.readHistory()
	if err != nil {
		return 0, err
	}
	defer reader.close()
	descent := store.NewDescent(&q, v.clock.version)
	descent.Below = reader.below
	var last uint64
	for descent.More() && reader.hasRoom() {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		stop, err := descent.Next()
		if err != nil {
			past, err := store.DamagedPast(0, err)
			if err == nil {
				visit(past)
			}
			return 0, err
		}
		if stop.Version == 0 {
			return 0, nil
		}
		past, err := reader.at(ctx, stop, q.Matches)
		if err != nil {
			return 0, err
		}
		if last = stop.Version; past != nil && !visit(past) {
			break
		}
	}
	return last, nil
}

// Born implements store.Store.
func (s *Store) Born(_ context.Context, uid hexbid.UID) (version uint64, err error) {
	err = s.reading(func(v *view) error {
		_, err := v.read(appendBirthKey(nil, uid), func(value []byte) error {
			if len(value) != 8 {
				return v.store.folder.Damaged(errors.New("a birth that is no version"))
			}
			version = binary.BigEndian.Uint64(value)
			return nil
		})
		return err
	})
	return version, err
}

// historyReader reads changes of a view by version.
type historyReader struct {
	log    logReader
	owners *pebble.Iterator
	read   int // bytes of the log, all in all
	seeks  int // of the changes of a thread
	ways       // from a change to the next one of a name
}

func (v *view) readHistory() (*historyReader, error) {
	r := &historyReader{log: logReader{view: v, later: laterChanges{view: v}}}
	r.ways, r.log.follow = r.newWays(), r.nextImage
	var err error
	if r.log.changes, err = v.iterate(changeSpace); err != nil {
		return nil, err
	}
	r.log.later.changes = r.log.changes
	if r.log.history, err = v.iterate(historySpace); err != nil {
		return nil, errors.Join(err, r.log.changes.Close())
	}
	if r.owners, err = v.iterate(ownerSpace); err != nil {
		r.log.close()
		return nil, err
	}
	return r, nil
}

func (r *historyReader) close() {
	r.log.close()
	_ = r.owners.Close() // its errors were told when they came
}

// hasRoom reports whether a call may read another change.
func (r *historyReader) hasRoom() bool {
	return r.read+r.log.later.read < store.HistoryBytes && r.looks < mostLooks
}

// at reads what a descent has stopped at, nil if it does not match.
func (r *historyReader) at(ctx context.Context, stop store.Stop,
	matches func(*store.Headline) bool) (*store.Past, error) {
	if stop.Stretch {
		return &store.Past{Change: store.Change{Version: stop.Version}, Damaged: true, Stretch: true}, nil
	}
	past, err := r.past(ctx, stop.Version, matches)
	if err != nil {
		return store.DamagedPast(stop.Version, err)
	}
	return past, nil
}

// past reads the change of a version, nil if it does not match.
func (r *historyReader) past(ctx context.Context, version uint64,
	matches func(*store.Headline) bool) (*store.Past, error) {
	r.log.last = version
	value, err := r.log.view.verified(r.log.changes, version)
	if err != nil {
		return nil, err
	}
	r.read += len(value)
	if matches != nil {
		headline, err := headlineOf(value)
		if err != nil {
			return nil, r.log.broken(err.Error())
		}
		if headline.Version = version; !matches(&headline) {
			return nil, nil
		}
	}
	record, err := decodeChange(value)
	if err != nil || record.GetVersion() != version {
		return nil, r.log.broken("a record was altered")
	}
	past := &store.Past{Change: *headOf(record)}
	past.Hash, past.Previous = sha256.Sum256(value), digest(record.GetPrevious())
	r.setOut()
	for _, e := range record.GetEntries() {
		if err := r.tell(ctx, past, e); err != nil {
			return nil, err
		}
	}
	return past, nil
}

// tell adds what a change did to one name, or that the log has lost it.
func (r *historyReader) tell(ctx context.Context, past *store.Past, e *diskpb.Entry) error {
	before := *past
	err := r.log.fill(ctx, &past.Change, e)
	if err == nil && e.GetVerdictBefore() != nil {
		err = r.addSet(ctx, past, e.GetName())
	}
	r.passed(e, past.Version)
	if hexbid.KindOf(err) != hexbid.DataLoss {
		return err
	}
	*past = before
	past.Lost = append(past.Lost, store.LostEntry{Name: e.GetName(), Before: hexbid.UID(e.GetUidBefore()),
		After: hexbid.UID(e.GetUidAfter())})
	return nil
}

// verified reads the record of a change by an iterator over the log, and compares its hash with the one that the next
// record holds, or the clock.
func (v *view) verified(iter *pebble.Iterator, version uint64) (value []byte, err error) {
	broken := (&logReader{view: v, last: version}).broken
	if !iter.SeekGE(changeKey(version)) || versionIn(iter.Key()) != version {
		return nil, cmp.Or(v.store.folder.Ended(iter), broken("it is missing"))
	}
	if value, err = iter.ValueAndErr(); err != nil {
		return nil, v.store.folder.Unreadable(err)
	}
	value = bytes.Clone(value)
	holds := v.clock.log.lastHash[:]
	if iter.Next() {
		next, err := iter.ValueAndErr()
		if err != nil {
			return nil, v.store.folder.Unreadable(err)
		}
		holds = previousIn(next)
	} else if err := v.store.folder.Ended(iter); err != nil {
		return nil, err
	}
	if hash := sha256.Sum256(value); !bytes.Equal(hash[:], holds) {
		return nil, broken("a record was altered, or is missing")
	}
	return value, nil
}

// headlineOf reads a record without decoding what its entries hold.
func headlineOf(value []byte) (h store.Headline, err error) {
	err = eachField(value, func(field protowire.Number, content []byte, _ uint64) error {
		switch field {
		case changeAt:
			at := new(timestamppb.Timestamp)
			err := proto.Unmarshal(content, at)
			h.At = at.AsTime()
			return err
		case changeWho:
			h.Who = string(content)
		case changeEntries:
			return eachField(content, func(field protowire.Number, content []byte, _ uint64) error {
				if field == entryName {
					h.Names = append(h.Names, string(content))
				}
				return nil
			})
		}
		return nil
	})
	return h, err
}

// indexOwners notes a change under those whom its names belong to, and whom it made.
func (r *round) indexOwners(entries []entry, got *store.Taken) {
	version := got.Change.Version
	eachOwner(entries, func(e entry) string { return e.name }, func(owner string) {
		r.room = appendOwnerKey(r.room[:0], owner, version)
		_ = r.batch.Set(r.room, nil, nil) // a batch in memory takes every Set
	})
	for _, uid := range got.Born {
		_ = r.batch.Set(appendBirthKey(nil, uid), binary.BigEndian.AppendUint64(nil, version), nil)
	}
}

// eachOwner calls f with each owner of the names of entries, once for all that follow each other.
func eachOwner[E any](entries []E, nameOf func(E) string, f func(owner string)) {
	last := ""
	for _, e := range entries {
		if owner := store.OwnerOf(nameOf(e)); owner != last {
			f(owner)
			last = owner
		}
	}
}

// eachBirth calls f with the uids of those whom a change made or revived.
func eachBirth(change *diskpb.Change, f func(hexbid.UID)) {
	for _, e := range change.GetEntries() {
		if store.BeginsLife(e.GetName(), hexbid.UID(e.GetUidBefore()), hexbid.UID(e.GetUidAfter())) {
			f(hexbid.UID(e.GetUidAfter()))
		}
	}
}

// indexLog indexes the log by owner, in a folder of an earlier program, which kept no such index and revived nobody. An
// interrupted run starts again from the beginning.
func (s *Store) indexLog(ctx context.Context) error {
	if done, err := s.folder.Read(keyOwners); err != nil || done != nil {
		return err
	}
	v, err := s.opening()
	if err != nil {
		return err
	}
	defer v.release()
	l := linker{store: s, batch: s.folder.DB.NewBatch()}
	if err := v.each(ctx, changeSpace, func(iter *pebble.Iterator) error { return l.indexChange(iter) }); err != nil {
		return err
	}
	_ = l.batch.Set(keyOwners, nil, nil) // a batch in memory takes every Set
	return l.write()
}

// indexChange indexes the change of an iterator by owner.
func (l *linker) indexChange(iter *pebble.Iterator) error {
	value, err := iter.ValueAndErr()
	if err != nil {
		return l.store.folder.Unreadable(err)
	}
	change, err := decodeChange(value)
	if err != nil {
		return l.store.folder.Damaged(fmt.Errorf("the log of changes: %w", err))
	}
	version := versionIn(iter.Key())
	eachOwner(change.GetEntries(), (*diskpb.Entry).GetName, func(owner string) {
		_ = l.batch.Set(appendOwnerKey(nil, owner, version), nil, nil)
	})
	eachBirth(change, func(uid hexbid.UID) {
		_ = l.batch.Set(appendBirthKey(nil, uid), binary.BigEndian.AppendUint64(nil, version), nil)
	})
	return l.writeFull()
}
