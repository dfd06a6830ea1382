package bidder

import (
	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/geoindex"
)

// conditions are what one request looks up in the market, once for all candidates.
type conditions struct {
	reserves reserveTable
	scenePPM int64 // the factor of the request's host and scene
	explores bool  // the request tries campaigns of which little is known at their explored quality
}

// set looks the conditions of a request up.
func (w *conditions) set(s *Snapshot, q *Query) {
	w.reserves.fill(s.reserves, q)
	w.scenePPM, w.explores = s.market.scenePPM(q.Host, q.Scene), q.Explore
}

// basePPM returns a campaign's own quality.
func (w *conditions) basePPM(of worth) int64 {
	if w.explores {
		return of.exploredPPM()
	}
	return of.qualityPPM()
}

// quality returns a campaign's quality in the request.
func (w *conditions) quality(of worth) int64 {
	if w.scenePPM == auction.PPM {
		return w.basePPM(of)
	}
	return auction.LowerQuality(w.basePPM(of), w.scenePPM)
}

// scenePPM returns the factor of a host and a scene.
func (m *Market) scenePPM(host hexbid.Host, scene hexbid.Scene) int64 {
	if factor := m.SceneFactorPPM[host][scene]; factor > 0 {
		return factor
	}
	return auction.PPM
}

// reserveTable holds the reserve of each category for one request, in the unit of score.
type reserveTable [hexbid.CategoryCount]int64

// rule is a Reserve with its region looked up.
type reserveRule struct {
	hexbid.Reserve
	region    geoindex.RegionID
	hasRegion bool
}

func compileReserves(reserves []hexbid.Reserve) []reserveRule {
	rules := make([]reserveRule, len(reserves))
	for i, r := range reserves {
		rules[i].Reserve = r
		if r.Region != "" {
			rules[i].region, _ = geoindex.RegionByCode(r.Region) // Validate has found it
			rules[i].hasRegion = true
		}
	}
	return rules
}

// fill sets the reserves that apply to a request. A floor in micros per thousand, times 1,000, is in the unit of score.
func (t *reserveTable) fill(rules []reserveRule, q *Query) {
	*t = reserveTable{}
	for i := range rules {
		r := &rules[i]
		if r.Host != 0 && r.Host != q.Host || r.Scene != 0 && r.Scene != q.Scene ||
			r.hasRegion && !q.At.Regions.Has(r.region) {
			continue
		}
		floor := int64(r.PerThousand) * 1000
		for c := range t {
			if r.Category == 0 || r.Category == hexbid.Category(c) {
				t[c] = max(t[c], floor)
			}
		}
	}
}
