package cli

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// aMarket has a value in every field that files have.
func aMarket() *pb.Market {
	return &pb.Market{Name: "market", Etag: "e1", Mechanism: pb.Mechanism_MECHANISM_VCG, IncrementMicros: 10_000,
		MinimumBidCpcMicros: 500_000, MinimumBidCpmMicros: 2_000_000,
		PositionFactors: []int64{10, 9, 8, 7, 6, 5, 4, 3, 2, 1},
		Priors: []*pb.CategoryPrior{{Category: pb.Category_CATEGORY_CATERING, PriorPpm: 31_000},
			{Category: pb.Category_CATEGORY_FINANCE, PriorPpm: 1}},
		SceneMechanisms: []*pb.SceneMechanism{{Scene: pb.Scene_SCENE_SEARCH, Mechanism: pb.Mechanism_MECHANISM_FIRST_PRICE}},
		Reserves: []*pb.Reserve{{PerThousandMicros: 2_000_000}, {Host: pb.Host_HOST_ALIPAY, Scene: pb.Scene_SCENE_FEED,
			Category: pb.Category_CATEGORY_GAMES, Region: "330100", PerThousandMicros: 12_500_000}},
		Distance: &pb.DistanceTable{EndsM: []float64{1000.5}, Factors: []*pb.CategoryDistance{
			{FactorPpm: []int64{1_000_000, 300_000}, WithoutPlacePpm: 100_000},
			{Category: pb.Category_CATEGORY_GAMES, FactorPpm: []int64{900_000, 900_000}}}}}
}

func TestAFileOfTheMarketReadsBackAsItIs(t *testing.T) {
	pinned, bare := aMarket(), &pb.Market{Name: "market", Etag: "e2"}
	pinned.Distance = &pb.DistanceTable{} // distance does not count
	for _, m := range []*pb.Market{aMarket(), pinned, bare} {
		shown := proto.Clone(m).(*pb.Market)
		shown.InForce = &pb.MarketInForce{Version: 7}
		shown.SettingsNotTaken = []string{"--reserve 5: the market has no such reserve"}
		text, err := marketDocument(shown)
		if err != nil || !strings.Contains(string(text), "Version 7") ||
			!strings.Contains(string(text), "not taken: --reserve 5") {
			t.Fatalf("%s, %v", text, err)
		}
		r, err := readMarket(text)
		if m == bare {
			if err == nil {
				t.Errorf("a file without fields is read as %v", r)
			}
			continue
		}
		if err != nil || !proto.Equal(r.GetMarket(), m) {
			t.Errorf("%v\ngone %v\ncame %v\nas %s", err, m, r.GetMarket(), text)
		}
	}
}

func TestAFileOfTheMarketChangesWhatItNames(t *testing.T) {
	for text, paths := range map[string][]string{
		"increment: 0.05":                    {"increment_micros"},
		"reserves: []":                       {"reserves"},
		"distance: {}":                       {"distance"},
		"distance.ends_m: [5]":               {"distance"},
		"mechanism: vcg\nminimum_bid_cpc: 1": {"mechanism", "minimum_bid_cpc_micros"},
		"etag: x\nposition_factors: [3,3,3,3,3,3,3,3,3,1]": {"position_factors"},
	} {
		r, err := readMarket([]byte(text))
		if err != nil || !slices.Equal(r.GetUpdateMask().GetPaths(), paths) {
			t.Errorf("%q: %v, %v", text, r, err)
		}
	}
	for text, word := range map[string]string{"": "no fields", "- 1": "no fields", "etag: x": "no fields",
		"colour: red": "colour", "mechanism: auction": "auction", "increment: much": "increment",
		"reserves: [{colour: 1}]": "colour", "reserves: [{host: myspace}]": "myspace", "a: [": "yaml"} {
		if r, err := readMarket([]byte(text)); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%q: %v, %v, want %q", text, r, err, word)
		}
	}
}

func TestAForecastIsToldInWords(t *testing.T) {
	var out bytes.Buffer
	printForecast(&out, &pb.MarketForecast{Auctions: 3_000_000, SampledAuctions: 3840, BelowReservePpm: 120_000,
		WinnersBefore: 10, WinnersAfter: 9, RevenueBeforeMicros: 2_000_000, RevenueAfterMicros: 2_500_000,
		BelowMinimumCpc: 3, Notices: []string{"it rains"}})
	for _, want := range []string{"12 % of winners would fall below the reserve", "3840 of 3000000",
		"9 instead of 10", "2.50 instead of 2.00", "3 by click", "Note: it rains."} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q lacks %q", out.String(), want)
		}
	}
}

// TestAnOldEtagIsExplained has the server refuse a file that was written before the market's last change.
func TestAnOldEtagIsExplained(t *testing.T) {
	err := explainStale(status.Error(codes.Aborted, "etag: \"market\" has changed since it was read: read it again"))
	for _, words := range []string{"has changed since", "market get", "hexbid history market", "leave the etag out"} {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("%v lacks %q", err, words)
		}
	}
	if other := status.Error(codes.InvalidArgument, "no"); explainStale(other) != other {
		t.Error("another error becomes an old etag")
	}
}

// TestApplySaysWhichCommandTakesRules has apply read files of the market.
func TestApplySaysWhichCommandTakesRules(t *testing.T) {
	for text, isMarket := range map[string]bool{"mechanism: vcg\netag: e1": true, "distance.ends_m: [5]": true,
		"priors: []": true, "kind: market\nincrement: 1": true, "name: advertisers/a": false,
		"kind: campain\nreserves: 1": false, "display_name: x": false} {
		var node yaml.Node
		if err := yaml.Unmarshal([]byte(text), &node); err != nil {
			t.Fatal(err)
		}
		d := &document{file: "m.yaml", line: 1, fields: map[string]*yaml.Node{}}
		d.flatten("", node.Content[0], 0)
		if u := newUpload(d); u != nil || len(d.wrong) != 1 {
			t.Fatalf("%q: %v, %v", text, u, d.wrong)
		}
		if told := strings.Contains(d.wrong[0].Error(), "hexbid market update"); told != isMarket {
			t.Errorf("%q: %v", text, d.wrong[0])
		}
	}
}
