package pebble

import (
	"slices"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/store"
)

// recordWithPlaces is a record as it was written when coverings had the discs around a
// program's places in them, with a fingerprint of those places.
type recordWithPlaces struct {
	Noun     hexbid.Resource `cbor:"noun"`
	Covering []byte          `cbor:"packed,omitempty"`
	Places   uint64          `cbor:"places,omitempty"`
}

func TestACoveringWithPlacesInItIsNotUsed(t *testing.T) {
	covering := []geoindex.Posting{{Key: 0x89309ab36abffff, Touched: 0x7f, Full: 5}}
	circle := hexbid.Circle{Center: hexbid.Point{Lat: 30, Lng: 120}, RadiusM: 500}
	for name, c := range map[string]struct {
		campaign    hexbid.Campaign
		fingerprint uint64
		used        bool
	}{
		"around places and a circle":        {hexbid.Campaign{Area: hexbid.Area{AroundPlacesM: 500, Circles: []hexbid.Circle{circle}}}, 7, false},
		"around places that there were not": {hexbid.Campaign{Area: hexbid.Area{AroundPlacesM: 500, Circles: []hexbid.Circle{circle}}}, 0, false},
		"a circle without places":           {hexbid.Campaign{Area: hexbid.Area{Circles: []hexbid.Circle{circle}}, Excluded: hexbid.Area{AroundPlacesM: 100}}, 7, false},
		"a circle":                          {hexbid.Campaign{Area: hexbid.Area{Circles: []hexbid.Circle{circle}}}, 0, true},
	} {
		old, err := encoding.Marshal(recordWithPlaces{&c.campaign, geoindex.PackCovering(nil, covering), c.fingerprint})
		if err != nil {
			t.Fatal(err)
		}
		r, err := decode(hexbid.KindCampaign, old)
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Equal(r.Covering, covering); got != c.used || !c.used && r.Covering != nil {
			t.Errorf("%s: the covering %v is read, want it used: %v", name, r.Covering, c.used)
		}
		now, err := encode(&store.Record{Resource: &c.campaign, Covering: covering})
		if err != nil {
			t.Fatal(err)
		}
		if r, err := decode(hexbid.KindCampaign, now); err != nil || !slices.Equal(r.Covering, covering) {
			t.Errorf("%s: a covering written today is read as %v (%v)", name, r.Covering, err)
		}
	}
}
