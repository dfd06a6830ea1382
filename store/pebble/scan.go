package pebble

import (
	"context"
	"runtime"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// A scan reads in one goroutine, decodes on every core, which is what costs, and
// hands records on in order in the caller's. Chunks of records travel with a
// channel each for what becomes of them, and the channels stand in order.
const (
	recordsAChunk = 256
	chunksAhead   = 16
)

type chunk struct {
	kinds   []hexbid.ResourceKind
	values  [][]byte
	decoded chan decodedChunk
}

type decodedChunk struct {
	records []store.Record
	tally   tally
	err     error
}

// walk calls f for every record of a snapshot, and counts them and the verdicts.
func (s *Store) walk(ctx context.Context, snapshot *pebble.Snapshot, f func(store.Record) error) (tally, error) {
	records, err := s.walkRecords(ctx, snapshot, f)
	if err != nil {
		return records, err
	}
	verdicts, err := s.walkVerdicts(ctx, snapshot)
	return tally{records.records + verdicts.records, records.sum + verdicts.sum}, err
}

func (s *Store) walkRecords(ctx context.Context, snapshot *pebble.Snapshot, f func(store.Record) error) (tally, error) {
	iter, err := snapshot.NewIter(&pebble.IterOptions{LowerBound: []byte("r/"), UpperBound: []byte("r0")})
	if err != nil {
		return tally{}, s.unreadable(err)
	}
	defer iter.Close()
	return s.scanDecoded(ctx, iter, f)
}

// scanDecoded calls f for what an iterator gives, in order.
func (s *Store) scanDecoded(ctx context.Context, iter *pebble.Iterator, f func(store.Record) error) (tally, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	work, ordered, failed := make(chan *chunk, chunksAhead), make(chan *chunk, chunksAhead), make(chan error, 1)
	go func() {
		defer close(ordered)
		defer close(work)
		failed <- s.readChunks(ctx, iter, work, ordered)
	}()
	for range runtime.GOMAXPROCS(0) {
		go func() {
			for c := range work {
				c.decoded <- s.decodeChunk(c)
			}
		}()
	}
	found, err := handOn(ordered, f)
	stop()
	for range ordered { // the reader holds the iterator until it has seen the stop
	}
	if readErr := <-failed; err == nil {
		err = readErr
	}
	return found, err
}

func handOn(ordered <-chan *chunk, f func(store.Record) error) (found tally, err error) {
	for c := range ordered {
		done := <-c.decoded
		if done.err != nil {
			return found, done.err
		}
		found.records, found.sum = found.records+done.tally.records, found.sum+done.tally.sum
		for i := range done.records {
			if err := f(done.records[i]); err != nil {
				return found, err
			}
		}
	}
	return found, nil
}

func (s *Store) readChunks(ctx context.Context, iter *pebble.Iterator, to ...chan<- *chunk) error {
	for ok := iter.First(); ok; {
		c := &chunk{decoded: make(chan decodedChunk, 1)}
		for ; ok && len(c.values) < recordsAChunk; ok = iter.Next() {
			c.kinds = append(c.kinds, hexbid.ResourceKind(iter.Key()[2]))
			c.values = append(c.values, append([]byte(nil), iter.Value()...))
		}
		for _, channel := range to {
			select {
			case channel <- c:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	if err := iter.Error(); err != nil {
		return s.unreadable(err)
	}
	return nil
}

func (s *Store) decodeChunk(c *chunk) (done decodedChunk) {
	for i, value := range c.values {
		r, err := s.decode(c.kinds[i], value)
		if err != nil {
			return decodedChunk{err: err}
		}
		done.records = append(done.records, r)
		done.tally.add(&r)
	}
	return done
}
