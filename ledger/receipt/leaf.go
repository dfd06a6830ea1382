package receipt

import (
	"slices"

	"github.com/hexbid/hexbid/ledger/fold"
)

// previousBytes is what the last field of an encoded record takes: the hash of the record before.
const previousBytes = 2 + len(fold.Hash{})

// leafOf returns the part of an encoded record that its leaf covers.
func leafOf(encoded []byte) []byte { return encoded[:len(encoded)-previousBytes] }

// decodeLeaf decodes what leafOf returned. The hash of the record before is zero.
func decodeLeaf(leaf []byte) (*fold.Record, error) {
	return fold.Decode(slices.Concat(leaf, []byte{15<<3 | 2, 32}, make([]byte, 32)))
}
