package pebble

import (
	"bytes"
	"context"
	"errors"
	"runtime"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// Scan implements store.Store. What it finds must add up to what commits counted. The error is DataLoss when entries
// are missing, or old ones stand in their place.
func (s *Store) Scan(ctx context.Context, f func(store.Record, *store.Derived) error) (version uint64, err error) {
	err = s.reading(func(v *view) error {
		found, err := v.walk(ctx, f)
		if err == nil {
			err = found.check(s.folder, &v.clock)
		}
		version = v.clock.version
		return err
	})
	if err != nil {
		return 0, err
	}
	s.folder.DeleteObsolete()
	return version, s.Failure()
}

// A scan reads records and their derived data in one goroutine, which merges the two. It decodes them on every core,
// because decoding costs the most. It hands records on in order, in the caller's goroutine. Each chunk of records has a
// channel for its decoded records, and the channels are queued in the order of the chunks. Meanwhile the audit counts
// everything except records.
const (
	recordsAChunk = 256
	chunksAhead   = 16
)

// chunk is a group of records to be decoded, with their bytes in one allocation.
type chunk struct {
	data    []byte
	items   []item
	decoded chan decodedChunk
}

// item locates a record in a chunk, and after it the data derived from the record.
type item struct {
	kind                 hexbid.ResourceKind
	from, derived, until int
}

type decodedChunk struct {
	records []store.Record
	derived []*store.Derived
	audit   audit
	err     error
}

// walk calls f for every record of a view, and counts everything.
func (v *view) walk(ctx context.Context, f func(store.Record, *store.Derived) error) (found audit, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	others := make(chan error, 1)
	var beside audit
	go func() { others <- hexbid.Contain(func() error { return beside.count(ctx, v) }) }()
	found, err = v.walkRecords(ctx, f)
	if err != nil {
		stop()
	}
	err = errors.Join(err, <-others)
	found.join(&beside)
	return found, firstError(err)
}

// firstError returns the first of joined errors, which has caused the others.
func firstError(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()[0]
	}
	return err
}

// walkRecords calls f for all records, in order.
func (v *view) walkRecords(ctx context.Context, f func(store.Record, *store.Derived) error) (audit, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	work, ordered, failed := make(chan *chunk, chunksAhead), make(chan *chunk, chunksAhead), make(chan error, 1)
	go func() {
		defer close(ordered)
		defer close(work)
		failed <- hexbid.Contain(func() error { return v.readChunks(ctx, work, ordered) })
	}()
	for range runtime.GOMAXPROCS(0) {
		go func() {
			for c := range work {
				var done decodedChunk
				if err := hexbid.Contain(func() error { done = v.store.decodeChunk(c); return nil }); err != nil {
					done.err = err
				}
				c.decoded <- done
			}
		}()
	}
	found, err := handOn(ordered, f)
	stop()
	for range ordered { // the reader holds its iterators until it notices the stop
	}
	if readErr := <-failed; err == nil {
		err = readErr
	}
	return found, err
}

func handOn(ordered <-chan *chunk, f func(store.Record, *store.Derived) error) (found audit, err error) {
	for c := range ordered {
		done := <-c.decoded
		if done.err != nil {
			return found, done.err
		}
		found.join(&done.audit)
		for i := range done.records {
			if err := f(done.records[i], done.derived[i]); err != nil {
				return found, err
			}
		}
	}
	return found, nil
}

// readChunks sends records with their derived data, which is stored in the same order.
func (v *view) readChunks(ctx context.Context, to ...chan<- *chunk) error {
	iter, err := v.iterate(recordSpace)
	if err != nil {
		return err
	}
	defer iter.Close()
	beside, err := v.iterate(derivedSpace)
	if err != nil {
		return err
	}
	defer beside.Close()
	beside.First()
	for ok := iter.First(); ok; {
		c := &chunk{items: make([]item, 0, recordsAChunk), decoded: make(chan decodedChunk, 1)}
		for ; ok && len(c.items) < recordsAChunk; ok = iter.Next() {
			c.add(iter, beside)
		}
		for _, channel := range to {
			select {
			case channel <- c:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return errors.Join(v.store.folder.Ended(iter), v.store.folder.Ended(beside))
}

func (c *chunk) add(iter, beside *pebble.Iterator) {
	key := iter.Key()
	i := item{kind: hexbid.ResourceKind(key[nameAt-1]), from: len(c.data)}
	c.data = append(c.data, iter.Value()...)
	i.derived = len(c.data)
	for beside.Valid() && bytes.Compare(beside.Key()[1:], key[1:]) < 0 {
		beside.Next()
	}
	if beside.Valid() && bytes.Equal(beside.Key()[1:], key[1:]) {
		c.data = append(c.data, beside.Value()...)
	}
	i.until = len(c.data)
	c.items = append(c.items, i)
}

func (s *Store) decodeChunk(c *chunk) (done decodedChunk) {
	done.records, done.derived = make([]store.Record, 0, len(c.items)), make([]*store.Derived, len(c.items))
	for n, i := range c.items {
		r, err := s.decode(i.kind, c.data[i.from:i.derived])
		if err != nil {
			return decodedChunk{err: err}
		}
		done.records = append(done.records, r)
		done.audit.addRecord(&r)
		if i.derived == i.until {
			continue
		}
		d, err := decodeDerived(c.data[i.derived:i.until])
		if err != nil {
			return decodedChunk{err: s.folder.Damaged(err)}
		}
		if d.Of(&r) {
			done.derived[n] = &d
		}
	}
	return done
}
