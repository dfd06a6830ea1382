package bidder

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sort"
	"sync"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/store"
)

// stated is all that three owners say about one campaign.
type stated struct {
	campaign              hexbid.UID
	pacingPPM, qualityPPM int64
	heldOutPPM            int64 // of the searches: its participation is the rest
	exploredPPM           int64
	spent                 bool
	left                  hexbid.Money
}

// handInAll hands in what the owners say, one after another.
func (x *Indexer) handInAll(tb testing.TB, all []stated) {
	tb.Helper()
	var spent, pacing, quality []LiveUpdate
	for _, w := range all {
		spent = append(spent, LiveUpdate{Campaign: w.campaign, BudgetSpent: w.spent, Left: w.left})
		pacing = append(pacing, LiveUpdate{Campaign: w.campaign, PacingPPM: w.pacingPPM,
			ParticipationPPM: auction.PPM - w.heldOutPPM})
		quality = append(quality, LiveUpdate{Campaign: w.campaign, QualityPPM: w.qualityPPM, ExploredPPM: w.exploredPPM})
	}
	for _, call := range []handIn{{owner: OwnerLedger, updates: spent}, {owner: OwnerPacing, updates: pacing},
		{owner: OwnerQuality, updates: quality}} {
		if err := x.HandIn(context.Background(), call.owner, call.updates); err != nil {
			tb.Fatal(err)
		}
	}
}

// handIn takes an update without a goroutine that runs.
func (m *chainMarket) handIn(tb rapid.TB, owner Owner, u LiveUpdate) {
	if err := checkUpdates(owner, []LiveUpdate{u}); err != nil {
		tb.Fatalf("%v", err)
	}
	m.indexer.take(owner, []LiveUpdate{u})
}

func (m *chainMarket) uidOf(tb rapid.TB, name string) hexbid.UID {
	r, err := m.store.Get(context.Background(), name)
	if err != nil {
		tb.Fatalf("%v", err)
	}
	return r.Meta().UID
}

// live publishes and reads a campaign's live state.
func (m *chainMarket) live(campaign hexbid.UID) (LiveState, bool) {
	m.indexer.publish()
	return m.indexer.Snapshot().LiveState(campaign)
}

const prior = 30_000 // of catering in the default market

func TestALiveStateSurvivesEditsOfItsCampaignAndItsProgram(t *testing.T) {
	m := newChainMarket(t)
	c := chainCampaign("p", 0, hexbid.Area{Everywhere: true}, hexbid.Area{})
	m.put(t, c)
	uid := m.uidOf(t, c.Name)
	untold := LiveState{PacingPPM: auction.PPM, ParticipationPPM: auction.PPM, QualityPPM: prior, QualityIsPrior: true,
		ExploredPPM: 2 * prior}
	edit := func() {
		edited := *c
		edited.Bid += 100_000
		m.put(t, &edited)
		c = &edited
	}
	if got, _ := m.live(uid); got != untold {
		t.Errorf("before anything was handed in: %+v", got)
	}
	m.handIn(t, OwnerPacing, LiveUpdate{Campaign: uid, PacingPPM: 400_000, ParticipationPPM: 700_000})
	edit()
	m.put(t, &hexbid.Program{Meta: hexbid.Meta{Name: c.Program}, DisplayName: "Bank", Category: hexbid.Finance,
		Hosts: []hexbid.Host{hexbid.WeChat}})
	if got, _ := m.live(uid); got != (LiveState{PacingPPM: 400_000, ParticipationPPM: 700_000, QualityPPM: 12_000,
		QualityIsPrior: true, ExploredPPM: 24_000}) {
		t.Errorf("the prior counts until a quality is handed in, and it is of another category now: %+v", got)
	}
	m.handIn(t, OwnerQuality, LiveUpdate{Campaign: uid, QualityPPM: 60_000, ExploredPPM: 91_999})
	m.handIn(t, OwnerLedger, LiveUpdate{Campaign: uid, BudgetSpent: true})
	edit()
	m.put(t, chainProgram("p"))
	if got, _ := m.live(uid); got != (LiveState{PacingPPM: 400_000, ParticipationPPM: 700_000, QualityPPM: 60_000,
		ExploredPPM: 88_000, BudgetSpent: true}) {
		t.Errorf("after edits: %+v", got)
	}
	for owner := OwnerLedger; owner.isKnown(); owner++ {
		m.handIn(t, owner, LiveUpdate{Campaign: uid, Withdrawn: true})
	}
	if got, _ := m.live(uid); got != untold {
		t.Errorf("after all was withdrawn: %+v", got)
	}
	if m.indexer.live.of(uid) != (handedIn{}) {
		t.Error("a state is kept that nobody says anything of")
	}
}

// TestAnUndoneDeleteFindsItsLiveState deletes a campaign and brings its uid back.
func TestAnUndoneDeleteFindsItsLiveState(t *testing.T) {
	m := newChainMarket(t)
	c := chainCampaign("p", 0, hexbid.Area{Everywhere: true}, hexbid.Area{})
	m.put(t, c)
	record, err := m.store.Get(context.Background(), c.Name)
	if err != nil {
		t.Fatal(err)
	}
	uid := record.Meta().UID
	m.handIn(t, OwnerLedger, LiveUpdate{Campaign: uid, BudgetSpent: true})
	m.handIn(t, OwnerPacing, LiveUpdate{Campaign: uid, PacingPPM: 1})
	m.remove(t, c.Name)
	if _, there := m.live(uid); there {
		t.Error("a deleted campaign has a live state")
	}
	m.handIn(t, OwnerPacing, LiveUpdate{Campaign: uid, PacingPPM: 2, ParticipationPPM: 3}) // the owner goes on
	m.indexer.apply(puts(m.indexer.version+1, record.Resource))
	if got, there := m.live(uid); !there ||
		got != (LiveState{PacingPPM: 2, ParticipationPPM: 3, QualityPPM: prior, QualityIsPrior: true, ExploredPPM: 2 * prior,
			BudgetSpent: true}) {
		t.Errorf("after the delete was undone: %+v", got)
	}
	if n := m.indexer.live.unindexed(); n != 0 {
		t.Errorf("%d states are kept twice", n)
	}
}

// TestAStateOfACampaignThatIsStillToComeIsInForceWithIt, and of many such the bound
// lets the latest stay.
func TestAStateOfACampaignThatIsStillToComeIsInForceWithIt(t *testing.T) {
	m := newChainMarket(t)
	m.indexer.live.generation = 50
	const most = 2 * 50
	for uid := hexbid.UID(1000); uid < 2000; uid++ {
		m.handIn(t, OwnerQuality, LiveUpdate{Campaign: uid, QualityPPM: int64(uid)})
		if n := m.indexer.live.unindexed(); n > most {
			t.Fatalf("%d states are kept of uids without a campaign, at most %d should be", n, most)
		}
	}
	c := chainCampaign("p", 0, hexbid.Area{Everywhere: true}, hexbid.Area{})
	for uid, want := range map[hexbid.UID]int64{1000: prior, 1999 - most: prior, 1950: 1950, 1999: 1999} {
		c.Meta = hexbid.Meta{Name: fmt.Sprintf("advertisers/a/campaigns/c%d", uid), UID: uid, Version: 1}
		noun := *c
		m.indexer.apply(puts(m.indexer.version+1, &noun))
		if got, there := m.live(uid); !there || got.QualityPPM != want {
			t.Errorf("campaign %d has quality %d, want %d", uid, got.QualityPPM, want)
		}
	}
}

// TestStatesHandedInBeforeTheMarketOpensAreInTheFirstSnapshot restarts a market. They
// cost no list an edit: campaigns are posted with the caps that they have then.
func TestStatesHandedInBeforeTheMarketOpensAreInTheFirstSnapshot(t *testing.T) {
	m := newChainMarket(t)
	for i := range 40 {
		m.put(t, chainCampaign("p", i, hexbid.Area{Circles: []hexbid.Circle{{Center: hangzhou, RadiusM: 2000}}},
			hexbid.Area{}))
	}
	load := func(first func(x *Indexer)) *Indexer {
		market := DefaultMarket()
		x := NewIndexer(&market, fixedClock, slog.New(slog.DiscardHandler))
		x.live.generation = 10
		first(x)
		if err := x.Load(context.Background(), m.store); err != nil {
			t.Fatal(err)
		}
		return x
	}
	plain := load(func(*Indexer) {})
	x := load(func(x *Indexer) {
		var paced []LiveUpdate
		for i := range 40 {
			paced = append(paced, LiveUpdate{Campaign: m.uidOf(t, fmt.Sprintf("advertisers/a/campaigns/c%d", i)),
				PacingPPM: int64(1000 * i), ParticipationPPM: 1})
		}
		for uid := hexbid.UID(5000); uid < 5100; uid++ { // of campaigns that were deleted
			paced = append(paced, LiveUpdate{Campaign: uid, PacingPPM: 1})
		}
		if err := x.HandInFirst(OwnerPacing, paced); err != nil {
			t.Fatal(err)
		}
		if err := x.HandInFirst(OwnerPacing,
			[]LiveUpdate{{Campaign: 1, PacingPPM: -1}}); hexbid.KindOf(err) != hexbid.Invalid {
			t.Error(err)
		}
	})
	for i := range 40 {
		if got, _ := x.Snapshot().LiveState(m.uidOf(t, fmt.Sprintf("advertisers/a/campaigns/c%d",
			i))); got.PacingPPM != int64(1000*i) {
			t.Errorf("campaign %d: %+v", i, got)
		}
	}
	if x.postings.lists.edits.ever != plain.postings.lists.edits.ever {
		t.Errorf("%d edits of lists, %d without live states", x.postings.lists.edits.ever, plain.postings.lists.edits.ever)
	}
	if n := x.live.unindexed(); n != 10 {
		t.Errorf("%d states are kept of uids without a campaign, want 10", n)
	}
	if x.live.take(5099).said.multiplierPPM() != 1 {
		t.Error("of the states without a campaign the latest uid's is not kept")
	}
}

func TestAHandInThatTheOwnerMayNotMakeChangesNothing(t *testing.T) {
	m := newTestMarket(t, 4, hangzhou)
	m.fill(t, 1)
	r, err := m.store.Get(context.Background(), m.names[0])
	if err != nil {
		t.Fatal(err)
	}
	uid := r.Meta().UID
	before, _ := m.indexer.Snapshot().LiveState(uid)
	good := LiveUpdate{Campaign: uid, PacingPPM: 7}
	for _, c := range []struct {
		owner   Owner
		updates []LiveUpdate
		field   string
	}{
		{0, nil, "owner"},
		{OwnerQuality + 1, nil, "owner"},
		{OwnerPacing, make([]LiveUpdate, MaxLiveUpdates+1), "updates"},
		{OwnerPacing, []LiveUpdate{good, {PacingPPM: 1}}, "updates[1].campaign"},
		{OwnerPacing, []LiveUpdate{good, {Campaign: uid, PacingPPM: -1}}, "updates[1].pacing_ppm"},
		{OwnerPacing, []LiveUpdate{good, {Campaign: uid, PacingPPM: auction.PPM + 1}}, "updates[1].pacing_ppm"},
		{OwnerPacing, []LiveUpdate{good, {Campaign: uid, BudgetSpent: true}}, "updates[1].budget_spent"},
		{OwnerPacing, []LiveUpdate{good, {Campaign: uid, Left: 5}}, "updates[1].left"},
		{OwnerLedger, []LiveUpdate{{Campaign: uid, Left: -5}}, "updates[0].left"},
		{OwnerPacing, []LiveUpdate{good, {Campaign: uid, QualityPPM: 1}}, "updates[1].quality_ppm"},
		{OwnerPacing, []LiveUpdate{good, {Campaign: uid, ParticipationPPM: -1}}, "updates[1].participation_ppm"},
		{OwnerPacing, []LiveUpdate{{Campaign: uid, ParticipationPPM: auction.PPM + 1}}, "updates[0].participation_ppm"},
		{OwnerQuality, []LiveUpdate{{Campaign: uid, QualityPPM: 5, ParticipationPPM: 1}}, "updates[0].participation_ppm"},
		{OwnerPacing, []LiveUpdate{good, {Campaign: uid, ExploredPPM: 1}}, "updates[1].explored_ppm"},
		{OwnerQuality, []LiveUpdate{{Campaign: uid, QualityPPM: 10, ExploredPPM: 9}}, "updates[0].explored_ppm"},
		{OwnerQuality, []LiveUpdate{{Campaign: uid, QualityPPM: 10, ExploredPPM: 21}}, "updates[0].explored_ppm"},
		{OwnerQuality, []LiveUpdate{{Campaign: uid, QualityPPM: 600_000, ExploredPPM: auction.PPM + 1}},
			"updates[0].explored_ppm"},
		{OwnerLedger, []LiveUpdate{{Campaign: uid, BudgetSpent: true}, good}, "updates[1].pacing_ppm"},
		{OwnerQuality, []LiveUpdate{{Campaign: uid}}, "updates[0].quality_ppm"},
		{OwnerQuality, []LiveUpdate{{Campaign: uid, QualityPPM: auction.PPM + 1}}, "updates[0].quality_ppm"},
		{OwnerQuality, []LiveUpdate{{Campaign: uid, QualityPPM: -1}}, "updates[0].quality_ppm"},
	} {
		err := m.indexer.HandIn(context.Background(), c.owner, c.updates)
		errs, _ := hexbid.ErrorsOf(err)
		if len(errs) != 1 || errs[0].Kind != hexbid.Invalid || errs[0].Field != c.field {
			t.Errorf("%s, %d updates: %v, want an error about %s", c.owner, len(c.updates), err, c.field)
		}
	}
	if after, _ := m.indexer.Snapshot().LiveState(uid); after != before {
		t.Errorf("%+v became %+v", before, after)
	}
	// not a campaign's uid
	if err := m.indexer.HandIn(context.Background(), OwnerLedger,
		[]LiveUpdate{{Campaign: 3, BudgetSpent: true}}); err != nil {
		t.Error(err)
	}
}

// TestAHandInPassesEveryChangeInLine: hand-ins that stand at the door are in force with the
// next publication, which applies some of the changes in line and not all.
func TestAHandInPassesEveryChangeInLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		market := DefaultMarket()
		x := NewIndexer(&market, fixedClock, slog.New(slog.DiscardHandler))
		if err := x.Load(t.Context(), store.NewMemory()); err != nil {
			t.Fatal(err)
		}
		stop, changes := make(chan struct{}), make(chan *update)
		go func() {
			for version := uint64(1); ; version++ {
				a := &hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/a", UID: 1, Version: version}}
				select {
				case changes <- puts(version, a):
				case <-stop:
					return
				}
			}
		}()
		for round := range uint64(20) {
			const owners = 5
			inForce := 0
			var waiting sync.WaitGroup
			var mu sync.Mutex // guards inForce
			for uid := range hexbid.UID(owners) {
				waiting.Go(func() {
					if err := x.HandIn(t.Context(), OwnerLedger, []LiveUpdate{{Campaign: uid + 1, BudgetSpent: true}}); err != nil {
						t.Error(err)
					}
					mu.Lock()
					defer mu.Unlock()
					inForce++
				})
			}
			synctest.Wait() // all stand at the door, and a change with them
			before := x.Snapshot()
			x.turn(changes, nil)
			synctest.Wait()
			after := x.Snapshot()
			if inForce != owners || after.publication != before.publication+1 {
				t.Fatalf("round %d: %d of %d hand-ins are in force after %d publications", round, inForce, owners,
					after.publication-before.publication)
			}
			if n := after.Version - before.Version; n < mostChangesABatch/2 || n > mostChangesABatch+1 {
				t.Fatalf("round %d: the publication applied %d changes, of an endless line", round, n)
			}
		}
		close(stop)
	})
}

// TestOwnersHandInWhileTheCatalogueChanges: each owner finds its last word, whatever the
// others and the campaigns' advertiser did meanwhile.
func TestOwnersHandInWhileTheCatalogueChanges(t *testing.T) {
	m := newTestMarket(t, 15, hangzhou)
	m.fill(t, 30)
	var uids []hexbid.UID
	for _, name := range m.names {
		r, err := m.store.Get(context.Background(), name)
		if err != nil {
			t.Fatal(err)
		}
		uids = append(uids, r.Meta().UID)
	}
	said := map[Owner]map[hexbid.UID]LiveUpdate{OwnerLedger: {}, OwnerPacing: {}, OwnerQuality: {}}
	var owners sync.WaitGroup
	for owner, words := range said {
		owners.Go(func() {
			r := rand.New(rand.NewPCG(uint64(owner), 1))
			for range 150 {
				u := drawUpdate(owner, uids[r.IntN(len(uids))], r.Int64N(auction.PPM))
				words[u.Campaign] = u
				if err := m.indexer.HandIn(context.Background(), owner, []LiveUpdate{u}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 60 {
		m.commit(t, m.campaign(m.r.IntN(30)), m.program(m.r.IntN(programs)))
	}
	owners.Wait()
	s := m.indexer.Snapshot()
	for _, uid := range uids {
		told := handedIn{}
		for owner, words := range said {
			if u, has := words[uid]; has {
				told = told.with(owner, &u)
			}
		}
		got, there := s.LiveState(uid)
		if !there {
			continue
		}
		c, err := m.store.ByUID(context.Background(), uid)
		if err != nil {
			t.Fatal(err)
		}
		noun := c.Resource.(*hexbid.Campaign)
		want := seen(told, funds{}, noun, got.QualityPPM)
		want.FrequencyCapped = want.FrequencyCapped || m.ownerOf(t, noun).Cap.Impressions > 0
		if got != want {
			t.Errorf("campaign %d: %+v, want %+v", uid, got, want)
		}
	}
}

// ownerOf returns the advertiser of a campaign.
func (m *testMarket) ownerOf(t *testing.T, c *hexbid.Campaign) *hexbid.Advertiser {
	name, _ := hexbid.ParseName(c.Name)
	owner, err := m.store.Get(context.Background(), name.Owner().String())
	if err != nil {
		t.Fatal(err)
	}
	return owner.Resource.(*hexbid.Advertiser)
}

// drawUpdate is an update of an owner's field by a number below a million.
func drawUpdate(owner Owner, campaign hexbid.UID, number int64) LiveUpdate {
	u := LiveUpdate{Campaign: campaign, Withdrawn: number%7 == 0}
	switch owner {
	case OwnerLedger:
		u.BudgetSpent, u.Left = number%5 == 0, hexbid.Money(number*(number%3))
	case OwnerPacing:
		u.PacingPPM, u.ParticipationPPM = number, number*31%(auction.PPM+1)
	case OwnerQuality:
		u.QualityPPM = number + 1
		u.ExploredPPM = min(auction.PPM, u.QualityPPM+number*31%(u.QualityPPM+1))
	}
	return u
}

// seen is the live state that a snapshot should show of a campaign, given the prior.
func seen(s handedIn, f funds, c *hexbid.Campaign, priorPPM int64) LiveState {
	now := s.worth(worth(0).withQuality(priorPPM, min(2*priorPPM, auction.PPM)))
	pacing := now.multiplierPPM()
	own, balance := plainMultiplier(c, s.left), plainMultiplier(c, f.left)
	within := min(own, balance)
	return LiveState{PacingPPM: min(pacing, within), LoweredByBudget: within < pacing,
		ParticipationPPM: now.participationPPM(), ExploredPPM: now.exploredPPM(), QualityPPM: now.qualityPPM(),
		QualityIsPrior: !s.by.has(OwnerQuality), BudgetSpent: s.spent || !plainPays(c, own),
		FrequencyCapped: c.Cap.Impressions > 0, NoBalance: f.none || !plainPays(c, balance)}
}

// plainMultiplier is the highest multiplier with which no event of a campaign costs more than a bound, found by
// bisection.
func plainMultiplier(c *hexbid.Campaign, bound eventBound) int64 {
	if bound == 0 {
		return auction.PPM
	}
	return int64(sort.Search(auction.PPM, func(m int) bool { return plainEvent(c, int64(m)+1) > hexbid.Money(bound) }))
}

// plainEvent is what the dearest event of a campaign costs at a multiplier.
func plainEvent(c *hexbid.Campaign, m int64) hexbid.Money {
	_, highest := c.BidRange()
	paced, _ := auction.Pace(c.Pricing, highest, m, 1)
	if c.Pricing == hexbid.CPM {
		return paced / 1000
	}
	return paced
}

// plainPays reports whether a campaign can bid at a multiplier in the default market, which has no minimum bid.
func plainPays(c *hexbid.Campaign, m int64) bool { return plainEvent(c, m) > 0 }

// TestCapsBoundTheProductOfBidsAndLiveStates changes bids, live states and balances at random: what is
// posted is bounded by its cap, and every campaign is worth what its owners said last.
func TestCapsBoundTheProductOfBidsAndLiveStates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, words, balances := newChainMarket(t), map[hexbid.UID]handedIn{}, map[hexbid.UID]funds{}
		for range rapid.IntRange(1, 8).Draw(t, "publications") {
			for range rapid.IntRange(1, 15).Draw(t, "steps") {
				switch rapid.IntRange(0, 4).Draw(t, "what") {
				case 0, 1:
					m.step(t)
				case 2:
					u := AdvertiserUpdate{m.uidOf(t, "advertisers/a"), rapid.Bool().Draw(t, "none"),
						hexbid.Money(rapid.IntRange(0, 2_000_000).Draw(t, "balance"))}
					balances[u.Advertiser] = funds{u.NoBalance, boundOf(u.Left)}
					m.indexer.takeAdvertisers([]AdvertiserUpdate{u})
				default:
					uid := hexbid.UID(rapid.IntRange(1, 40).Draw(t, "uid"))
					owner := Owner(rapid.IntRange(int(OwnerLedger), int(OwnerQuality)).Draw(t, "owner"))
					u := drawUpdate(owner, uid, rapid.Int64Range(0, auction.PPM-1).Draw(t, "number"))
					words[uid] = words[uid].with(owner, &u)
					m.handIn(t, owner, u)
				}
			}
			m.indexer.publish()
			m.checkWorth(t, words, balances[m.uidOf(t, "advertisers/a")])
		}
		var w Scratch
		m.checkAreas(t, &w)
	})
}

func (m *chainMarket) checkWorth(t *rapid.T, words map[hexbid.UID]handedIn, balance funds) {
	s := m.indexer.Snapshot()
	for _, r := range m.nouns {
		c, ok := r.(*hexbid.Campaign)
		if !ok {
			continue
		}
		uid := m.uidOf(t, c.Name)
		i, _ := s.ordinalOf(uid)
		if got, want := mustLive(s, uid), seen(words[uid], balance, c, prior); got != want {
			t.Fatalf("campaign %d: %+v, want %+v", uid, got, want)
		}
		if k := m.indexer.postings.states.at(i); s.campaigns.at(i).state&active != 0 &&
			(!k.posted || k.cap < capOf(m.indexer.records.bestScore(i))) {
			t.Fatalf("campaign %d, posted %v, has a score of %d above its cap", uid, k.posted, m.indexer.records.bestScore(i))
		}
	}
}

func mustLive(s *Snapshot, uid hexbid.UID) LiveState {
	live, _ := s.LiveState(uid)
	return live
}

// unindexed counts the kept states.
func (s *strays[T]) unindexed() int { return len(s.recent) + len(s.older) }
