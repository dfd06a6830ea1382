package exchange

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/outstanding"
	invalid "github.com/hexbid/hexbid/ledger/traffic"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/token"
)

// till is an exchange that bills, with a clock that the test moves.
type till struct {
	testing.TB
	*Exchange
	ledger *ledger.Ledger
	brokenJournal
	store  *store.Memory
	keys   *token.Keys
	change func(*Config)
	limits invalid.Limits // of invalid traffic
	events int

	mu     sync.Mutex // guards the field below
	passed time.Duration
}

// openTill opens a market that bills.
func openTill(t testing.TB, change func(*Config)) *till {
	t.Helper()
	keys, err := token.OpenKeys(token.Source{Path: filepath.Join(t.TempDir(), "keys")})
	if err != nil {
		t.Fatal(err)
	}
	m := &till{TB: t, brokenJournal: brokenJournal{Journal: journal.NewMemory()}, store: store.NewMemory(), keys: keys,
		change: change}
	m.start()
	t.Cleanup(func() { m.stop() })
	return m
}

// start opens ledger and exchange over what is stored.
func (m *till) start() {
	m.Helper()
	l, err := ledger.Open(ctx, ledger.Options{Journal: &m.brokenJournal, Wall: m.now, Monotonic: m.since,
		Log: slog.New(slog.DiscardHandler), Traffic: m.limits})
	if err != nil {
		m.Fatal(err)
	}
	config := DefaultConfig()
	config.Clock, config.Stopwatch, config.Log, config.AuctionBudget, config.Cards = m.now, m.now,
		slog.New(slog.DiscardHandler), 1000*time.Hour, plainCards{}
	config.Ledger = l
	if m.change != nil {
		m.change(&config)
	}
	e, err := Open(ctx, config, m.store, m.keys)
	if err != nil {
		m.Fatal(err)
	}
	m.Exchange, m.ledger = e, l
}

func (m *till) stop() {
	m.Exchange.Close()
	if err := m.ledger.Close(); err != nil && !m.broken.Load() {
		m.Error(err)
	}
}

func (m *till) since() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.passed
}

func (m *till) now() time.Time { return now.Add(m.since()) }

func (m *till) pass(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.passed += d
}

// await waits until a condition holds.
func (m *till) await(what string, holds func() bool) {
	m.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			m.Fatalf("never: %s", what)
		}
	}
}

// live is what searches take a campaign to be worth.
func (m *till) live(name string) bidder.LiveState {
	m.Helper()
	record, err := m.store.Get(ctx, name)
	if err != nil {
		m.Fatal(err)
	}
	live, _ := m.indexer.Snapshot().LiveState(record.Meta().UID)
	return live
}

// awards searches and returns the sponsored results.
func (m *till) awards() []Sponsored {
	m.Helper()
	response, err := m.Search(ctx, at(hub), time.Now())
	if err != nil {
		m.Fatal(err)
	}
	return response.Sponsored
}

// click reports a click on a result and returns its outcome.
func (m *till) click(s *Sponsored) hexbid.EventResult {
	m.Helper()
	m.await("the award counts as out", func() bool { return m.awardsOut.campaign(s.Campaign).Events > 0 })
	m.events++
	results, err := m.RecordEvents(ctx, &hexbid.EventReport{ClientID: "app", Events: []hexbid.Event{{Kind: hexbid.Click,
		Token: s.Token, ID: fmt.Sprint("event ", m.events)}}})
	if err != nil {
		m.Fatal(err)
	}
	return results[0]
}

// spend looks and clicks until a campaign wins nothing more. It returns what was charged. Every click must be charged
// whole.
func (m *till) spend(campaign string) (charged hexbid.Money) {
	m.Helper()
	for range 1000 {
		won := m.awards()
		if len(won) == 0 {
			return charged
		}
		if r := m.click(&won[0]); r.Outcome != hexbid.EventCharged || r.Charged != won[0].Price {
			m.Fatalf("a click for %s was %s after %s were charged", won[0].Price, r.Outcome, charged)
		}
		charged += won[0].Price
		left := m.standing(won[0].Campaign).Left.Min
		m.await("the next click may cost what is left", func() bool {
			dearest := m.dearest(campaign)
			return dearest <= left && (dearest >= min(m.bid(campaign), left)*9/10 || left < leastBid)
		})
	}
	m.Fatal("a budget without end")
	return 0
}

// bid is a campaign's highest.
func (m *till) bid(campaign string) hexbid.Money {
	m.Helper()
	record, err := m.store.Get(ctx, campaign)
	if err != nil {
		m.Fatal(err)
	}
	_, bid := record.Resource.(*hexbid.Campaign).BidRange()
	return bid
}

// dearest is the most that a click on a campaign costs at present.
func (m *till) dearest(campaign string) hexbid.Money {
	m.Helper()
	live := m.live(campaign)
	if live.BudgetSpent || live.NoBalance {
		return 0
	}
	paced, _ := auction.Pace(hexbid.CPC, m.bid(campaign), live.PacingPPM, auction.PPM)
	return paced
}

func (m *till) standing(campaign hexbid.UID) ledger.Standing {
	m.Helper()
	s, err := m.ledger.Campaign(ctx, campaign)
	if err != nil {
		m.Fatal(err)
	}
	return s
}

// topUp gives an advertiser a balance, or more of it.
func (m *till) topUp(advertiser string, amount hexbid.Money) {
	m.Helper()
	record, err := m.store.Get(ctx, advertiser)
	if err != nil {
		m.Fatal(err)
	}
	m.events++
	if _, err := m.ledger.Move(ctx, fold.Movement{Advertiser: record.Meta().UID, What: fold.TopUp, Amount: amount,
		RequestID: fmt.Sprint("top-up ", m.events), Who: "tests"}); err != nil {
		m.Fatal(err)
	}
}

const leastBid = 100_000

// firstPrice makes a click cost the bid, which is at least a tenth of a yuan.
func firstPrice(c *Config) {
	c.Market.Mechanism, c.Market.MinimumBid[hexbid.CPC] = hexbid.MechanismFirstPrice, leastBid
}

// TestADailyBudgetEndsWithoutAFreeClickAndBeginsAnewAtMidnight: each click is charged whole, to the last one that the
// market takes.
func TestADailyBudgetEndsWithoutAFreeClickAndBeginsAnewAtMidnight(t *testing.T) {
	m := openTill(t, firstPrice)
	c := campaign("c")
	c.DailyBudget = 3_300_000
	fill(t, m.Exchange, c, place("l", hub))
	for day := range 3 {
		if charged := m.spend(c.Name); charged > c.DailyBudget || charged <= c.DailyBudget-leastBid {
			t.Fatalf("day %d: %s were charged of a budget of %s", day, charged, c.DailyBudget)
		}
		if !m.live(c.Name).BudgetSpent {
			t.Fatalf("day %d: %+v", day, m.live(c.Name))
		}
		m.pass(24 * time.Hour)
		m.await("it is back", func() bool { return m.dearest(c.Name) == c.Bid })
	}
}

// TestARaisedBudgetBringsACampaignBack, a total budget too, and a lower one than is spent ends it.
func TestARaisedBudgetBringsACampaignBack(t *testing.T) {
	m := openTill(t, firstPrice)
	c := campaign("c")
	c.DailyBudget, c.TotalBudget = 100_000_000, 2_000_000
	fill(t, m.Exchange, c, place("l", hub))
	m.spend(c.Name)
	for _, total := range []hexbid.Money{3_500_000, 5_000_000} {
		if err := edit(ctx, m.Exchange, c.Name, func(c *hexbid.Campaign) { c.TotalBudget = total }); err != nil {
			t.Fatal(err)
		}
		m.await("it is back", func() bool { return m.dearest(c.Name) == c.Bid })
		m.spend(c.Name)
	}
	if err := edit(ctx, m.Exchange, c.Name, func(c *hexbid.Campaign) { c.TotalBudget = 50_000_000 }); err != nil {
		t.Fatal(err)
	}
	m.await("it is back", func() bool { return m.dearest(c.Name) == c.Bid })
	if err := edit(ctx, m.Exchange, c.Name, func(c *hexbid.Campaign) { c.TotalBudget = 1_000_000 }); err != nil {
		t.Fatal(err)
	}
	m.await("it is spent", func() bool { return m.live(c.Name).BudgetSpent })
}

// TestABidThatIsRaisedAboveWhatIsLeftIsLowered: the ledger hears nothing of bids.
func TestABidThatIsRaisedAboveWhatIsLeftIsLowered(t *testing.T) {
	m := openTill(t, firstPrice)
	c := campaign("c")
	c.DailyBudget = 5_000_000
	fill(t, m.Exchange, c, place("l", hub))
	for range 3 {
		m.click(&m.awards()[0])
	}
	if err := edit(ctx, m.Exchange, c.Name, func(c *hexbid.Campaign) { c.Bid = 4_000_000 }); err != nil {
		t.Fatal(err)
	}
	m.await("a click costs at most what is left, and nearly that", func() bool {
		dearest := m.dearest(c.Name)
		return dearest <= 2_000_000 && dearest >= 1_800_000
	})
	if err := edit(ctx, m.Exchange, c.Name, func(c *hexbid.Campaign) { c.Bid = 1_500_000 }); err != nil {
		t.Fatal(err)
	}
	m.await("the bid stands", func() bool { return m.dearest(c.Name) == 1_500_000 })
}

// TestABalanceEndsForAllCampaignsAndATopUpBringsThemBack spends three balances to the end.
func TestABalanceEndsForAllCampaignsAndATopUpBringsThemBack(t *testing.T) {
	m := openTill(t, firstPrice)
	c, other := campaign("c"), campaign("other")
	other.Bid = 900_000
	fill(t, m.Exchange, c, other, place("l", hub))
	for range 3 {
		m.topUp("advertisers/a", 2_500_000)
		m.await("both are back", func() bool { return m.dearest(c.Name) == c.Bid && m.dearest(other.Name) == other.Bid })
		m.spend(c.Name)
		if !m.live(c.Name).NoBalance || !m.live(other.Name).NoBalance {
			t.Fatalf("%+v, %+v", m.live(c.Name), m.live(other.Name))
		}
	}
	x, err := m.Explain(ctx, other.Name, at(hub))
	if err != nil || x.Verdict.Rule != bidder.RuleBalance {
		t.Errorf("%+v, %v", x, err)
	}
}

// TestWhatBringsACampaignBackIsFoundAtOnce counts what lies between a top-up, or a raised budget, and a search that
// finds a campaign which had left the lists: one change of the ledger's watch, one turn of the loop, and one hand-in,
// with whose publication it is found. No clock has to move for it, and no sweep has to come.
func TestWhatBringsACampaignBackIsFoundAtOnce(t *testing.T) {
	m := openTill(t, firstPrice)
	c := campaign("c")
	c.DailyBudget = 2_000_000
	fill(t, m.Exchange, c, place("l", hub))
	m.topUp("advertisers/a", 1_000_000)
	for _, back := range []struct {
		by    string
		bring func()
	}{
		{"a top-up", func() { m.topUp("advertisers/a", 10_000_000) }},
		{"a raised budget", func() {
			if err := edit(ctx, m.Exchange, c.Name, func(c *hexbid.Campaign) { c.DailyBudget = 50_000_000 }); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		m.spend(c.Name)
		m.pass(10 * time.Second)
		m.await("it has left the lists", func() bool { return m.Size().Leaving == 0 })
		b := newBudgets(m.Exchange) // another that follows the ledger, one step at a time
		b.watch = m.ledger.Watch()
		known, err := b.watch.Next(ctx) // all accounts
		if err != nil {
			t.Fatal(err)
		}
		b.take(&known)
		b.updates()
		back.bring()
		change, err := b.watch.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		b.take(&change)
		if err := b.handIn(ctx); err != nil {
			t.Fatal(err)
		}
		if won := m.awards(); len(won) != 1 {
			t.Errorf("%s: %d campaigns are found after one hand-in", back.by, len(won))
		}
		b.watch.Close()
	}
}

// TestTheFirstSearchAfterAStartKnowsEveryBudget: one that is spent, one that is nearly spent, and a balance.
func TestTheFirstSearchAfterAStartKnowsEveryBudget(t *testing.T) {
	m := openTill(t, firstPrice)
	c := campaign("c")
	c.DailyBudget = 1_300_000
	fill(t, m.Exchange, c, place("l", hub))
	m.click(&m.awards()[0])
	m.stop()
	m.start()
	if dearest := m.dearest(c.Name); dearest > 300_000 || dearest < 200_000 {
		t.Errorf("a click costs %s", dearest)
	}
	m.spend(c.Name)
	m.stop()
	m.start()
	if won := m.awards(); len(won) != 0 || !m.live(c.Name).BudgetSpent {
		t.Errorf("%+v, %+v", won, m.live(c.Name))
	}
	m.topUp("advertisers/a", 50_000)
	m.stop()
	m.pass(24 * time.Hour) // its budget is whole again, and the balance pays for nothing
	m.start()
	if won := m.awards(); len(won) != 0 || m.live(c.Name).BudgetSpent || !m.live(c.Name).NoBalance {
		t.Errorf("%+v, %+v", won, m.live(c.Name))
	}
}

// TestEachZoneHasItsOwnMidnight: in Los Angeles it is eight hours before the one in Shanghai.
func TestEachZoneHasItsOwnMidnight(t *testing.T) {
	m := openTill(t, firstPrice) // it is past noon in Shanghai, and eight in the evening in Los Angeles
	c, west := campaign("c"), campaign("west")
	c.DailyBudget, west.DailyBudget, west.TimeZone = 1_000_000, 1_000_000, "America/Los_Angeles"
	fill(t, m.Exchange, c, place("l", hub))
	m.spend(c.Name)
	fill(t, m.Exchange, west)
	m.spend(west.Name)
	m.pass(5 * time.Hour)
	m.await("the one in Los Angeles is back", func() bool { return m.dearest(west.Name) == west.Bid })
	if !m.live(c.Name).BudgetSpent {
		t.Error("the one in Shanghai is back before its midnight")
	}
	m.pass(8 * time.Hour)
	m.await("the one in Shanghai is back", func() bool { return m.dearest(c.Name) == c.Bid })
}

// TestWhatIsBackAfterMidnightIsHandedInSomeAtATime counts the campaigns that are due at each turn of the loop, so that
// budgets that end meanwhile do not wait for all of them.
func TestWhatIsBackAfterMidnightIsHandedInSomeAtATime(t *testing.T) {
	m := openTill(t, firstPrice)
	b := newBudgets(m.Exchange)
	const campaigns = 50_000
	begin := m.now()
	zone := b.calendar.zone("Asia/Shanghai", begin)
	for uid := range hexbid.UID(campaigns) {
		b.purses[uid+1] = &purse{dailyBudget: 1, total: fold.NoLimit, date: b.calendar.zones[zone].date, zone: zone,
			told: outstanding.Remainder{Spent: true}}
	}
	b.sweep(begin.Add(time.Minute))
	if len(b.returning)+len(b.due.campaigns) != 0 {
		t.Fatalf("%d return on the same day", len(b.returning))
	}
	b.sweep(begin.Add(24 * time.Hour))
	back, most := len(b.due.campaigns), 0
	for len(b.returning) > 0 {
		clear(b.due.campaigns)
		b.letReturn()
		most, back = max(most, len(b.due.campaigns)), back+len(b.due.campaigns)
	}
	if back != campaigns || most > mostReturning {
		t.Errorf("%d are back, up to %d at a time", back, most)
	}
}

// TestNothingIsAwardedOnceTheLedgerHasFailedForTooLong: until then awards can still be billed after a restart.
func TestNothingIsAwardedOnceTheLedgerHasFailedForTooLong(t *testing.T) {
	m := openTill(t, func(c *Config) { firstPrice(c); manual(c) }) // nobody else looks at the ledger
	fill(t, m.Exchange, campaign("c"), place("l", hub))
	sponsored := func() int {
		response, err := m.Search(ctx, at(hub), time.Now())
		if err != nil || len(response.Nearby)+len(response.Sponsored) != 1 ||
			response.SponsoredSkipped != (len(response.Sponsored) == 0) {
			t.Fatalf("%+v, %v", response, err)
		}
		return len(response.Sponsored)
	}
	for range 2 {
		if sponsored() != 1 {
			t.Fatal("nothing is sponsored while all is well")
		}
		m.outage.look(true)
		m.pass(m.config.ClickExpiry)
		m.outage.look(true)
		if sponsored() != 1 {
			t.Error("nothing is sponsored though it can be billed")
		}
		m.pass(time.Second)
		if sponsored() != 0 {
			t.Error("what nobody can bill is sponsored")
		}
		m.outage.look(false)
	}
}

// brokenJournal is a journal whose disk fails from some moment on.
type brokenJournal struct {
	journal.Journal
	broken atomic.Bool
}

func (j *brokenJournal) Commit(ctx context.Context, b *journal.Batch) error {
	if j.broken.Load() {
		return hexbid.Errorf(hexbid.Unavailable, "", "the disk fails")
	}
	return j.Journal.Commit(ctx, b)
}

// TestALedgerThatFailsIsNoticedWithoutAnyCall, so that its time counts from then.
func TestALedgerThatFailsIsNoticedWithoutAnyCall(t *testing.T) {
	m := openTill(t, firstPrice)
	fill(t, m.Exchange, campaign("c"), place("l", hub))
	m.broken.Store(true)
	results, err := m.RecordEvents(ctx, &hexbid.EventReport{ClientID: "app",
		Events: []hexbid.Event{{Kind: hexbid.Impression, Token: m.awards()[0].Token, ID: "seen"}}})
	if err == nil {
		t.Errorf("%+v was acknowledged", results)
	}
	m.await("the failure is noticed", func() bool { return m.outage.since.Load() != nil })
	if err := edit(ctx, m.Exchange, campaign("c").Name, func(c *hexbid.Campaign) { c.DailyBudget-- }); err == nil {
		t.Error("a lower budget was acknowledged")
	}
	m.pass(m.config.ClickExpiry + time.Second)
	if won := m.awards(); len(won) != 0 {
		t.Errorf("%+v", won)
	}
}
