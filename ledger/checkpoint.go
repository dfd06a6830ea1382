package ledger

import (
	"context"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/frequency"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/traffic"
)

// A checkpoint writes the rows of state that have changed since the last one, and a record with the digest of all rows.
// A start reads the rows and replays the records after it.

// checkpointIfDue adds a checkpoint to the batch after so many records, or after so much time if there are any.
func (o *owner) checkpointIfDue() error {
	options := &o.ledger.options
	since := o.now - o.chores.checkpointAt
	if o.chores.records >= options.CheckpointRecords ||
		since >= options.CheckpointAge.Microseconds() && (o.chores.records > 0 || o.version > o.books.CatalogueVersion()) {
		return o.checkpoint()
	}
	return nil
}

// checkpoint adds a checkpoint to the batch, unless nothing has changed since the last one.
func (o *owner) checkpoint() error {
	if o.chores.records == 0 && o.version <= o.books.CatalogueVersion() {
		return nil
	}
	o.applying = true
	body := o.books.Checkpoint(max(o.version, o.books.CatalogueVersion()), &o.batch.Batch)
	at, err := o.append(body, nil)
	if err != nil {
		return err
	}
	o.chores.records, o.chores.checkpointAt, o.chores.checkpointed = 0, at.At, at.Sequence
	return nil
}

// load makes the books from the journal: those of the last checkpoint, and the records after it.
func (o *owner) load(ctx context.Context) error {
	return o.ledger.reading(func(v journal.View) error { return o.loadFrom(ctx, &endingView{v, ctx}) })
}

func (o *owner) loadFrom(ctx context.Context, v journal.View) (err error) {
	if o.books, err = fold.Restore(v); err != nil {
		return err
	}
	checkpointed := o.books.Last().Sequence
	replayed, err := replay(ctx, o.books, v)
	if err != nil {
		return err
	}
	last := o.books.Last()
	if last.Sequence != v.Last() {
		return hexbid.Errorf(hexbid.DataLoss, "ledger", "record %d is missing: restore the ledger from a backup",
			last.Sequence+1)
	}
	o.synced, o.recent = last.Sequence, newRecent[uint64](last.Sequence, recentKeys)
	o.seen = newRecent[*frequency.Exposures](last.Sequence, seenKeys)
	o.traffic = traffic.NewFilter(o.ledger.options.Traffic)
	o.version = max(o.ledger.version.Load(), o.books.CatalogueVersion())
	o.chores = chores{records: replayed, unsettled: true, checkpointAt: last.At, checkpointed: checkpointed}
	o.tally = hourTally{}
	return nil
}

// replay applies the records after the books' last one, and returns how many there were. Their rows are on disk.
func replay(ctx context.Context, books *fold.Books, v journal.View) (records int, err error) {
	from := fold.RecordKey(books.Last().Sequence + 1)
	err = v.Scan(journal.Records, from, nil, func(_, encoded []byte) (bool, error) {
		record, err := fold.Decode(encoded)
		if err != nil {
			return false, err
		}
		if records++; records%1024 == 0 && ctx.Err() != nil {
			return false, ctx.Err()
		}
		return true, books.Apply(record, encoded, nil)
	})
	return records, err
}
