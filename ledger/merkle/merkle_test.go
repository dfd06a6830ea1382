package merkle

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// naiveRoot is the definition of RFC 6962, section 2.1, over leaf hashes.
func naiveRoot(leaves []Hash) Hash {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return leaves[0]
	}
	split := splitOf(len(leaves))
	return naiveNode(naiveRoot(leaves[:split]), naiveRoot(leaves[split:]))
}

// naivePath is the definition of section 2.1.1.
func naivePath(index int, leaves []Hash) []Hash {
	if len(leaves) == 1 {
		return nil
	}
	if split := splitOf(len(leaves)); index < split {
		return append(naivePath(index, leaves[:split]), naiveRoot(leaves[split:]))
	} else {
		return append(naivePath(index-split, leaves[split:]), naiveRoot(leaves[:split]))
	}
}

// splitOf returns the largest power of two that is smaller than n.
func splitOf(n int) int {
	split := 1
	for split*2 < n {
		split *= 2
	}
	return split
}

func naiveNode(left, right Hash) Hash {
	return sha256.Sum256(slices.Concat([]byte{1}, left[:], right[:]))
}

// kept is a tree with the tiles that it handed out.
type kept struct {
	Tree
	tiles map[[2]uint64][]byte
	reads int
}

func newKept(leaves []Hash) *kept {
	k := &kept{tiles: map[[2]uint64][]byte{}}
	for _, leaf := range leaves {
		k.append(leaf)
	}
	return k
}

func (k *kept) append(leaf Hash) {
	for _, tile := range k.Append(leaf) {
		k.tiles[[2]uint64{uint64(tile.Level), tile.Index}] = tile.Hashes
	}
}

// finish stores the unfinished tiles too, as the close of an hour does.
func (k *kept) finish() {
	for _, tile := range k.Unfinished() {
		k.tiles[[2]uint64{uint64(tile.Level), tile.Index}] = tile.Hashes
	}
}

func (k *kept) read(level uint8, index uint64) ([]byte, error) {
	k.reads++
	hashes, ok := k.tiles[[2]uint64{uint64(level), index}]
	if !ok {
		return nil, errors.New("no such tile")
	}
	return hashes, nil
}

func someLeaves(n int, seed uint64) []Hash {
	random := rand.New(rand.NewPCG(seed, 1))
	leaves := make([]Hash, n)
	for i := range leaves {
		for at := 0; at < tlog.HashSize; at += 8 {
			binary.LittleEndian.PutUint64(leaves[i][at:], random.Uint64())
		}
	}
	return leaves
}

func fromHex(t *testing.T, s string) Hash {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != tlog.HashSize {
		t.Fatalf("%q: %v", s, err)
	}
	return Hash(b)
}

// The leaves, roots and paths are those of Certificate Transparency's own tests of RFC 6962 (merkletree tests of
// google/certificate-transparency).
func TestKnownVectorsOfRFC6962(t *testing.T) {
	inputs := []string{"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"}
	roots := []string{
		"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
		"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
		"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
		"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
		"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
		"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
	}
	tree := newKept(nil)
	if empty := fromHex(t, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"); tree.Root() != empty {
		t.Errorf("the empty tree's root is %x", tree.Root())
	}
	var leaves []Hash
	for i, input := range inputs {
		data, err := hex.DecodeString(input)
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, tlog.RecordHash(data))
		tree.append(leaves[i])
		if root := tree.Root(); root != fromHex(t, roots[i]) {
			t.Errorf("root of %d leaves: %x, expected %s", i+1, root, roots[i])
		}
	}
	tree.finish()
	path, err := Prove(8, 0, tree.Root(), tree.read)
	if err != nil {
		t.Fatal(err)
	}
	want := []Hash{
		fromHex(t, "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"),
		fromHex(t, "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"),
		fromHex(t, "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"),
	}
	if !slices.Equal(path, want) {
		t.Errorf("path of the first of 8 leaves: %x", path)
	}
}

// Trees of every shape: tiles are restored half-way, and roots and paths are the naive tree's.
func TestTreesAreTheNaiveTree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.OneOf(rapid.IntRange(1, 20), rapid.SampledFrom([]int{255, 256, 257, 511, 512, 513}),
			rapid.IntRange(1, 2000)).Draw(t, "size")
		leaves := someLeaves(size, rapid.Uint64().Draw(t, "seed"))
		tree := newKept(leaves[:rapid.IntRange(0, size).Draw(t, "restored at")])
		restored, err := Restore(tree.Size(), tree.Unfinished())
		if err != nil {
			t.Fatal(err)
		}
		tree.Tree = *restored
		for _, leaf := range leaves[tree.Size():] {
			tree.append(leaf)
		}
		root := naiveRoot(leaves)
		if tree.Root() != root || tree.Size() != uint64(size) {
			t.Fatalf("root %x of %d leaves, expected %x of %d", tree.Root(), tree.Size(), root, size)
		}
		tree.finish()
		checkPathOf(t, tree, leaves, rapid.IntRange(0, size-1).Draw(t, "index"))
	})
}

func checkPathOf(t rapid.TB, tree *kept, leaves []Hash, index int) {
	t.Helper()
	size, root := uint64(len(leaves)), tree.Root()
	path, err := Prove(size, uint64(index), root, tree.read)
	if err != nil {
		t.Fatal(err)
	}
	if want := naivePath(index, leaves); !slices.Equal(path, want) {
		t.Fatalf("path of leaf %d of %d: %x, expected %x", index, size, path, want)
	}
	if err := Check(path, size, uint64(index), leaves[index], root); err != nil {
		t.Error(err)
	}
}

func TestATreeOfThreeLevelsIsProvenWithTwoTilesALevel(t *testing.T) {
	leaves := someLeaves(1<<16+300, 3)
	tree := newKept(leaves)
	if tree.Root() != naiveRoot(leaves) {
		t.Fatal("the root differs from the naive one")
	}
	tree.finish()
	for _, index := range []int{0, 255, 256, 40_000, 1<<16 - 1, 1 << 16, len(leaves) - 1} {
		tree.reads = 0
		checkPathOf(t, tree, leaves, index)
		if tree.reads > 6 {
			t.Errorf("the path of leaf %d took %d tiles of 3 levels", index, tree.reads)
		}
	}
}

func TestWhatTheTreeHandedOutStaysAsItIs(t *testing.T) {
	leaves := someLeaves(300, 4)
	tree := newKept(leaves[:200])
	unfinished := tree.Unfinished()
	before := slices.Clone(unfinished[0].Hashes)
	restored, err := Restore(200, unfinished)
	if err != nil {
		t.Fatal(err)
	}
	for _, leaf := range leaves[200:] {
		tree.append(leaf)
		restored.Append(leaf)
	}
	if !bytes.Equal(unfinished[0].Hashes, before) {
		t.Error("appending changed a tile that was handed out")
	}
	if restored.Root() != tree.Root() {
		t.Error("two trees of the same leaves differ")
	}
}

func TestRestoreRefusesWhatIsNotATree(t *testing.T) {
	tree := newKept(someLeaves(300, 5))
	good := tree.Unfinished()
	for name, c := range map[string]struct {
		size  uint64
		tiles []Tile
	}{
		"another size":     {301, good},
		"a tile missing":   {300, good[:1]},
		"a level too many": {300, append(slices.Clone(good), Tile{Level: 2, Hashes: make([]byte, 32)})},
		"another place":    {300, []Tile{{Level: 0, Index: 2, Hashes: good[0].Hashes}, good[1]}},
		"a short tile":     {300, []Tile{{Level: 0, Index: 1, Hashes: good[0].Hashes[:31]}, good[1]}},
		"too many leaves":  {math.MaxUint64, nil},
	} {
		if _, err := Restore(c.size, c.tiles); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestDamagedTilesGiveNoPath(t *testing.T) {
	leaves := someLeaves(700, 6)
	tree := newKept(leaves)
	tree.finish()
	root := tree.Root()
	for place, hashes := range tree.tiles {
		for at := 0; at < len(hashes); at += 97 {
			hashes[at] ^= 1
			for _, index := range []uint64{0, 300, 699} {
				path, err := Prove(700, index, root, tree.read)
				if err == nil && Check(path, 700, index, leaves[index], root) != nil {
					t.Errorf("tile %v with byte %d flipped gives a wrong path of leaf %d", place, at, index)
				}
			}
			hashes[at] ^= 1
		}
		tree.tiles[place] = hashes[:len(hashes)-tlog.HashSize]
		if _, err := Prove(700, 699, root, tree.read); err == nil && place[1] == 2 {
			t.Errorf("tile %v without its last hash gives a path", place)
		}
		tree.tiles[place] = hashes
	}
}

// Sizes beyond MaxSize would make tlog's arithmetic loop for ever.
func TestPathsOfImpossiblePlacesAreRefused(t *testing.T) {
	for _, c := range [][2]uint64{{0, 0}, {5, 5}, {math.MaxUint64, 1}, {math.MaxInt64, 1}, {1 << 62, 1},
		{MaxSize + 1, 0}} {
		if Check(nil, c[0], c[1], Hash{}, Hash{}) == nil {
			t.Errorf("a path of leaf %d of %d is taken", c[1], c[0])
		}
		if _, err := Prove(c[0], c[1], Hash{}, newKept(nil).read); err == nil {
			t.Errorf("leaf %d of %d has a path", c[1], c[0])
		}
	}
}

// Whatever of a proof differs, it fails.
func FuzzCheckTakesOnlyTheTruePath(f *testing.F) {
	leaves := someLeaves(600, 7)
	tree := newKept(leaves)
	tree.finish()
	root := tree.Root()
	path, err := Prove(600, 123, root, tree.read)
	if err != nil {
		f.Fatal(err)
	}
	var encoded []byte
	for _, hash := range path {
		encoded = append(encoded, hash[:]...)
	}
	f.Add(encoded, uint64(600), uint64(123), leaves[123][:])
	f.Add(encoded[32:], uint64(600), uint64(123), leaves[123][:])
	f.Fuzz(func(t *testing.T, data []byte, size, index uint64, leaf []byte) {
		if len(leaf) != tlog.HashSize || len(data)%tlog.HashSize != 0 {
			return
		}
		var got []Hash
		for hash := range slices.Chunk(data, tlog.HashSize) {
			got = append(got, Hash(hash))
		}
		same := bytes.Equal(leaf, leaves[123][:]) && bytes.Equal(data, encoded)
		if err := Check(got, size, index, Hash(leaf), root); err == nil && size == 600 &&
			!(same && index == 123) && !(index < 600 && Hash(leaf) == leaves[index]) {
			t.Errorf("a path of %d hashes of leaf %d is taken", len(got), index)
		}
	})
}

func TestFlippedBytesOfAPathFail(t *testing.T) {
	leaves := someLeaves(600, 8)
	tree := newKept(leaves)
	tree.finish()
	root := tree.Root()
	path, err := Prove(600, 599, root, tree.read)
	if err != nil {
		t.Fatal(err)
	}
	for i := range path {
		for at := range path[i] {
			path[i][at] ^= 0x10
			if Check(path, 600, 599, leaves[599], root) == nil {
				t.Errorf("byte %d of hash %d is not looked at", at, i)
			}
			path[i][at] ^= 0x10
		}
	}
	if Check(path, 600, 598, leaves[599], root) == nil || Check(path[1:], 600, 599, leaves[599], root) == nil ||
		Check(append(path, Hash{}), 600, 599, leaves[599], root) == nil {
		t.Error("another index or another length is taken")
	}
}

// A leaf's hash depends on every bit of the salt, and salts of neighbours have nothing in common.
func TestLeavesAreSalted(t *testing.T) {
	record, salt := []byte("a record"), Salt([32]byte{1, 2, 3}, 7)
	leaf := LeafHash(salt, record)
	if leaf != tlog.RecordHash(append(salt[:], record...)) {
		t.Error("a leaf is not the hash of salt and record")
	}
	for bit := range SaltBytes * 8 {
		other := salt
		other[bit/8] ^= 1 << (bit % 8)
		if LeafHash(other, record) == leaf {
			t.Errorf("bit %d of the salt does not count", bit)
		}
	}
	if Salt([32]byte{1, 2, 3}, 8) == salt || Salt([32]byte{1, 2, 4}, 7) == salt {
		t.Error("another record or another hour has the same salt")
	}
}

// A link depends on all that it stands for.
func TestLinksDependOnEveryPart(t *testing.T) {
	link := Link(Hash{1}, 2, 3, Hash{4})
	want := sha256.Sum256(slices.Concat([]byte{2}, append([]byte{1}, make([]byte, 31)...), []byte{0, 0, 0, 2},
		[]byte{0, 0, 0, 0, 0, 0, 0, 3}, append([]byte{4}, make([]byte, 31)...)))
	if link != want {
		t.Errorf("link %x, expected %x", link, want)
	}
	for _, other := range []Hash{Link(Hash{2}, 2, 3, Hash{4}), Link(Hash{1}, 3, 3, Hash{4}), Link(Hash{1}, 2, 4, Hash{4}),
		Link(Hash{1}, 2, 3, Hash{5})} {
		if other == link {
			t.Error("two hours have the same link")
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	leaves := someLeaves(1<<12, 9)
	var tree Tree
	for i := 0; b.Loop(); i++ {
		tree.Append(leaves[i%len(leaves)])
	}
}
