package exchange

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/journal"
	invalid "github.com/hexbid/hexbid/ledger/traffic"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/token"
)

// handClock is a clock that a test moves.
type handClock struct {
	mu sync.Mutex
	at time.Time
}

func (c *handClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *handClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// billed is a market with a ledger, both in memory.
type billed struct {
	*Exchange
	testing.TB
	clock   *handClock
	journal journal.Journal
	ledger  *ledger.Ledger
	keys    *token.Keys
	ahead   bool // the ledger may be ahead of the clock
	traffic invalid.Limits
	skew    atomic.Int64 // nanoseconds by which the wall clock of the ledger is wrong
}

// clickPrice is what a click of these markets costs: a reserve sets it.
const (
	seenReserve = 3_000_000 // for a thousand seen impressions
	clickPrice  = 100_000   // at the quality of catering, 3 %
)

// openBank opens a market in which a reserve prices every click.
func openBank(t testing.TB) *billed {
	t.Helper()
	keys, err := token.OpenKeys(token.Source{Path: filepath.Join(t.TempDir(), "keys")})
	if err != nil {
		t.Fatal(err)
	}
	b := &billed{TB: t, clock: &handClock{at: now}, journal: journal.NewMemory(), keys: keys}
	b.open(store.NewMemory())
	t.Cleanup(func() { b.close() })
	fill(t, b.Exchange, place("l", hub))
	return b
}

func (b *billed) open(s store.Store) {
	b.Helper()
	start := b.clock.now()
	var err error
	b.ledger, err = ledger.Open(ctx, ledger.Options{Journal: b.journal,
		Wall: func() time.Time { return b.clock.now().Add(time.Duration(b.skew.Load())) },
		Log:  slog.New(slog.DiscardHandler), AllowAhead: b.ahead, Traffic: b.traffic,
		Monotonic: func() time.Duration { return b.clock.now().Sub(start) }})
	if err != nil {
		b.Fatal(err)
	}
	c := DefaultConfig()
	c.Clock, c.Log, c.AuctionBudget, c.Cards = b.clock.now, slog.New(slog.DiscardHandler), time.Minute, plainCards{}
	c.Market.Reserves = []hexbid.Reserve{{PerThousand: seenReserve}}
	c.Ledger, c.Currency, c.Histories.Budget = b.ledger, "CNY", time.Minute
	if b.Exchange, err = Open(ctx, c, s, b.keys); err != nil {
		b.Fatal(err)
	}
}

func (b *billed) close() {
	b.Exchange.Close()
	if err := b.ledger.Close(); err != nil {
		b.Error(err)
	}
}

// restart closes the market and opens it anew on the same catalogue and journal.
func (b *billed) restart() {
	b.Helper()
	s := b.store
	b.close()
	b.open(s)
}

// put stores campaigns.
func (b *billed) put(campaigns ...*hexbid.Campaign) {
	b.Helper()
	for _, c := range campaigns {
		if o := b.Import(ctx, []hexbid.Resource{c}, false)[0]; o.Err != nil {
			b.Fatal(o.Err)
		}
	}
}

// token returns the token of the first sponsored result for a client.
func (b *billed) token(client string) string {
	b.Helper()
	r := at(hub)
	r.ClientID = client
	response := mustSearch(b, b.Exchange, r)
	if len(response.Sponsored) == 0 || response.Sponsored[0].Price != clickPrice {
		b.Fatalf("nothing is sponsored at %d: %+v", clickPrice, response.Sponsored)
	}
	return response.Sponsored[0].Token
}

// report reports the events of a client.
func (b *billed) report(client string, events ...hexbid.Event) []hexbid.EventResult {
	b.Helper()
	results, err := b.RecordEvents(ctx, &hexbid.EventReport{ClientID: client, Events: events})
	if err != nil {
		b.Fatal(err)
	}
	return results
}

// click reports one click of a new token and returns the answer.
func (b *billed) click() hexbid.EventResult {
	b.Helper()
	return b.report("app", hexbid.Event{Kind: hexbid.Click, Token: b.token("app"), ID: "c"})[0]
}

// spend returns what a campaign has spent, by its id.
func (b *billed) spend(id string) *hexbid.CampaignSpend {
	b.Helper()
	s, err := b.CampaignSpend(ctx, hexbid.Account{Name: "advertisers/a/campaigns/" + id})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// waitFor waits until a condition holds.
func waitFor(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

func outcomes(results []hexbid.EventResult) (out []string) {
	for _, r := range results {
		text := r.Outcome.String()
		if r.Charged > 0 {
			text += " " + fmt.Sprint(int64(r.Charged))
		}
		if r.Repeated {
			text += " again"
		}
		if (r.Sequence > 0) != (r.Hash != [32]byte{}) {
			text += " with half a record"
		}
		out = append(out, text)
	}
	return out
}
