// Package pebble keeps the ledger's journal in a Pebble folder of its own, and a witness beside it.
//
// Keys, where numbers are big-endian:
//
//	T KEY        a row of the table with the number T, a byte
//	0 format     version of this layout, decimal
//	0 currency   the deployment's currency
//	0 end        how far the journal has come (end.go); in every batch
//	0 losses     the losses of acknowledged writes that an operator accepted, a line each
//	0 openloss   there since the last of them until SettleLoss
//	0 b NUMBER   says that the batch of a number is there (marks.go)
//
// A commit is one Pebble batch, which is synced before Commit returns. Reads go through a snapshot that is taken after
// each sync, so they see nothing that is not synced. When the disk refuses a write, Pebble cannot go on. The journal
// then refuses every later write and still serves reads, until the process is restarted on a disk with room. It fails
// in the same way when it finds a file damaged or the folder gone.
//
// No acknowledged batch is lost unnoticed. Package folder compares the logs of writes with what they say was synced and
// with the witness. Open compares the journal's end with the witness, whose testimony holds the last record's sequence
// and hash, and looks for the mark of every batch.
package pebble

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/folder"
	"github.com/hexbid/hexbid/ledger/journal"
)

// Format is the version of the layout on disk.
const Format = "1"

// cacheBytes bounds the cache of blocks, which serves lookups of answers and of charges.
const cacheBytes = 128 << 20

// Journal is a journal.Journal on Pebble.
type Journal struct {
	folder *folder.Folder
	marks  marks
	synced atomic.Pointer[view]
	losses []string

	openLoss atomic.Bool

	mu     sync.Mutex // orders writes, and guards end
	end    end
	closed atomic.Bool
}

var _ journal.Journal = (*Journal)(nil)

var errClosed = hexbid.Errorf(hexbid.Unavailable, "", "the journal is closed")

// Commit implements journal.Journal.
func (j *Journal) Commit(ctx context.Context, b *journal.Batch) error {
	if err := b.Validate(); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := j.ready(); err != nil {
		return err
	}
	if err := b.Follows(j.end.last); err != nil {
		return err
	}
	next, batch := j.encode(b)
	if err := j.folder.Write(batch, pebble.Sync); err != nil {
		return err
	}
	_ = batch.Close() // it returns its memory to the pool
	return j.conclude(next)
}

// ready refuses a write before it begins.
func (j *Journal) ready() error {
	if j.closed.Load() {
		return errClosed
	}
	if err := j.folder.CheckPlace(); err != nil {
		return err
	}
	return j.folder.CheckRoom()
}

// encode returns the batch for Pebble and the end that it leaves. A batch in memory takes every step, so their errors
// are left out.
func (j *Journal) encode(b *journal.Batch) (end, *pebble.Batch) {
	batch := j.folder.DB.NewBatch()
	for i := range b.Erase {
		from, to := bounds(b.Erase[i].Table, b.Erase[i].From, b.Erase[i].To)
		if bytes.Compare(from, to) < 0 {
			_ = batch.DeleteRange(from, to, nil)
		}
	}
	next := j.end
	var room []byte
	for _, record := range b.Records {
		next.last++
		room = appendRecordKey(room[:0], next.last)
		_ = batch.Set(room, record, nil)
	}
	putRows(batch, b.Rows)
	if len(b.Records) > 0 {
		next.tail = b.Tail
	}
	next.number++
	j.marks.add(batch, &next)
	_ = batch.Set(keyEnd, next.encode(), nil)
	return next, batch
}

func putRows(batch *pebble.Batch, rows []journal.Row) {
	var room []byte
	for i := range rows {
		r := &rows[i]
		room = append(append(room[:0], byte(r.Table)), r.Key...)
		if r.Value == nil {
			_ = batch.Delete(room, nil)
		} else {
			_ = batch.Set(room, r.Value, nil)
		}
	}
}

// conclude shows a synced batch to readers and to the witness.
func (j *Journal) conclude(next end) error {
	j.end = next
	if err := j.publish(); err != nil {
		return err
	}
	if err := j.folder.Witness.Write(next.testimony()); err != nil {
		j.folder.WitnessFailed(err) // this batch is durable; the next is refused
	}
	j.marks.thin(j.folder, &next)
	return nil
}

// Keep implements journal.Journal.
func (j *Journal) Keep(rows []journal.Row) error {
	if err := (&journal.Batch{Rows: rows}).Validate(); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.ready(); err != nil {
		return err
	}
	batch := j.folder.DB.NewBatch()
	putRows(batch, rows)
	if err := j.folder.Write(batch, pebble.NoSync); err != nil {
		return err
	}
	_ = batch.Close()
	return nil
}

// Checkpoint implements journal.Journal. The copy shares the files that Pebble never changes with the journal where the
// file system can link them. Its witness stands beside it.
func (j *Journal) Checkpoint(dir string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.ready(); err != nil {
		return err
	}
	return j.folder.Checkpoint(dir, j.end.testimony())
}

// Failed implements journal.Journal.
func (j *Journal) Failed() <-chan struct{} { return j.folder.Failed() }

// Failure implements journal.Journal.
func (j *Journal) Failure() error { return j.folder.Failure() }

// AcceptedLoss reports whether this start went on despite a loss.
func (j *Journal) AcceptedLoss() bool { return len(j.folder.Missing()) > 0 }

// OpenLoss reports whether a loss was accepted, at this start or an earlier one, and not settled since. What was
// acknowledged and is lost may come again, so the ledger begins a new epoch first.
func (j *Journal) OpenLoss() bool { return j.openLoss.Load() }

// SettleLoss notes that the ledger has begun a new epoch since the last loss.
func (j *Journal) SettleLoss() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.ready(); err != nil {
		return err
	}
	batch := j.folder.DB.NewBatch()
	_ = batch.Delete(keyOpenLoss, nil) // a batch in memory takes every step
	if err := j.folder.Write(batch, pebble.Sync); err != nil {
		return err
	}
	j.openLoss.Store(false)
	return nil
}

// Losses describes the losses of acknowledged writes that operators have accepted, the first first.
func (j *Journal) Losses() []string { return j.losses }

// Close implements journal.Journal. It waits for the commit in progress, but not for a Pebble that cannot go on.
func (j *Journal) Close() error {
	if j.closed.Swap(true) {
		return nil
	}
	return j.folder.Close(func() {
		j.mu.Lock() // until the commit in progress has ended
		defer j.mu.Unlock()
		if last := j.synced.Swap(nil); last != nil {
			last.snapshot.Release()
		}
	}, func() folder.Testimony { return j.end.testimony() })
}
