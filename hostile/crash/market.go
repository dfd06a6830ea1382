package main

import (
	"fmt"
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

// newAuditor returns an auditor of the market, of which nothing is stored yet.
func newAuditor(t *tally) (*auditor, error) {
	statements, err := time.LoadLocation(zones[0])
	if err != nil {
		return nil, err
	}
	a := &auditor{tally: t, zone: statements, byName: map[string]*campaign{}}
	for i := range advertiserCount {
		owner := &advertiser{name: fmt.Sprintf("advertisers/crash-%d", i), prepaid: i%3 == 0}
		for j := range hosts {
			zone, err := time.LoadLocation(zones[(i+j)%len(zones)])
			if err != nil {
				return nil, err
			}
			c := &campaign{name: fmt.Sprintf("%s/campaigns/c%d", owner.name, j), owner: owner, host: hosts[j], zone: zone,
				model: pb.PricingModel_PRICING_MODEL_CPC, bidMicros: yuan + int64(i)*yuan/10}
			if (i+j)%2 == 1 {
				c.model, c.bidMicros = pb.PricingModel_PRICING_MODEL_CPM, 20*yuan+int64(i)*3*yuan
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
	return &pb.Campaign{Name: c.name, DisplayName: "c", Program: c.owner.name + "/programs/p", PricingModel: c.model,
		BidMicros: c.bidMicros, DailyBudgetMicros: l.daily, TotalBudgetMicros: l.total, TimeZone: c.zone.String(),
		Pacing: pb.Pacing_PACING_ASAP, Audience: &pb.Audience{Hosts: []pb.Host{c.host}},
		Area: &pb.Area{Circles: []*pb.Circle{{Latitude: latitude, Longitude: longitude, RadiusM: 2000}}}}
}

// rows returns the whole market as an import, and notes the first limits of its campaigns.
func (a *auditor) rows() (rows []*pb.ImportRow, first []*edit) {
	for _, owner := range a.advertisers {
		rows = append(rows,
			&pb.ImportRow{Resource: &pb.ImportRow_Advertiser{Advertiser: &pb.Advertiser{Name: owner.name, DisplayName: "a"}}},
			&pb.ImportRow{Resource: &pb.ImportRow_Program{Program: &pb.Program{Name: owner.name + "/programs/p",
				DisplayName: "p", Category: pb.Category_CATEGORY_CATERING, Hosts: hosts}}})
		for _, c := range owner.campaigns {
			l := limits{daily: 40 * c.mostMicros()}
			first, rows = append(first, a.begin(c, l)), append(rows, c.row(l))
		}
	}
	return rows, first
}

func (c *campaign) row(l limits) *pb.ImportRow {
	return &pb.ImportRow{Resource: &pb.ImportRow_Campaign{Campaign: c.message(l)}}
}

// searchRequest asks for as many sponsored results as there may be.
func searchRequest(host pb.Host) *pb.SearchNearbyRequest {
	return &pb.SearchNearbyRequest{Location: &pb.Location{Latitude: latitude, Longitude: longitude}, Host: host,
		NearbyLimit: proto.Int32(0), SponsoredSlots: proto.Int32(10)}
}
