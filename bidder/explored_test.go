package bidder

import (
	"fmt"
	"testing"

	"github.com/hexbid/hexbid"
)

// TestOnlySearchesThatExplorePayForIt: to the others it is one whether campaigns can be explored or not, counted in
// postings sifted and records scored.
func TestOnlySearchesThatExplorePayForIt(t *testing.T) {
	work := func(exploredPPM int64, explore bool) (sifted, scored int) {
		m := newChainMarket(t)
		for i := range 400 {
			c := chainCampaign("p", i, hexbid.Area{Everywhere: true}, hexbid.Area{})
			c.Bid += hexbid.Money(1000 * i)
			m.put(t, c)
			m.handIn(t, OwnerQuality, LiveUpdate{Campaign: m.uidOf(t, c.Name), QualityPPM: 20_000 + int64(i%7)*1000,
				ExploredPPM: exploredPPM})
		}
		m.indexer.publish()
		var scratch Scratch
		for n := range 50 {
			q := NewQuery(&hexbid.Request{Point: hexbid.Point{Lat: 30, Lng: 120}, RadiusM: 1000, Slots: 3, Host: hexbid.WeChat,
				Viewer: hexbid.Viewer{Age: hexbid.AgeUnknown}}, fmt.Sprint(n), fixedClock())
			q.Explore = explore
			scratch.Sifted, scratch.Scored = 0, 0
			m.indexer.Snapshot().Search(&q, &scratch)
			sifted, scored = sifted+scratch.Sifted, scored+scratch.Scored
		}
		return sifted, scored
	}
	sifted, scored := work(0, false)
	if s, c := work(40_000, false); s != sifted || c != scored {
		t.Errorf("where campaigns can be explored, other searches sift %d and score %d; without, %d and %d", s, c, sifted,
			scored)
	}
	if s, c := work(40_000, true); s < sifted || c <= scored {
		t.Errorf("searches that explore sift %d and score %d, others %d and %d: the count is of no use", s, c, sifted, scored)
	}
}
