package exchange

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/token"
)

// plainLedger has the terms that it is told, in maps. A test may hold its syncs up, or make it fail.
type plainLedger struct {
	journal *journal.Memory

	mu          sync.Mutex // guards the fields below
	version     uint64
	campaigns   map[hexbid.UID]fold.Terms
	advertisers map[hexbid.UID]fold.AdvertiserTerms
	syncs       int // calls that recorded something
	records     int
	held        chan struct{} // when not nil, syncs wait until it is closed
	failure     error
}

func newPlainLedger() *plainLedger {
	return &plainLedger{journal: journal.NewMemory(), campaigns: map[hexbid.UID]fold.Terms{},
		advertisers: map[hexbid.UID]fold.AdvertiserTerms{}}
}

func (l *plainLedger) CatalogueVersion() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.version
}

func (l *plainLedger) SetTerms(ctx context.Context, version uint64, campaigns []fold.Terms,
	advertisers []fold.AdvertiserTerms) error {
	l.mu.Lock()
	held, failure := l.held, l.failure
	l.mu.Unlock()
	if failure != nil {
		return failure
	}
	if held != nil && len(campaigns)+len(advertisers) > 0 {
		select {
		case <-held:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var rows []journal.Row
	for _, t := range campaigns {
		if before := l.campaigns[t.Campaign]; !equalTerms(before, t) {
			l.records++
		}
		l.campaigns[t.Campaign] = t
		rows = append(rows, journal.Row{Table: journal.Members, Key: fold.MemberKey(t.Advertiser, t.Campaign),
			Value: []byte(t.Name)})
	}
	for _, t := range advertisers {
		l.advertisers[t.Advertiser] = t
		rows = append(rows, journal.Row{Table: journal.Members, Key: fold.MemberKey(t.Advertiser, 0), Value: []byte(t.Name)})
	}
	if len(rows) > 0 {
		l.syncs++
		if err := l.journal.Commit(ctx, &journal.Batch{Rows: rows}); err != nil {
			return err
		}
	}
	l.version = max(l.version, version)
	return nil
}

// equalTerms compares all but the versions.
func equalTerms(x, y fold.Terms) bool {
	x.Version, y.Version = 0, 0
	coupons := slices.Equal(x.Coupons, y.Coupons)
	x.Coupons, y.Coupons = nil, nil
	return coupons && fmt.Sprint(x) == fmt.Sprint(y)
}

func (l *plainLedger) Campaigns(_ context.Context, after hexbid.UID, limit int) (some []ledger.Standing, _ error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, uid := range slices.Sorted(maps.Keys(l.campaigns)) {
		if uid > after && len(some) < limit {
			account := fold.CampaignAccount{Terms: l.campaigns[uid]}
			account.Name, account.Version = "", 0
			some = append(some, ledger.Standing{CampaignAccount: account})
		}
	}
	return some, nil
}

func (l *plainLedger) Advertisers(_ context.Context, after hexbid.UID,
	limit int) (some []fold.AdvertiserAccount, _ error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, uid := range slices.Sorted(maps.Keys(l.advertisers)) {
		if t := l.advertisers[uid]; uid > after && len(some) < limit {
			some = append(some, fold.AdvertiserAccount{Advertiser: uid, Paused: t.Paused, Deleted: t.Deleted})
		}
	}
	return some, nil
}

func (l *plainLedger) Read(_ context.Context, f func(journal.View) error) error {
	v, err := l.journal.View()
	if err != nil {
		return err
	}
	defer v.Close()
	return f(v)
}

func (l *plainLedger) Failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failure
}

func (l *plainLedger) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failure = err
}

// hold makes syncs wait until the test calls what it returns.
func (l *plainLedger) hold() (release func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	held := make(chan struct{})
	l.held = held
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.held = nil
		close(held)
	}
}

func (l *plainLedger) costs() (syncs, records int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.syncs, l.records
}

// openLedgered opens an exchange of a store with a ledger.
func openLedgered(t testing.TB, s store.Store, l moneyLedger) (*Exchange, error) {
	config := DefaultConfig()
	config.Clock, config.Log, config.AuctionBudget, config.Cards = func() time.Time { return now },
		slog.New(slog.DiscardHandler), time.Minute, plainCards{}
	keys, err := token.OpenKeys(token.Source{Path: filepath.Join(t.TempDir(), "keys")})
	if err != nil {
		t.Fatal(err)
	}
	return openWith(ctx, config, s, keys, l)
}

func mustOpenLedgered(t testing.TB, s store.Store, l moneyLedger) *Exchange {
	t.Helper()
	e, err := openLedgered(t, s, l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// edit changes a campaign.
func edit(ctx context.Context, e *Exchange, name string, change func(*hexbid.Campaign)) error {
	_, err := e.Update(ctx, name, store.AnyVersion, false, func(r hexbid.Resource) (hexbid.Resource, error) {
		next := *r.(*hexbid.Campaign)
		change(&next)
		return &next, nil
	})
	return err
}

// TestALowerBudgetIsAcknowledgedAndSearchableOnlyWhenTheLedgerHasIt holds the ledger's sync up.
func TestALowerBudgetIsAcknowledgedAndSearchableOnlyWhenTheLedgerHasIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPlainLedger()
		e, err := openLedgered(t, store.NewMemory(), l)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		c := campaign("c")
		fill(t, e, c, place("l", hub))
		before, release := e.Size().Version, l.hold()
		acknowledged := make(chan error, 1)
		go func() {
			acknowledged <- edit(ctx, e, c.Name, func(c *hexbid.Campaign) { c.DailyBudget -= 1_000_000 })
		}()
		time.Sleep(time.Minute) // of the bubble's clock
		if e.store.Version() == before {
			t.Fatal("the store does not have it yet")
		}
		if len(acknowledged) > 0 || e.Size().Version != before {
			t.Errorf("before the ledger has it: acknowledged %v, searchable %v", len(acknowledged) > 0,
				e.Size().Version != before)
		}
		release()
		if err := <-acknowledged; err != nil || e.Size().Version == before {
			t.Errorf("afterwards: %v, searchable %v", err, e.Size().Version != before)
		}
	})
}

func TestAnEditOfABidCostsTheLedgerNothing(t *testing.T) {
	l := newPlainLedger()
	e := mustOpenLedgered(t, store.NewMemory(), l)
	c := campaign("c")
	fill(t, e, c, place("l", hub))
	syncs, records := l.costs()
	release := l.hold() // nobody waits for it
	defer release()
	for range 50 {
		if err := edit(ctx, e, c.Name, func(c *hexbid.Campaign) { c.Bid += 10_000; c.DisplayName += "x" }); err != nil {
			t.Fatal(err)
		}
	}
	if s, r := l.costs(); s != syncs || r != records {
		t.Errorf("50 edits cost %d records and %d syncs", r-records, s-syncs)
	}
}

// TestAnImportSharesSyncs: all changes that have arrived share one. The first may be alone, as the others arrive while
// it is being synced.
func TestAnImportSharesSyncs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPlainLedger()
		e, err := openLedgered(t, store.NewMemory(), l)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		fill(t, e, place("l", hub))
		syncs, records := l.costs()
		release := l.hold()
		var rows []hexbid.Resource
		for i := range 1000 {
			rows = append(rows, campaign(fmt.Sprint("c", i)))
		}
		done := make(chan []Outcome, 1)
		go func() { done <- e.Import(ctx, rows, false) }()
		synctest.Wait()
		release()
		for _, o := range <-done {
			if o.Err != nil {
				t.Fatal(o.Err)
			}
		}
		if s, r := l.costs(); r-records != 1000 || s-syncs > 2 {
			t.Errorf("%d records in %d syncs", r-records, s-syncs)
		}
	})
}

// TestWhatTheLedgerHasFollowsTheCatalogue changes a catalogue at random, also while no exchange runs, and with a log of
// changes that has gaps.
func TestWhatTheLedgerHasFollowsTheCatalogue(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := &forgetful{Memory: store.NewMemory()}
		l := newPlainLedger()
		e := mustOpenLedgered(t, s, l)
		defer func() { e.Close() }()
		for range rapid.IntRange(1, 30).Draw(r, "steps") {
			switch rapid.IntRange(0, 9).Draw(r, "step") {
			case 0: // the exchange is away while the catalogue changes
				e.Close()
				s.forgets = rapid.Bool().Draw(r, "the log has a gap")
				away := openOn(t, s, 1_000_000)
				for range rapid.IntRange(0, 6).Draw(r, "meanwhile") {
					changeOwners(r, away)
				}
				away.Close()
				e = mustOpenLedgered(t, s, l)
			default:
				changeOwners(r, e)
			}
			compareTerms(r, s, l)
		}
	})
}

// changeOwners makes one random change to one of two advertisers and its campaigns.
func changeOwners(r *rapid.T, e *Exchange) {
	owner := rapid.SampledFrom([]string{"advertisers/a", "advertisers/b"}).Draw(r, "owner")
	name := fmt.Sprint(owner, "/campaigns/c", rapid.IntRange(0, 3).Draw(r, "campaign"))
	state := rapid.SampledFrom([]hexbid.ServingState{hexbid.Active, hexbid.Paused}).Draw(r, "state")
	switch rapid.IntRange(0, 5).Draw(r, "change") {
	case 0: // the advertiser goes with all that it has, and may come again under its name
		for i := range 4 {
			_ = e.Delete(ctx, fmt.Sprint(owner, "/campaigns/c", i), store.AnyVersion, false)
		}
		_ = e.Delete(ctx, owner+"/programs/p", store.AnyVersion, false)
		_ = e.Delete(ctx, owner, store.AnyVersion, false)
	case 1:
		_ = e.Delete(ctx, name, store.AnyVersion, false)
	default:
		c := &hexbid.Campaign{Meta: hexbid.Meta{Name: name}, DisplayName: "c", Program: owner + "/programs/p", State: state,
			Pricing: hexbid.CPC, Bid: hexbid.Money(rapid.IntRange(1, 3).Draw(r, "bid")) * 1_000_000,
			DailyBudget: hexbid.Money(rapid.IntRange(3, 5).Draw(r, "budget")) * 1_000_000,
			TimeZone:    rapid.SampledFrom([]string{"", "Asia/Shanghai", "Europe/Berlin"}).Draw(r, "zone"),
			Area:        hexbid.Area{Everywhere: true}}
		if n := rapid.Int64Range(0, 2).Draw(r, "coupons"); n > 0 {
			c.Creatives = []hexbid.Creative{{Coupon: &hexbid.Coupon{Text: "x", TotalCount: n, ValidUntil: now}}}
		}
		e.Import(ctx, []hexbid.Resource{
			&hexbid.Advertiser{Meta: hexbid.Meta{Name: owner}, DisplayName: "A",
				State: rapid.SampledFrom([]hexbid.ServingState{hexbid.Active, hexbid.Paused}).Draw(r, "owner's state")},
			&hexbid.Program{Meta: hexbid.Meta{Name: owner + "/programs/p"}, DisplayName: "P", Category: hexbid.Catering,
				Hosts: []hexbid.Host{hexbid.WeChat}, Path: "index"}, c}, false)
	}
}

// compareTerms compares the ledger with what a scan of the catalogue says.
func compareTerms(r *rapid.T, s store.Store, l *plainLedger) {
	owners, want := map[string]hexbid.UID{}, map[hexbid.UID]fold.Terms{}
	if _, err := s.Scan(ctx, func(r store.Record, _ *store.Derived) error {
		switch v := r.Resource.(type) {
		case *hexbid.Advertiser:
			owners[v.Name] = v.UID
		case *hexbid.Campaign:
			zone := v.TimeZone
			if zone == "" {
				zone = "Asia/Shanghai"
			}
			t := fold.Terms{Campaign: v.UID, Advertiser: owners[v.Name[:len("advertisers/x")]], Name: v.Name,
				DailyBudget: v.DailyBudget, Zone: zone, Paused: v.State == hexbid.Paused}
			if len(v.Creatives) > 0 {
				t.Coupons = []fold.Coupon{{Total: v.Creatives[0].Coupon.TotalCount, ValidUntil: now.UnixMilli()}}
			}
			want[v.UID] = t
		}
		return nil
	}); err != nil {
		r.Fatal(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for uid, got := range l.campaigns {
		if w, there := want[uid]; there == got.Deleted || there && !equalTerms(got, w) || got.Name == "" {
			r.Fatalf("the ledger has %+v\nthe catalogue %+v", got, w)
		}
		if l.advertisers[got.Advertiser].Name != got.Name[:len("advertisers/x")] {
			r.Fatalf("%+v\nbelongs to %+v", got, l.advertisers[got.Advertiser])
		}
		delete(want, uid)
	}
	if len(want) > 0 {
		r.Fatalf("the ledger lacks %+v", want)
	}
	for uid, got := range l.advertisers {
		if got.Deleted == (owners[got.Name] == uid) {
			r.Fatalf("the ledger has %+v, of that name the catalogue has %d", got, owners[got.Name])
		}
	}
}

// forgetful is a store whose feeds may have lost the way to what is older than its last change.
type forgetful struct {
	*store.Memory
	forgets bool
}

func (f *forgetful) Watch(after uint64) *store.Feed {
	if version := f.Version(); f.forgets && after < version {
		return store.NewTape(version, nil).Feed(after)
	}
	return f.Memory.Watch(after)
}

// TestACampaignIsOfTheAdvertiserThatItWasMadeFor, though another one has the name by the time that the ledger learns of
// it.
func TestACampaignIsOfTheAdvertiserThatItWasMadeFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := store.NewMemory(), newPlainLedger()
		e, err := openLedgered(t, s, l)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		fill(t, e)
		first, err := s.Get(ctx, "advertisers/a")
		if err != nil {
			t.Fatal(err)
		}
		release := l.hold()
		go e.Import(ctx, []hexbid.Resource{campaign("first")}, false)
		synctest.Wait() // the ledger is at it; the next ones wait behind
		c := campaign("c")
		go e.Import(ctx, []hexbid.Resource{c}, false)
		synctest.Wait()
		made, err := s.Get(ctx, c.Name)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{c.Name, campaign("first").Name, program, "advertisers/a"} {
			go e.Delete(ctx, name, store.AnyVersion, false)
			synctest.Wait()
		}
		again := &hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/a"}, DisplayName: "A"}
		go e.Import(ctx, []hexbid.Resource{again}, false)
		synctest.Wait()
		release()
		synctest.Wait()
		if got := l.campaigns[made.Meta().UID]; got.Advertiser != first.Meta().UID || !got.Deleted || got.Name != c.Name {
			t.Errorf("%+v, want the advertiser %d", got, first.Meta().UID)
		}
		if !l.advertisers[first.Meta().UID].Deleted {
			t.Error("the first advertiser is not deleted")
		}
	})
}

// TestAMarketIsOpenOnlyWhenTheLedgerHasItsCatalogue starts a ledger behind its catalogue.
func TestAMarketIsOpenOnlyWhenTheLedgerHasItsCatalogue(t *testing.T) {
	for name, knows := range map[string]bool{"a fresh ledger": false, "one that has followed before": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, l := store.NewMemory(), newPlainLedger()
				before, err := openLedgered(t, s, nil)
				if err != nil {
					t.Fatal(err)
				}
				fill(t, before)
				if knows {
					l.version = s.Version()
				}
				fill(t, before, campaign("c"), place("l", hub))
				before.Close()
				release := l.hold()
				opened := make(chan *Exchange, 1)
				go func() {
					e, err := openLedgered(t, s, l)
					if err != nil {
						t.Error(err)
					}
					opened <- e
				}()
				time.Sleep(time.Minute) // of the bubble's clock
				if len(opened) > 0 {
					t.Error("it is open before the ledger has the campaign")
				}
				release()
				e := <-opened
				defer e.Close()
				if len(l.campaigns) != 1 || l.version != s.Version() {
					t.Errorf("%+v at version %d of %d", l.campaigns, l.version, s.Version())
				}
			})
		})
	}
}

func TestALedgerOfALaterCatalogueRefusesToOpen(t *testing.T) {
	l := newPlainLedger()
	l.version = 100
	if e, err := openLedgered(t, store.NewMemory(), l); hexbid.KindOf(err) != hexbid.DataLoss {
		t.Errorf("%v, %v", e, err)
	}
	lossy := &losing{Memory: store.NewMemory()}
	e := mustOpenLedgered(t, lossy, l) // the operator has accepted the loss
	fill(t, e, campaign("c"), place("l", hub))
	if len(l.campaigns) != 1 {
		t.Errorf("%+v", l.campaigns)
	}
}

// losing is a catalogue that an accepted loss has set back.
type losing struct{ *store.Memory }

func (losing) Failed() <-chan struct{} { return nil }
func (losing) Failure() error          { return nil }
func (losing) Losses() []store.Loss    { return []store.Loss{{Acknowledged: 100, Found: 0}} }

// TestWhileTheLedgerFailsWritesAreRefusedAndSearchesGoOn, and once it is well the writes that it missed are made up
// for.
func TestWhileTheLedgerFailsWritesAreRefusedAndSearchesGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, s := newPlainLedger(), store.NewMemory()
		e, err := openLedgered(t, s, l)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		c := campaign("c")
		fill(t, e, c, place("l", hub))
		release := l.hold()
		outcome := make(chan error, 1)
		go func() { outcome <- edit(ctx, e, c.Name, func(c *hexbid.Campaign) { c.DailyBudget = 5_000_000 }) }()
		synctest.Wait() // stored, and on its way to the ledger
		broken := hexbid.Errorf(hexbid.Unavailable, "", "the disk is full")
		l.fail(broken)
		e.terms.refuse(broken)
		if err := <-outcome; hexbid.KindOf(err) != hexbid.Unavailable || !errors.Is(err, broken) {
			t.Errorf("a write that the ledger did not take: %v", err)
		}
		version := s.Version()
		for name, err := range map[string]error{
			"update": edit(ctx, e, c.Name, func(c *hexbid.Campaign) { c.Bid++ }),
			"import": e.Import(ctx, []hexbid.Resource{campaign("d")}, false)[0].Err,
			"delete": e.Delete(ctx, c.Name, store.AnyVersion, false),
		} {
			if hexbid.KindOf(err) != hexbid.Unavailable || !errors.Is(err, broken) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if s.Version() != version {
			t.Error("a refused write changed the catalogue")
		}
		if slotsWon(t, e) != 1 {
			t.Error("searches do not go on")
		}
		l.fail(nil)
		release()
		time.Sleep(2 * tryAgainAfter) // of the bubble's clock
		if err := edit(ctx, e, c.Name, func(c *hexbid.Campaign) { c.TotalBudget = 50_000_000 }); err != nil {
			t.Error(err)
		}
		r, err := s.Get(ctx, c.Name)
		if err != nil {
			t.Fatal(err)
		}
		if got := l.campaigns[r.Meta().UID]; got.DailyBudget != 5_000_000 || got.TotalBudget != 50_000_000 {
			t.Errorf("%+v", got)
		}
	})
}

// TestACallThatEndsBeforeTheLedgerHasItsBudgetIsNoSuccess: single writes and rows.
func TestACallThatEndsBeforeTheLedgerHasItsBudgetIsNoSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPlainLedger()
		e, err := openLedgered(t, store.NewMemory(), l)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		c := campaign("c")
		fill(t, e, c, place("l", hub))
		release := l.hold()
		ending, cancel := context.WithCancel(ctx)
		single, row := make(chan error, 1), make(chan error, 1)
		go func() { single <- edit(ending, e, c.Name, func(c *hexbid.Campaign) { c.DailyBudget = 5_000_000 }) }()
		synctest.Wait()
		go func() { row <- e.Import(ending, []hexbid.Resource{campaign("d")}, false)[0].Err }()
		synctest.Wait()
		cancel()
		for _, err := range []error{<-single, <-row} {
			if hexbid.KindOf(err) != hexbid.Unavailable || !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		release()
		if o := e.Import(ctx, []hexbid.Resource{campaign("d")}, false)[0]; o.Err != nil || o.Action != Unchanged {
			t.Errorf("sent again: %+v", o)
		}
	})
}
