package bidder

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
)

// balance hands in what an advertiser can pay.
func (m *testMarket) balance(t *testing.T, advertiser string, none bool, left hexbid.Money) {
	t.Helper()
	u := AdvertiserUpdate{Advertiser: m.uidOf(t, advertiser), NoBalance: none, Left: left}
	if err := m.indexer.HandInAdvertisers(context.Background(), []AdvertiserUpdate{u}); err != nil {
		t.Fatal(err)
	}
}

// wonBy counts the awards of an advertiser at the dense point.
func (m *testMarket) wonBy(t *testing.T, advertiser string) (won int) {
	t.Helper()
	uid, s := m.uidOf(t, advertiser), m.indexer.Snapshot()
	var w Scratch
	q := NewQuery(&hexbid.Request{Point: hangzhou, Slots: 10, Viewer: hexbid.Viewer{Age: 30}}, "r", m.now)
	got := s.Search(&q, &w)
	if want := s.Plain(&q).Awards; !slices.Equal(got, want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	for _, a := range got {
		if s.AdvertiserOf(a.Entry.Ordinal) == uid {
			won++
		}
	}
	return won
}

// TestAnAdvertiserOfAnyNumberOfCampaignsIsOutWithOneHandIn: 9,990 campaigns are out as soon as the hand-in returns, and
// back as soon as the next one does, long before all of them have followed.
func TestAnAdvertiserOfAnyNumberOfCampaignsIsOutWithOneHandIn(t *testing.T) {
	m := newTestMarket(t, 2, hangzhou)
	dense(t, m, func(i int) int { return max(0, i-9989) }, func(int, *hexbid.Campaign) {})
	const rich = "advertisers/d0"
	for range 3 {
		if won := m.wonBy(t, rich); won != 1 {
			t.Fatalf("won %d slots with a balance", won)
		}
		m.balance(t, rich, true, 0)
		if won := m.wonBy(t, rich); won != 0 {
			t.Fatalf("won %d slots without a balance", won)
		}
		m.balance(t, rich, false, 0)
	}
}

// TestThoseWithoutBalanceDoNotStandInTheWay: the best half of a dense point leaves the lists after a while.
func TestThoseWithoutBalanceDoNotStandInTheWay(t *testing.T) {
	m := newTestMarket(t, 3, hangzhou)
	dense(t, m, func(i int) int { return i }, func(int, *hexbid.Campaign) {})
	updates := make([]AdvertiserUpdate, 5000)
	for i := range updates {
		updates[i] = AdvertiserUpdate{Advertiser: m.uidOf(t, fmt.Sprintf("advertisers/d%d", i)), NoBalance: true}
	}
	if err := m.indexer.HandInAdvertisers(context.Background(), updates); err != nil {
		t.Fatal(err)
	}
	m.searchDense(t)
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		m.now = m.now.Add(2 * offFor) // those that have followed since may leave now
		m.clock.Store(m.now.UnixNano())
		if w := m.searchDense(t); w.Sifted <= 128 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("they still stand in the lists")
		}
	}
}

// TestCampaignsFollowABalanceInSlices counts how many follow with each publication, until all have.
func TestCampaignsFollowABalanceInSlices(t *testing.T) {
	m, n := newChainMarket(t), 2*mostFollowing+100
	var all []hexbid.Resource
	for i := range n {
		all = append(all, chainCampaign("p", i, hexbid.Area{Circles: []hexbid.Circle{{Center: hangzhou, RadiusM: 2000}}},
			hexbid.Area{}))
	}
	m.put(t, all...)
	m.indexer.publish()
	x := m.indexer.index
	x.takeAdvertisers([]AdvertiserUpdate{{Advertiser: m.uidOf(t, "advertisers/a"), Left: 300_000}})
	for before := 0; x.balances.owes(); before = x.balances.followed {
		m.indexer.publish()
		if slice := x.balances.followed - before; slice == 0 || slice > mostFollowing {
			t.Fatalf("%d campaigns followed in one publication, want 1 to %d", slice, mostFollowing)
		}
	}
	if x.balances.followed != n {
		t.Errorf("%d of %d campaigns followed", x.balances.followed, n)
	}
	for _, i := range []int{0, n / 2, n - 1} {
		if got, _ := m.live(m.uidOf(t, all[i].Metadata().Name)); got.PacingPPM != 300_000 || !got.LoweredByBudget {
			t.Errorf("campaign %d: %+v", i, got)
		}
	}
}

// TestTheIndexerGoesOnUntilEveryCampaignHasFollowed though nothing else changes.
func TestTheIndexerGoesOnUntilEveryCampaignHasFollowed(t *testing.T) {
	m := newTestMarket(t, 2, hangzhou)
	dense(t, m, func(int) int { return 0 }, func(int, *hexbid.Campaign) {})
	m.balance(t, "advertisers/d0", false, 1_000_000)
	for _, name := range []string{m.names[0], m.names[5000], m.names[9999]} {
		uid := m.uidOf(t, name)
		err := m.indexer.await(context.Background(), func() bool {
			live, _ := m.indexer.Snapshot().LiveState(uid)
			return live.LoweredByBudget
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestThirtyCentsLeftDoNotGiveClicksForFifty follows one campaign whose budget ends.
func TestThirtyCentsLeftDoNotGiveClicksForFifty(t *testing.T) {
	m := newChainMarket(t)
	m.indexer.market.MinimumBid[hexbid.CPC] = 100_000
	c := chainCampaign("p", 0, hexbid.Area{Everywhere: true}, hexbid.Area{})
	c.Bid, c.HostBids = 250_000, []hexbid.HostBid{{Host: hexbid.WeChat, MultiplierPPM: 2_000_000}}
	m.put(t, c)
	uid := m.uidOf(t, c.Name)
	for _, step := range []struct {
		says          string
		left, bid     hexbid.Money
		wantPPM       int64
		lowered, ends bool
	}{
		{"fifty left pay for the dearest click", 500_000, 250_000, 1_000_000, false, false},
		{"thirty left lower every bid", 300_000, 250_000, 600_001, true, false}, // ⌊500000·600001/10⁶⌋ = 300000
		{"a higher bid is lowered further", 300_000, 500_000, 300_000, true, false},
		{"a lower bid fits", 300_000, 150_000, 1_000_000, false, false},
		{"below the least bid of the market it is spent", 99_999, 150_000, 333_333, true, true},
		{"topped up", 0, 150_000, 1_000_000, false, false},
	} {
		edited := *c
		edited.Bid = step.bid
		m.put(t, &edited)
		m.handIn(t, OwnerLedger, LiveUpdate{Campaign: uid, Left: step.left})
		got, _ := m.live(uid)
		if got.PacingPPM != step.wantPPM || got.LoweredByBudget != step.lowered || got.BudgetSpent != step.ends {
			t.Errorf("%s: %+v", step.says, got)
		}
	}
	m.handIn(t, OwnerLedger, LiveUpdate{Campaign: uid, Left: 300_000})
	m.put(t, c) // the bid that the bound is for comes last
	if got, _ := m.live(uid); got.PacingPPM != 600_001 {
		t.Errorf("edited after the hand-in: %+v", got)
	}
}

// TestABalanceOfAnAdvertiserThatIsStillToComeIsInForceWithIt: an advertiser that is not indexed yet, and one whose
// delete is undone.
func TestABalanceOfAnAdvertiserThatIsStillToComeIsInForceWithIt(t *testing.T) {
	m := newChainMarket(t)
	x, name := m.indexer.index, "advertisers/later"
	owner := func(uid hexbid.UID) *hexbid.Advertiser {
		return &hexbid.Advertiser{Meta: hexbid.Meta{Name: name, UID: uid, Version: 1}}
	}
	isBroke := func() bool { m.indexer.publish(); return m.indexer.Snapshot().broke.has(x.records.byName[keyOf(name)]) }
	x.takeAdvertisers([]AdvertiserUpdate{{Advertiser: 500, NoBalance: true}})
	x.applyAll(puts(0, owner(500)))
	if !isBroke() {
		t.Error("handed in before it came: not in force")
	}
	x.applyAll(&update{deletes: []hexbid.Resource{owner(500)}})
	x.applyAll(puts(0, owner(501)))
	if isBroke() {
		t.Error("another advertiser of the same name has the balance of the one before")
	}
	x.applyAll(&update{deletes: []hexbid.Resource{owner(501)}})
	x.applyAll(puts(0, owner(500)))
	if !isBroke() {
		t.Error("the delete was undone: not in force again")
	}
	x.takeAdvertisers([]AdvertiserUpdate{{Advertiser: 500}})
	if isBroke() || x.balances.strays.unindexed() != 0 {
		t.Errorf("topped up, %d kept beside it", x.balances.strays.unindexed())
	}
}

// TestBalancesHandedInBeforeTheMarketOpensAreInTheFirstSnapshot restarts a market.
func TestBalancesHandedInBeforeTheMarketOpensAreInTheFirstSnapshot(t *testing.T) {
	m := newChainMarket(t)
	c := chainCampaign("p", 0, hexbid.Area{Everywhere: true}, hexbid.Area{})
	m.put(t, c)
	market := DefaultMarket()
	x := NewIndexer(&market, fixedClock, slog.New(slog.DiscardHandler))
	if err := x.HandInAdvertisersFirst([]AdvertiserUpdate{{}}); hexbid.KindOf(err) != hexbid.Invalid {
		t.Error(err)
	}
	updates := []AdvertiserUpdate{{Advertiser: m.uidOf(t, "advertisers/a"), NoBalance: true, Left: 700_000}}
	if err := x.HandInAdvertisersFirst(updates); err != nil {
		t.Fatal(err)
	}
	if err := x.Load(context.Background(), m.store); err != nil {
		t.Fatal(err)
	}
	got, _ := x.Snapshot().LiveState(m.uidOf(t, c.Name))
	if want := (LiveState{PacingPPM: 700_000, LoweredByBudget: true, ParticipationPPM: auction.PPM, QualityPPM: prior,
		QualityIsPrior: true, ExploredPPM: 2 * prior,
		NoBalance: true}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestBalancesThatMakeNoSenseChangeNothing(t *testing.T) {
	m := newTestMarket(t, 4, hangzhou)
	for _, c := range []struct {
		updates []AdvertiserUpdate
		field   string
	}{
		{make([]AdvertiserUpdate, MaxLiveUpdates+1), "updates"},
		{[]AdvertiserUpdate{{Advertiser: 1}, {NoBalance: true}}, "updates[1].advertiser"},
		{[]AdvertiserUpdate{{Advertiser: 1, Left: -1}}, "updates[0].left"},
	} {
		err := m.indexer.HandInAdvertisers(context.Background(), c.updates)
		if errs, _ := hexbid.ErrorsOf(err); len(errs) != 1 || errs[0].Field != c.field || errs[0].Kind != hexbid.Invalid {
			t.Errorf("%v, want an error about %s", err, c.field)
		}
	}
}

// TestABalanceIsAReasonOfItsOwn, and more money for a bid is no advice where the budget lowers the bid.
func TestABalanceIsAReasonOfItsOwn(t *testing.T) {
	m := newTestMarket(t, 3, hangzhou)
	m.fill(t, 0)
	const a, p = "advertisers/x", "advertisers/x/programs/p"
	c := &hexbid.Campaign{Meta: hexbid.Meta{Name: a + "/campaigns/c"}, Program: p, Pricing: hexbid.CPC, Bid: 1_000_000,
		Area: hexbid.Area{Everywhere: true}}
	m.commit(t, &hexbid.Advertiser{Meta: hexbid.Meta{Name: a}},
		&hexbid.Program{Meta: hexbid.Meta{Name: p}, Category: hexbid.Catering, Hosts: []hexbid.Host{hexbid.WeChat}}, c)
	q := NewQuery(&hexbid.Request{Point: hangzhou, Slots: 3, Viewer: hexbid.Viewer{Age: 30}}, "r", m.now)
	verdict := func() Verdict {
		v, _, err := m.indexer.Snapshot().Explain(context.Background(), &q, m.uidOf(t, c.Name), new(Scratch))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	m.balance(t, a, true, 0)
	if v := verdict(); v.Rule != RuleBalance {
		t.Errorf("without a balance: %q", v.Rule)
	}
	m.balance(t, a, false, 100)
	v := verdict()
	if _, advised := m.indexer.Snapshot().BidToWin(&v); v.Rule != RuleReserve || v.Needed == 0 || advised {
		t.Errorf("with little left: %q, and a bid is advised: %v", v.Rule, advised)
	}
	if v.Entry.MultiplierPPM >= auction.PPM {
		t.Errorf("a multiplier of %d", v.Entry.MultiplierPPM)
	}
}

func TestASetOfOrdinalsIsAMapOfThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w ordinalBitsWriter
		plain := map[uint32]bool{}
		var frozen ordinalBits
		var atFreeze map[uint32]bool
		for range rapid.IntRange(0, 100).Draw(t, "steps") {
			i := rapid.Uint32Range(0, 300).Draw(t, "ordinal")
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0:
				frozen, atFreeze = w.freeze(), map[uint32]bool{}
				for i := range plain {
					atFreeze[i] = true
				}
			case 1:
				w.set(i, false)
				delete(plain, i)
			default:
				w.set(i, true)
				plain[i] = true
			}
		}
		for i := range uint32(400) {
			if w.bits.has(i) != plain[i] || frozen.has(i) != atFreeze[i] {
				t.Fatalf("ordinal %d: %v, frozen %v; want %v and %v", i, w.bits.has(i), frozen.has(i), plain[i], atFreeze[i])
			}
		}
	})
}
