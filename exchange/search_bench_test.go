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
