package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/uber/h3-go/v4"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// bruteMarket sets reserves and an increment, so that the test covers them.
func bruteMarket(c *ServeConfig) {
	c.Increment, c.Reserve = 10_000, 5_000_000
	if err := yaml.Unmarshal([]byte(`reserves:
  - {host: alipay, per_thousand: 9.00}
  - {scene: search, category: shopping, per_thousand: 12.50}
  - {region: "330100", host: wechat, category: catering, per_thousand: 20}
`), &c.Market); err != nil {
		panic(err)
	}
	c.Market.PriorPPM = map[string]int64{"catering": 31_000}
	c.Market.MechanismByScene = map[string]string{"search": "vcg", "scan": "vcg", "feed": "first_price"}
}

// loadOracle reads the whole catalogue over the API.
func loadOracle(t *testing.T, ctx context.Context, s *testServer) *oracle {
	t.Helper()
	o := &oracle{programs: map[string]*pb.Program{}, places: map[string][]*pb.Place{}, paused: map[string]bool{},
		outlines: readOutlines(t), zones: map[string]*time.Location{}, increment: 10_000,
		factors: []int64{1000, 720, 560, 460, 390, 340, 300, 270, 245, 225},
		mechanism: func(s pb.Scene) string {
			return map[pb.Scene]string{pb.Scene_SCENE_SEARCH: "vcg", pb.Scene_SCENE_SCAN: "vcg",
				pb.Scene_SCENE_FEED: "first_price"}[s]
		},
		quality: func(c pb.Category) int64 {
			switch c { // the default priors of docs/operators.md, and catering as configured above
			case pb.Category_CATEGORY_CATERING:
				return 31_000
			case pb.Category_CATEGORY_LIFE_SERVICES:
				return 28_000
			case pb.Category_CATEGORY_TRAVEL, pb.Category_CATEGORY_LEISURE:
				return 25_000
			case pb.Category_CATEGORY_SHOPPING:
				return 22_000
			case pb.Category_CATEGORY_FINANCE:
				return 12_000
			case pb.Category_CATEGORY_GOVERNMENT:
				return 15_000
			}
			return 20_000
		}}
	o.reserve = func(r *pb.SearchNearbyRequest, c pb.Category) int64 {
		reserve := int64(5_000_000)
		if r.GetHost() == pb.Host_HOST_ALIPAY {
			reserve = max(reserve, 9_000_000)
		}
		if r.GetScene() == pb.Scene_SCENE_SEARCH && c == pb.Category_CATEGORY_SHOPPING {
			reserve = max(reserve, 12_500_000)
		}
		if r.GetHost() == pb.Host_HOST_WECHAT && c == pb.Category_CATEGORY_CATERING &&
			o.inRegion("330100", r.GetLocation().GetLatitude(), r.GetLocation().GetLongitude()) {
			reserve = max(reserve, 20_000_000)
		}
		return reserve
	}
	for p, err := range hexbid.Pages(func(token string) ([]*pb.Program, string, error) {
		r, err := s.campaigns.ListPrograms(ctx, &pb.ListProgramsRequest{Parent: "advertisers/-", PageSize: hexbid.MaxPageSize,
			PageToken: token})
		return r.GetPrograms(), r.GetNextPageToken(), err
	}) {
		if err != nil {
			t.Fatal(err)
		}
		o.programs[p.GetName()] = p
	}
	for p, err := range hexbid.Pages(func(token string) ([]*pb.Place, string, error) {
		r, err := s.campaigns.ListPlaces(ctx, &pb.ListPlacesRequest{Parent: "advertisers/-/programs/-",
			PageSize: hexbid.MaxPageSize, PageToken: token})
		return r.GetPlaces(), r.GetNextPageToken(), err
	}) {
		if err != nil {
			t.Fatal(err)
		}
		name, _ := hexbid.ParseName(p.GetName())
		if p.GetReviewState() == pb.ReviewState_REVIEW_STATE_APPROVED {
			o.places[name.Parent().String()] = append(o.places[name.Parent().String()], p)
		}
	}
	for c, err := range hexbid.Pages(func(token string) ([]*pb.Campaign, string, error) {
		r, err := s.campaigns.ListCampaigns(ctx, &pb.ListCampaignsRequest{Parent: "advertisers/-",
			PageSize: hexbid.MaxPageSize, PageToken: token, View: pb.View_VIEW_FULL})
		return r.GetCampaigns(), r.GetNextPageToken(), err
	}) {
		if err != nil {
			t.Fatal(err)
		}
		o.addCampaign(t, c)
	}
	return o
}

func (o *oracle) addCampaign(t *testing.T, c *pb.Campaign) {
	zone := c.GetTimeZone()
	if zone == "" {
		zone = "Asia/Shanghai"
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	o.campaigns, o.zones[c.GetTimeZone()] = append(o.campaigns, c), loc
}

func some[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// bruteRequest draws a search at a point.
func bruteRequest(r *rand.Rand, lat, lng float64) *pb.SearchNearbyRequest {
	out := &pb.SearchNearbyRequest{
		Location: &pb.Location{Latitude: lat, Longitude: lng},
		// A viewer of their own for each search: what one was given counts towards caps.
		Viewer: &pb.Viewer{UserKey: some(r, "", fmt.Sprint("user ", r.Uint64())), Gender: pb.Gender(r.IntN(3)),
			OperatingSystem: pb.OperatingSystem(r.IntN(5)), Network: pb.Network(r.IntN(5)),
			Interests: some(r, nil, nil, []pb.Category{1}, []pb.Category{2, 7}), CreditBand: pb.CreditBand(r.IntN(6)),
			HomeRegion: some(r, "", "330100", "330000", "310000")},
		Host: some(r, pb.Host_HOST_UNSPECIFIED, pb.Host_HOST_WECHAT, pb.Host_HOST_WECHAT, pb.Host_HOST_ALIPAY,
			pb.Host_HOST_DOUYIN),
		Scene: pb.Scene(r.IntN(8)), Category: some(r, 0, 0, 0, 0, pb.Category_CATEGORY_CATERING,
			pb.Category_CATEGORY_SHOPPING),
		Personalization: some(r, pb.Personalization_PERSONALIZATION_UNSPECIFIED, pb.Personalization_PERSONALIZATION_ON,
			pb.Personalization_PERSONALIZATION_OFF),
	}
	out.Words = some(r, "", "", "", "", "咖啡", "coffee", "牛肉面", "coffee 咖啡", "catering", "银行 bank", "hot pot 火锅", "餐饮")
	if r.IntN(5) > 0 {
		out.Viewer.Age = proto.Int32(int32(some(r, 10, 13, 14, 17, 18, 20+r.IntN(40), r.IntN(121))))
	}
	if r.IntN(2) == 0 {
		out.SponsoredSlots = proto.Int32(int32(r.IntN(11)))
	}
	if r.IntN(2) == 0 {
		out.NearbyLimit = proto.Int32(int32(r.IntN(101)))
	}
	if r.IntN(2) == 0 {
		out.RadiusM = proto.Float64(some(r, 300.0, 1000, 10_000, 50_000))
	}
	return out
}

// compare sends a request and compares the answer with the oracle's.
func compare(
	t *testing.T, ctx context.Context, s *testServer, o *oracle, r *pb.SearchNearbyRequest,
) (sponsored, nearby int) {
	t.Helper()
	got, err := s.search.SearchNearby(ctx, r)
	if err != nil {
		t.Fatalf("%v: %v", r, err)
	}
	slots, limit, radius := 3, 20, 3000.0
	if r.SponsoredSlots != nil {
		slots = int(r.GetSponsoredSlots())
	}
	if r.NearbyLimit != nil {
		limit = int(r.GetNearbyLimit())
	}
	if r.RadiusM != nil {
		radius = r.GetRadiusM()
	}
	won := o.auction(r, slots, got.GetRequestId(), got.GetEvaluateTime().AsTime())
	if len(won) != len(got.GetSponsored()) {
		t.Fatalf("%v: %d sponsored, want %d: %v\n%v", r, len(got.GetSponsored()), len(won), won, got.GetSponsored())
	}
	for i, g := range got.GetSponsored() {
		if w := won[i]; g.GetCampaign() != w.campaign || g.GetProgram().GetName() != w.program ||
			g.GetPriceMicros() != w.price || g.GetSlot() != int32(i+1) || g.GetToken() == "" {
			t.Fatalf("%v: slot %d is %v, want %+v", r, i+1, g, w)
		}
	}
	list := o.nearby(r, radius, won)
	list = list[:min(len(list), limit)]
	if len(list) != len(got.GetNearby()) {
		t.Fatalf("%v: %d nearby, want %d", r, len(got.GetNearby()), len(list))
	}
	for i, g := range got.GetNearby() {
		if w := list[i]; g.GetProgram().GetName() != w.program || g.GetPlace().GetName() != w.place ||
			math.Abs(g.GetDistanceM()-w.distanceM) > 1e-3 {
			t.Fatalf("%v: nearby %d is %v, want %+v", r, i+1, g, w)
		}
	}
	return len(won), len(list)
}

// unpaced returns campaigns that spend as soon as possible: the oracle does not know their days.
func unpaced(campaigns []*pb.Campaign) (rows []*pb.ImportRow) {
	for _, c := range campaigns {
		c.Pacing = pb.Pacing_PACING_ASAP
		rows = append(rows, &pb.ImportRow{Resource: &pb.ImportRow_Campaign{Campaign: c}})
	}
	return rows
}

func TestDemoSearchesEqualBruteForce(t *testing.T) {
	t.Parallel()
	requests := 2000
	if testing.Short() {
		requests = 100
	}
	s, ctx := boot(t, func(c *ServeConfig) { withDemo(c); bruteMarket(c) }), testContext(t)
	o := loadOracle(t, ctx, s)
	importRows(t, ctx, s, unpaced(o.campaigns))
	r := rand.New(rand.NewPCG(1, 1))
	sponsored, nearby := 0, 0
	for i := range requests {
		if i%50 == 0 { // move to another time of the week
			s.now.Store(testNow.Add(time.Duration(r.Int64N(int64(7 * 24 * time.Hour)))).UnixNano())
		}
		spread := some(r, 0.005, 0.05, 0.5)
		a, b := compare(t, ctx, s, o, bruteRequest(r, 30.2553+spread*r.NormFloat64(), 120.1640+spread*r.NormFloat64()))
		sponsored, nearby = sponsored+a, nearby+b
	}
	t.Logf("%d requests, %d sponsored and %d nearby results equal brute force", requests, sponsored, nearby)
	if sponsored < requests || nearby < 5*requests {
		t.Errorf("too few results to prove anything: %d sponsored, %d nearby", sponsored, nearby)
	}
}

// globe is a catalogue over the whole world.
type globe struct {
	r       *rand.Rand
	anchors [][2]float64
}

func newGlobe(r *rand.Rand) *globe {
	g := &globe{r: r, anchors: [][2]float64{{90, 0}, {-90, 0}, {89.9, 120}, {-89.95, -30}, {0, 180}, {51.5, 180},
		{-17, -180}, {0, 0}, {30.2553, 120.1640}, {39.9, 116.4}}}
	for res := range 4 {
		pentagons, err := h3.Pentagons(res)
		if err != nil {
			panic(err)
		}
		for _, p := range pentagons {
			at, _ := p.LatLng()
			g.anchors = append(g.anchors, [2]float64{at.Lat, at.Lng})
		}
	}
	return g
}

func (g *globe) point() (lat, lng float64) {
	a := g.anchors[g.r.IntN(len(g.anchors))]
	spread := some(g.r, 0.01, 0.1, 1)
	lat = max(-90, min(90, a[0]+spread*g.r.NormFloat64()))
	return lat, math.Remainder(a[1]+spread*g.r.NormFloat64()/max(0.05, math.Cos(lat*math.Pi/180)), 360)
}

func (g *globe) area() *pb.Area {
	a := &pb.Area{}
	lat, lng := g.point()
	switch g.r.IntN(12) {
	case 0:
		a.AroundPlacesM = 1000 * math.Exp(g.r.NormFloat64())
	case 1:
		c, err := h3.LatLngToCell(h3.LatLng{Lat: lat, Lng: lng}, g.r.IntN(10))
		if err != nil {
			panic(err)
		}
		a.H3Cells = []string{c.String()}
	case 2:
		a.Regions = []string{some(g.r, "330100", "330000", "110000")}
	case 3, 4:
		a.Polygons = []string{g.polygon(lat, lng)}
	default:
		for range 1 + g.r.IntN(2) {
			a.Circles = append(a.Circles, &pb.Circle{Latitude: lat, Longitude: lng,
				RadiusM: min(9e6, max(10, 20_000*math.Exp(1.5*g.r.NormFloat64())))})
			lat, lng = g.point()
		}
	}
	return a
}

// polygon draws a star around a point, within the map.
func (g *globe) polygon(lat, lng float64) string {
	n, reach := 3+g.r.IntN(9), some(g.r, 0.05, 0.5, 3)
	var ring []string
	for i := range n {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / float64(n))
		r := reach * (0.3 + 0.7*g.r.Float64())
		ring = append(ring, fmt.Sprintf("[%v,%v]", max(-179.999, min(179.999, lng+r*cos)),
			max(-89.999, min(89.999, lat+r*sin))))
	}
	return `{"type":"Polygon","coordinates":[[` + strings.Join(append(ring, ring[0]), ",") + `]]}`
}

func (g *globe) rows(campaigns int) []*pb.ImportRow {
	const advertisers = 400
	var rows []*pb.ImportRow
	for i := range advertisers {
		a := fmt.Sprintf("advertisers/g%d", i)
		rows = append(rows, &pb.ImportRow{Resource: &pb.ImportRow_Advertiser{Advertiser: &pb.Advertiser{Name: a,
			DisplayName: "g"}}},
			&pb.ImportRow{Resource: &pb.ImportRow_Program{Program: &pb.Program{Name: a + "/programs/p",
				DisplayName: some(g.r, "p", "Coffee 咖啡店", "老王牛肉面", "Hot Pot 火锅"), Category: pb.Category(1 + g.r.IntN(16)),
				Hosts: []pb.Host{pb.Host_HOST_WECHAT, pb.Host(1 + g.r.IntN(10))}, MinimumAge: some[int32](g.r, 0, 0, 18),
				OperatingSystems: some(g.r, nil, nil, []pb.OperatingSystem{1, 2})}}})
		for l := range g.r.IntN(12) {
			lat, lng := g.point()
			place := &pb.Place{Name: fmt.Sprintf("%s/programs/p/places/l%d", a, l),
				DisplayName: some(g.r, "", "", "Coffee", "火锅 hot"), Latitude: lat, Longitude: lng}
			rows = append(rows, &pb.ImportRow{Resource: &pb.ImportRow_Place{Place: place}})
		}
	}
	for i := range campaigns {
		rows = append(rows, &pb.ImportRow{Resource: &pb.ImportRow_Campaign{Campaign: g.campaign(i,
			fmt.Sprintf("advertisers/g%d", g.r.IntN(advertisers)))}})
	}
	return rows
}

func (g *globe) campaign(i int, owner string) *pb.Campaign {
	r := g.r
	c := &pb.Campaign{Name: fmt.Sprintf("%s/campaigns/c%d", owner, i), DisplayName: "c", Program: owner + "/programs/p",
		PricingModel: pb.PricingModel(1 + r.IntN(2)), BidMicros: int64(1+r.IntN(30)) * 100_000, DailyBudgetMicros: 1e9,
		Pacing: pb.Pacing_PACING_ASAP, Area: g.area(), Audience: &pb.Audience{},
		TimeZone: some(r, "", "Asia/Shanghai", "America/New_York", "Asia/Kathmandu", "UTC"),
		State: some(r, pb.ServingState_SERVING_STATE_ACTIVE, pb.ServingState_SERVING_STATE_ACTIVE,
			pb.ServingState_SERVING_STATE_PAUSED)}
	if c.PricingModel == pb.PricingModel_PRICING_MODEL_CPM {
		c.BidMicros *= 25
	}
	if r.IntN(4) == 0 {
		if c.ExcludedArea = g.area(); r.IntN(2) == 0 {
			lat, lng := g.point()
			c.ExcludedArea.Polygons = append(c.ExcludedArea.Polygons, g.polygon(lat, lng))
		}
	}
	if r.IntN(3) == 0 {
		c.HostBids = []*pb.HostBid{{Host: pb.Host_HOST_WECHAT, MultiplierPpm: int64(300_000 + r.IntN(1_500_000))},
			{Host: pb.Host_HOST_ALIPAY, MultiplierPpm: int64(300_000 + r.IntN(3_000_000))}}
	}
	if r.IntN(3) == 0 {
		low := int32(r.IntN(50))
		c.Audience.Ages = []*pb.AgeRange{{MinAge: low, MaxAge: low + int32(r.IntN(60))}}
	}
	c.Audience.Genders = some(r, nil, nil, []pb.Gender{1}, []pb.Gender{2})
	c.Audience.Networks = some(r, nil, nil, nil, []pb.Network{1, 2})
	c.Audience.Interests = some(r, nil, nil, nil, []pb.Category{1, 2})
	if r.IntN(3) == 0 {
		for range 1 + r.IntN(3) {
			c.Keywords = append(c.Keywords,
				&pb.Keyword{Text: some(r, "咖啡", "coffee", "牛肉面", "面", "pot hot", "hot pot", "火锅", "bank"),
					Match: pb.KeywordMatch(r.IntN(4)), Negative: r.IntN(4) == 0})
		}
	}
	c.Audience.ExcludedInterests = some(r, nil, nil, nil, []pb.Category{1, 7})
	c.Audience.CreditBands = some(r, nil, nil, nil, []pb.CreditBand{4, 5})
	c.Audience.Residences = some(r, nil, nil, nil, []pb.Residence{1}, []pb.Residence{2})
	c.Audience.IncludeUnknown = some(r, nil, []pb.AudienceDimension{1, 2}, []pb.AudienceDimension{6, 7},
		[]pb.AudienceDimension{7, 8, 9, 10})
	if r.IntN(5) == 0 {
		c.FrequencyCap = &pb.FrequencyCap{Impressions: 2, Window: durationpb.New(time.Hour), ServeUncapped: r.IntN(2) == 0}
	}
	if r.IntN(4) == 0 {
		c.WeeklyHours = []*pb.WeeklyHours{{Day: pb.DayOfWeek(1 + r.IntN(7)), StartHour: 0, EndHour: 24},
			{Day: 5, StartHour: 8, EndHour: 20}}
	}
	if r.IntN(6) == 0 {
		from := testNow.Add(time.Duration(r.IntN(120)-60) * time.Hour)
		c.StartTime, c.EndTime = timestamppb.New(from), timestamppb.New(from.Add(72*time.Hour))
	}
	return c
}

func importRows(t *testing.T, ctx context.Context, s *testServer, rows []*pb.ImportRow) {
	t.Helper()
	stream, err := s.campaigns.Import(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for len(rows) > 0 {
		n := min(len(rows), 1000)
		if err := stream.Send(&pb.ImportRequest{Rows: rows[:n]}); err != nil {
			t.Fatal(err)
		}
		response, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		for i, o := range response.GetOutcomes() {
			if o.GetError() != nil {
				t.Fatalf("%v: %v", rows[i], o.GetError())
			}
		}
		rows = rows[n:]
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
}

func TestSearchesAllOverTheGlobeEqualBruteForce(t *testing.T) {
	t.Parallel()
	campaigns, requests := 20_000, 2000
	if testing.Short() {
		campaigns, requests = 8000, 100
	}
	s, ctx := boot(t, func(c *ServeConfig) { bruteMarket(c); c.Data = t.TempDir() }), testContext(t)
	g := newGlobe(rand.New(rand.NewPCG(2, 2)))
	importRows(t, ctx, s, g.rows(campaigns))
	o := loadOracle(t, ctx, s)
	sponsored, nearby := 0, 0
	for i := range requests {
		if i%50 == 0 {
			s.now.Store(testNow.Add(time.Duration(g.r.Int64N(int64(3 * 24 * time.Hour)))).UnixNano())
		}
		lat, lng := g.point()
		a, b := compare(t, ctx, s, o, bruteRequest(g.r, lat, lng))
		sponsored, nearby = sponsored+a, nearby+b
	}
	t.Logf("%d requests, %d sponsored and %d nearby results equal brute force", requests, sponsored, nearby)
	if sponsored < requests/2 || nearby < requests/2 {
		t.Errorf("too few results to prove anything: %d sponsored, %d nearby", sponsored, nearby)
	}
}
