// Package benchmarks measures Hexbid from the outside, in a module of its own.
package benchmarks

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sort"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/simulator/traffic"
)

// Workload draws campaigns and viewers around Chinese cities by population, with a spread of six kilometres. It draws
// each record by its number, so any part of a market can be made again without the rest.
type Workload struct {
	seed       uint64
	live       bool
	everywhere bool // campaigns cover the country
	local      bool // campaigns lie around their program's place
	byDistance bool // quality falls with the distance to the program's place
	// defaultPriors says that chances of clicks are the default market's, rather than ones.
	defaultPriors bool
	anOwner       int // campaigns of one advertiser
	centers       []hexbid.Point
	cumulative    []float64 // people
}

// CampaignsAnOwner is the number of campaigns of one advertiser, except in OneEach.
const CampaignsAnOwner = 5

// OneEach returns the workload with an advertiser and a program for each campaign, and without places. All programs are
// of one category, so the highest bids are the highest scores.
func (w *Workload) OneEach() *Workload {
	each := *w
	each.anOwner = 1
	return &each
}

// Everywhere returns the workload with campaigns that cover the whole country.
func (w *Workload) Everywhere() *Workload {
	wide := *w
	wide.everywhere = true
	return &wide
}

// Local returns the workload with campaigns around their program's place, as shops advertise, rather than in any city.
func (w *Workload) Local() *Workload {
	local := *w
	local.local = true
	return &local
}

// ByDistance returns the workload in a market where quality falls with the distance to the program's nearest place.
func (w *Workload) ByDistance() *Workload {
	near := *w
	near.byDistance = true
	return &near
}

// NewWorkload reads the cities. In a live workload, 30 % of the campaigns also name a host, a scene, interests, hours
// or words, and a tenth caps frequency. An error means that the embedded file of cities is faulty.
func NewWorkload(seed uint64, live bool) (*Workload, error) {
	cities, err := traffic.Cities()
	if err != nil {
		return nil, err
	}
	w := &Workload{seed: seed, live: live, anOwner: CampaignsAnOwner}
	total := 0.0
	for _, city := range cities {
		total += city.People
		w.centers = append(w.centers, city.Center)
		w.cumulative = append(w.cumulative, total)
	}
	return w, nil
}

// Each kind of record draws from a stream of random numbers of its own.
const (
	campaignStream uint64 = iota << 40
	placeStream
	requestStream
	changeStream
	morePlaceStream
	historyStream
)

func (w *Workload) rand(stream uint64, i int) *rand.Rand {
	return rand.New(rand.NewPCG(w.seed, stream+uint64(i)))
}

// point draws a point near a city.
func (w *Workload) point(r *rand.Rand) hexbid.Point {
	last := w.cumulative[len(w.cumulative)-1]
	return scattered(r, w.centers[sort.SearchFloat64s(w.cumulative, r.Float64()*last)], 6000)
}

// scattered draws a point with a spread around another.
func scattered(r *rand.Rand, c hexbid.Point, spreadM float64) hexbid.Point {
	degree := spreadM / hexbid.DegreeM
	return hexbid.Point{Lat: c.Lat + degree*r.NormFloat64(),
		Lng: c.Lng + degree*r.NormFloat64()/math.Cos(c.Lat*math.Pi/180)}
}

func ownerName(i int) string { return fmt.Sprintf("advertisers/a%d", i) }

// Owner returns an advertiser, its program and the program's one place. The last of the 16 categories is rare: one
// program in a thousand has it.
func (w *Workload) Owner(i int) (*hexbid.Advertiser, *hexbid.Program, *hexbid.Place) {
	r := w.rand(placeStream, i)
	owner := ownerName(i)
	program := &hexbid.Program{Meta: hexbid.Meta{Name: owner + "/programs/p"}, DisplayName: fmt.Sprintf("小程序 %d", i),
		Category: hexbid.Category(1 + r.IntN(15)), Hosts: []hexbid.Host{hexbid.WeChat}}
	if r.IntN(1000) == 0 {
		program.Category = rareCategory
	}
	if w.anOwner == 1 {
		program.Category = hexbid.Catering
	}
	if r.IntN(2) == 0 {
		program.Hosts = append(program.Hosts, hexbid.Host(2+r.IntN(int(hexbid.HostCount)-2)))
	}
	return &hexbid.Advertiser{Meta: hexbid.Meta{Name: owner}, DisplayName: owner}, program,
		&hexbid.Place{Meta: hexbid.Meta{Name: program.Name + "/places/l"}, Point: w.point(r), Review: hexbid.Approved}
}

// MorePlace returns the n-th further place of an owner's program.
func (w *Workload) MorePlace(owner, n int) *hexbid.Place {
	r := w.rand(morePlaceStream, owner<<8+n)
	return &hexbid.Place{Meta: hexbid.Meta{Name: fmt.Sprintf("%s/programs/p/places/l%d", ownerName(owner), n)},
		Point: w.point(r), Review: hexbid.Approved}
}

const rareCategory = hexbid.Category(16)

// Campaign draws one campaign. Its area is one circle of log-normal radius (median 2 km, 0.3 to 20 km). Half of the
// campaigns have an age range, half have a gender, and 60 % have a subset of systems.
func (w *Workload) Campaign(i int) *hexbid.Campaign {
	r := w.rand(campaignStream, i)
	owner := ownerName(i / w.anOwner)
	c := &hexbid.Campaign{Meta: hexbid.Meta{Name: fmt.Sprintf("%s/campaigns/c%d", owner, i)}, DisplayName: "c",
		Program: owner + "/programs/p", Pricing: hexbid.CPC, Bid: hexbid.Money(500_000 + r.IntN(2_000_000)),
		DailyBudget: 100_000_000}
	c.Area.Circles = []hexbid.Circle{{Center: w.point(r),
		RadiusM: min(20_000, max(300, 2000*math.Exp(0.8*r.NormFloat64())))}}
	if w.local {
		_, _, place := w.Owner(i / w.anOwner)
		c.Area.Circles[0].Center = scattered(r, place.Point, 1500)
	}
	if w.everywhere {
		c.Area = hexbid.Area{Everywhere: true}
	}
	w.drawAudience(r, c)
	if w.live {
		drawLive(r, c)
	}
	return c
}

func (w *Workload) drawAudience(r *rand.Rand, c *hexbid.Campaign) {
	if r.IntN(2) == 0 {
		low := 14 + r.IntN(40)
		c.Audience.Ages = []hexbid.AgeRange{{Min: low, Max: low + 5 + r.IntN(25)}}
	}
	if r.IntN(2) == 0 {
		c.Audience.Genders = []hexbid.Gender{hexbid.Gender(1 + r.IntN(2))}
	}
	if r.Float64() < 0.6 {
		c.Audience.OS = [][]hexbid.OS{{hexbid.Android}, {hexbid.IOS}, {hexbid.Android, hexbid.HarmonyOS}}[r.IntN(3)]
	}
}

func drawLive(r *rand.Rand, c *hexbid.Campaign) {
	switch r.IntN(50) { // 30 % in all
	case 0, 1, 2:
		c.Audience.Hosts = []hexbid.Host{hexbid.WeChat}
	case 3, 4, 5:
		c.Audience.Scenes = []hexbid.Scene{hexbid.NearbyList, hexbid.Scan}
	case 6, 7, 8:
		c.Audience.Interests = []hexbid.Category{hexbid.Category(1 + r.IntN(16)), hexbid.Category(1 + r.IntN(16))}
	case 9, 10, 11:
		c.Hours = []hexbid.WeeklyHours{}
		for day := range 7 {
			c.Hours = append(c.Hours, hexbid.WeeklyHours{Day: day + 1, Start: r.IntN(12), End: 13 + r.IntN(11)})
		}
	case 12, 13, 14:
		c.Keywords = []hexbid.Keyword{{Text: words[r.IntN(len(words))]}, {Text: words[r.IntN(len(words))]}}
	}
	if r.IntN(10) == 0 {
		c.Cap = hexbid.FrequencyCap{Impressions: 3, Window: 86_400_000_000_000}
	}
}

var words = []string{"咖啡", "火锅", "奶茶", "电影", "牛肉面", "酒店", "健身", "洗车", "coffee", "鲜花"}

// Request draws a viewer near a city. Systems follow their share of Chinese phones.
func (w *Workload) Request(i, slots, limit int) *hexbid.Request {
	r := w.rand(requestStream, i)
	os := hexbid.Android
	switch share := r.Float64(); {
	case share < 0.17:
		os = hexbid.IOS
	case share < 0.36:
		os = hexbid.HarmonyOS
	}
	q := &hexbid.Request{Point: w.point(r), RadiusM: hexbid.DefaultRadiusM, Slots: slots, NearbyLimit: limit,
		Host: hexbid.WeChat, Scene: hexbid.NearbyList, Viewer: hexbid.Viewer{UserKey: "u", Age: 14 + r.IntN(60),
			Gender: hexbid.Gender(1 + r.IntN(2)), OS: os}}
	if w.live {
		q.Viewer.Interests = []hexbid.Category{hexbid.Category(1 + r.IntN(16)), hexbid.Category(1 + r.IntN(16))}
		if r.IntN(10) == 0 {
			q.Words = words[r.IntN(len(words))]
		}
	}
	return q
}
