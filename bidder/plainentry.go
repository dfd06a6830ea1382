package bidder

import (
	"fmt"
	"math"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/geoindex"
)

// plainEntry computes a campaign's entry as the rules of the market say it, apart from Search. It reports whether the
// entry reaches its reserve.
func (s *Snapshot) plainEntry(i uint32, q *Query, reserves *reserveTable) (e auction.Entry, enters bool) {
	c := s.campaigns.at(i)
	base := c.worth.qualityPPM()
	if q.Explore {
		base = c.worth.exploredPPM()
	}
	scene := s.market.SceneFactorPPM[q.Host][q.Scene]
	if scene == 0 {
		scene = auction.PPM
	}
	e = auction.Entry{Explored: base != c.worth.qualityPPM(),
		Prediction: auction.Prediction{BasePPM: base, ScenePPM: scene}}
	e.Prediction.DistancePPM, e.Prediction.Band = s.plainDistance(i, q)
	e.Candidate = auction.Candidate{Ordinal: i, Advertiser: c.advertiser, CampaignUID: c.uid, Pricing: c.pricing,
		Bid: s.bidOn(c, i, q.Host), MultiplierPPM: c.worth.multiplierPPM(), QualityPPM: e.Prediction.QualityPPM(),
		Reserve: reserves[c.category]}
	return e, e.Enter()
}

// plainDistance returns the factor of the distance to the program's nearest approved place, and its band.
func (s *Snapshot) plainDistance(i uint32, q *Query) (factorPPM int64, band uint8) {
	table, category := &s.market.Distance, s.campaigns.at(i).category
	if !table.Count() {
		return auction.PPM, 0
	}
	nearest := math.Inf(1)
	for at := s.programs.at(s.details.at(i).program).places; at != 0; at = s.places.at(at - 1).next {
		nearest = min(nearest, s.places.at(at-1).vec.Chord2(q.At.Vec))
	}
	if math.IsInf(nearest, 1) {
		return table.WithoutPlacePPM[category], uint8(len(table.FactorPPM) + 1)
	}
	n := 0
	for n < len(table.EndsM) && nearest > geoindex.Chord2OfM(table.EndsM[n]) {
		n++
	}
	return table.FactorPPM[n][category], uint8(n + 1)
}

// Exposure is what keeps a campaign from a viewer by a frequency cap.
type Exposure struct {
	Cap     hexbid.FrequencyCap
	Owners  bool // the cap is the advertiser's, of all its campaigns together
	Unknown bool // what the viewer has seen is not known
	Seen    int  // impressions in the cap's window
}

// judgeCaps returns the rule by which the cap of the campaign or of its advertiser keeps it from the viewer. It counts
// the viewer's impressions one by one.
func (s *Snapshot) judgeCaps(v *Verdict, q *Query) Rule {
	own, owners := s.capsAt(v.Ordinal)
	for _, x := range [...]struct {
		cap     hexbid.FrequencyCap
		isOwner bool
		subject hexbid.UID
	}{{own, false, s.campaigns.at(v.Ordinal).uid}, {owners, true, s.AdvertiserOf(v.Ordinal)}} {
		v.Frequency = Exposure{Cap: x.cap, Owners: x.isOwner, Unknown: q.History == nil,
			Seen: q.seen(x.subject, x.cap.Window)}
		isFull := v.Frequency.Seen >= x.cap.Impressions
		if v.Frequency.Unknown {
			isFull = !x.cap.ServeUncapped
		}
		if x.cap.Impressions > 0 && isFull {
			return RuleFrequency
		}
	}
	v.Frequency = Exposure{}
	return Shown
}

// seen counts the viewer's impressions of a campaign, or of an advertiser's campaigns, in a window that ends now; a
// window of 0 is for ever.
func (q *Query) seen(subject hexbid.UID, window time.Duration) (n int) {
	if q.History == nil {
		return 0
	}
	exposures, _ := q.History.Of(subject)
	if window == 0 {
		return int(exposures.Ever)
	}
	for _, at := range exposures.Stamps {
		if time.UnixMicro(at).Add(window).After(q.Now.Truncate(time.Microsecond)) {
			n++
		}
	}
	return n
}

// reason puts an exposure into words.
func (x *Exposure) reason() string {
	subject, cap := "it", "its frequency cap"
	if x.Owners {
		subject, cap = "its advertiser's campaigns", "the advertiser's frequency cap"
	}
	if x.Unknown {
		return fmt.Sprintf("how often the viewer has seen %s is not known, and %s is without serve_uncapped", subject, cap)
	}
	times, window := "times", "ever"
	if x.Seen == 1 {
		times = "time"
	}
	if x.Cap.Window > 0 {
		window = "in the last " + hours(x.Cap.Window)
	}
	return fmt.Sprintf("the viewer has seen %s %d %s %s; %s is %d", subject, x.Seen, times, window, cap, x.Cap.Impressions)
}

// hours writes a window as people say it: whole hours up to two days, then whole days where it is such.
func hours(window time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case window == time.Hour:
		return "hour"
	case window > day && window%day == 0:
		return fmt.Sprintf("%d days", window/day)
	case window%time.Hour == 0:
		return fmt.Sprintf("%d hours", window/time.Hour)
	}
	return window.String()
}
