// Package merkle is the Merkle tree over the charges of an hour, as RFC 6962, section 2.1, defines it. Its root stands
// for all of them. A path of a few hashes proves that a charge is under the root, and tells nothing of the other
// charges, because every leaf is salted.
//
// Hashes are kept in tiles, as https://research.swtch.com/tlog#tiling_a_log describes. A tile of level L lists up to
// 256 neighbouring hashes of level 8·L of the tree. Hashes of the levels between follow from them. Full tiles are
// handed out to be stored, and the tree itself keeps the last, unfinished tile of each level: at most 8 KiB a level,
// and three levels for an hour of 16 million charges.
//
// The hashing, the proofs and their checks are those of golang.org/x/mod/sumdb/tlog.
package merkle

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// Hash is a SHA-256 hash: of a leaf, of an inner node or of a tree.
type Hash = tlog.Hash

// SaltBytes is the length of a leaf's salt.
const SaltBytes = 16

// Sizes of tiles and trees.
const (
	tileHeight = 8
	TileHashes = 1 << tileHeight // of a full tile
	// MaxSize is the most leaves of a tree: more than a server can charge in an hour. The arithmetic of tlog is right up
	// to 2^62.
	MaxSize = 1 << 40
)

// LeafHash returns the hash of a charge's leaf: RFC 6962's hash of the salt followed by the encoded record. Without the
// salt nobody can try out records until one has the hash.
func LeafHash(salt [SaltBytes]byte, record []byte) Hash {
	var room [1024]byte // most records fit, so that nothing is allocated
	return sha256.Sum256(append(append(append(room[:0], 0), salt[:]...), record...))
}

// Salt derives the salt of the record with a sequence from the secret of its hour. One salt tells nothing of another.
func Salt(secret [32]byte, sequence uint64) [SaltBytes]byte { return NewSalter(secret).Salt(sequence) }

// Salter derives the salts of an hour one after the other, at half the cost of Salt. It is not safe for concurrent use.
type Salter struct {
	mac     hash.Hash
	message [8]byte
	sum     [sha256.Size]byte
}

// NewSalter returns the Salter of an hour's secret.
func NewSalter(secret [32]byte) *Salter { return &Salter{mac: hmac.New(sha256.New, secret[:])} }

// Salt returns the salt of the record with a sequence.
func (s *Salter) Salt(sequence uint64) (salt [SaltBytes]byte) {
	s.mac.Reset()
	binary.BigEndian.PutUint64(s.message[:], sequence)
	s.mac.Write(s.message[:])
	copy(salt[:], s.mac.Sum(s.sum[:0]))
	return salt
}

// Link returns the hash that stands for the root of an hour and, through previous, for the roots of all hours before:
// roots are a chain of their own. Hour counts hours since 1970. The first root's previous is zero. A link tells
// nothing of an hour but how many charges it had, so that it can be shown to everybody.
func Link(previous Hash, hour uint32, charges uint64, root Hash) Hash {
	message := make([]byte, 0, 1+len(previous)+4+8+len(root))
	message = append(message, linkPrefix)
	message = append(message, previous[:]...)
	message = binary.BigEndian.AppendUint32(message, hour)
	message = binary.BigEndian.AppendUint64(message, charges)
	return sha256.Sum256(append(message, root[:]...))
}

// linkPrefix keeps a link apart from leaves, whose hashes begin with 0, and nodes, whose begin with 1.
const linkPrefix = 2

// Tile is a row of neighbouring hashes of one level. Hashes holds them one behind the other: TileHashes of them in a
// full tile, fewer in the last one of a level.
type Tile struct {
	Level  uint8
	Index  uint64
	Hashes []byte
}

// Tree takes leaf hashes in order. The zero Tree is empty. A Tree is not safe for concurrent use.
type Tree struct {
	size   uint64
	levels [][]byte // the unfinished tile of each level; never full
}

// Restore returns the tree of a size whose unfinished tiles are these. They are what Unfinished has returned.
func Restore(size uint64, unfinished []Tile) (*Tree, error) {
	if size > MaxSize {
		return nil, fmt.Errorf("a tree of %d leaves: at most %d", size, uint64(MaxSize))
	}
	t := &Tree{size: size, levels: make([][]byte, levelsOf(size))}
	for _, tile := range unfinished {
		if int(tile.Level) >= len(t.levels) || tile.Index != t.unfinishedIndex(int(tile.Level)) {
			return nil, fmt.Errorf("tile %d of level %d is not an unfinished one of a tree of %d leaves",
				tile.Index, tile.Level, size)
		}
		t.levels[tile.Level] = slices.Clone(tile.Hashes)
	}
	for level, hashes := range t.levels {
		if want := widthOf(size, level) * tlog.HashSize; len(hashes) != want {
			return nil, fmt.Errorf("the unfinished tile of level %d has %d bytes, expected %d of a tree of %d leaves",
				level, len(hashes), want, size)
		}
	}
	return t, nil
}

// levelsOf returns how many levels of tiles a tree has.
func levelsOf(size uint64) (levels int) {
	for ; size > 0; size >>= tileHeight {
		levels++
	}
	return levels
}

// widthOf returns how many hashes the unfinished tile of a level has, 0 if all tiles of the level are full.
func widthOf(size uint64, level int) int { return int(size >> (tileHeight * level) % TileHashes) }

func (t *Tree) unfinishedIndex(level int) uint64 { return t.size >> (tileHeight * (level + 1)) }

// Size returns the number of leaves.
func (t *Tree) Size() uint64 { return t.size }

// Append adds a leaf and returns the tiles that it filled, mostly none. The tree keeps nothing of them.
func (t *Tree) Append(leaf Hash) (full []Tile) {
	for level := 0; ; level++ {
		if level == len(t.levels) {
			t.levels = append(t.levels, nil)
		}
		hashes := append(t.levels[level], leaf[:]...)
		if len(hashes) < TileHashes*tlog.HashSize {
			t.levels[level] = hashes
			break
		}
		t.levels[level] = nil
		full = append(full, Tile{Level: uint8(level), Index: t.unfinishedIndex(level), Hashes: hashes})
		leaf = hashOfFull(hashes)
	}
	t.size++
	return full
}

// hashOfFull returns the hash of the subtree over the hashes of a full tile, 2^n of them.
func hashOfFull(hashes []byte) Hash {
	if len(hashes) == tlog.HashSize {
		return Hash(hashes)
	}
	half := len(hashes) / 2
	return tlog.NodeHash(hashOfFull(hashes[:half]), hashOfFull(hashes[half:]))
}

// Unfinished returns the last tile of each level that has one which is not full, in the order of levels. Together with
// the full tiles they are the whole tree. Changes of the tree leave the returned bytes alone.
func (t *Tree) Unfinished() (tiles []Tile) {
	for level, hashes := range t.levels {
		if len(hashes) > 0 {
			tiles = append(tiles, Tile{Level: uint8(level), Index: t.unfinishedIndex(level), Hashes: slices.Clone(hashes)})
		}
	}
	return tiles
}

// Root returns the hash of the tree. That of an empty one is the hash of no bytes. Its cost is one hash for each that
// the unfinished tiles have.
func (t *Tree) Root() Hash {
	root, err := tlog.TreeHash(int64(t.size), tlog.HashReaderFunc(t.readHashes))
	if err != nil {
		panic(fmt.Sprintf("a tree of %d leaves lacks a hash of its own: %v", t.size, err))
	}
	return root
}

// readHashes returns hashes of the subtrees on the right edge, all of which follow from unfinished tiles.
func (t *Tree) readHashes(indexes []int64) ([]Hash, error) {
	hashes := make([]Hash, len(indexes))
	for i, index := range indexes {
		tile := tlog.TileForIndex(tileHeight, index)
		if tile.L >= len(t.levels) || uint64(tile.N) != t.unfinishedIndex(tile.L) {
			return nil, fmt.Errorf("hash %d is in a full tile", index)
		}
		tile.W = len(t.levels[tile.L]) / tlog.HashSize
		hash, err := tlog.HashFromTile(tile, t.levels[tile.L], index)
		if err != nil {
			return nil, err
		}
		hashes[i] = hash
	}
	return hashes, nil
}
