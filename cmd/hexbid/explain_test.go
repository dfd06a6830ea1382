package main

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/quality"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

const explainedDocument = `kind: advertiser
name: advertisers/%[1]s
display_name: A
---
kind: program
name: advertisers/%[1]s/programs/p
display_name: P
category: catering
hosts: [wechat, alipay]
---
kind: campaign
name: advertisers/%[1]s/campaigns/c
display_name: C
program: advertisers/%[1]s/programs/p
pricing: cpc
bid: %[2]s
host_bids: [%[3]s]
daily_budget: %[4]s
area.everywhere: true
`

func TestExplainTellsWhatToSetInTheWordsOfFiles(t *testing.T) {
	s := boot(t, nil)
	apply := func(owner, bid, hosts, budget string) {
		s.mustRun(t, fmt.Sprintf(explainedDocument, owner, bid, hosts, budget), "apply", "-f", "-")
	}
	at := []string{"--lat", "30.2553", "--lng", "120.1640", "--age", "30", "--host", "wechat", "--slots", "1"}
	explain := func() string {
		return s.mustRun(t, "", append([]string{"explain", "advertisers/b/campaigns/c"}, at...)...)
	}
	apply("a", "2.00", "", "100")
	for _, test := range []struct{ bid, hosts, budget, says, set, hostsSet, budgetSet string }{
		{"1.50", "wechat 10%", "10", "Set bid to 20.00001 and daily_budget to 20.00001 or more: that wins slot 1", "20.00001",
			"wechat 10%", "20.00001"},
		{"1.50", "wechat 10%", "100", "Set bid to 20.00001: that wins slot 1", "20.00001", "wechat 10%", "100"},
		{"150", "alipay 600%, wechat 0.01%", "1000", "Set host_bids of wechat to 1.3334%: that wins slot 1", "150",
			"alipay 600%, wechat 1.3334%", "1000"},
		{"2.00", "", "100", "Set bid to 2.000001: that wins slot 1", "2.000001", "", "100"},
	} {
		apply("b", test.bid, test.hosts, test.budget)
		told := explain()
		for range 50 { // with equal scores it wins some requests
			if strings.Contains(told, "does not show") {
				break
			}
			told = explain()
		}
		if !strings.Contains(told, "advertisers/b/campaigns/c does not show (outbid): slot 1, the last, went to ") ||
			!strings.Contains(told, test.says) {
			t.Errorf("a bid of %s, %q: %s\nwant %s", test.bid, test.hosts, told, test.says)
		}
		apply("b", test.set, test.hostsSet, test.budgetSet)
		if told := explain(); !strings.Contains(told, "advertisers/b/campaigns/c shows: won slot 1") {
			t.Errorf("followed: %s", told)
		}
	}
}

const distantDocument = `kind: advertiser
name: advertisers/%[1]s
display_name: A
---
kind: program
name: advertisers/%[1]s/programs/p
display_name: P
category: catering
hosts: [wechat]
---
kind: campaign
name: advertisers/%[1]s/campaigns/c
display_name: C
program: advertisers/%[1]s/programs/p
pricing: %[2]s
bid: 2.00
daily_budget: 100
area.everywhere: true
`

// bootAtDistances starts a market with a shop 3 km north, a program without a place, and a campaign that pays for
// impressions, which distance does not concern. It returns the search of all tests of it.
func bootAtDistances(t *testing.T) (*testServer, *pb.SearchNearbyRequest) {
	s := boot(t, nil)
	for advertiser, pricing := range map[string]string{"far": "cpc", "nowhere": "cpc", "views": "cpm"} {
		s.mustRun(t, fmt.Sprintf(distantDocument, advertiser, pricing), "apply", "-f", "-")
	}
	s.mustRun(t, fmt.Sprintf("kind: place\nname: advertisers/far/programs/p/places/l\ndisplay_name: L\nlat: %f\nlng: 120",
		30+3000/111_195.0), "apply", "-f", "-")
	return s, &pb.SearchNearbyRequest{Location: &pb.Location{Latitude: 30, Longitude: 120}, Host: pb.Host_HOST_WECHAT,
		Viewer: &pb.Viewer{Age: proto.Int32(30)}, Trace: true}
}

// TestExplainTellsTheDistance, on the command line and over the network.
func TestExplainTellsTheDistance(t *testing.T) {
	s, request := bootAtDistances(t)
	table := quality.PriorDistances()
	for advertiser, want := range map[string]struct {
		factor int64
		band   int32
		metres float64 // 0 for none
		says   string  // empty for nothing
	}{
		"far":     {table.FactorPPM[3][hexbid.Catering], 4, 3000, "Distance: the nearest place is 3.0 km away"},
		"nowhere": {table.WithoutPlacePPM[hexbid.Catering], 9, 0, "Distance: its program has no approved place"},
		"views":   {table.WithoutPlacePPM[hexbid.Catering], 9, 0, ""},
	} {
		name := "advertisers/" + advertiser + "/campaigns/c"
		x, err := s.campaigns.Explain(t.Context(), &pb.ExplainRequest{Name: name, Request: request})
		if err != nil {
			t.Fatal(err)
		}
		p := x.GetPrediction()
		if p.GetDistanceFactorPpm() != want.factor || p.GetDistanceBand() != want.band ||
			(p.NearestPlaceM != nil) != (want.metres > 0) || math.Abs(p.GetNearestPlaceM()-want.metres) > 10 {
			t.Errorf("%s: %v", name, p)
		}
		told := s.mustRun(t, "", "explain", name, "--lat", "30", "--lng", "120", "--age", "30", "--host", "wechat")
		if want.says == "" && (p.GetDistance() != "" || strings.Contains(told, "Distance")) ||
			want.says != "" && !strings.Contains(told, "\nDistance: "+p.GetDistance()+"\n") ||
			!strings.Contains(told, want.says) {
			t.Errorf("%s: %q, and on the command line %s", name, p.GetDistance(), told)
		}
	}
}

// TestATraceTellsTheDistance by which each quality came about.
func TestATraceTellsTheDistance(t *testing.T) {
	s, request := bootAtDistances(t)
	answer, err := s.search.SearchNearby(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	bands := map[string]int32{}
	for _, e := range answer.GetTrace().GetEntries() {
		p := e.GetPrediction()
		bands[strings.Split(e.GetCampaign(), "/")[1]] = p.GetDistanceBand()
		follows := p.GetBaseQualityPpm() * p.GetSceneFactorPpm() / 1_000_000 * p.GetDistanceFactorPpm() / 1_000_000
		if e.GetQualityPpm() != follows {
			t.Errorf("%s: quality %d does not follow from %v", e.GetCampaign(), e.GetQualityPpm(), p)
		}
	}
	if want := map[string]int32{"far": 4, "nowhere": 9, "views": 9}; !maps.Equal(bands, want) {
		t.Errorf("the bands are %v, want %v", bands, want)
	}
	told := s.mustRun(t, "", "search", "--lat", "30", "--lng", "120", "--age", "30", "--host", "wechat", "--trace")
	if !regexp.MustCompile(` advertisers/far/campaigns/c +2.00 +15000 +4 +50 % `).MatchString(told) {
		t.Errorf("the trace on the command line is %s", told)
	}
}
