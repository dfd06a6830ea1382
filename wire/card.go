package wire

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// A card is the encoded form of what a search displays of one record: a program, a place or a campaign. It is encoded
// once for many answers, because building some hundred messages takes longer than finding what they hold. A result is
// put together from the cards of its records and from what differs by request: a distance, a price, a token
// (result.go). What a record leaves to another one, as a place its name to its program, is filled in then. So a card
// depends on one record alone:
//
//	card of a program:   where its texts stand | fields of a ProgramCard
//	card of a place:     lacks | fields of a PlaceCard
//	card of a campaign:  length, name | creatives
//	creative:            host, lacks, end of its coupon | length, fields of a CreativeCard | length, coupon
//
// Lengths are varints. Lacks has a bit for each text that the record leaves to its program. A place's fields end with
// its coordinates: twenty bytes of fixed length, which are overwritten for a request in another datum.

// Cards makes cards, for exchange.Config.
type Cards struct{}

const (
	lacksName = 1 << iota // of a place; the title of a creative
	lacksPath
	lacksImage
	lacksAll = lacksName | lacksPath | lacksImage

	// textsBytes is the size of the head of a program's card: offset and length of three texts.
	textsBytes = 3 * (2 + 2)
	// creativeHeadBytes is the size of a creative's head. The end of the coupon is in microseconds since 1970.
	creativeHeadBytes = 1 + 1 + 8
)

// Program returns the card of a program. Its texts are those that other records leave to it: its name, path and icon.
func (Cards) Program(p *hexbid.Program) []byte {
	card := append(make([]byte, textsBytes, textsBytes+64+len(p.Name)+len(p.DisplayName)+len(p.Path)+len(p.IconURI)),
		encoded(programCard(p))...)
	for fields := card[textsBytes:]; len(fields) > 0; {
		field, kind, n := protowire.ConsumeTag(fields)
		size := protowire.ConsumeFieldValue(field, kind, fields[n:])
		if i := slices.Index(textFields[:], field); i >= 0 {
			binary.LittleEndian.PutUint16(card[4*i:], uint16(len(card)-len(fields)+n))
			binary.LittleEndian.PutUint16(card[4*i+2:], uint16(size))
		}
		fields = fields[n+size:]
	}
	return card
}

// textFields are the numbers of a program's texts in a ProgramCard.
var textFields = [3]protowire.Number{3, 5, 6}

// Place returns the card of a place.
func (Cards) Place(l *hexbid.Place) []byte {
	lacks := byte(0)
	if l.DisplayName == "" {
		lacks = lacksName
	}
	return appendPoint(append([]byte{lacks}, encoded(placeTexts(l))...), l.Point, hexbid.WGS84)
}

// Campaign returns the card of a campaign.
func (Cards) Campaign(c *hexbid.Campaign) []byte {
	card := protowire.AppendString(nil, c.Name)
	for i := range c.Creatives {
		card = appendCreative(card, &c.Creatives[i])
	}
	return card
}

func appendCreative(card []byte, c *hexbid.Creative) []byte {
	m, lacks, until := creativeCard(c), byte(0), int64(0)
	for i, text := range [...]string{c.Title, c.Path, c.ImageURI} {
		if text == "" {
			lacks |= 1 << i
		}
	}
	var coupon []byte
	if c.Coupon != nil {
		coupon, until = encoded(&pb.CreativeCard{Coupon: m.Coupon}), c.Coupon.ValidUntil.UnixMicro()
	}
	m.Coupon = nil
	card = binary.LittleEndian.AppendUint64(append(card, byte(c.Host), lacks), uint64(until))
	return protowire.AppendBytes(protowire.AppendBytes(card, encoded(m)), coupon)
}

// programCard returns what a search displays of a program.
func programCard(p *hexbid.Program) *pb.ProgramCard {
	return &pb.ProgramCard{Name: p.Name, Uid: uint64(p.UID), DisplayName: p.DisplayName, Category: pb.Category(p.Category),
		Path: p.Path, IconUri: p.IconURI}
}

// creativeCard returns what a search displays of a creative.
func creativeCard(c *hexbid.Creative) *pb.CreativeCard {
	card := &pb.CreativeCard{Title: c.Title, Promotion: c.Promotion, Path: c.Path, ImageUri: c.ImageURI}
	if coupon := c.Coupon; coupon != nil {
		card.Coupon = &pb.CouponCard{Text: coupon.Text, Terms: coupon.Terms, ValidUntilTime: fromInstant(coupon.ValidUntil)}
	}
	return card
}

// placeTexts returns a place's card without the coordinates.
func placeTexts(l *hexbid.Place) *pb.PlaceCard {
	return &pb.PlaceCard{Name: l.Name, DisplayName: l.DisplayName, Address: l.Address, OpeningHours: l.OpeningHours}
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

func appendPoint(b []byte, at hexbid.Point, datum hexbid.Datum) []byte {
	b = protowire.AppendFixed64(protowire.AppendTag(b, 5, protowire.Fixed64Type), math.Float64bits(at.Lat))
	b = protowire.AppendFixed64(protowire.AppendTag(b, 6, protowire.Fixed64Type), math.Float64bits(at.Lng))
	return protowire.AppendVarint(protowire.AppendTag(b, 7, protowire.VarintType), uint64(datum))
}

// movePoint writes the coordinates at the end of a place's card in another datum.
func movePoint(card []byte, datum hexbid.Datum) {
	if datum == hexbid.WGS84 || datum == hexbid.DatumUnspecified {
		return
	}
	point := card[len(card)-pointBytes:]
	at := hexbid.Point{Lat: math.Float64frombits(binary.LittleEndian.Uint64(point[1:])),
		Lng: math.Float64frombits(binary.LittleEndian.Uint64(point[10:]))}
	appendPoint(point[:0], geoindex.FromWGS84(datum, at), datum)
}
