package server

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/demo"
	"github.com/hexbid/hexbid/exchange"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/wire"
)

// serveDemo serves the demo market. Everything in an answer but durations and what is
// sealed follows from the request.
func serveDemo(t testing.TB) *served { return serveDemoWith(t, func(*Config) {}) }

// serveDemoWith serves the demo market from a server whose settings are changed.
func serveDemoWith(t testing.TB, change func(*Config)) *served {
	t.Helper()
	now, market := time.Date(2026, 11, 20, 4, 7, 30, 0, time.UTC), exchange.DefaultConfig()
	market.Log, market.Cards = slog.New(slog.DiscardHandler), wire.Cards{}
	market.AuctionBudget, market.NearbyBudget = time.Hour, time.Hour
	market.Clock, market.RequestID = func() time.Time { return now }, func() string { return "a request" }
	s := serveMarket(t, store.NewMemory(), market, func(c *Config) { c.AllowTrace = true; change(c) })
	resources, err := demo.Resources()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range s.exchange.Load().Import(ctx, resources, false) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	return s
}

// anySearch is a request that may be odd or wrong: one in four has an enumeration that
// there is not or a number out of bounds, and one in twenty is far from every place.
func anySearch(random *rand.Rand) *pb.SearchNearbyRequest {
	enum := func(count int32) int32 { return max(0, random.Int32N(2*count)-count) }
	near := func(degrees float64) float64 { return (random.Float64() - 0.5) * degrees }
	r := &pb.SearchNearbyRequest{
		Location: &pb.Location{Latitude: demo.Center.Lat + near(0.2), Longitude: demo.Center.Lng + near(0.2),
			Datum: pb.Datum(random.Int32N(int32(hexbid.DatumCount)))},
		Host: pb.Host(enum(3)), Scene: pb.Scene(enum(int32(hexbid.SceneCount))),
		Category: pb.Category(enum(int32(hexbid.CategoryCount))), Words: []string{"", "", "咖啡", "hotel"}[random.IntN(4)],
		Viewer: &pb.Viewer{UserKey: "someone", Gender: pb.Gender(enum(int32(hexbid.GenderCount))),
			OperatingSystem: pb.OperatingSystem(enum(int32(hexbid.OSCount)))},
		Trace: random.IntN(20) == 0,
	}
	if random.IntN(2) == 0 {
		r.RadiusM, r.NearbyLimit, r.SponsoredSlots = proto.Float64(random.Float64()*5000), proto.Int32(random.Int32N(50)),
			proto.Int32(random.Int32N(10))
	}
	if random.IntN(2) == 0 {
		r.Viewer.Age = proto.Int32(random.Int32N(100))
	}
	if random.IntN(20) == 0 {
		r.Location.Latitude, r.Location.Longitude = near(180), near(360)
	}
	switch random.IntN(16) {
	case 0:
		r.Location = nil
	case 1:
		r.Host = 99
	case 2:
		r.NearbyLimit = proto.Int32(-1)
	case 3:
		r.Location.Datum = 77
	}
	return r
}

// dropSealed drops from an answer what differs between two equal searches, and says
// what of that was there.
func dropSealed(r *pb.SearchNearbyResponse) (sealed []bool) {
	r.ServerDuration, r.AuctionDuration = nil, nil
	sealed = append(sealed, r.GetNextPageToken() != "")
	r.NextPageToken = ""
	for _, s := range r.GetSponsored() {
		sealed = append(sealed, s.GetToken() != "")
		s.Token = ""
	}
	return sealed
}

func TestASearchFromTheNetworkIsAnsweredAsTheMethodAnswers(t *testing.T) {
	s := serveDemo(t)
	client, service := pb.NewSearchServiceClient(s.dial(t)), &searchService{server: s.Server}
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	refused, sponsored, moved, later := 0, 0, 0, 0
	for range 600 {
		for r := anySearch(random); r != nil; {
			told, err := client.SearchNearby(t.Context(), r)
			plain, plainErr := service.SearchNearby(ctx, proto.Clone(r).(*pb.SearchNearbyRequest))
			if status.Code(err) != status.Code(statusOf(plainErr)) {
				t.Fatalf("seed %d: %v is answered %v over the network and %v in process", seed, r, err, plainErr)
			}
			if err != nil {
				refused++
				break
			}
			page := told.GetNextPageToken()
			sealed, plainlySealed := dropSealed(told), dropSealed(plain)
			if !proto.Equal(told, plain) || !slices.Equal(sealed, plainlySealed) {
				t.Fatalf("seed %d: %v is answered\n%.3000s over the network and\n%.3000s in process", seed, r, told, plain)
			}
			sponsored += len(told.GetSponsored())
			if len(told.GetNearby()) > 0 && told.GetNearby()[0].GetPlace().GetDatum() != pb.Datum_DATUM_WGS84 {
				moved++
			}
			if page == "" || random.IntN(2) == 0 {
				break
			}
			r.PageToken, later = page, later+1
		}
	}
	if refused < 20 || sponsored < 100 || moved < 20 || later < 5 {
		t.Errorf("seed %d: only %d refused, %d sponsored, %d in another datum, %d later pages", seed, refused,
			sponsored, moved, later)
	}
}

func TestASearchFromTheNetworkBuildsNoMessage(t *testing.T) {
	s := serveDemo(t)
	c := &call{server: s.Server, peer: connectionOf(t.Context()), caller: hexbid.Principal{Role: hexbid.Operator},
		arrived: time.Now()}
	info := &grpc.UnaryServerInfo{Server: &searchService{server: s.Server}, FullMethod: searchMethod}
	r := &pb.SearchNearbyRequest{Location: &pb.Location{Latitude: demo.Center.Lat, Longitude: demo.Center.Lng}}
	response, err := c.answer(t.Context(), r, info, func(context.Context, any) (any, error) {
		t.Error("the method that returns a message was called")
		return new(pb.SearchNearbyResponse), nil
	})
	if a, encoded := response.(answer); err != nil || !encoded || a.Len() < 1000 {
		t.Errorf("%T, %v", response, err)
	}
}

func TestAMethodCalledInProcessAsksForAPrincipal(t *testing.T) {
	s := serve(t, nil)
	r := &pb.SearchNearbyRequest{Location: &pb.Location{Latitude: 30, Longitude: 120}}
	if _, err := (&searchService{server: s.Server}).SearchNearby(context.Background(),
		r); hexbid.KindOf(err) != hexbid.Denied {
		t.Errorf("nobody's search: %v", err)
	}
	if _, err := (&searchService{server: s.Server}).SearchNearby(ctx, r); err != nil {
		t.Errorf("a search of the tests' principal: %v", err)
	}
}
