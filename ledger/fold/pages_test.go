package fold

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
)

func TestPagesOfUidsAreInOrderHoweverTheyCame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfDistinct(rapid.Uint64Range(1, 1000), func(v uint64) uint64 { return v }).Draw(t, "uids")
		var o ordered
		var known []hexbid.UID
		for _, v := range all {
			o.add(hexbid.UID(v))
			known = append(known, hexbid.UID(v))
			if !rapid.Bool().Draw(t, "look") {
				continue
			}
			slices.Sort(known)
			after, limit := hexbid.UID(rapid.Uint64Range(0, 1001).Draw(t, "after")), rapid.IntRange(-1, 20).Draw(t, "limit")
			var want []hexbid.UID
			for _, uid := range known {
				if uid > after && len(want) < limit {
					want = append(want, uid)
				}
			}
			if got := o.page(after, limit); !slices.Equal(got, want) {
				t.Fatalf("%d after %d of %v: %v", limit, after, known, got)
			}
		}
	})
}
