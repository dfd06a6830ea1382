package journal

import "github.com/hexbid/hexbid"

// MaxBatchBytes bounds the keys and values of one batch, because an engine keeps a whole batch in memory.
const MaxBatchBytes = 512 << 20

// Validate refuses a number that no table has.
func (t Table) Validate() error {
	if t < Records || t >= TableCount {
		return hexbid.Invalidf("table", "%d: a table has a number from %d to %d", t, Records, TableCount-1)
	}
	return nil
}

// Validate refuses a batch that no engine takes: a table that is unknown, a row in Records, or more than MaxBatchBytes.
func (b *Batch) Validate() error {
	bytes := 0
	for _, record := range b.Records {
		bytes += len(record)
	}
	for i := range b.Rows {
		r := &b.Rows[i]
		if err := r.Table.Validate(); err != nil {
			return err
		}
		if r.Table == Records {
			return hexbid.Invalidf("rows", "row %d is of the table of records, which grows at its end alone", i)
		}
		bytes += len(r.Key) + len(r.Value)
	}
	for i := range b.Erase {
		if err := b.Erase[i].Table.Validate(); err != nil {
			return err
		}
	}
	if bytes > MaxBatchBytes {
		return hexbid.Invalidf("", "a batch of %d MiB: at most %d, share it among several", bytes>>20, MaxBatchBytes>>20)
	}
	return nil
}

// Follows refuses a batch that does not follow the last record. Another writer has then added records in between.
func (b *Batch) Follows(last uint64) error {
	if b.After != last {
		return hexbid.Errorf(hexbid.Stale, "after", "the journal ends with record %d, the batch follows %d: nothing was "+
			"written; another writer is at work", last, b.After)
	}
	return nil
}
