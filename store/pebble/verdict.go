package pebble

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// A verdict is CBOR with field names, as a record is. It has a key of its own, so
// that it outlives the place, and is written in the batch of the place that it is
// about, so that the two agree after any crash.

const verdictPrefix = "v/"

func verdictKey(name string) []byte { return append([]byte(verdictPrefix), name...) }

// fingerprintOf is what a verdict adds to the tally's sum. Its key begins like no
// name of a record.
func fingerprintOf(name string, v *store.Verdict) uint64 {
	return fingerprint(&hexbid.Meta{Name: verdictPrefix + name, Version: v.Version})
}

// Verdict implements store.Store.
func (s *Store) Verdict(_ context.Context, name string) (store.Verdict, error) {
	if s.closed.Load() {
		return store.Verdict{}, errClosed
	}
	return s.verdict(name)
}

func (s *Store) verdict(name string) (store.Verdict, error) {
	value, err := s.read(verdictKey(name))
	if err != nil || value == nil {
		return store.Verdict{}, err
	}
	return s.decodeVerdict(value)
}

func (s *Store) decodeVerdict(value []byte) (v store.Verdict, err error) {
	if err := decoding.Unmarshal(value, &v); err != nil {
		return v, damage("in "+s.dir, err)
	}
	return v, nil
}

// setVerdict writes a verdict into a batch and counts it in place of the present one.
func (s *Store) setVerdict(batch *pebble.Batch, name string, v *store.Verdict, counted *tally) error {
	before, err := s.verdict(name)
	if err != nil {
		return err
	}
	if before.Version > 0 {
		counted.records, counted.sum = counted.records-1, counted.sum-fingerprintOf(name, &before)
	}
	counted.records, counted.sum = counted.records+1, counted.sum+fingerprintOf(name, v)
	value, err := encoding.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding the verdict on %s: %w", name, err)
	}
	return batch.Set(verdictKey(name), value, nil)
}

// walkVerdicts counts the verdicts of a snapshot.
func (s *Store) walkVerdicts(ctx context.Context, snapshot *pebble.Snapshot) (found tally, err error) {
	iter, err := snapshot.NewIter(&pebble.IterOptions{LowerBound: []byte(verdictPrefix), UpperBound: []byte("v0")})
	if err != nil {
		return found, s.unreadable(err)
	}
	defer iter.Close()
	for ok := iter.First(); ok && ctx.Err() == nil; ok = iter.Next() {
		v, err := s.decodeVerdict(iter.Value())
		if err != nil {
			return found, err
		}
		found.records, found.sum = found.records+1, found.sum+fingerprintOf(string(iter.Key()[len(verdictPrefix):]), &v)
	}
	if err := iter.Error(); err != nil {
		return found, s.unreadable(err)
	}
	return found, ctx.Err()
}
