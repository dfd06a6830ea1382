package geoindex

import (
	"cmp"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"weak"

	"github.com/hexbid/hexbid"
)

// marked is a site as it is inserted.
type marked struct {
	Site
	Vec   Vec
	Cell  Cell
	Marks Marks
}

func (m marked) insert(e *Edit) { e.Insert(m.Site, m.Vec, m.Cell, m.Marks) }

func randomSites(r *rand.Rand, n int) []marked {
	sites := make([]marked, n)
	for i := range sites {
		p := hexbid.Point{Lat: 30.25 + 0.1*r.NormFloat64(), Lng: 120.16 + 0.1*r.NormFloat64()}
		switch r.IntN(10) {
		case 0:
			p = hardPoint(r)
		case 1: // several at one point
			if i > 0 {
				p = sites[r.IntN(i)].Vec.Point()
			}
		}
		v := VecOf(p)
		sites[i] = marked{Site{Rank: r.Uint64() % 1000, Tie: uint64(i), Ordinal: uint32(i)}, v, CellAt(v),
			Marks{1<<r.IntN(20) | 1<<(20+r.IntN(10)), r.Uint64() | r.Uint64()}}
	}
	return sites
}

// slowNearest is the oracle: sort them all.
func slowNearest(sites []marked, from Vec, maxChord2 float64, need Need) []marked {
	var found []marked
	for _, s := range sites {
		if s.Vec.Chord2(from) <= maxChord2 && need.metBy(&s.Marks) {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b marked) int {
		return cmp.Or(cmp.Compare(a.Vec.Chord2(from), b.Vec.Chord2(from)), cmp.Compare(a.Rank, b.Rank),
			cmp.Compare(a.Tie, b.Tie))
	})
	return found
}

func TestNearestAgreesWithSortingEverything(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	sites := randomSites(r, 3000)
	edit := (*Tree)(nil).Edit()
	for _, s := range sites {
		s.insert(edit)
	}
	tree := edit.Tree()
	var walk Nearest
	for round := range 400 {
		if round%4 == 0 { // change the tree; the old one must not notice
			before, old := slowNearest(sites, sites[0].Vec, 4, Need{}), tree
			edit = tree.Edit()
			gone := r.IntN(len(sites))
			if !edit.Delete(sites[gone].Ordinal, sites[gone].Cell) {
				t.Fatal("a site was not there to delete")
			}
			sites = slices.Delete(sites, gone, gone+1)
			fresh := randomSites(r, 1)[0]
			fresh.Ordinal, fresh.Tie = uint32(10_000+round), uint64(10_000+round)
			fresh.insert(edit)
			sites = append(sites, fresh)
			tree = edit.Tree()
			if countSites(old.root) != len(before) {
				t.Fatalf("the old tree changed: %d sites, had %d", countSites(old.root), len(before))
			}
		}
		from := VecOf(hexbid.Point{Lat: 30.25 + 0.1*r.NormFloat64(), Lng: 120.16 + 0.1*r.NormFloat64()})
		if r.IntN(4) == 0 {
			from = VecOf(hardPoint(r))
		}
		maxChord2 := Chord2OfM([]float64{500, 3000, 50_000, 2e7}[r.IntN(4)])
		var need Need
		if r.IntN(2) == 0 {
			need.Some = []uint64{r.Uint64() & (1<<20 - 1), 7 << (20 + r.IntN(8))}
		}
		if r.IntN(3) == 0 {
			need.All = r.Uint64() & r.Uint64() & r.Uint64()
		}
		walk.Start(tree, from, maxChord2, need)
		for i, want := range slowNearest(sites, from, maxChord2, need) {
			got, chord2 := walk.Next()
			if got == nil || chord2 != want.Vec.Chord2(from) || got.Ordinal != want.Ordinal {
				t.Fatalf("site %d from %v: got %+v, want %+v", i, from.Point(), got, want)
			}
		}
		if extra, _ := walk.Next(); extra != nil {
			t.Fatalf("one site too many: %+v", extra)
		}
	}
}

func countSites(n *node) int {
	count := len(n.sites)
	for i := range n.children {
		if c := n.children[i].node; c != nil {
			count += countSites(c)
		}
	}
	return count
}

// TestATreeKeepsNoEarlierOneInMemory: every change leaves nodes that were made for it,
// and those must not lead back to the tree as it was then.
func TestATreeKeepsNoEarlierOneInMemory(t *testing.T) {
	sites := randomSites(rand.New(rand.NewPCG(21, 22)), 500)
	var tree *Tree
	var earlier []weak.Pointer[node]
	for _, s := range sites {
		edit := tree.Edit()
		s.insert(edit)
		tree = edit.Tree()
		earlier = append(earlier, weak.Make(tree.root))
	}
	runtime.GC()
	for i, root := range earlier[:len(earlier)-1] {
		if root.Value() != nil {
			t.Fatalf("the tree of %d sites is still in memory beside that of %d", i+1, len(sites))
		}
	}
	runtime.KeepAlive(tree)
}

// TestADeletionCostsTheSameHoweverManyThereAre: of sites that need no marks, too.
func TestADeletionCostsTheSameHoweverManyThereAre(t *testing.T) {
	const mostVisited = leafSites + baseCells + 2*7*(Finest+1)
	for _, n := range []int{100, 1000, 10_000} {
		sites := randomSites(rand.New(rand.NewPCG(23, 24)), n)
		fill := (*Tree)(nil).Edit()
		for i := range sites {
			sites[i].Marks = Marks{}
			sites[i].insert(fill)
		}
		edit := fill.Tree().Edit()
		for _, s := range sites {
			before := edit.visited
			if !edit.Delete(s.Ordinal, s.Cell) {
				t.Fatal("a site was not there to delete")
			}
			if visited := edit.visited - before; visited > mostVisited {
				t.Fatalf("deleting one of %d sites looked at %d: want at most %d", n, visited, mostVisited)
			}
		}
		if left := countSites(edit.Tree().root); left != 0 {
			t.Fatalf("%d sites are left", left)
		}
	}
}

func TestAWalkThatPausesFindsTheSame(t *testing.T) {
	r := rand.New(rand.NewPCG(19, 20))
	edit := (*Tree)(nil).Edit()
	for _, s := range randomSites(r, 5000) {
		s.insert(edit)
	}
	tree := edit.Tree()
	from, need := VecOf(hexbid.Point{Lat: 30.25, Lng: 120.16}), Need{Some: []uint64{255 << 20}}
	var whole, paused Nearest
	whole.Start(tree, from, Chord2OfM(2e7), need)
	paused.Start(tree, from, Chord2OfM(2e7), need)
	paused.Allow(1)
	most, found := 0, 0
	for {
		want, wantChord2 := whole.Next()
		got, gotChord2 := paused.Next()
		for got == nil && paused.Paused() {
			before := paused.Steps
			paused.Allow(100)
			got, gotChord2 = paused.Next()
			most = max(most, paused.Steps-before-100)
		}
		if got == nil || want == nil {
			if got != nil || want != nil {
				t.Fatalf("one walk ended: %v, %v", got, want)
			}
			break
		}
		if found++; *got != *want || gotChord2 != wantChord2 {
			t.Fatalf("site %d: got %+v, want %+v", found, got, want)
		}
	}
	if found < 1000 || paused.Steps != whole.Steps {
		t.Errorf("%d sites in %d steps, %d without pauses", found, paused.Steps, whole.Steps)
	}
	if most > found { // a node and a sift of all that waits
		t.Errorf("%d steps beyond those allowed", most)
	}
}

func TestNearestDoesNotAllocate(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	edit := (*Tree)(nil).Edit()
	for _, s := range randomSites(r, 5000) {
		s.insert(edit)
	}
	tree := edit.Tree()
	var walk Nearest
	from, need := VecOf(hexbid.Point{Lat: 30.25, Lng: 120.16}), Need{Some: []uint64{3 << 20}}
	if n := testing.AllocsPerRun(100, func() {
		walk.Start(tree, from, Chord2OfM(3000), need)
		for range 20 {
			walk.Next()
		}
	}); n > 0 {
		t.Errorf("%v allocations a walk", n)
	}
	if walk.Steps > 5000 {
		t.Errorf("%d nodes and sites looked at for 20 of 5000", walk.Steps)
	}
}

func BenchmarkNearest20(b *testing.B) {
	r := rand.New(rand.NewPCG(17, 18))
	edit := (*Tree)(nil).Edit()
	for _, s := range randomSites(r, 200_000) {
		s.insert(edit)
	}
	tree := edit.Tree()
	var walk Nearest
	from := VecOf(hexbid.Point{Lat: 30.25, Lng: 120.16})
	for b.Loop() {
		walk.Start(tree, from, Chord2OfM(3000), Need{})
		for range 20 {
			walk.Next()
		}
	}
}

func TestTheClosestAgreesWithSortingEverything(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	for _, n := range []int{0, 1, 2, 17, leafSites, leafSites + 1, 500, 3000} {
		sites := randomSites(r, n)
		edit := (*Tree)(nil).Edit()
		for _, s := range sites {
			s.insert(edit)
		}
		for _, gone := range sites[n-n/3:] {
			if !edit.Delete(gone.Ordinal, gone.Cell) {
				t.Fatalf("site %d of %d was not there", gone.Ordinal, n)
			}
		}
		tree, left := edit.Tree(), sites[:n-n/3]
		for range 300 {
			from := VecOf(hexbid.Point{Lat: 30.25 + 0.1*r.NormFloat64(), Lng: 120.16 + 0.1*r.NormFloat64()})
			if r.IntN(5) == 0 {
				from = VecOf(hardPoint(r))
			}
			got, chord2 := tree.Closest(from)
			want := slowNearest(left, from, 5, Need{})
			switch {
			case len(want) == 0:
				if got != nil || !math.IsInf(chord2, 1) {
					t.Fatalf("of no site got %+v at %v", got, chord2)
				}
			case got == nil || *got != want[0].Site || chord2 != want[0].Vec.Chord2(from):
				t.Fatalf("of %d sites got %+v at %v, want %+v", len(left), got, chord2, want[0].Site)
			}
		}
	}
}

// TestTheClosestIsFoundWithoutLookingAtAll counts what a search looks at: of a
// hundred times the places it may look at little more.
func TestTheClosestIsFoundWithoutLookingAtAll(t *testing.T) {
	r := rand.New(rand.NewPCG(19, 20))
	visited := func(n int) (sum int) {
		edit := (*Tree)(nil).Edit()
		for _, s := range randomSites(r, n) {
			s.insert(edit)
		}
		tree := edit.Tree()
		for range 200 {
			c := tree.closest(VecOf(hexbid.Point{Lat: 30.25 + 0.1*r.NormFloat64(), Lng: 120.16 + 0.1*r.NormFloat64()}))
			sum += c.visited
		}
		return sum / 200
	}
	few, many := visited(200), visited(20_000)
	t.Logf("looked at %d of 200, %d of 20,000", few, many)
	if many > 1000 {
		t.Errorf("looked at %d of 20,000 sites and their nodes", many)
	}
}

func TestAPositionRemembersHowFarTheClosestIs(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	at := Locate(hexbid.Point{Lat: 30.25, Lng: 120.16})
	var trees []*Tree
	for range 10 {
		edit := (*Tree)(nil).Edit()
		for _, s := range randomSites(r, 100) {
			s.insert(edit)
		}
		trees = append(trees, edit.Tree())
	}
	for range 1000 {
		tree := trees[r.IntN(len(trees))]
		if _, want := tree.Closest(at.Vec); at.ClosestIn(tree) != want {
			t.Fatalf("got %v, want %v", at.ClosestIn(tree), want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { at.ClosestIn(trees[r.IntN(len(trees))]) }); n != 0 {
		t.Errorf("allocates %v times", n)
	}
}
