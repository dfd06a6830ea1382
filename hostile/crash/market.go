package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/proto"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// The market is small, so that budgets run out again and again. It lies where no other campaign does.
const (
	latitude, longitude = -48.5, -123.25
	advertiserCount     = 12
	yuan                = 1_000_000 // micros
)

// hosts that campaigns buy, one for each campaign of an advertiser, because an advertiser enters an auction once.
var hosts = []pb.Host{pb.Host_HOST_WECHAT, pb.Host_HOST_ALIPAY}

// zones are far apart, so that days end at different times.
var zones = []string{"Asia/Shanghai", "America/New_York", "Asia/Kolkata", "Pacific/Kiritimati"}

// pacings and goals of campaigns. Most are as fast as it goes, because the others hold back most of what they could
// win.
var (
	pacings = []pb.Pacing{pb.Pacing_PACING_ASAP, pb.Pacing_PACING_ASAP, pb.Pacing_PACING_EVEN, pb.Pacing_PACING_ASAP,
		pb.Pacing_PACING_THROTTLE}
	goals = []pb.Goal{pb.Goal_GOAL_BID, pb.Goal_GOAL_TARGET_COST, pb.Goal_GOAL_MOST_CLICKS}
)

// newAuditor returns an auditor of the market, of which nothing is stored yet.
func newAuditor(t *tally, r rules) (*auditor, error) {
	statements, err := time.LoadLocation(zones[0])
	if err != nil {
		return nil, err
	}
	a := &auditor{tally: t, zone: statements, rules: r, byName: map[string]*campaign{},
		erasures: map[string][]*erasure{}}
	for i := range advertiserCount {
		owner := &advertiser{name: fmt.Sprintf("advertisers/crash-%d", i), prepaid: i%3 == 0}
		for j := range hosts {
			zone, err := time.LoadLocation(zones[(i+j)%len(zones)])
			if err != nil {
				return nil, err
			}
			c := &campaign{name: fmt.Sprintf("%s/campaigns/c%d", owner.name, j), owner: owner, host: hosts[j], zone: zone,
				model: pb.PricingModel_PRICING_MODEL_CPC, bidMicros: yuan + int64(i)*yuan/10, capped: (i+j)%3 > 0,
				pacing: pacings[(i+2*j)%len(pacings)], goal: goals[i%len(goals)]}
			if (i+j)%2 == 1 {
				c.model, c.bidMicros, c.goal = pb.PricingModel_PRICING_MODEL_CPM, 20*yuan+int64(i)*3*yuan, pb.Goal_GOAL_BID
			}
			if c.pacing == pb.Pacing_PACING_THROTTLE { // keeps the full bid, which other goals lower
				c.goal = pb.Goal_GOAL_BID
			}
			owner.campaigns, a.byName[c.name] = append(owner.campaigns, c), c
		}
		a.advertisers = append(a.advertisers, owner)
	}
	return a, nil
}

// mostMicros is the most that one event of the campaign may cost.
func (c *campaign) mostMicros() int64 {
	if c.model == pb.PricingModel_PRICING_MODEL_CPM {
		return c.bidMicros / 1000
	}
	return c.bidMicros
}

// message returns the campaign with some limits.
func (c *campaign) message(l limits) *pb.Campaign {
	m := &pb.Campaign{Name: c.name, DisplayName: "c", Program: c.owner.name + "/programs/p", PricingModel: c.model,
		BidMicros: c.bidMicros, DailyBudgetMicros: l.daily, TotalBudgetMicros: l.total, TimeZone: c.zone.String(),
		Pacing: c.pacing, Goal: c.goal, FrequencyCap: l.cap.message(), Audience: &pb.Audience{Hosts: []pb.Host{c.host}},
		Area: &pb.Area{Circles: []*pb.Circle{{Latitude: latitude, Longitude: longitude, RadiusM: 2000}}}}
	if c.goal == pb.Goal_GOAL_TARGET_COST {
		m.TargetCostMicros = c.bidMicros / 2
	}
	return m
}

// campaigns returns all campaigns, by advertiser.
func (a *auditor) campaigns() (all []*campaign) {
	for _, owner := range a.advertisers {
		all = append(all, owner.campaigns...)
	}
	return all
}

// rows returns the whole market as an import, and notes the first limits of its advertisers and campaigns. Every third
// advertiser has a cap.
func (a *auditor) rows(random *rand.Rand) (rows []*pb.ImportRow, first []*edit) {
	for i, owner := range a.advertisers {
		var own limits
		if i%3 == 1 {
			own.cap = drawCap(random)
		}
		first = append(first, a.begin(&owner.edits, own))
		rows = append(rows, &pb.ImportRow{Resource: &pb.ImportRow_Advertiser{Advertiser: owner.message(own)}},
			&pb.ImportRow{Resource: &pb.ImportRow_Program{Program: &pb.Program{Name: owner.name + "/programs/p",
				DisplayName: "p", Category: pb.Category_CATEGORY_CATERING, Hosts: hosts}}})
		for _, c := range owner.campaigns {
			l := limits{daily: 40 * c.mostMicros(), cap: c.drawCap(random)}
			first, rows = append(first, a.begin(&c.edits, l)), append(rows, c.row(l))
		}
	}
	return rows, first
}

func (c *campaign) row(l limits) *pb.ImportRow {
	return &pb.ImportRow{Resource: &pb.ImportRow_Campaign{Campaign: c.message(l)}}
}

func (a *advertiser) message(l limits) *pb.Advertiser {
	return &pb.Advertiser{Name: a.name, DisplayName: "a", FrequencyCap: l.cap.message()}
}

// drawCap draws the campaign's cap, none if it is not to have any.
func (c *campaign) drawCap(random *rand.Rand) frequencyCap {
	if !c.capped {
		return frequencyCap{}
	}
	return drawCap(random)
}

// searchRequest asks for as many sponsored results as there may be.
func searchRequest(host pb.Host, viewer string) *pb.SearchNearbyRequest {
	return &pb.SearchNearbyRequest{Location: &pb.Location{Latitude: latitude, Longitude: longitude}, Host: host,
		Viewer: &pb.Viewer{UserKey: viewer}, NearbyLimit: proto.Int32(0), SponsoredSlots: proto.Int32(10)}
}
