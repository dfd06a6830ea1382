package exchange

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/token"
)

// BenchmarkSearch measures whole searches with three sponsored results, without a ledger and with one, which counts
// the awards that are out.
func BenchmarkSearch(b *testing.B) {
	for _, billed := range []bool{false, true} {
		b.Run(fmt.Sprintf("ledger=%t", billed), func(b *testing.B) {
			e := openForSearches(b, billed)
			r := at(hub)
			b.ReportAllocs()
			for b.Loop() {
				if response := mustSearch(b, e, r); len(response.Sponsored) != 3 {
					b.Fatalf("%d sponsored", len(response.Sponsored))
				}
			}
		})
	}
}

// BenchmarkSearchOfAKeyedViewer measures whole searches of a viewer with a user key in a market with ten capped
// campaigns: without caps, and by where the viewer's history comes from.
func BenchmarkSearchOfAKeyedViewer(b *testing.B) {
	for _, from := range []string{"no caps", "filter", "cache", "journal", "awards"} {
		b.Run(from, func(b *testing.B) {
			e := openForSearches(b, true)
			if from != "no caps" {
				capAll(b, e)
			}
			waitFor(b, "the filter is filled", func() bool { return e.viewers.filter.Load() != nil })
			if from != "filter" {
				e.viewers.filter.Store(nil)
			}
			e.viewers.patience, e.viewers.awards.keepFor = 0, 0 // awards are forgotten at once
			if from == "awards" {
				e.viewers.awards.keepFor = time.Hour
			}
			r, viewer := at(hub), e.keys.Ring().Pseudonym("someone")
			b.ReportAllocs()
			for b.Loop() {
				if from == "journal" {
					e.viewers.forget(viewer)
				}
				if response := mustSearch(b, e, r); len(response.Sponsored) != 3 {
					b.Fatalf("%d sponsored", len(response.Sponsored))
				}
			}
		})
	}
}

// capAll gives every campaign a cap that is never reached.
func capAll(b *testing.B, e *Exchange) {
	for i := range 10 {
		record, err := e.store.Get(ctx, fmt.Sprintf("advertisers/a%d/campaigns/c", i))
		if err != nil {
			b.Fatal(err)
		}
		c := *record.Resource.(*hexbid.Campaign)
		c.Cap = hexbid.FrequencyCap{Impressions: 1000, Window: time.Hour}
		if o := e.Import(ctx, []hexbid.Resource{&c}, false)[0]; o.Err != nil {
			b.Fatal(o.Err)
		}
	}
}

// openForSearches opens a market of ten advertisers with a shop and a campaign at the same spot.
func openForSearches(b *testing.B, billed bool) *Exchange {
	config := DefaultConfig()
	config.Log, config.AuctionBudget, config.Cards = slog.New(slog.DiscardHandler), time.Minute, plainCards{}
	if billed {
		l, err := ledger.Open(ctx, ledger.Options{Journal: journal.NewMemory(), Log: config.Log})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { l.Close() })
		config.Ledger, config.Currency = l, "CNY"
	}
	keys, err := token.OpenKeys(token.Source{Path: filepath.Join(b.TempDir(), "keys")})
	if err != nil {
		b.Fatal(err)
	}
	e, err := Open(ctx, config, store.NewMemory(), keys)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(e.Close)
	for i := range 10 {
		of := fmt.Sprintf("advertisers/a%d", i)
		fill(b, e, &hexbid.Advertiser{Meta: hexbid.Meta{Name: of}, DisplayName: "A"},
			&hexbid.Program{Meta: hexbid.Meta{Name: of + "/programs/p"}, DisplayName: "P", Category: hexbid.Catering,
				Hosts: []hexbid.Host{hexbid.WeChat}, Path: "index"},
			&hexbid.Place{Meta: hexbid.Meta{Name: of + "/programs/p/places/l"}, Point: hub},
			&hexbid.Campaign{Meta: hexbid.Meta{Name: of + "/campaigns/c"}, DisplayName: "c", Program: of + "/programs/p",
				Pricing: hexbid.CPC, Bid: 1_000_000, DailyBudget: 1 << 50, Area: hexbid.Area{AroundPlacesM: 2000}})
	}
	return e
}
