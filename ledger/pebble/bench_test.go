package pebble

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hexbid/hexbid/ledger/journal"
)

// events returns a batch as events make it: a record of some 300 bytes each, its answer, and every other one its
// charge.
func events(after uint64, count int) *journal.Batch {
	b := &journal.Batch{After: after}
	for i := range count {
		sequence := after + 1 + uint64(i)
		record := make([]byte, 0, 320)
		for part := range 10 {
			noise := sha256.Sum256(binary.BigEndian.AppendUint64([]byte{byte(part)}, sequence))
			record = append(record, noise[:]...)
		}
		b.Records = append(b.Records, record[:300])
		b.Rows = append(b.Rows, journal.Row{Table: journal.Answers, Key: record[:25], Value: record[25:41]})
		if i%2 == 0 {
			b.Rows = append(b.Rows, journal.Row{Table: journal.Charges, Key: record[41:57], Value: []byte{}})
		}
	}
	return b
}

// BenchmarkCommit commits batches to a journal, and in turns the same bytes to Pebble itself in a synced batch. It
// reports both rates of events and their ratio.
func BenchmarkCommit(b *testing.B) {
	for _, count := range []int{1, 16, 256, 1024, 4096} {
		b.Run(fmt.Sprint(count), func(b *testing.B) { benchmarkCommit(b, count) })
	}
}

func benchmarkCommit(b *testing.B, count int) {
	j, err := Open(Options{Dir: b.TempDir() + "/ledger", Currency: "CNY", Log: quiet})
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	raw, err := pebble.Open(b.TempDir(), &pebble.Options{FormatMajorVersion: pebble.FormatNewest, MemTableSize: 32 << 20,
		Logger: silent{}})
	if err != nil {
		b.Fatal(err)
	}
	defer raw.Close()
	var ofJournal, ofPebble time.Duration
	after := uint64(0)
	for b.Loop() {
		batch := events(after, count)
		start := time.Now()
		if err := j.Commit(context.Background(), batch); err != nil {
			b.Fatal(err)
		}
		ofJournal += time.Since(start)
		start = time.Now()
		if err := commitRaw(raw, batch); err != nil {
			b.Fatal(err)
		}
		ofPebble += time.Since(start)
		after += uint64(count)
	}
	b.ReportMetric(float64(after)/ofJournal.Seconds(), "events/s")
	b.ReportMetric(float64(after)/ofPebble.Seconds(), "pebble-events/s")
	b.ReportMetric(ofPebble.Seconds()/ofJournal.Seconds(), "of-pebble")
}

// commitRaw writes the entries of a batch in one synced batch of Pebble.
func commitRaw(db *pebble.DB, b *journal.Batch) error {
	batch := db.NewBatch()
	for i, record := range b.Records {
		if err := batch.Set(appendRecordKey(nil, b.After+1+uint64(i)), record, nil); err != nil {
			return err
		}
	}
	putRows(batch, b.Rows)
	return batch.Commit(pebble.Sync)
}
