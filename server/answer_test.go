package server

import (
	"context"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/exchange"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/wire"
)

var texts = rapid.StringN(0, 40, 200)

var points = rapid.Custom(func(t *rapid.T) hexbid.Point {
	if rapid.IntRange(0, 9).Draw(t, "zero") == 0 {
		return hexbid.Point{} // a double that proto3 leaves out
	}
	return hexbid.Point{Lat: rapid.Float64Range(-90, 90).Draw(t, "lat"), Lng: rapid.Float64Range(-180, 180).Draw(t, "lng")}
})

var programs = rapid.Custom(func(t *rapid.T) *hexbid.Program {
	return &hexbid.Program{Meta: hexbid.Meta{Name: texts.Draw(t, "name"), UID: hexbid.UID(rapid.Uint64().Draw(t, "uid"))},
		DisplayName: texts.Draw(t, "display name"), Category: hexbid.Category(rapid.IntRange(0, 16).Draw(t, "category")),
		Path: texts.Draw(t, "path"), IconURI: texts.Draw(t, "icon")}
})

var places = rapid.Custom(func(t *rapid.T) *hexbid.Place {
	return &hexbid.Place{Meta: hexbid.Meta{Name: texts.Draw(t, "name"), UID: 1},
		DisplayName: texts.Draw(t, "display name"), Point: points.Draw(t, "point"), Address: texts.Draw(t, "address"),
		OpeningHours: texts.Draw(t, "hours")}
})

var creatives = rapid.Custom(func(t *rapid.T) *hexbid.Creative {
	c := &hexbid.Creative{Title: texts.Draw(t, "title"), Promotion: texts.Draw(t, "promotion"),
		Path: texts.Draw(t, "path"), ImageURI: texts.Draw(t, "image")}
	if rapid.Bool().Draw(t, "with a coupon") {
		c.Coupon = &hexbid.Coupon{Text: texts.Draw(t, "text"), Terms: texts.Draw(t, "terms"),
			ValidUntil: time.Unix(rapid.Int64Range(1, 1<<32).Draw(t, "until"), 0)}
	}
	return c
})

// bothForms are the message and what the bytes decode to.
func bothForms(t rapid.TB, f *found) map[string]*pb.SearchNearbyResponse {
	t.Helper()
	encoded, decoded := f.encode(connectionOf(context.Background())), new(pb.SearchNearbyResponse)
	defer encoded.Free()
	if err := proto.Unmarshal(encoded.ReadOnlyData(), decoded); err != nil {
		t.Fatal(err)
	}
	return map[string]*pb.SearchNearbyResponse{"the message": f.message(), "the encoded answer": decoded}
}

func TestAnAnswerPutTogetherFromCardsIsTheMessageBuiltPlainly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		datum := hexbid.Datum(rapid.IntRange(0, int(hexbid.DatumCount)-1).Draw(t, "datum"))
		in := &exchange.Response{RequestID: "id", NextPageToken: texts.Draw(t, "page"), Notice: texts.Draw(t, "notice"),
			EvaluatedAt: time.Unix(1_800_000_000, 5), AuctionTook: 3 * time.Microsecond,
			SponsoredSkipped: rapid.Bool().Draw(t, "skipped"), HidesPrices: rapid.Bool().Draw(t, "hides prices"),
			HidesCampaigns: rapid.Bool().Draw(t, "hides campaigns")}
		want := &pb.SearchNearbyResponse{RequestId: in.RequestID, NextPageToken: in.NextPageToken, Notice: in.Notice,
			EvaluateTime: timestamppb.New(in.EvaluatedAt), AuctionDuration: durationpb.New(in.AuctionTook),
			SponsoredSkipped: in.SponsoredSkipped}
		for i := range rapid.IntRange(0, 4).Draw(t, "sponsored") {
			program, creative, c := programs.Draw(t, "program"), creatives.Draw(t, "creative"),
				&hexbid.Campaign{Meta: hexbid.Meta{Name: texts.Draw(t, "campaign")}}
			s := exchange.Sponsored{Slot: i + 1, Price: hexbid.Money(rapid.Int64Range(0, 1e12).Draw(t, "price")),
				Pricing: hexbid.CPM, Token: rapid.StringN(0, 600, 600).Draw(t, "token")}
			message := &pb.SponsoredResult{Slot: int32(i + 1), Program: wire.ProgramCard(program),
				Creative: wire.CreativeCard(creative), Campaign: c.Name, PriceMicros: int64(s.Price),
				PricingModel: pb.PricingModel_PRICING_MODEL_CPM, Token: s.Token}
			if in.HidesPrices {
				s.Price, message.PriceMicros = 0, 0
			}
			if in.HidesCampaigns {
				message.Campaign = ""
			}
			var place *hexbid.Place
			if rapid.Bool().Draw(t, "has a place") {
				place = places.Draw(t, "place")
				s.Place, s.DistanceM = place.UID, rapid.Float64Range(0, 1e6).Draw(t, "distance")
				message.NearestPlace, message.DistanceM = wire.PlaceCard(place, program, datum), proto.Float64(s.DistanceM)
			}
			s.Card = wire.Cards{}.Sponsored(c, creative, program, place)
			in.Sponsored, want.Sponsored = append(in.Sponsored, s), append(want.Sponsored, message)
		}
		for range rapid.IntRange(0, 4).Draw(t, "nearby") {
			program, place := programs.Draw(t, "program"), places.Draw(t, "place")
			n := exchange.Nearby{DistanceM: rapid.Float64Range(0, 1e6).Draw(t, "distance"),
				Card: wire.Cards{}.Nearby(program, place)}
			in.Nearby = append(in.Nearby, n)
			want.Nearby = append(want.Nearby, &pb.NearbyResult{Program: wire.ProgramCard(program),
				Place: wire.PlaceCard(place, program, datum), DistanceM: n.DistanceM})
		}
		for form, got := range bothForms(t, &found{in, datum, time.Now()}) {
			want.ServerDuration = got.GetServerDuration() // a clock's
			if !proto.Equal(got, want) {
				t.Fatalf("%s is %v\nwant %v", form, got, want)
			}
		}
	})
}

func TestWritingACardInAnotherDatumLeavesTheCacheAlone(t *testing.T) {
	card := wire.Cards{}.Nearby(&hexbid.Program{}, &hexbid.Place{Point: hexbid.Point{Lat: 30, Lng: 120}})
	before := string(card)
	bothForms(t, &found{&exchange.Response{Nearby: []exchange.Nearby{{Card: card}}}, hexbid.BD09, time.Now()})
	if string(card) != before {
		t.Error("the card that others share was written over")
	}
}
