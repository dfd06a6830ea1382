package pebble

import (
	"encoding/binary"

	"github.com/hexbid/hexbid/folder"
	"github.com/hexbid/hexbid/ledger/journal"
)

// The engine's own keys stand in table 0.
var (
	keyFormat   = []byte("\x00format")
	keyCurrency = []byte("\x00currency")
	keyEnd      = []byte("\x00end")
	keyLosses   = []byte("\x00losses")
	keyOpenLoss = []byte("\x00openloss")
)

func appendRecordKey(b []byte, sequence uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, byte(journal.Records)), sequence)
}

// bounds returns the keys of a range of a table for Pebble, from inclusive and to exclusive.
func bounds(t journal.Table, from, to []byte) (lower, upper []byte) {
	lower = append([]byte{byte(t)}, from...)
	if to == nil {
		return lower, []byte{byte(t) + 1}
	}
	return lower, append([]byte{byte(t)}, to...)
}

// end says how far the journal has come. Every batch writes it.
type end struct {
	number uint64 // of batches
	last   uint64 // sequence of the last record
	marked uint64 // up to this batch, marks are thinned out (marks.go)
	tail   [32]byte
}

// endBytes is the length of an encoded end.
const endBytes = 3*8 + 32

func (e *end) encode() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, endBytes), e.number)
	b = binary.BigEndian.AppendUint64(b, e.last)
	b = binary.BigEndian.AppendUint64(b, e.marked)
	return append(b, e.tail[:]...)
}

func decodeEnd(b []byte) (e end, ok bool) {
	if len(b) != endBytes {
		return e, false
	}
	number := func(i int) uint64 { return binary.BigEndian.Uint64(b[8*i:]) }
	return end{number(0), number(1), number(2), [32]byte(b[24:])}, true
}

// batchNumber returns the number of a row that holds the end.
func batchNumber(key, value []byte) (uint64, bool) {
	if string(key) != string(keyEnd) {
		return 0, false
	}
	e, ok := decodeEnd(value)
	return e.number, ok
}

// The witness says, beside the number of the last acknowledged batch, the sequence of the last record, 8 bytes
// little-endian, and its hash.
const (
	witnessMagic = "hexbidj1"
	witnessRest  = 8 + 32
)

func (e *end) testimony() folder.Testimony {
	rest := binary.LittleEndian.AppendUint64(make([]byte, 0, witnessRest), e.last)
	return folder.Testimony{Position: e.number, Rest: append(rest, e.tail[:]...)}
}

// witnessed returns the end that a witness states, without marks.
func witnessed(said folder.Testimony) (e end) {
	if len(said.Rest) != witnessRest {
		return e
	}
	return end{number: said.Position, last: binary.LittleEndian.Uint64(said.Rest), tail: [32]byte(said.Rest[8:])}
}
