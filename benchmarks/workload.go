// Package benchmarks measures Hexbid from the outside, in a module of its own.
package benchmarks

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"strconv"
	"strings"

	"github.com/hexbid/hexbid"
)

// GeoNames, CC BY 4.0; see NOTICE.
//
//go:embed data/cities_cn_geonames.csv
var citiesCSV string

// Workload draws campaigns and viewers around Chinese cities by population,
// with a spread of six kilometres. The same seed draws the same.
type Workload struct {
	r          *rand.Rand
	centers    []hexbid.Point
	cumulative []float64
}

// NewWorkload reads the cities. Its error is of the embedded file.
func NewWorkload(seed uint64) (*Workload, error) {
	rows, err := csv.NewReader(strings.NewReader(citiesCSV)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("cities: %w", err)
	}
	w := &Workload{r: rand.New(rand.NewPCG(seed, 0))}
	total := 0.0
	for _, row := range rows[1:] {
		lat, err1 := strconv.ParseFloat(row[3], 64)
		lng, err2 := strconv.ParseFloat(row[4], 64)
		people, err3 := strconv.ParseFloat(row[9], 64)
		if err1 != nil || err2 != nil || err3 != nil {
			return nil, fmt.Errorf("cities: %q", row)
		}
		total += people
		w.centers = append(w.centers, hexbid.Point{Lat: lat, Lng: lng})
		w.cumulative = append(w.cumulative, total)
	}
	return w, nil
}

// Point is near a city.
func (w *Workload) Point() hexbid.Point {
	last := w.cumulative[len(w.cumulative)-1]
	c := w.centers[sort.SearchFloat64s(w.cumulative, w.r.Float64()*last)]
	const degree = 6000 / 111_195.0
	return hexbid.Point{Lat: c.Lat + degree*w.r.NormFloat64(), Lng: c.Lng + degree*w.r.NormFloat64()/math.Cos(c.Lat*math.Pi/180)}
}

// Campaign draws one campaign of a program: one circle of log-normal radius
// (median 2 km, 0.3 to 20 km), half with an age range, half with a gender, 60 %
// with a subset of systems.
func (w *Workload) Campaign(name, program string) *hexbid.Campaign {
	r := w.r
	c := &hexbid.Campaign{Meta: hexbid.Meta{Name: name}, DisplayName: "c", Program: program, Pricing: hexbid.CPC,
		Bid: hexbid.Money(500_000 + r.IntN(2_000_000)), DailyBudget: 100_000_000}
	c.Area.Circles = []hexbid.Circle{{Center: w.Point(), RadiusM: min(20_000, max(300, 2000*math.Exp(0.8*r.NormFloat64())))}}
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
	return c
}

// Request draws a viewer somewhere: systems by their share of Chinese phones.
func (w *Workload) Request(slots, limit int) *hexbid.Request {
	os := hexbid.Android
	switch share := w.r.Float64(); {
	case share < 0.17:
		os = hexbid.IOS
	case share < 0.36:
		os = hexbid.HarmonyOS
	}
	return &hexbid.Request{Point: w.Point(), RadiusM: hexbid.DefaultRadiusM, Slots: slots, NearbyLimit: limit, Host: hexbid.WeChat,
		Viewer: hexbid.Viewer{UserKey: "u", Age: 14 + w.r.IntN(60), Gender: hexbid.Gender(1 + w.r.IntN(2)), OS: os}}
}
