package exchange

import (
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/store"
)

// What limits a campaign is told as often as anybody asks, so it too follows from rivals' scores in steps alone.
func TestWhatLimitsACampaignTellsNothingFinerThanAStep(t *testing.T) {
	b, own, other := openTenants(t)
	r := at(hub)
	r.Slots = 1
	q := bidder.NewQuery(r, "a search", b.Now())
	b.recent.forget()
	b.recent.keep(1, &q)
	bid := func(x tenant, bid hexbid.Money) {
		t.Helper()
		if _, err := b.Update(ctx, x.campaign(), store.AnyVersion, false, func(p hexbid.Resource) (hexbid.Resource, error) {
			next := *p.(*hexbid.Campaign)
			next.Bid, next.DailyBudget = bid, 100*bid
			return &next, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	const ownBid, quality = 1_500_000, 30_000 // of catering, in parts per million
	bid(own, ownBid)
	told, exact := map[int64]tried{}, map[tried]bool{}
	for rival := hexbid.Money(1_200_000); rival < 1_800_000; rival += 7_001 {
		bid(other, rival)
		for level := hexbid.LevelViewer; level < hexbid.LevelCount; level++ {
			got := must(b.tryRecent(memberOf(own, level), own.of))
			step := stepAbove(int64(rival) * quality)
			if before, known := told[step]; known && got != before {
				t.Fatalf("a rival's bid of %s shows as %+v to the %s, others of its step as %+v", rival, got, level, before)
			}
			told[step] = got
		}
		exact[must(b.tryRecent(ctx, own.of))] = true
	}
	seen := map[tried]bool{}
	for _, one := range told {
		seen[one] = true
	}
	if len(told) < 3 || len(seen) != 2 || len(exact) != 2 {
		t.Errorf("%d steps show as %d, and exactly as %d", len(told), len(seen), len(exact))
	}
}

// The hour's explanations are the advertiser's, however many users and keys it has, and no rival's.
func TestExplanationsAreCountedByAdvertiser(t *testing.T) {
	b, own, other := openTenants(t)
	b.explains.atMost = 3
	colleague := hexbid.PrincipalOf(memberOf(own, hexbid.LevelAdmin))
	colleague.ID, colleague.UID, colleague.Key = "users/n", 2, "users/n/keys/k"
	ask := func(p hexbid.Principal, name string) error {
		_, err := b.Explain(hexbid.WithPrincipal(ctx, p), name, at(hub))
		return err
	}
	first := hexbid.PrincipalOf(memberOf(own, hexbid.LevelViewer))
	for range 5 { // of others, and of nobody's, use nothing up
		if err := ask(first, other.campaign()); hexbid.KindOf(err) != hexbid.NotFound {
			t.Fatal(err)
		}
	}
	for i, p := range []hexbid.Principal{first, colleague, first} {
		p.Key += "another"
		if err := ask(p, own.campaign()); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	for _, p := range []hexbid.Principal{first, colleague} {
		if err := ask(p, own.campaign()); err == nil || hexbid.KindOf(err) != hexbid.Exhausted {
			t.Errorf("%s: %v", p.ID, err)
		}
	}
	if err := ask(hexbid.PrincipalOf(memberOf(other, hexbid.LevelViewer)), other.campaign()); err != nil {
		t.Errorf("a rival: %v", err)
	}
}
