package bidder

import "testing"

// TestARiseOfPriorsTakesABoundedNumberOfPortions counts the portions of rises in markets of many sizes.
func TestARiseOfPriorsTakesABoundedNumberOfPortions(t *testing.T) {
	for _, campaigns := range []int{1, mostMoved, 100_000, 1_000_000, 7_000_000} {
		portions, size := 0, portionOf(campaigns)
		for left := campaigns; left > 0; left -= size {
			portions++
		}
		if portions > mostPortions+1 || size < mostMoved || size > max(mostMoved, campaigns/100) {
			t.Errorf("%d campaigns take %d portions of %d", campaigns, portions, size)
		}
	}
}
