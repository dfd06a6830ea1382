package traffic

import (
	"errors"
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/simulator/load"
)

func crowd(t *testing.T, where string, seed uint64) *Crowd {
	t.Helper()
	config := DefaultConfig()
	config.Where, config.Seed = where, seed
	c, err := NewCrowd(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEqualSeedsGiveEqualRequestsInAnyOrder(t *testing.T) {
	a, b, other := crowd(t, "china", 7), crowd(t, "china", 7), crowd(t, "china", 8)
	differ := 0
	for i := range 500 {
		if !proto.Equal(a.Request(i), b.Request(i)) || !proto.Equal(a.Request(499-i), b.Request(499-i)) {
			t.Fatalf("request %d differs", i)
		}
		if !proto.Equal(a.Request(i), other.Request(i)) {
			differ++
		}
	}
	if differ < 490 {
		t.Errorf("another seed gives %d of 500 equal requests", 500-differ)
	}
}

// near reports whether a share of n draws is as expected, within five standard deviations.
func near(got, n, share float64) bool {
	return math.Abs(got-n*share) < 5*math.Sqrt(n*share*(1-share))
}

func TestPeopleAreWhoTheTablesSay(t *testing.T) {
	const n = 40_000
	c := crowd(t, "china", 1)
	counts := map[string]float64{}
	for i := range n {
		r := c.Request(i)
		v := r.GetViewer()
		if age := v.GetAge(); age < 7 || age > 104 {
			t.Fatalf("age %d", age)
		}
		if age := v.GetAge(); age >= 30 && age < 35 {
			counts["30 to 34"]++
		}
		if v.GetGender() == pb.Gender_GENDER_FEMALE {
			counts["women"]++
		}
		counts[v.GetOperatingSystem().String()]++
		counts[r.GetScene().String()]++
		if (r.GetWords() != "") != (r.GetScene() == pb.Scene_SCENE_SEARCH) {
			t.Fatalf("%s with words %q", r.GetScene(), r.GetWords())
		}
	}
	// Only people of seven and older count, so the band from five to nine counts for three of its five years.
	var all, women, thirties float64
	for _, b := range c.ages.values {
		people := b.thousands
		switch b.youngest {
		case 0:
			continue
		case 5:
			people *= 0.6
		case 30:
			thirties += people
		}
		all += people
		if b.female {
			women += people
		}
	}
	for name, share := range map[string]float64{"women": women / all, "30 to 34": thirties / all,
		"OPERATING_SYSTEM_ANDROID": 0.64, "OPERATING_SYSTEM_HARMONYOS": 0.19, "OPERATING_SYSTEM_IOS": 0.17,
		"SCENE_SEARCH": 0.15} {
		if !near(counts[name], n, share) {
			t.Errorf("%s: %.4f, expected %.4f", name, counts[name]/n, share)
		}
	}
}

func TestPeopleStandInCitiesByPopulation(t *testing.T) {
	const n = 20_000
	c := crowd(t, "china", 1)
	cities, err := Cities()
	if err != nil {
		t.Fatal(err)
	}
	total := 0.0
	for _, city := range cities {
		total += city.People
	}
	inShanghai := 0.0
	for i := range n {
		at := c.Request(i).GetLocation()
		p := hexbid.Point{Lat: at.GetLatitude(), Lng: at.GetLongitude()}
		if err := p.Validate("location"); err != nil {
			t.Fatal(err)
		}
		if p.DistanceM(cities[0].Center) < 3*citySpreadM {
			inShanghai++
		}
	}
	// Towns of the same conurbation lie near too.
	if share := cities[0].People / total; inShanghai/n < share*0.95 || inShanghai/n > share*1.6 {
		t.Errorf("%.4f of people are in %s, which has %.4f", inShanghai/n, cities[0].Name, share)
	}
}

func TestAPersonStaysTheSame(t *testing.T) {
	config := DefaultConfig()
	config.Viewers = 50
	c, err := NewCrowd(config)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]*pb.Viewer{}
	for i := range 2000 {
		v := c.Request(i).GetViewer()
		v.Network = 0
		if before := seen[v.GetUserKey()]; before != nil && !proto.Equal(before, v) {
			t.Fatalf("%v was %v", v, before)
		}
		seen[v.GetUserKey()] = v
	}
	if len(seen) != 50 {
		t.Errorf("%d people", len(seen))
	}
}

func TestWhere(t *testing.T) {
	for _, where := range []string{"china", "China", "Hangzhou", "杭州", "shanghai", "31.2,121.4,3",
		"-89.9, 179.99, 100", "90,0,1"} {
		c := crowd(t, where, 1)
		for i := range 200 {
			at := c.Request(i).GetLocation()
			if err := (hexbid.Point{Lat: at.GetLatitude(), Lng: at.GetLongitude()}).Validate("location"); err != nil {
				t.Errorf("%s: %v", where, err)
			}
		}
	}
	for _, where := range []string{"", "Atlantis", "91,0,1", "0,0,0", "0,0,-1", "0,0,NaN", "0,0", "NaN,0,1"} {
		config := DefaultConfig()
		config.Where = where
		_, err := NewCrowd(config)
		var e *hexbid.Error
		if !errors.As(err, &e) || e.Field != "where" || !strings.Contains(err.Error(), "latitude,longitude,km") {
			t.Errorf("%q: %v", where, err)
		}
	}
}

// TestATallyAddsUp: the sums equal those of the answers, and the map's cells hold every answer however coarse they are.
func TestATallyAddsUp(t *testing.T) {
	tally, c := NewTally(), crowd(t, "china", 1)
	const n = 30_000
	for i := range n {
		r := &pb.SearchNearbyResponse{Sponsored: []*pb.SponsoredResult{{PriceMicros: 2_000_000,
			PricingModel: pb.PricingModel_PRICING_MODEL_CPC}, {PriceMicros: 9_000_000,
			PricingModel: pb.PricingModel_PRICING_MODEL_CPM}}[:i%3]}
		tally.Add(c.Request(i), r)
	}
	s := tally.Summary()
	want := Counts{Answers: n, Slots: 3 * n, Filled: n, Clicks: 2 * n / 3, ClickPrices: 2_000_000 * 2 * n / 3,
		Thousands: n / 3, ShownPrices: 9_000_000 * n / 3}
	if s.Counts != want {
		t.Errorf("%+v, expected %+v", s.Counts, want)
	}
	var cells Counts
	for i := range s.Cells {
		cells.add(&s.Cells[i].Counts)
	}
	if cells != want || len(s.Cells) > mostOfMap || s.Resolution >= finestOfMap {
		t.Errorf("%d cells of resolution %d hold %+v", len(s.Cells), s.Resolution, cells)
	}
	m := load.Measures{}
	s.AddTo(m)
	if math.Abs(m["fill"]-1.0/3) > 1e-9 || m["price"] != 2 {
		t.Errorf("%v", m)
	}
	if taken := tally.Take(); taken != want || tally.Take() != (Counts{}) {
		t.Errorf("took %+v", taken)
	}
}

func TestMeasuresOfNothingAreMissing(t *testing.T) {
	m := load.Measures{}
	NewTally().Summary().AddTo(m)
	if len(m) != 0 {
		t.Errorf("%v", m)
	}
}
