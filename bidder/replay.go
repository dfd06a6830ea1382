package bidder

import (
	"cmp"
	"context"
	"math"
	"runtime"
	"slices"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/bidder/quality"
	"github.com/hexbid/hexbid/geoindex"
)

// SampledAuction is an auction without its viewer: where and how the list was opened, and the entries that ranked, one
// more than there are slots. Replay runs it again by the rules of another market.
type SampledAuction struct {
	Cell    geoindex.Cell // that holds the viewer's point, as coarse as in a token
	Host    hexbid.Host
	Scene   hexbid.Scene
	Slots   uint8
	Way     quality.Way
	Trial   auction.Trial
	bands   []float64 // ends of the bands of distance; shared with the market
	entries uint8
	entry   [hexbid.MaxSlots + 1]sampledEntry
}

// sampledEntry is an entry of a sampled auction.
type sampledEntry struct {
	campaign   hexbid.UID
	tie        uint64 // hash that breaks ties
	bid        hexbid.Money
	multiplier int32 // parts per million
	base       int32 // the campaign's own quality, parts per million
	category   hexbid.Category
	pricing    hexbid.PricingModel
	band       uint8 // of distance, 0 when that did not count
	isPrior    bool  // base follows from the prior of the category
	explored   bool
}

// SampleInto writes the auction that a search with the scratch has just run into a. cell holds the query's point.
func (s *Snapshot) SampleInto(a *SampledAuction, q *Query, cell geoindex.Cell, w *Scratch) {
	*a = SampledAuction{Cell: cell, Host: q.Host, Scene: q.Scene, Slots: uint8(q.Slots), Way: q.Way, Trial: q.Trial,
		bands: s.market.Distance.EndsM, entries: uint8(w.priced)}
	ties := q.Ties
	for i := range w.entries[:w.priced] {
		e := &w.entries[i]
		c := s.campaigns.at(e.Ordinal)
		a.entry[i] = sampledEntry{campaign: e.CampaignUID, tie: ties.Hash(e.CampaignUID), bid: e.Bid,
			multiplier: int32(e.MultiplierPPM), base: int32(e.Prediction.BasePPM), category: c.category, pricing: e.Pricing,
			band: e.Prediction.Band, explored: e.Explored,
			isPrior: c.has&hasPriorQuality != 0 && c.worth.qualityPPM() == s.market.PriorPPM[c.category]}
	}
}

// Replay runs sampled auctions again by the rules of a market. Nobody may use it from two goroutines.
type Replay struct {
	snapshot  *Snapshot
	market    *Market
	reserves  []reserveRule
	distances *distances
	entries   []auction.Entry
	awards    []auction.Award
	kept      map[hexbid.UID]bool // campaigns of the last auction that reached their reserve
}

// NewReplay returns a replay by the rules of a market. Where it has other bands of distance than the sample, distances
// are those from the middle of the sample's cells to the places in the snapshot.
func NewReplay(s *Snapshot, m *Market) *Replay {
	return &Replay{snapshot: s, market: m, reserves: compileReserves(m.Reserves),
		distances: compileDistances(&m.Distance), kept: map[hexbid.UID]bool{}}
}

// Run runs an auction. The awards and what Entered says hold until the next Run.
func (r *Replay) Run(a *SampledAuction) []auction.Award {
	at := geoindex.Position{Vec: a.Cell.Center()}
	if len(r.reserves) > 0 { // only they ask for regions
		at = geoindex.Locate(at.Vec.Point())
	}
	q := Query{At: at, Host: a.Host, Scene: a.Scene}
	var reserves reserveTable
	reserves.fill(r.reserves, &q)
	clear(r.kept)
	r.entries = r.entries[:0]
	ties := map[hexbid.UID]uint64{}
	for i := range a.entry[:a.entries] {
		sampled := &a.entry[i]
		ties[sampled.campaign] = sampled.tie
		if e, enters := r.entry(a, sampled, &q, reserves[sampled.category]); enters {
			r.entries = append(r.entries, e)
			r.kept[sampled.campaign] = true
		}
	}
	slices.SortFunc(r.entries, func(x, y auction.Entry) int {
		return cmp.Or(cmp.Compare(y.Score, x.Score), cmp.Compare(ties[y.CampaignUID], ties[x.CampaignUID]),
			cmp.Compare(x.CampaignUID, y.CampaignUID))
	})
	pricing := r.market.pricing(a.Scene, int(a.Slots), a.Way)
	pricing.Trial = a.Trial
	r.awards = auction.Price(r.entries, pricing, r.awards[:0])
	return r.awards
}

// Candidates returns the sampled entries of the last auction that reached their reserve, best first.
func (r *Replay) Candidates() []auction.Entry { return r.entries }

// Entered reports whether a campaign of the last auction reached its reserve.
func (r *Replay) Entered(campaign hexbid.UID) bool { return r.kept[campaign] }

// entry returns the entry of a campaign by the replay's market, and whether it reaches its reserve.
func (r *Replay) entry(a *SampledAuction, of *sampledEntry, q *Query, reserve int64) (e auction.Entry, enters bool) {
	e = auction.Entry{Candidate: auction.Candidate{CampaignUID: of.campaign, Pricing: of.pricing, Bid: of.bid,
		MultiplierPPM: int64(of.multiplier), Reserve: reserve}, Explored: of.explored}
	e.Prediction = auction.Prediction{BasePPM: int64(of.base), ScenePPM: r.market.scenePPM(a.Host, a.Scene),
		DistancePPM: auction.PPM}
	if of.isPrior {
		e.Prediction.BasePPM = priorPPM(r.market.PriorPPM[of.category], of.explored)
	}
	if r.distances != nil {
		e.Prediction.Band = r.bandOf(a, of, q)
		e.Prediction.DistancePPM = r.distances.factorPPM(e.Prediction.Band, of.category)
	}
	e.QualityPPM = e.Prediction.QualityPPM()
	return e, e.Enter()
}

// priorPPM returns the quality of a campaign by a prior, as priorOf packs it.
func priorPPM(prior int64, explored bool) int64 {
	w := worth(0).withQuality(prior, min(2*prior, auction.PPM))
	if explored {
		return w.exploredPPM()
	}
	return w.qualityPPM()
}

// bandOf returns the band of distance of a sampled entry by the replay's market.
func (r *Replay) bandOf(a *SampledAuction, of *sampledEntry, q *Query) uint8 {
	if of.band > 0 && slices.Equal(a.bands, r.market.Distance.EndsM) {
		return of.band
	}
	i, there := r.snapshot.ordinalOf(of.campaign)
	if !there {
		return r.distances.band(math.Inf(1))
	}
	return r.distances.band(r.snapshot.placeChord2(r.snapshot.details.at(i).program, &q.At))
}

// SeenPPM returns the chance that a slot of a sampled auction is seen, relative to the first slot, in parts per
// million.
func (m *Market) SeenPPM(a *SampledAuction, slot int) int64 {
	factors := m.FactorsOf(a.Way)
	return factors[slot-1] * auction.PPM / factors[0]
}

// ActiveBelow counts the active campaigns with a bid below a least one, by pricing model. It yields the core from time
// to time. Its error is the context's.
func (s *Snapshot) ActiveBelow(ctx context.Context, least [hexbid.PricingCount]hexbid.Money) (
	below [hexbid.PricingCount]int, err error) {
	for i := range s.campaigns.len() {
		if i%looksATurn == 0 {
			runtime.Gosched()
			if err := ctx.Err(); err != nil {
				return below, err
			}
		}
		c := s.campaigns.at(i)
		if c.uid == 0 || c.state&active == 0 {
			continue
		}
		lowest := c.bid
		if bids := s.specificsOf(i).hostBids; bids != nil {
			lowest = slices.Min(bids[:])
		}
		if lowest < least[c.pricing] {
			below[c.pricing]++
		}
	}
	return below, nil
}
