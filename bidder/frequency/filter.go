package frequency

import (
	"encoding/binary"
	"math"
	"math/bits"
	"sync/atomic"
)

// Filter tells who has no history, without a look at the disk. It is a blocked Bloom filter (Putze, Sanders and
// Singler, "Cache-, Hash- and Space-Efficient Bloom Filters", 2007): a viewer's bits are in one block of a cache line.
// A pseudonym is the output of a keyed hash, so its own bits choose block and places, and no caller can choose them.
// At 12 bits a viewer some 0.6 % of those without a history are taken for others. All methods may be called at once.
type Filter struct {
	blocks []block
}

// block is a cache line.
type block [8]atomic.Uint64

const (
	blockBytes = 64
	blockBits  = 8 * blockBytes
	probes     = 7 // of nine bits each, from the second half of a pseudonym
	probeBits  = 9
)

// NewFilter makes an empty filter of about so many bytes, at least a block.
func NewFilter(bytes int) *Filter { return &Filter{blocks: make([]block, max(1, bytes/blockBytes))} }

// blockOf returns a viewer's block, and the bits that choose the places in it.
func (f *Filter) blockOf(viewer *[16]byte) (*block, uint64) {
	place, _ := bits.Mul64(binary.BigEndian.Uint64(viewer[:8]), uint64(len(f.blocks)))
	return &f.blocks[place], binary.BigEndian.Uint64(viewer[8:])
}

// Add notes that a viewer has a history.
func (f *Filter) Add(viewer *[16]byte) {
	b, places := f.blockOf(viewer)
	for range probes {
		place := places % blockBits
		b[place/64].Or(1 << (place % 64))
		places >>= probeBits
	}
}

// MayHold reports whether a viewer may have a history. A viewer who was added has one.
func (f *Filter) MayHold(viewer *[16]byte) bool {
	b, places := f.blockOf(viewer)
	for range probes {
		place := places % blockBits
		if b[place/64].Load()&(1<<(place%64)) == 0 {
			return false
		}
		places >>= probeBits
	}
	return true
}

// sampledBlocks is how many blocks FalsePositives looks at.
const sampledBlocks = 4096

// FalsePositives estimates the share of viewers without a history for whom MayHold is true, from an even sample of
// blocks.
func (f *Filter) FalsePositives() float64 {
	step := max(1, len(f.blocks)/sampledBlocks)
	sum, looked := 0.0, 0
	for i := 0; i < len(f.blocks); i += step {
		ones := 0
		for word := range f.blocks[i] {
			ones += bits.OnesCount64(f.blocks[i][word].Load())
		}
		sum += math.Pow(float64(ones)/blockBits, probes)
		looked++
	}
	return sum / float64(looked)
}
