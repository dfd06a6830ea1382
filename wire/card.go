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

// A card is the encoded form of what a search displays of a program, a campaign and a place. It is encoded once for
// many answers, because building some hundred messages takes longer than finding what they hold. In protobuf's wire
// format a message is its fields in any order. A result is therefore its card followed by what differs by request (a
// distance, a price, a token):
//
//	card of a nearby result:    program | place
//	card of a sponsored result: campaign | program | creative | nearest_place
//
// A place, always last in its card, ends with its coordinates: twenty bytes of fixed length. AppendCard overwrites them
// for a request in another datum.

// Cards makes cards in the wire format, for exchange.Config.
type Cards struct{}

// Nearby returns the card of a program at one of its places.
func (Cards) Nearby(p *hexbid.Program, l *hexbid.Place) []byte {
	return appendPlace(encoded(&pb.NearbyResult{Program: ProgramCard(p)}), 2, p, l)
}

// Sponsored returns the card of a campaign's creative and of the program's place nearest to the viewer. The place is
// nil when the program has none.
func (Cards) Sponsored(c *hexbid.Campaign, creative *hexbid.Creative, p *hexbid.Program, l *hexbid.Place) []byte {
	card := protowire.AppendString(protowire.AppendTag(nil, campaignField, protowire.BytesType), c.Name)
	card = append(card, encoded(&pb.SponsoredResult{Program: ProgramCard(p), Creative: CreativeCard(creative)})...)
	if l == nil {
		return card
	}
	return appendPlace(card, 4, p, l)
}

// campaignField is the number of SponsoredResult.campaign.
const campaignField = 9

// WithoutCampaign returns the card of a sponsored result without the campaign's name.
func WithoutCampaign(card []byte) []byte {
	field, kind, tag := protowire.ConsumeTag(card)
	if field != campaignField {
		return card
	}
	return card[tag+protowire.ConsumeFieldValue(field, kind, card[tag:]):]
}

// ProgramCard returns what a search displays of a program.
func ProgramCard(p *hexbid.Program) *pb.ProgramCard {
	return &pb.ProgramCard{Name: p.Name, Uid: uint64(p.UID), DisplayName: p.DisplayName, Category: pb.Category(p.Category),
		Path: p.Path, IconUri: p.IconURI}
}

// CreativeCard returns what a search displays of a creative.
func CreativeCard(c *hexbid.Creative) *pb.CreativeCard {
	card := &pb.CreativeCard{Title: c.Title, Promotion: c.Promotion, Path: c.Path, ImageUri: c.ImageURI}
	if coupon := c.Coupon; coupon != nil {
		card.Coupon = &pb.CouponCard{Text: coupon.Text, Terms: coupon.Terms, ValidUntilTime: fromInstant(coupon.ValidUntil)}
	}
	return card
}

// PlaceCard returns what a search displays of a program's place, in a datum.
func PlaceCard(l *hexbid.Place, of *hexbid.Program, datum hexbid.Datum) *pb.PlaceCard {
	if datum == hexbid.DatumUnspecified {
		datum = hexbid.WGS84
	}
	card, at := placeTexts(l, of), geoindex.FromWGS84(datum, l.Point)
	card.Latitude, card.Longitude, card.Datum = at.Lat, at.Lng, pb.Datum(datum)
	return card
}

// placeTexts returns a place's card without the coordinates.
func placeTexts(l *hexbid.Place, of *hexbid.Program) *pb.PlaceCard {
	name := l.DisplayName
	if name == "" {
		name = of.DisplayName
	}
	return &pb.PlaceCard{Name: l.Name, DisplayName: name, Address: l.Address, OpeningHours: l.OpeningHours}
}

// encoded encodes a message. Its text must be valid, as that of all stored resources is.
func encoded(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("encoding a card: %v", err))
	}
	return b
}

// pointBytes is the encoded size of a place's coordinates and datum: two doubles and a byte, with their tags.
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

// AppendCard appends a card that ends with a place, with the place's coordinates in the datum of the answer.
func AppendCard(b, card []byte, datum hexbid.Datum) []byte {
	b = append(b, card...)
	if datum == hexbid.WGS84 || datum == hexbid.DatumUnspecified {
		return b
	}
	point := b[len(b)-pointBytes:]
	at := hexbid.Point{Lat: math.Float64frombits(binary.LittleEndian.Uint64(point[1:])),
		Lng: math.Float64frombits(binary.LittleEndian.Uint64(point[10:]))}
	return appendPoint(b[:len(b)-pointBytes], geoindex.FromWGS84(datum, at), datum)
}

// NearbyResult decodes the card of a nearby result and converts the place's coordinates to the datum of the answer.
func NearbyResult(card []byte, datum hexbid.Datum) *pb.NearbyResult {
	m := new(pb.NearbyResult)
	decode(card, m)
	moveTo(m.GetPlace(), datum)
	return m
}

// SponsoredResult decodes the card of a sponsored result and converts the place's coordinates to the datum of the
// answer.
func SponsoredResult(card []byte, datum hexbid.Datum) *pb.SponsoredResult {
	m := new(pb.SponsoredResult)
	decode(card, m)
	moveTo(m.GetNearestPlace(), datum)
	return m
}

// decode decodes bytes that Cards has encoded.
func decode(card []byte, into proto.Message) {
	if err := proto.Unmarshal(card, into); err != nil {
		panic(fmt.Sprintf("decoding a card: %v", err))
	}
}

// moveTo converts the coordinates of a card from WGS-84 to a datum.
func moveTo(l *pb.PlaceCard, datum hexbid.Datum) {
	if l == nil || datum == hexbid.DatumUnspecified {
		return
	}
	at := geoindex.FromWGS84(datum, hexbid.Point{Lat: l.GetLatitude(), Lng: l.GetLongitude()})
	l.Latitude, l.Longitude, l.Datum = at.Lat, at.Lng, pb.Datum(datum)
}
