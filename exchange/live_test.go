package exchange

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/store"
)

// worth is what the owners say about a campaign.
type worth struct {
	pacingPPM, qualityPPM int64
	heldOutPPM            int64 // of the searches: its participation is the rest
	spent                 bool
	broke                 bool // its advertiser
}

// fatal is a test, of either kind.
type fatal interface{ Fatal(...any) }

func (w worth) handIn(t fatal, e *Exchange, campaign hexbid.UID) {
	for owner, u := range map[bidder.Owner]bidder.LiveUpdate{
		bidder.OwnerLedger:  {BudgetSpent: w.spent},
		bidder.OwnerPacing:  {PacingPPM: w.pacingPPM, ParticipationPPM: auction.PPM - w.heldOutPPM},
		bidder.OwnerQuality: {QualityPPM: w.qualityPPM},
	} {
		u.Campaign = campaign
		if err := e.HandIn(ctx, owner, []bidder.LiveUpdate{u}); err != nil {
			t.Fatal(err)
		}
	}
	record, err := e.store.ByUID(ctx, campaign)
	if err != nil {
		t.Fatal(err)
	}
	name, _ := hexbid.ParseName(record.Meta().Name)
	owner, err := e.store.Get(ctx, name.Owner().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := e.HandInAdvertisers(ctx, []bidder.AdvertiserUpdate{{Advertiser: owner.Meta().UID,
		NoBalance: w.broke}}); err != nil {
		t.Fatal(err)
	}
}

func TestACampaignSaysThatItsLiveStateKeepsItFromServing(t *testing.T) {
	e := open(t, nil)
	c := campaign("c")
	fill(t, e, c, place("l", hub))
	read := func() *hexbid.Campaign {
		r, err := e.Get(ctx, c.Name)
		if err != nil {
			t.Fatal(err)
		}
		return r.(*hexbid.Campaign)
	}
	uid := read().UID
	for _, state := range []struct {
		worth
		reason string
	}{
		{worth{auction.PPM, 30_000, 0, false, false}, ""},
		{worth{auction.PPM, 30_000, 600_000, true, false}, "its budget is spent"},
		{worth{auction.PPM, 30_000, 0, true, true}, "its advertiser's balance does not pay for an event"},
		{worth{500_000, 30_000, 600_000, true, false}, "its budget is spent"},
	} {
		state.handIn(t, e, uid)
		if serves, reason := mustServing(e)(read()); serves != (reason == "") || reason != state.reason {
			t.Errorf("%+v: serving %v, %q", state.worth, serves, reason)
		}
	}
	edited := *read()
	edited.Bid += 100_000
	if _, err := e.Update(ctx, c.Name, edited.Version, false,
		func(hexbid.Resource) (hexbid.Resource, error) { return &edited, nil }); err != nil {
		t.Fatal(err)
	}
	if _, reason := mustServing(e)(read()); reason != "its budget is spent" {
		t.Errorf("after an edit: %q", reason)
	}
	x, err := e.Explain(ctx, c.Name, at(hub))
	if want := (bidder.LiveState{PacingPPM: 500_000, ParticipationPPM: 400_000, QualityPPM: 30_000, ExploredPPM: 30_000,
		BudgetSpent: true}); err != nil ||
		x.Verdict.Rule != bidder.RuleBudget || x.Live == nil || *x.Live != want {
		t.Errorf("%+v, %v, want the live state %+v", x, err, want)
	}
}

// TestTheFirstSearchAfterARestartIsOfTheStatesThatOwnersHandIn opens the same catalogue
// again, with what the owners know and without.
func TestTheFirstSearchAfterARestartIsOfTheStatesThatOwnersHandIn(t *testing.T) {
	engine := store.NewMemory()
	start := func(handIn func(context.Context, func(bidder.Owner, []bidder.LiveUpdate) error) error) (*Exchange, error) {
		config := DefaultConfig()
		config.Clock, config.Cards, config.AuctionBudget, config.LiveStates = func() time.Time { return now }, plainCards{},
			time.Hour, handIn
		return Open(ctx, config, engine, open(t, nil).keys)
	}
	e, err := start(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := campaign("c")
	fill(t, e, c, place("l", hub))
	record, err := engine.Get(ctx, c.Name)
	if err != nil {
		t.Fatal(err)
	}
	if slotsWon(t, e) != 1 {
		t.Fatal("the campaign does not show")
	}
	e.Close()
	handIn := func(_ context.Context, handIn func(bidder.Owner, []bidder.LiveUpdate) error) error {
		return errors.Join(handIn(bidder.OwnerLedger, []bidder.LiveUpdate{{Campaign: record.Meta().UID, BudgetSpent: true}}),
			handIn(bidder.OwnerQuality, []bidder.LiveUpdate{{Campaign: record.Meta().UID, QualityPPM: 5}}))
	}
	if e, err = start(handIn); err != nil {
		t.Fatal(err)
	}
	if slotsWon(t, e) != 0 {
		t.Error("the first search shows a campaign whose budget is spent")
	}
	live, err := e.LiveStates(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if got := live(record.Meta().UID); got == nil ||
		*got != (bidder.LiveState{PacingPPM: auction.PPM, ParticipationPPM: auction.PPM, QualityPPM: 5, ExploredPPM: 5,
			BudgetSpent: true}) {
		t.Errorf("%+v", got)
	}
	e.Close()
	_, err = start(func(_ context.Context, handIn func(bidder.Owner, []bidder.LiveUpdate) error) error {
		return handIn(bidder.OwnerQuality, []bidder.LiveUpdate{{Campaign: 1}})
	})
	if hexbid.KindOf(err) != hexbid.Invalid {
		t.Errorf("an owner that hands in what it may not: %v", err)
	}
}

func slotsWon(t *testing.T, e *Exchange) int {
	t.Helper()
	response, err := e.Search(ctx, at(hub), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return len(response.Sponsored)
}

// TestADryRunTellsOfTheLiveStateThatTheRowWouldHave: an edit keeps the uid, and with it the
// live state.
func TestADryRunTellsOfTheLiveStateThatTheRowWouldHave(t *testing.T) {
	e := open(t, nil)
	fill(t, e, campaign("c"), place("l", hub))
	r, err := e.Get(ctx, campaign("c").Name)
	if err != nil {
		t.Fatal(err)
	}
	worth{pacingPPM: auction.PPM, qualityPPM: 30_000, spent: true}.handIn(t, e, r.Metadata().UID)
	for _, validateOnly := range []bool{true, false} {
		edited := campaign("c")
		edited.Bid += 100_000
		if o := e.Import(ctx, []hexbid.Resource{edited}, validateOnly)[0]; o.Err != nil || o.Serving ||
			o.NotServingReason != "its budget is spent" {
			t.Errorf("validate only: %v, %+v", validateOnly, o)
		}
		again := campaign("c")
		again.Bid += 200_000
		updated, err := e.Update(ctx, again.Name, store.AnyVersion, validateOnly,
			func(hexbid.Resource) (hexbid.Resource, error) { return again, nil })
		if err != nil {
			t.Fatal(err)
		}
		if serving, reason := mustServing(e)(updated.(*hexbid.Campaign)); serving || reason != "its budget is spent" {
			t.Errorf("validate only: %v, an update would serve: %v, %q", validateOnly, serving, reason)
		}
	}
}

// TestACampaignWithLittleLeftIsAdvisedToRaiseItsBudget: a higher bid would be lowered further.
func TestACampaignWithLittleLeftIsAdvisedToRaiseItsBudget(t *testing.T) {
	e := openBesideARival(t)
	s := newSituation()
	s.write(t, e)
	record, err := e.store.Get(ctx, s.campaign.Name)
	if err != nil {
		t.Fatal(err)
	}
	left := []bidder.LiveUpdate{{Campaign: record.Meta().UID, Left: 500_000}}
	if err := e.HandIn(ctx, bidder.OwnerLedger, left); err != nil {
		t.Fatal(err)
	}
	x, err := e.Explain(ctx, s.campaign.Name, s.request)
	if err != nil || x.Verdict.Rule != bidder.RuleOutbid || x.Advice != (Advice{}) || x.AdviceText != loweredWords {
		t.Errorf("%+v, %v", x, err)
	}
}
