package pebble

import (
	"context"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hexbid/hexbid/store"
)

// uncounted is the format whose records do not say what they add to the holdings of their advertisers. Decoding adds
// that (store.Record.CompleteCounts), so the records stay as they are and only the counters are written anew.
const uncounted = "4"

// recount gives a folder of format uncounted its counters, and the present format, in one batch.
func (s *Store) recount(ctx context.Context) error {
	format, err := s.folder.Read(keyFormat)
	if err != nil || string(format) != uncounted {
		return err
	}
	s.folder.Log.Info("counting what each advertiser has", "folder", s.folder.Dir, "from", uncounted, "to", Format)
	counted, err := s.countRecords(ctx)
	if err != nil {
		return err
	}
	if err := s.folder.CheckRoom(); err != nil {
		return err
	}
	batch := s.folder.DB.NewBatch()
	from, end := space(counterSpace)
	_ = batch.DeleteRange(from, end, nil) // a batch in memory takes every step
	s.clock.counters = tally{}
	for key, value := range counted {
		if value != 0 {
			s.clock.counters.add(fingerprintOfCounter(key.Owner, key.Counter, value))
			_ = batch.Set(appendCounterKey(nil, key.Owner, key.Counter), binary.AppendVarint(nil, value), nil)
		}
	}
	_ = batch.Set(keyClock, s.clock.encode(), nil)
	_ = batch.Set(keyFormat, []byte(Format), nil)
	return s.folder.Write(batch, pebble.Sync)
}

// countRecords adds up what all records count.
func (s *Store) countRecords(ctx context.Context) (map[store.CounterKey]int64, error) {
	v, err := s.opening()
	if err != nil {
		return nil, err
	}
	defer v.release()
	counted := map[store.CounterKey]int64{}
	_, err = v.walkRecords(ctx, func(r store.Record, _ *store.Derived) error {
		addCounts(counted, &r)
		return nil
	})
	return counted, err
}

// addCounts adds what a record counts, in the order in which an engine would have added it.
func addCounts(counted map[store.CounterKey]int64, r *store.Record) {
	for i := range r.Counts {
		c := &r.Counts[i]
		by := c.By
		if c.Times != 0 {
			by *= counted[store.CounterKey{Owner: c.TimesOwner, Counter: c.Times}]
		}
		counted[store.CounterKey{Owner: c.Owner, Counter: c.Counter}] += by
	}
}
