package server

import (
	"cmp"
	"context"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/exchange"
	"github.com/hexbid/hexbid/geoindex"
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

// campaigns have creatives for some hosts, or for all. Some of their coupons are over.
var campaigns = rapid.Custom(func(t *rapid.T) *hexbid.Campaign {
	c := &hexbid.Campaign{Meta: hexbid.Meta{Name: rapid.StringN(1, 40, 200).Draw(t, "name")}}
	hosts := rapid.SliceOfNDistinct(rapid.IntRange(0, int(hexbid.HostCount)-1), 0, 3, rapid.ID[int]).Draw(t, "hosts")
	for _, host := range hosts {
		c.Creatives = append(c.Creatives, creatives.Draw(t, "creative"))
		c.Creatives[len(c.Creatives)-1].Host = hexbid.Host(host)
	}
	return c
})

var creatives = rapid.Custom(func(t *rapid.T) hexbid.Creative {
	c := hexbid.Creative{Title: texts.Draw(t, "title"), Promotion: texts.Draw(t, "promotion"),
		Path: texts.Draw(t, "path"), ImageURI: texts.Draw(t, "image")}
	if rapid.Bool().Draw(t, "with a coupon") {
		until := answered.Add(time.Duration(rapid.IntRange(-2, 2).Draw(t, "until")) * time.Microsecond)
		c.Coupon = &hexbid.Coupon{Text: texts.Draw(t, "text"), Terms: texts.Draw(t, "terms"), ValidUntil: until}
	}
	return c
})

// answered is when the answers of these tests were evaluated.
var answered = time.Unix(1_800_000_000, 5000)

// completed fills the empty fields of a creative from its program, and leaves out a coupon that is over.
func completed(c hexbid.Creative, p *hexbid.Program, at time.Time) hexbid.Creative {
	if c.Title == "" {
		c.Title = p.DisplayName
	}
	if c.Path == "" {
		c.Path = p.Path
	}
	if c.ImageURI == "" {
		c.ImageURI = p.IconURI
	}
	if c.Coupon != nil && !at.Before(c.Coupon.ValidUntil) {
		c.Coupon = nil
	}
	return c
}

// programCard, creativeCard and placeCard are what a search displays of a program, a creative and a place. Package wire
// has them as bytes; these say the same plainly.
func programCard(p *hexbid.Program) *pb.ProgramCard {
	return &pb.ProgramCard{Name: p.Name, Uid: uint64(p.UID), DisplayName: p.DisplayName, Category: pb.Category(p.Category),
		Path: p.Path, IconUri: p.IconURI}
}

func creativeCard(c *hexbid.Creative) *pb.CreativeCard {
	card := &pb.CreativeCard{Title: c.Title, Promotion: c.Promotion, Path: c.Path, ImageUri: c.ImageURI}
	if c.Coupon != nil {
		card.Coupon = &pb.CouponCard{Text: c.Coupon.Text, Terms: c.Coupon.Terms,
			ValidUntilTime: timestamppb.New(c.Coupon.ValidUntil)}
	}
	return card
}

func placeCard(l *hexbid.Place, of *hexbid.Program, datum hexbid.Datum) *pb.PlaceCard {
	datum = cmp.Or(datum, hexbid.WGS84)
	at := geoindex.FromWGS84(datum, l.Point)
	return &pb.PlaceCard{Name: l.Name, DisplayName: cmp.Or(l.DisplayName, of.DisplayName), Address: l.Address,
		OpeningHours: l.OpeningHours, Latitude: at.Lat, Longitude: at.Lng, Datum: pb.Datum(datum)}
}

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
		host := hexbid.Host(rapid.IntRange(0, int(hexbid.HostCount)-1).Draw(t, "host"))
		in := &exchange.Response{RequestID: "id", NextPageToken: texts.Draw(t, "page"), Notice: texts.Draw(t, "notice"),
			EvaluatedAt: answered, AuctionTook: 3 * time.Microsecond,
			SponsoredSkipped: rapid.Bool().Draw(t, "skipped"), HidesPrices: rapid.Bool().Draw(t, "hides prices"),
			HidesCampaigns: rapid.Bool().Draw(t, "hides campaigns")}
		want := &pb.SearchNearbyResponse{RequestId: in.RequestID, NextPageToken: in.NextPageToken, Notice: in.Notice,
			EvaluateTime: timestamppb.New(in.EvaluatedAt), AuctionDuration: durationpb.New(in.AuctionTook),
			SponsoredSkipped: in.SponsoredSkipped}
		for i := range rapid.IntRange(0, 4).Draw(t, "sponsored") {
			program, c := programs.Draw(t, "program"), campaigns.Draw(t, "campaign")
			creative := completed(c.CreativeFor(host), program, in.EvaluatedAt)
			s := exchange.Sponsored{Slot: i + 1, Price: hexbid.Money(rapid.Int64Range(0, 1e12).Draw(t, "price")),
				Pricing: hexbid.CPM, Token: rapid.StringN(0, 600, 600).Draw(t, "token")}
			message := &pb.SponsoredResult{Slot: int32(i + 1), Program: programCard(program),
				Creative: creativeCard(&creative), Campaign: c.Name, PriceMicros: int64(s.Price),
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
				s.Cards.Place = wire.Cards{}.Place(place)
				s.Place, s.DistanceM = place.UID, rapid.Float64Range(0, 1e6).Draw(t, "distance")
				message.NearestPlace, message.DistanceM = placeCard(place, program, datum), proto.Float64(s.DistanceM)
			}
			s.Cards.Program, s.Cards.Campaign = wire.Cards{}.Program(program), wire.Cards{}.Campaign(c)
			in.Sponsored, want.Sponsored = append(in.Sponsored, s), append(want.Sponsored, message)
		}
		for range rapid.IntRange(0, 4).Draw(t, "nearby") {
			program, place := programs.Draw(t, "program"), places.Draw(t, "place")
			n := exchange.Nearby{DistanceM: rapid.Float64Range(0, 1e6).Draw(t, "distance"),
				Cards: exchange.Displayed{Program: wire.Cards{}.Program(program), Place: wire.Cards{}.Place(place)}}
			in.Nearby = append(in.Nearby, n)
			want.Nearby = append(want.Nearby, &pb.NearbyResult{Program: programCard(program),
				Place: placeCard(place, program, datum), DistanceM: n.DistanceM})
		}
		for form, got := range bothForms(t, &found{in, host, datum, time.Now()}) {
			want.ServerDuration = got.GetServerDuration() // a clock's
			if !proto.Equal(got, want) {
				t.Fatalf("%s is %v\nwant %v", form, got, want)
			}
		}
	})
}

func TestWritingACardInAnotherDatumLeavesTheCacheAlone(t *testing.T) {
	card := wire.Cards{}.Place(&hexbid.Place{Point: hexbid.Point{Lat: 30, Lng: 120}})
	before := string(card)
	bothForms(t, &found{&exchange.Response{Nearby: []exchange.Nearby{{Cards: exchange.Displayed{Place: card}}}},
		hexbid.WeChat, hexbid.BD09, time.Now()})
	if string(card) != before {
		t.Error("the card that others share was written over")
	}
}
