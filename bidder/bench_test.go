package bidder

import (
	"log/slog"
	"math/rand/v2"
	"testing"

	"github.com/hexbid/hexbid"
)

// BenchmarkChange indexes a changed campaign, of a market of 3,000; a publication takes a
// hundred.
func BenchmarkChange(b *testing.B) {
	m := &testMarket{now: testStart, center: hangzhou, places: map[string]*hexbid.Place{}}
	m.r = rand.New(rand.NewPCG(9, 1))
	market := DefaultMarket()
	x := NewIndexer(&market, fixedClock, slog.New(slog.DiscardHandler))
	uid := hexbid.UID(0)
	put := func(r hexbid.Resource) {
		if r.Metadata().UID == 0 {
			uid++
			r.Metadata().UID = uid
		}
		in := incoming{resource: r}
		in.complete()
		if err := x.put(&in); err != nil {
			b.Fatal(err)
		}
	}
	for i := range advertisers {
		put(m.advertiser(i))
	}
	for i := range programs {
		put(m.program(i))
	}
	for i := range 4 * programs {
		put(m.place(i))
	}
	const campaigns = 3000
	first := uid
	for i := range campaigns {
		put(m.campaign(i))
	}
	x.publish()
	var changed []incoming
	for i := range 2 * campaigns {
		c := m.campaign(i % campaigns)
		c.UID = first + 1 + hexbid.UID(i%campaigns)
		in := incoming{resource: c}
		in.complete()
		changed = append(changed, in)
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if err := x.put(&changed[n%len(changed)]); err != nil {
			b.Fatal(err)
		}
		if n%100 == 0 {
			x.publish()
		}
	}
}
