package bidder

import (
	"context"
	"math"
	"reflect"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
)

// areasOfEveryKind are campaigns whose areas differ in one thing each.
func areasOfEveryKind() []*hexbid.Campaign {
	hub, other := hexbid.Point{Lat: 30.2553, Lng: 120.1640}, hexbid.Point{Lat: 30.2553, Lng: 120.1641}
	square := []hexbid.Point{{Lat: 30, Lng: 120}, {Lat: 30, Lng: 121}, {Lat: 31, Lng: 121}, {Lat: 31, Lng: 120},
		{Lat: 30, Lng: 120}}
	hole := []hexbid.Point{{Lat: 30.4, Lng: 120.4}, {Lat: 30.6, Lng: 120.4}, {Lat: 30.6, Lng: 120.6},
		{Lat: 30.4, Lng: 120.4}}
	areas := []hexbid.Area{
		{AroundPlacesM: 2000},
		{AroundPlacesM: 2001},
		{Circles: []hexbid.Circle{{Center: hub, RadiusM: 2000}}},
		{Circles: []hexbid.Circle{{Center: hub, RadiusM: 2001}}},
		{Circles: []hexbid.Circle{{Center: other, RadiusM: 2000}}},
		{Circles: []hexbid.Circle{{Center: hub, RadiusM: 2000}, {Center: other, RadiusM: 2000}}},
		{Circles: []hexbid.Circle{{Center: other, RadiusM: 2000}, {Center: hub, RadiusM: 2000}}},
		{Cells: []uint64{0x89309ab36abffff}},
		{Cells: []uint64{0x89309ab36afffff}},
		{Regions: []string{"330100"}},
		{Regions: []string{"310000"}},
		{Regions: []string{"330100", "310000"}},
		{Polygons: []hexbid.Polygon{{square}}},
		{Polygons: []hexbid.Polygon{{square, hole}}},
		{Polygons: []hexbid.Polygon{{square}, {hole}}},
		{Everywhere: true},
	}
	var all []*hexbid.Campaign
	for i := range areas {
		all = append(all, &hexbid.Campaign{Area: areas[i]}, &hexbid.Campaign{Area: areas[i],
			Excluded: hexbid.Area{Circles: []hexbid.Circle{{Center: hub, RadiusM: 500}}}},
			&hexbid.Campaign{Area: hexbid.Area{Everywhere: true, Cells: []uint64{1}}, Excluded: areas[i]})
	}
	return all
}

func TestEveryInputOfACoveringIsInItsFingerprint(t *testing.T) {
	seen := map[uint64]int{}
	for i, c := range areasOfEveryKind() {
		f := fingerprintOf(c)
		if other, taken := seen[f]; taken {
			t.Errorf("areas %d and %d have one fingerprint", i, other)
		}
		seen[f] = i
		if again := fingerprintOf(c); again != f {
			t.Errorf("area %d has two fingerprints", i)
		}
		named := *c
		named.DisplayName, named.Bid, named.Program = "x", 1, "advertisers/a/programs/p"
		if fingerprintOf(&named) != f {
			t.Errorf("the fingerprint of area %d is not of the area alone", i)
		}
	}
	// The fingerprint knows every field of an area: a new one has to be added to it.
	if n := reflect.TypeFor[hexbid.Area]().NumField(); n != 6 {
		t.Errorf("an area has %d fields", n)
	}
}

// TestACoveringThatIsMadeOtherwiseHasAnotherVersion: who changes what Derive gives changes
// derivation too, and then the sum below.
func TestACoveringThatIsMadeOtherwiseHasAnotherVersion(t *testing.T) {
	sums := map[uint32]uint64{1: 0x1672ccb7289d5c0f}
	var all []byte
	for _, c := range areasOfEveryKind() {
		if c.Area.Cells != nil && c.Area.Cells[0] == 1 {
			c.Area.Cells = nil
		}
		d, cells, err := Derive(c)
		if err != nil {
			t.Fatal(err)
		}
		postings, err := geoindex.UnpackCovering(nil, d.Value)
		if err != nil || len(postings) != cells || !holds(d, c) {
			t.Fatalf("%d cells, %v; want %d", len(postings), err, cells)
		}
		all = append(all, d.Value...)
	}
	if sum := xxhash.Sum64(all); sum != sums[derivation] {
		t.Errorf("the coverings of version %d have the sum %#x, want %#x", derivation, sum, sums[derivation])
	}
}

func TestAnErrorOrAPanicOfOneRecordDoesNotStopTheOthers(t *testing.T) {
	m := newTestMarket(t, 5, hexbid.Point{Lat: 30, Lng: 120})
	good := func(id string) *hexbid.Campaign {
		return &hexbid.Campaign{Meta: hexbid.Meta{Name: "advertisers/a1/campaigns/" + id}, Program: m.programName(1),
			Pricing: hexbid.CPC, Bid: 1_000_000, Area: hexbid.Area{Circles: []hexbid.Circle{{Center: m.center, RadiusM: 100}}}}
	}
	unknown, panics := good("unknown"), good("panics")
	unknown.Area = hexbid.Area{Regions: []string{"1"}}
	panics.Area = hexbid.Area{Circles: []hexbid.Circle{{Center: hexbid.Point{Lat: math.NaN()}, RadiusM: 1}}}
	m.commit(t, m.advertiser(1), &hexbid.Program{Meta: hexbid.Meta{Name: m.programName(1)}}, good("first"), unknown,
		panics, good("last"))
	if n := m.indexer.Snapshot().Campaigns; n != 2 {
		t.Errorf("%d campaigns are indexed, want the two that can be", n)
	}
	fresh := NewIndexer(m.indexer.market, m.indexer.clock, m.indexer.log)
	if err := fresh.Load(context.Background(), m.store); err != nil || fresh.Snapshot().Campaigns != 2 {
		t.Errorf("loaded %d campaigns, %v", fresh.Snapshot().Campaigns, err)
	}
	broken := good("first")
	broken.Area = unknown.Area
	m.commit(t, broken)
	if n := m.indexer.Snapshot().Campaigns; n != 1 {
		t.Errorf("%d campaigns are indexed, want the one that can be", n)
	}
}
