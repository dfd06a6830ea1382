package exchange

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/journal"
)

// What is learned is kept in rows of numbers, and nearly every damaged number is another number. So a row is sealed: it
// begins with a checksum of its key and value. A row whose checksum is wrong is left out, and what it said is learned
// anew, instead of a flipped bit making one campaign's clicks a million and its program's and market's means with them.

const (
	// sealedRow is the first byte of a sealed row. Rows of earlier programs, which sealed none, never begin with it. They
	// are read unchecked; each part refuses values that are impossible.
	sealedRow = 0xfe
	sealBytes = 5 // the first byte and the checksum

	// clocksMayDiffer is how far in the future, by the ledger's clock, a row may lie: the clock may have been set back
	// since the row was written. A later row is damaged, or was written while the clock was wrong. What it counts would
	// never fade.
	clocksMayDiffer = time.Hour
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksumOf returns the checksum of a row.
func checksumOf(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

// keepLearned seals rows and has them written. A row without a value deletes one.
func keepLearned(l *ledger.Ledger, rows []journal.Row) error { return l.KeepLearned(sealAll(rows)) }

// commitLearned is keepLearned that returns when the rows are durable.
func commitLearned(ctx context.Context, l *ledger.Ledger, rows []journal.Row) error {
	return l.CommitLearned(ctx, sealAll(rows))
}

// sealAll seals the values of rows.
func sealAll(rows []journal.Row) []journal.Row {
	sealed := make([]journal.Row, len(rows))
	for i, row := range rows {
		if sealed[i] = row; row.Value != nil {
			sealed[i].Value = seal(row.Key, row.Value)
		}
	}
	return sealed
}

// seal returns the value of a row behind its checksum.
func seal(key, value []byte) []byte {
	sealed := make([]byte, 0, sealBytes+len(value))
	sealed = binary.BigEndian.AppendUint32(append(sealed, sealedRow), checksumOf(key, value))
	return append(sealed, value...)
}

// unseal returns the value that was sealed, false for a row that is not what was written.
func unseal(key, sealed []byte) (value []byte, ok bool) {
	if len(sealed) == 0 || sealed[0] != sealedRow {
		return sealed, true
	}
	if len(sealed) < sealBytes {
		return nil, false
	}
	value = sealed[sealBytes:]
	return value, binary.BigEndian.Uint32(sealed[1:]) == checksumOf(key, value)
}

// scanLearned has the rows with a letter restored. It returns how many could not be read.
func scanLearned(v journal.View, letter byte, restore func(key, value []byte) error) (unread int, err error) {
	err = v.Scan(journal.Learned, []byte{letter}, []byte{letter + 1}, func(key, sealed []byte) (bool, error) {
		if value, ok := unseal(key, sealed); !ok || restore(key, value) != nil {
			unread++
		}
		return true, nil
	})
	return unread, err
}
