package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/exchange"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/pebble"
	catalogue "github.com/hexbid/hexbid/store/pebble"
	"github.com/hexbid/hexbid/token"
)

// till is a market that bills: a catalogue and a ledger, both on disk as a server's are. Its clock can be set ahead.
type till struct {
	*exchange.Exchange
	ctx     context.Context // of the operator
	ledger  *ledger.Ledger
	store   *catalogue.Store
	journal *pebble.Journal
	live    exchange.LiveStates
	began   time.Time
	ahead   atomic.Int64 // nanoseconds that the clock is ahead
	charged uint64       // charges so far
	moved   int          // top-ups so far
}

// openTill opens an empty market whose ledger is in a new folder.
func openTill(dir string) (*till, error) {
	operator := hexbid.Principal{Role: hexbid.Operator, ID: "benchmarks", Origin: hexbid.InProcess}
	m := &till{ctx: hexbid.WithPrincipal(context.Background(), operator), began: time.Now()}
	quiet := slog.New(slog.DiscardHandler)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	keys, err := token.OpenKeys(token.Source{Path: filepath.Join(dir, "keys")})
	if err != nil {
		return nil, err
	}
	if m.store, err = catalogue.Open(catalogue.Options{Dir: filepath.Join(dir, "catalogue"), Currency: "CNY",
		Log: quiet}); err != nil {
		return nil, err
	}
	m.journal, err = pebble.Open(pebble.Options{Dir: filepath.Join(dir, "ledger"), Currency: "CNY", Log: quiet})
	if err != nil {
		return nil, errors.Join(err, m.store.Close())
	}
	if m.ledger, err = ledger.Open(m.ctx, ledger.Options{Journal: m.journal, Wall: m.now, Monotonic: m.since,
		Log: quiet}); err != nil {
		return nil, errors.Join(err, m.journal.Close(), m.store.Close())
	}
	config := exchange.DefaultConfig()
	config.Ledger, config.Currency, config.Clock, config.Stopwatch, config.Log = m.ledger, "CNY", m.now, m.now, quiet
	config.AuctionBudget = time.Hour // so that no search is cut short
	if m.Exchange, err = exchange.Open(m.ctx, config, m.store, keys); err != nil {
		return nil, errors.Join(err, m.ledger.Close(), m.journal.Close(), m.store.Close())
	}
	m.live, err = m.LiveStates(m.ctx)
	return m, err
}

func (m *till) close() error {
	m.Exchange.Close()
	return errors.Join(m.ledger.Close(), m.journal.Close(), m.store.Close())
}

func (m *till) now() time.Time { return time.Now().Add(time.Duration(m.ahead.Load())) }

func (m *till) since() time.Duration { return time.Since(m.began) + time.Duration(m.ahead.Load()) }

// pass sets the clock ahead.
func (m *till) pass(d time.Duration) { m.ahead.Add(int64(d)) }

// await polls until a condition holds. The error is one after two minutes.
func (m *till) await(what string, holds func() bool) error {
	for deadline := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("two minutes went by and not yet: %s", what)
		}
	}
	return nil
}

// put imports resources and returns their uids.
func (m *till) put(resources []hexbid.Resource) ([]hexbid.UID, error) {
	uids := make([]hexbid.UID, 0, len(resources))
	for some := range slices.Chunk(resources, rowsABatch) {
		for _, o := range m.Import(m.ctx, some, false) {
			if o.Err != nil {
				return nil, o.Err
			}
			uids = append(uids, o.Resource.Metadata().UID)
		}
	}
	return uids, nil
}

// buyer is a campaign with its advertiser.
type buyer struct{ campaign, advertiser hexbid.UID }

// charge charges each campaign the same price for a click. It returns when the charges are durable.
func (m *till) charge(buyers []buyer, price hexbid.Money) error {
	for some := range slices.Chunk(buyers, hexbid.MaxEvents) {
		events, at := make([]ledger.Event, len(some)), m.ledger.Now()
		for i, b := range some {
			m.charged++
			events[i] = ledger.Event{Kind: hexbid.Click, Name: token.Name{Issuer: token.Issuer{2}, Sequence: m.charged},
				EventID: fmt.Sprint(m.charged), Award: &token.Award{Campaign: b.campaign, Advertiser: b.advertiser,
					Price: price, Slot: 1, ClientID: "search-1", IssuedAt: at, ClickExpiry: at.Add(30 * time.Minute),
					Basis: auction.Basis{Mechanism: hexbid.MechanismGSP,
						Pricing: hexbid.CPC, Bid: price, MultiplierPPM: auction.PPM, QualityPPM: 30_000}}}
		}
		if err := charge(m.ledger, events); err != nil {
			return err
		}
	}
	return nil
}

// topUp adds to the balance of an advertiser, which is prepaid from then on.
func (m *till) topUp(advertiser hexbid.UID, amount hexbid.Money) error {
	m.moved++
	_, err := m.ledger.Move(m.ctx, fold.Movement{Advertiser: advertiser, What: fold.TopUp, Amount: amount,
		RequestID: fmt.Sprint(m.moved), Who: "benchmarks"})
	return err
}

// isOut reports whether a budget or a balance keeps a campaign from winning.
func (m *till) isOut(campaign hexbid.UID) bool {
	live := m.live(campaign)
	return live == nil || live.BudgetSpent || live.NoBalance
}

// awaitAll waits until all campaigns are out, or none is and all are in the lists again.
func (m *till) awaitAll(buyers []buyer, out bool) error {
	reached := 0
	return m.await(fmt.Sprintf("out is %v for all %d", out, len(buyers)), func() bool {
		for reached < len(buyers) && m.isOut(buyers[reached].campaign) == out {
			reached++
		}
		return reached == len(buyers) && (out || m.Size().Returning == 0)
	})
}

// leaveLists lets the campaigns that are out leave the lists.
func (m *till) leaveLists() error {
	m.pass(10 * time.Second)
	return m.await("they have left the lists", func() bool { return m.Size().Leaving == 0 })
}

// search searches once and returns how many sponsored results there are.
func (m *till) search(r *hexbid.Request) (int, error) {
	answer, err := m.Search(m.ctx, r, m.now())
	if err != nil {
		return 0, err
	}
	return len(answer.Sponsored), nil
}
