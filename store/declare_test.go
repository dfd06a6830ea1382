package store

import (
	"reflect"
	"strings"
	"testing"

	"github.com/hexbid/hexbid"
)

func TestDeclareSaysWhatAResourceRefersToAndCounts(t *testing.T) {
	const a, p = "advertisers/a", "advertisers/a/programs/p"
	ring := make([]hexbid.Point, 5)
	area := hexbid.Area{AroundPlacesM: 100, Circles: make([]hexbid.Circle, 2), Cells: make([]uint64, 3),
		Regions: make([]string, 4), Polygons: []hexbid.Polygon{{ring, ring[:4]}, {ring}}} // 2 + 3 + 4 + 14 entries
	keywords := []hexbid.Keyword{{Text: "seven b"}, {Text: "eight by"}, {Text: strings.Repeat("x", 17)}} // 1 + 2 + 3
	for _, c := range []struct {
		what     string
		resource hexbid.Resource
		covering int
		refers   []Reference
		counts   []Count
	}{
		{"an advertiser", &hexbid.Advertiser{Meta: hexbid.Meta{Name: a}}, 0, nil, nil},
		{"an advertiser with quotas", &hexbid.Advertiser{Meta: hexbid.Meta{Name: a},
			Quota: hexbid.Holdings{Places: 7, Bytes: 8}}, 0, nil,
			[]Count{{Owner: a, Counter: PlaceQuota, By: 7}, {Owner: a, Counter: ByteQuota, By: 8}}},
		{"a program", &hexbid.Program{Meta: hexbid.Meta{Name: p}, Keywords: []string{"tea", "x"}}, 0,
			[]Reference{{a, "name"}}, []Count{{Owner: a, Counter: Keywords, By: 2}, {Owner: a, Counter: Bytes, By: 36}}},
		{"a place in review", &hexbid.Place{Meta: hexbid.Meta{Name: p + "/places/l"}, Review: hexbid.InReview}, 0,
			[]Reference{{p, "name"}},
			[]Count{{Owner: p, Counter: Places, By: 1}, {Owner: a, Counter: Places, By: 1},
				{Owner: a, Counter: Bytes, By: 41}}},
		{"an approved place", &hexbid.Place{Meta: hexbid.Meta{Name: p + "/places/l"}, Review: hexbid.Approved}, 0,
			[]Reference{{p, "name"}},
			[]Count{{Owner: p, Counter: Places, By: 1}, {Owner: a, Counter: Entries, By: 8, TimesOwner: p, Times: Around},
				{Owner: p, Counter: Approved, By: 1}, {Owner: a, Counter: Places, By: 1},
				{Owner: a, Counter: Bytes, By: 41}}},
		{"a campaign", &hexbid.Campaign{Meta: hexbid.Meta{Name: a + "/campaigns/c"}, Program: p,
			Area: hexbid.Area{Everywhere: true}, Keywords: keywords}, 1,
			[]Reference{{a, "name"}, {p, "campaign.program"}}, []Count{{Owner: p, Counter: Buyers, By: 1},
				{Owner: a, Counter: Entries, By: 7}, {Owner: a, Counter: Campaigns, By: 1},
				{Owner: a, Counter: Keywords, By: 3}, {Owner: a, Counter: Bytes, By: 107}}},
		{"a campaign around places", &hexbid.Campaign{Meta: hexbid.Meta{Name: a + "/campaigns/c"}, Program: p, Area: area,
			Excluded: hexbid.Area{AroundPlacesM: 5, Circles: make([]hexbid.Circle, 30)}}, 40,
			[]Reference{{a, "name"}, {p, "campaign.program"}},
			[]Count{{Owner: p, Counter: Buyers, By: 1}, {Owner: a, Counter: Entries, By: 40 + 23 + 30},
				{Owner: a, Counter: Entries, By: 8, TimesOwner: p, Times: Approved}, {Owner: p, Counter: Around, By: 1},
				{Owner: a, Counter: Campaigns, By: 1}, {Owner: a, Counter: Vertices, By: 14},
				{Owner: a, Counter: Bytes, By: 459}}},
		{"no name", &hexbid.Campaign{Meta: hexbid.Meta{Name: "x"}}, 0, nil, nil},
	} {
		t.Run(c.what, func(t *testing.T) {
			if got, want := Declare(c.resource, c.covering),
				(Record{c.resource, c.refers, c.counts}); !reflect.DeepEqual(got, want) {
				t.Errorf("declares %+v\nwant %+v", got, want)
			}
		})
	}
}
