package benchmarks

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
)

const (
	distinctRequests = 20_000
	callsARound      = 100_000
	rounds           = 5
)

func (m *Population) queries(change func(*hexbid.Request)) []bidder.Query {
	queries := make([]bidder.Query, distinctRequests)
	for i := range queries {
		r := m.Request(i, 10, 20)
		if change != nil {
			change(r)
		}
		queries[i] = bidder.NewQuery(r, fmt.Sprint(i), time.Now())
		if m.live {
			queries[i].History = m.history(i, queries[i].Now)
		}
	}
	return queries
}

// Auctions measures bidder.Search with ten slots on one core.
func (m *Population) Auctions(prefix, suffix string) (map[string]Spread, error) {
	queries, s := m.queries(nil), m.Indexer.Snapshot()
	var w bidder.Scratch
	search := func(i int) { s.Search(&queries[i%len(queries)], &w) }
	return Rounds(rounds, func() (Figures, error) {
		rate, p50, p99 := timed(callsARound, search)
		return Figures{prefix + "_auctions_per_s_" + suffix: rate, prefix + "_p50_ns_" + suffix: p50,
			prefix + "_p99_ns_" + suffix:             p99,
			prefix + "_allocs_per_op":                allocsPer(callsARound, search),
			prefix + "_bytes_per_campaign_" + suffix: float64(m.HeapBytes) / float64(m.Campaigns),
			prefix + "_index_s_" + suffix:            m.Took.Seconds()}, nil
	})
}

// Places names a choice of viewers for Nearby. Change turns a request of the workload into one of theirs.
type Places struct {
	Name   string
	Change func(*hexbid.Request)
}

// NearbyPlaces are four choices of viewers: those of the workload, who ask for their 20 nearest places within 3 km on
// one host; those who look within 50 km for a category that one program in a thousand has; those in the middle of
// Shanghai; and those on the grassland far north of it.
var NearbyPlaces = []Places{
	{"nearby", func(*hexbid.Request) {}},
	{"nearby_rare", func(r *hexbid.Request) { r.Category, r.RadiusM = rareCategory, hexbid.MaxRadiusM }},
	{"nearby_city", around(hexbid.Point{Lat: 31.2304, Lng: 121.4737}, 0.02)},
	{"nearby_country", around(hexbid.Point{Lat: 42.5, Lng: 114.5}, 0.5)},
}

// around moves requests to a place, spreads them over the given degrees, and widens their radius to the largest.
func around(center hexbid.Point, spread float64) func(*hexbid.Request) {
	r := rand.New(rand.NewPCG(1, 2))
	return func(q *hexbid.Request) {
		q.Point = hexbid.Point{Lat: center.Lat + spread*(r.Float64()-0.5), Lng: center.Lng + spread*(r.Float64()-0.5)}
		q.RadiusM = hexbid.MaxRadiusM
	}
}

// Nearby measures searches for the 20 nearest places.
func (m *Population) Nearby(places Places, suffix string) (map[string]Spread, error) {
	queries, s := m.queries(places.Change), m.Indexer.Snapshot()
	var w bidder.Scratch
	nearby := func(i int) { s.Nearby(&queries[i%len(queries)], &w) }
	return Rounds(rounds, func() (Figures, error) {
		_, p50, p99 := timed(callsARound/2, nearby)
		return Figures{places.Name + "_p50_ns_" + suffix: p50, places.Name + "_p99_ns_" + suffix: p99,
			"nearby_allocs_per_op": allocsPer(callsARound/10, nearby)}, nil
	})
}

// Dense measures searches at the densest point of three markets. Its main figure is the worst p99 of the three.
func Dense(w *Workload) (map[string]Spread, error) {
	each := func(i int) int { return i }
	none := func(int, *hexbid.Campaign) {}
	worst := map[string]Spread{}
	for name, c := range map[string]struct {
		owner  func(int) int
		change func(int, *hexbid.Campaign)
	}{
		"all_match": {each, none},
		"best_fail": {each, func(i int, c *hexbid.Campaign) {
			if i < 9990 {
				c.Audience.Ages = []hexbid.AgeRange{{Min: 100, Max: 110}}
			}
		}},
		"one_owner": {func(i int) int { return max(0, i-4999) }, none},
	} {
		m, err := NewDense(w, c.owner, c.change)
		if err != nil {
			return nil, err
		}
		queries, s := m.queries(func(r *hexbid.Request) { r.Point = DensePoint }), m.Indexer.Snapshot()
		var scratch bidder.Scratch
		spreads, err := Rounds(rounds, func() (Figures, error) {
			_, _, p99 := timed(callsARound/5, func(i int) { s.Search(&queries[i%len(queries)], &scratch) })
			return Figures{"engine_dense_" + name + "_p99_ns": p99}, nil
		})
		if err != nil {
			return nil, err
		}
		for key, spread := range spreads {
			if worst[key] = spread; spread.Median > worst["engine_dense_p99_ns"].Median {
				worst["engine_dense_p99_ns"] = spread
			}
		}
		m.Close()
	}
	return worst, nil
}
