package peers

import "github.com/tidwall/rtree"

// RTree is tidwall/rtree: boxes around the circles, then the exact test.
type RTree struct {
	circles []Circle
	tree    rtree.RTreeG[int32]
}

// Name implements Peer.
func (*RTree) Name() string { return "tidwall/rtree" }

// Load implements Peer.
func (r *RTree) Load(circles []Circle) error {
	r.circles = circles
	for i := range circles {
		low, high := circles[i].box()
		r.tree.Insert(low, high, int32(i))
	}
	return nil
}

// TopTen implements Peer.
func (r *RTree) TopTen(q *Query, into []int) ([]int, error) {
	b := best{circles: r.circles}
	at := [2]float64{q.At.Lng, q.At.Lat}
	r.tree.Search(at, at, func(_, _ [2]float64, i int32) bool {
		if r.circles[i].covers(q) {
			b.offer(int(i))
		}
		return true
	})
	return b.append(into), nil
}

// Close implements Peer.
func (*RTree) Close() error { return nil }
