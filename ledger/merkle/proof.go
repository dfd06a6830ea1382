package merkle

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// ReadTile returns the hashes of a tile, a full one or the last of its level, as Append and Unfinished returned them.
type ReadTile func(level uint8, index uint64) ([]byte, error)

// Prove returns the path from the leaf with an index to the root of a tree of a size. It checks all that it reads
// against the root, so a damaged tile is an error and never a wrong path. It reads at most two tiles a level.
func Prove(size, index uint64, root Hash, read ReadTile) ([]Hash, error) {
	if err := checkPlace(size, index); err != nil {
		return nil, err
	}
	tree := tlog.Tree{N: int64(size), Hash: root}
	path, err := tlog.ProveRecord(tree.N, int64(index), tlog.TileHashReader(tree, tiles{read}))
	if err != nil {
		return nil, fmt.Errorf("the path of leaf %d in a tree of %d: %w", index, size, err)
	}
	return path, nil
}

// Check returns an error unless path leads from a leaf hash with an index to the root of a tree of a size.
func Check(path []Hash, size, index uint64, leaf, root Hash) error {
	if err := checkPlace(size, index); err != nil {
		return err
	}
	if err := tlog.CheckRecord(path, int64(size), root, int64(index), leaf); err != nil {
		return fmt.Errorf("the path of %d hashes does not lead from leaf %d to the root of a tree of %d leaves",
			len(path), index, size)
	}
	return nil
}

func checkPlace(size, index uint64) error {
	if size > MaxSize || index >= size {
		return fmt.Errorf("leaf %d in a tree of %d leaves: the index must be below the size, the size at most %d",
			index, size, uint64(MaxSize))
	}
	return nil
}

// tiles makes a ReadTile a tlog.TileReader.
type tiles struct{ read ReadTile }

// Height implements tlog.TileReader.
func (t tiles) Height() int { return tileHeight }

// ReadTiles implements tlog.TileReader.
func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(wanted))
	for i, tile := range wanted {
		hashes, err := t.read(uint8(tile.L), uint64(tile.N))
		if err != nil {
			return nil, err
		}
		data[i] = hashes
	}
	return data, nil // tlog compares their lengths with what the tree's size says
}

// SaveTiles keeps nothing: the reader's own store is where tiles are.
func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}
