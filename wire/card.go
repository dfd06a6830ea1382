package wire

import (
	"encoding/binary"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// A card is what a search shows of a program, a campaign and a place, encoded once
// for many answers: building some hundred messages takes longer than all that finds
// them. By the wire format of protobuf a message is its fields in any order, so a
// result is its card and what differs by request (a distance, a price, a token):
//
//	card of a nearby result:    program | place
//	card of a sponsored result: program | creative | campaign | nearest_place
//
// A place, always last in its card, ends with its coordinates: twenty bytes of
// fixed length, which AppendCard writes over for a request in another datum.

// Cards makes cards in the wire format, for exchange.Config.
type Cards struct{}

// Nearby is the card of a program at one of its places.
func (Cards) Nearby(p *hexbid.Program, l *hexbid.Place) []byte {
	return appendPlace(encoded(&pb.NearbyResult{Program: ProgramCard(p)}), 2, p, l)
}

// Sponsored is the card of a campaign's creative and of the program's place nearest
// to the viewer, nil when it has none.
func (Cards) Sponsored(c *hexbid.Campaign, creative *hexbid.Creative, p *hexbid.Program, l *hexbid.Place) []byte {
	card := encoded(&pb.SponsoredResult{Program: ProgramCard(p), Creative: CreativeCard(creative), Campaign: c.Name})
	if l == nil {
		return card
	}
	return appendPlace(card, 4, p, l)
}

// ProgramCard is what a search shows of a program.
func ProgramCard(p *hexbid.Program) *pb.ProgramCard {
	return &pb.ProgramCard{Name: p.Name, Uid: uint64(p.UID), DisplayName: p.DisplayName, Category: pb.Category(p.Category), Path: p.Path, IconUri: p.IconURI}
}

// CreativeCard is what a search shows of a creative.
func CreativeCard(c *hexbid.Creative) *pb.CreativeCard {
	card := &pb.CreativeCard{Title: c.Title, Promotion: c.Promotion, Path: c.Path, ImageUri: c.ImageURI}
	if coupon := c.Coupon; coupon != nil {
		card.Coupon = &pb.CouponCard{Text: coupon.Text, Terms: coupon.Terms, ValidUntilTime: fromInstant(coupon.ValidUntil)}
	}
	return card
}

// PlaceCard is what a search shows of a place of a program, in a datum.
func PlaceCard(l *hexbid.Place, of *hexbid.Program, datum hexbid.Datum) *pb.PlaceCard {
	if datum == hexbid.DatumUnspecified {
		datum = hexbid.WGS84
	}
	card, at := placeTexts(l, of), geoindex.FromWGS84(datum, l.Point)
	card.Latitude, card.Longitude, card.Datum = at.Lat, at.Lng, pb.Datum(datum)
	return card
}

// placeTexts is a place's card but for the coordinates.
func placeTexts(l *hexbid.Place, of *hexbid.Program) *pb.PlaceCard {
	name := l.DisplayName
	if name == "" {
		name = of.DisplayName
	}
	return &pb.PlaceCard{Name: l.Name, DisplayName: name, Address: l.Address, OpeningHours: l.OpeningHours}
}

// encoded is a message that holds valid text only, as all that is stored does.
func encoded(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("encoding a card: %v", err))
	}
	return b
}

// pointBytes are a place's coordinates and datum: two doubles and a byte, with
// their tags.
const pointBytes = 9 + 9 + 2

func appendPlace(card []byte, field protowire.Number, of *hexbid.Program, l *hexbid.Place) []byte {
	place := encoded(placeTexts(l, of))
	card = protowire.AppendTag(card, field, protowire.BytesType)
	card = protowire.AppendVarint(card, uint64(len(place)+pointBytes))
	return appendPoint(append(card, place...), l.Point, hexbid.WGS84)
}

func appendPoint(b []byte, at hexbid.Point, datum hexbid.Datum) []byte {
	b = protowire.AppendFixed64(protowire.AppendTag(b, 5, protowire.Fixed64Type), math.Float64bits(at.Lat))
	b = protowire.AppendFixed64(protowire.AppendTag(b, 6, protowire.Fixed64Type), math.Float64bits(at.Lng))
	return protowire.AppendVarint(protowire.AppendTag(b, 7, protowire.VarintType), uint64(datum))
}

// AppendCard copies a card that ends with a place, and writes the place's
// coordinates in the datum of the answer.
func AppendCard(b, card []byte, datum hexbid.Datum) []byte {
	b = append(b, card...)
	if datum == hexbid.WGS84 || datum == hexbid.DatumUnspecified {
		return b
	}
	point := b[len(b)-pointBytes:]
	at := hexbid.Point{Lat: math.Float64frombits(binary.LittleEndian.Uint64(point[1:])), Lng: math.Float64frombits(binary.LittleEndian.Uint64(point[10:]))}
	return appendPoint(b[:len(b)-pointBytes], geoindex.FromWGS84(datum, at), datum)
}

// NearbyResult is a card of a nearby result as a message, the place's coordinates in
// the datum of the answer.
func NearbyResult(card []byte, datum hexbid.Datum) *pb.NearbyResult {
	m := new(pb.NearbyResult)
	decode(card, m)
	moveTo(m.GetPlace(), datum)
	return m
}

// SponsoredResult is a card of a sponsored result as a message, the place's
// coordinates in the datum of the answer.
func SponsoredResult(card []byte, datum hexbid.Datum) *pb.SponsoredResult {
	m := new(pb.SponsoredResult)
	decode(card, m)
	moveTo(m.GetNearestPlace(), datum)
	return m
}

// decode decodes what Cards has encoded.
func decode(card []byte, into proto.Message) {
	if err := proto.Unmarshal(card, into); err != nil {
		panic(fmt.Sprintf("decoding a card: %v", err))
	}
}

// moveTo converts the coordinates of a card, which are WGS-84.
func moveTo(l *pb.PlaceCard, datum hexbid.Datum) {
	if l == nil || datum == hexbid.DatumUnspecified {
		return
	}
	at := geoindex.FromWGS84(datum, hexbid.Point{Lat: l.GetLatitude(), Lng: l.GetLongitude()})
	l.Latitude, l.Longitude, l.Datum = at.Lat, at.Lng, pb.Datum(datum)
}
