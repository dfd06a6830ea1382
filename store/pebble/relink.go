package pebble

import (
	"context"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hexbid/hexbid/store"
)

// bytesABatch bounds each batch that brings over a folder while it is opened.
const bytesABatch = 4 << 20

// relink writes names by uid, references and counters anew from the records, and computes the tally of the counters. An
// interrupted relink starts again from the beginning.
func (s *Store) relink(ctx context.Context) error {
	l := linker{store: s, batch: s.folder.DB.NewBatch(), counted: map[store.CounterKey]int64{}}
	for _, letter := range []byte{uidSpace, referenceSpace, counterSpace} {
		from, end := space(letter)
		_ = l.batch.DeleteRange(from, end, nil) // a batch in memory takes every step
	}
	v, err := s.opening()
	if err != nil {
		return err
	}
	defer v.release()
	if _, err := v.walkRecords(ctx, func(r store.Record, _ *store.Derived) error { return l.link(&r) }); err != nil {
		return err
	}
	s.clock.counters = tally{}
	for key, value := range l.counted {
		if value == 0 {
			continue
		}
		s.clock.counters.add(fingerprintOfCounter(key.Owner, key.Counter, value))
		_ = l.batch.Set(appendCounterKey(nil, key.Owner, key.Counter), binary.AppendVarint(nil, value), nil)
		if err := l.writeFull(); err != nil {
			return err
		}
	}
	return l.write()
}

// linker collects the names, references and counters of records.
type linker struct {
	store   *Store
	batch   *pebble.Batch
	counted map[store.CounterKey]int64
}

func (l *linker) link(r *store.Record) error {
	m := r.Meta()
	_ = l.batch.Set(uidKey(m.UID), []byte(m.Name), nil)
	for i := range r.Refers {
		_ = l.batch.Set(appendReferenceKey(nil, r.Refers[i].Name, m.Name), nil, nil)
	}
	addCounts(l.counted, r)
	return l.writeFull()
}

// writeFull writes the batch once it has reached bytesABatch.
func (l *linker) writeFull() error {
	if l.batch.Len() < bytesABatch {
		return nil
	}
	return l.write()
}

func (l *linker) write() error {
	if err := l.store.folder.Write(l.batch, pebble.Sync); err != nil {
		return err
	}
	l.batch = l.store.folder.DB.NewBatch()
	return nil
}
