// Package exchange puts the market together, with a clock and without a network.
//
//	write:   validate, cover, store, wait until searchable
//	search:  locate, bidder.Search and Nearby, cards, tokens
//
// It owns the indexer's goroutine and the cache of cards.
package exchange

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/spans"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/token"
)

// Config holds the settings of an exchange.
type Config struct {
	// Market is the rules of a market whose store has none (FirstMarket).
	Market bidder.Market
	// SettingsNotTaken are the server's settings that differ from the stored market, for MarketInForce.
	SettingsNotTaken []string
	// AuctionBudget is the time from a request's arrival to the end of its auction. An auction that takes longer is
	// dropped, and the answer is the nearby list alone.
	AuctionBudget time.Duration
	// NearbyBudget is the time that the walk of a nearby list may take. After it the answer has the programs found so
	// far.
	NearbyBudget time.Duration
	// ClickExpiry is how long a token admits an impression and a click.
	ClickExpiry time.Duration
	// AdvertiserQuota is the most that an advertiser may have of each sort for which the operator has not set it a quota
	// of its own. Of index entries, each cell of a campaign's covering counts one, and so does each circle, cell, region
	// and vertex that it names. Each approved place that a campaign goes around counts eight. A keyword counts one, and
	// one more for every eight of its bytes.
	AdvertiserQuota hexbid.Holdings
	// ExplainsAnHour is the most explanations that the members of an advertiser get in an hour.
	ExplainsAnHour int
	// ManualReview leaves new places in review until the operator approves.
	ManualReview bool
	// Cards encodes what people see. Without it results have numbers only.
	Cards Cards
	// CacheBytes bounds the cache of cards.
	CacheBytes int64
	// Histories says how searches learn what a viewer has seen of capped campaigns.
	Histories Histories
	// LiveStates hands in what owners know of campaigns before the first search. Open calls it once before it reads the
	// catalogue, and fails with its error. HandIn takes later knowledge. Nil hands in nothing.
	LiveStates func(ctx context.Context, handIn func(bidder.Owner, []bidder.LiveUpdate) error) error
	// Home is where the places of a demo market are. The answer to a search outside it says so. Nil for other markets.
	Home *Home
	// Ledger bills events. Nil is a market without money: it records no events, and budgets limit nothing. Close the
	// exchange before the ledger.
	Ledger *ledger.Ledger
	// SwapPPM is the share of searches that swap the winners of two neighbouring slots, by which the market learns what
	// slots are worth; 0 (the default) to MaxSwapPPM, in parts per million.
	SwapPPM int64
	// Currency is the deployment's, as in CNY. StatementZone is the zone of the dates of movements and statements, the
	// ledger's Options.Zone; nil is UTC.
	Currency      string
	StatementZone *time.Location
	// Backup copies catalogue, ledger and keys into a folder. Nil for a market in memory.
	Backup func(ctx context.Context, directory string) (hexbid.Backup, error)
	// Manual is a market in virtual time: nothing happens between two calls of Exchange.Step but searches, writes and
	// events. Tests and simulations move Clock and the ledger's clocks, and step.
	Manual bool
	// ExploreShare is the share of searches, chosen by a hash, in which campaigns with few impressions are tried with a
	// quality above their estimate. 0 is none.
	ExploreShare float64
	// Pepper hashes keys. Nil draws one, and keys that were issued before are then good no more.
	Pepper *access.Pepper
	// OpenID is the provider whose tokens count as credentials; nil for none.
	OpenID *access.Issuer
	// Clock returns the time at which schedules are evaluated; time.Now when nil.
	Clock func() time.Time
	// Stopwatch returns the time that NearbyBudget is measured with; time.Now when nil.
	Stopwatch func() time.Time
	// RequestID makes request ids; random ones when nil.
	RequestID func() string
	// Spans records how long the stages of some calls take; nil records none. Who begins the call puts it in the context.
	Spans *spans.Recorder
	Log   *slog.Logger
}

// Histories are the settings of viewers' histories.
type Histories struct {
	// Budget is how long a search waits for a history that is neither in the filter nor in the cache. After it capped
	// campaigns sit out, unless they serve viewers whose history is not known.
	Budget time.Duration
	// CacheBytes bounds the cache of histories, and FilterBytes is the size of the filter of viewers who have one.
	CacheBytes, FilterBytes int64
}

func (h *Histories) validate() error {
	if h.Budget <= 0 {
		return hexbid.Invalidf("history-budget", "%s leaves no time: use 200us or more", h.Budget)
	}
	if h.CacheBytes < 1<<20 || h.FilterBytes < 1<<20 || h.FilterBytes > 16<<30 {
		return hexbid.Invalidf("history-cache", "%d bytes of cache and %d of filter are out of range: use 1 MiB or more "+
			"for both, and at most 16 GiB for the filter", h.CacheBytes, h.FilterBytes)
	}
	return nil
}

// Home is where the places of a market are.
type Home struct {
	Name    string
	Center  hexbid.Point
	RadiusM float64
}

// MaxSwapPPM is the greatest share of searches that may swap two slots: one in a hundred.
const MaxSwapPPM = 10_000

// DefaultConfig returns a market of default rules with an auction budget of one millisecond, in which no search
// explores.
func DefaultConfig() Config {
	return Config{Market: bidder.DefaultMarket(), AuctionBudget: time.Millisecond, NearbyBudget: 5 * time.Millisecond,
		ClickExpiry: 30 * time.Minute, AdvertiserQuota: DefaultQuota(), ExplainsAnHour: 120, CacheBytes: 64 << 20,
		Clock: time.Now, Histories: Histories{Budget: 200 * time.Microsecond, CacheBytes: 64 << 20, FilterBytes: 16 << 20},
		Stopwatch: time.Now, RequestID: randomID, Log: slog.Default()}
}

// MaxExploreShare is the largest share of searches that may explore.
const MaxExploreShare = 0.05

func (c *Config) statementZone() *time.Location {
	if c.StatementZone == nil {
		return time.UTC
	}
	return c.StatementZone
}

// Validate refuses a configuration that cannot work. Its error names the setting.
func (c *Config) Validate() error {
	if c.AuctionBudget <= 0 {
		return hexbid.Invalidf("auction-budget", "%s leaves no time: use 1ms or more", c.AuctionBudget)
	}
	if c.NearbyBudget <= 0 {
		return hexbid.Invalidf("nearby-budget", "%s leaves no time: use 1ms or more", c.NearbyBudget)
	}
	if c.ClickExpiry < time.Minute || c.ClickExpiry > 24*time.Hour {
		return hexbid.Invalidf("click-expiry", "%s is out of range: use 1m to 24h", c.ClickExpiry)
	}
	if err := checkQuota(&c.AdvertiserQuota); err != nil {
		return err
	}
	if c.ExplainsAnHour < 0 {
		return hexbid.Invalidf("explains-an-hour", "%d is negative: use 0 or more", c.ExplainsAnHour)
	}
	if c.CacheBytes < 1<<20 {
		return hexbid.Invalidf("cache", "%d bytes are too few: use 1 MiB or more", c.CacheBytes)
	}
	if c.SwapPPM < 0 || c.SwapPPM > MaxSwapPPM {
		return hexbid.Invalidf("swap-share", "%d parts per million are out of range: use 0 to %d", c.SwapPPM, MaxSwapPPM)
	}
	if err := c.Histories.validate(); err != nil {
		return err
	}
	if !(c.ExploreShare >= 0 && c.ExploreShare <= MaxExploreShare) {
		return hexbid.Invalidf("explore-share", "%v is out of range: use 0 to %v of all searches", c.ExploreShare,
			MaxExploreShare)
	}
	return c.Market.Validate()
}

func randomID() string {
	var id [16]byte
	rand.Read(id[:]) // never fails: it aborts the program instead
	return hex.EncodeToString(id[:])
}

// Exchange is a running market.
type Exchange struct {
	config    Config
	etags     access.Etags
	changeIDs access.ChangeIDs
	store     store.Store
	keys      *token.Keys
	indexer   *bidder.Indexer
	display   *display
	// directory holds who may call.
	directory   *access.Directory
	callersLate lateness
	scratch     sync.Pool
	// exhaustive admits explanations and traces, which may evaluate many campaigns.
	exhaustive *turns
	rankings   rankings

	dryRuns dryRuns
	// positions learn what slots are worth; without a ledger nothing happens that they could learn from.
	positions *positions
	market    *market
	// Without a ledger these are nil.
	terms     *terms
	alerts    *alerts
	awardsOut *awardsOut
	budgets   *budgets
	delivery  *delivery
	viewers   *viewers
	lastCaps  *lastCaps
	learner   *learner  // a part of delivery
	filtered  *filtered // another
	pacer     *pacer    // a part of delivery
	recent    recentSearches
	explains  explains
	steps     steps

	outage outage

	ledgerTime    ledgerTime
	overDelivered atomic.Int64 // micros
	searched      atomic.Int64 // auctions that were asked for: the traffic that pacing learns its curve from

	stop    context.CancelFunc
	running sync.WaitGroup
}

// exhaustiveInLine is the most explanations and traces that may wait for a turn.
const exhaustiveInLine = 64

// Open loads a store and starts to follow it. Close the exchange before the store.
func Open(ctx context.Context, config Config, s store.Store, keys *token.Keys) (*Exchange, error) {
	if config.Ledger == nil {
		return openWith(ctx, config, s, keys, nil)
	}
	return openWith(ctx, config, s, keys, config.Ledger)
}

// moneyLedger is what the catalogue and budgets use of a ledger.Ledger.
type moneyLedger interface {
	termsLedger
}

// openWith is Open with a ledger, nil for none.
func openWith(ctx context.Context, config Config, s store.Store, keys *token.Keys, l moneyLedger) (*Exchange, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if config.Pepper == nil {
		config.Pepper = access.RandomPepper()
	}
	geoindex.Preload()
	patient := &patientStore{Store: s}
	e := &Exchange{config: config, etags: config.Pepper.Etags(), changeIDs: config.Pepper.ChangeIDs(),
		explains: explains{atMost: config.ExplainsAnHour},
		store:    patient, keys: keys, display: newDisplay(patient, config.Cards, config.CacheBytes),
		directory:  access.NewDirectory(config.Pepper),
		exhaustive: newTurns(max(1, runtime.GOMAXPROCS(0)/4), exhaustiveInLine)}
	if config.OpenID != nil {
		if err := e.directory.TakeTokens(*config.OpenID); err != nil {
			return nil, err
		}
	}
	rules, err := e.openMarket(ctx)
	if err != nil {
		return nil, err
	}
	e.indexer = bidder.NewIndexer(&e.config.Market, config.Clock, config.Log)
	e.market, e.positions = newMarket(e), newPositions(&e.config, e.directory)
	e.market.goOn = append(e.market.goOn, e.positions.goOnFrom)
	e.scratch.New = func() any { return e.newScratch() }
	follow, stop := context.WithCancel(context.Background())
	e.stop = stop
	e.outage = outage{stopwatch: config.Stopwatch, lasts: config.ClickExpiry}
	if l != nil {
		e.terms = newTerms(s, l, config.Log)
	}
	if config.Ledger != nil {
		if e.viewers, err = newViewers(follow, &config); err != nil {
			e.Close()
			return nil, err
		}
	}
	if err := e.start(ctx, follow, s, rules); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// start loads what is stored, and then follows what changes until follow ends.
func (e *Exchange) start(ctx, follow context.Context, s store.Store, rules *store.Feed) error {
	if err := e.load(ctx, follow); err != nil {
		return err
	}
	if err := e.openDirectory(ctx, follow); err != nil {
		return err
	}
	e.running.Go(func() { e.indexer.Run(follow, s) })
	e.running.Go(func() { e.followMarket(follow, rules) })
	if e.config.Ledger != nil && !e.config.Manual {
		e.followLedger(follow)
	}
	return nil
}

// followLedger starts the goroutines that follow the ledger until the context ends.
func (e *Exchange) followLedger(ctx context.Context) {
	e.running.Go(func() { e.alerts.follow(ctx) })
	e.running.Go(func() { e.alerts.sweep(ctx) })
	e.running.Go(func() { e.awardsOut.follow(ctx) })
	e.running.Go(func() { e.budgets.run(ctx) })
	e.running.Go(func() { e.delivery.follow(ctx) })
	e.running.Go(func() { e.ledgerTime.follow(ctx, &e.config) })
	e.running.Go(func() { e.sweepViewers(ctx) })
}

// openMoney opens what follows the ledger, and hands in what is left of budgets and balances.
func (e *Exchange) openMoney(ctx context.Context) (err error) {
	if e.awardsOut, err = newAwardsOut(ctx, &e.config); err != nil {
		return err
	}
	e.ledgerTime.read(&e.config)
	if e.alerts, err = newAlerts(ctx, e.config.Ledger, e.config.Log); err != nil {
		return err
	}
	e.budgets = newBudgets(e)
	e.terms.bids = e.budgets.raised
	if err := e.budgets.open(ctx); err != nil {
		return err
	}
	d := newDelivery(e)
	if err := d.restore(ctx); err != nil {
		return err
	}
	if err := e.market.open(ctx, e.config.Ledger.Now()); err != nil {
		return err
	}
	if err := d.open(); err != nil {
		return err
	}
	e.delivery, e.awardsOut.left, e.terms.edited = d, d.awarded, e.pacer.edited
	e.awardsOut.factors = func(a *token.Award) []int64 {
		return e.market.of(a.MarketVersion).FactorsOf(e.positions.wayOf(a.ClientID))
	}
	return nil
}

// load brings the ledger up to the catalogue, and indexes live states and the catalogue. What it starts ends with the
// context follow.
func (e *Exchange) load(ctx, follow context.Context) error {
	if e.terms != nil {
		if e.config.Ledger != nil {
			e.lastCaps = newLastCaps(e)
			if err := e.lastCaps.open(ctx); err != nil {
				return fmt.Errorf("reading the caps of deleted campaigns: %w", err)
			}
			e.terms.gone = e.lastCaps.deleted
		}
		if err := e.terms.open(ctx); err != nil {
			return fmt.Errorf("bringing the ledger up to the catalogue: %w", err)
		}
		if e.config.Ledger != nil {
			if err := e.openMoney(ctx); err != nil {
				return fmt.Errorf("reading what is left of budgets: %w", err)
			}
		}
		e.running.Go(func() { e.terms.run(follow) })
		e.indexer.GateBy(e.terms.pass)
	}
	if e.config.LiveStates != nil {
		if err := e.config.LiveStates(ctx, e.indexer.HandInFirst); err != nil {
			return fmt.Errorf("handing in live states: %w", err)
		}
	}
	return e.indexer.Load(ctx, prefilled{e.store, e.display})
}

// Close stops following the store.
func (e *Exchange) Close() {
	e.stop()
	e.running.Wait()
	if e.config.Manual {
		e.endSteps()
	}
	if e.viewers != nil {
		e.viewers.close()
	}
}

// Size is what a market holds.
type Size struct {
	Campaigns, Programs, Places int
	Version                     uint64 // of the catalogue
	Returning                   int    // campaigns that serve again and are not in the lists yet
	Leaving                     int    // campaigns that do not serve and are still in the lists
}

// Size returns the counts of what is searchable at present.
func (e *Exchange) Size() Size {
	s := e.indexer.Snapshot()
	return Size{s.Campaigns, s.Programs, s.Places, s.Version, s.Returning, s.Leaving}
}

// CacheHitRatio returns the share of cards found in the cache.
func (e *Exchange) CacheHitRatio() float64 { return e.display.hitRatio() }
