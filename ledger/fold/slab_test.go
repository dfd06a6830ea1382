package fold

import (
	"runtime"
	"testing"

	"github.com/hexbid/hexbid"
)

func TestAccountsAreMadeManyAtATime(t *testing.T) {
	var of slab[campaign]
	made := map[*campaign]bool{}
	for uid := range hexbid.UID(1000) {
		c := of.make()
		if made[c] || *c != (campaign{}) {
			t.Fatalf("campaign %d has the memory of %+v", uid, *c)
		}
		c.uid, made[c] = uid+1, true
	}
	if allocations := testing.AllocsPerRun(10, func() {
		for range 10 * accountsASlab {
			of.make()
		}
	}); allocations != 10 {
		t.Errorf("%g allocations for ten slabs", allocations)
	}
}

// BenchmarkCollectingAMillionCampaigns runs the garbage collector beside the books of a large market.
func BenchmarkCollectingAMillionCampaigns(b *testing.B) {
	books := New()
	for uid := range hexbid.UID(1_000_000) {
		c := books.campaignSlab.make()
		c.uid, c.advertiser = uid+1, books.openAdvertiser(uid/5+1)
		books.campaigns[c.uid] = c
	}
	for b.Loop() {
		runtime.GC()
	}
	runtime.KeepAlive(books)
}
