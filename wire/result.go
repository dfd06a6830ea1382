package wire

import (
	"encoding/binary"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// Result is what a nearby result, or a sponsored one, shows of a program at a place. Program and Place are cards. A
// card that is empty is left out.
type Result struct{ Program, Place []byte }

// text returns one of a program's texts with its length before it, empty if the program has none.
func (r *Result) text(which int) []byte {
	if len(r.Program) < textsBytes {
		return nil
	}
	from := binary.LittleEndian.Uint16(r.Program[4*which:])
	return r.Program[from : from+binary.LittleEndian.Uint16(r.Program[4*which+2:])]
}

// Indices of a program's texts.
const (
	nameText = iota
	pathText
	iconText
)

// Numbers of fields in the messages of results.
const (
	nearbyProgram, nearbyPlace = 1, 2

	sponsoredProgram, sponsoredCreative, sponsoredPlace, sponsoredCampaign = 2, 3, 4, 9

	placeDisplayName = 2
)

// creativeTexts are the numbers in a CreativeCard of what it has from a program's texts.
var creativeTexts = [3]protowire.Number{1, 3, 4}

// Bytes returns the size of what Append appends.
func (r *Result) Bytes() int {
	n := 0
	if len(r.Program) > 0 {
		n += 1 + protowire.SizeBytes(len(r.Program)-textsBytes)
	}
	if len(r.Place) > 0 {
		n += 1 + protowire.SizeBytes(r.placeBytes())
	}
	return n
}

// placeBytes returns the size of the place's message.
func (r *Result) placeBytes() int { return len(r.Place) - 1 + lackedBytes(r.placeName()) }

// placeName returns the name that the place has from its program, with its length before it.
func (r *Result) placeName() []byte {
	if r.Place[0]&lacksName == 0 {
		return nil
	}
	return r.text(nameText)
}

// lackedBytes returns the size of a field that is filled in, 0 for none.
func lackedBytes(text []byte) int {
	if len(text) == 0 {
		return 0
	}
	return 1 + len(text)
}

// appendLacked appends a field that is filled in.
func appendLacked(b []byte, field protowire.Number, text []byte) []byte {
	if len(text) == 0 {
		return b
	}
	return append(protowire.AppendTag(b, field, protowire.BytesType), text...)
}

// Append appends the fields of a NearbyResult, with the place's coordinates in the datum of the answer.
func (r *Result) Append(b []byte, datum hexbid.Datum) []byte {
	return r.append(b, nearbyProgram, nearbyPlace, datum)
}

func (r *Result) append(b []byte, program, place protowire.Number, datum hexbid.Datum) []byte {
	if len(r.Program) > 0 {
		b = protowire.AppendBytes(protowire.AppendTag(b, program, protowire.BytesType), r.Program[textsBytes:])
	}
	if len(r.Place) == 0 {
		return b
	}
	b = protowire.AppendVarint(protowire.AppendTag(b, place, protowire.BytesType), uint64(r.placeBytes()))
	b = append(appendLacked(b, placeDisplayName, r.placeName()), r.Place[1:]...)
	movePoint(b, datum)
	return b
}

// Message returns the result as a message, for callers in this process.
func (r *Result) Message(datum hexbid.Datum) *pb.NearbyResult {
	m := new(pb.NearbyResult)
	decode(r.Append(nil, datum), m)
	return m
}

// Advert is what a sponsored result shows: a campaign's creative for a host, completed from the program, and the
// program at its place nearest to the viewer.
type Advert struct {
	Result
	name   []byte    // of the campaign; empty to leave it out
	fields []byte    // of the creative
	coupon []byte    // empty when the creative has none that is valid
	texts  [3][]byte // that the creative has from its program, each with its length before it
}

// NewAdvert joins the card of a campaign to a program's at a place. It shows a coupon whose end is later than now.
func NewAdvert(of Result, campaign []byte, host hexbid.Host, now time.Time) Advert {
	a := Advert{Result: of}
	name, n := protowire.ConsumeBytes(campaign)
	if n < 0 {
		return a // an empty card
	}
	a.name = name
	lacks := a.choose(campaign[n:], host, now)
	for i := range a.texts {
		if lacks>>i&1 != 0 {
			a.texts[i] = of.text(i)
		}
	}
	return a
}

// choose takes the creative of a host, or else the one without a host. It returns what that one lacks.
func (a *Advert) choose(creatives []byte, host hexbid.Host, now time.Time) (lacks byte) {
	lacks = lacksAll
	for len(creatives) > 0 {
		head := creatives[:creativeHeadBytes]
		fields, n := protowire.ConsumeBytes(creatives[creativeHeadBytes:])
		coupon, k := protowire.ConsumeBytes(creatives[creativeHeadBytes+n:])
		creatives = creatives[creativeHeadBytes+n+k:]
		own := hexbid.Host(head[0])
		if own != host && own != hexbid.HostUnknown {
			continue
		}
		a.fields, a.coupon, lacks = fields, coupon, head[1]
		if now.UnixMicro() >= int64(binary.LittleEndian.Uint64(head[2:])) {
			a.coupon = nil
		}
		if own == host {
			break
		}
	}
	return lacks
}

// HideCampaign leaves the campaign's name out.
func (a *Advert) HideCampaign() { a.name = nil }

// Bytes returns the size of what Append appends.
func (a *Advert) Bytes() int {
	n := 1 + protowire.SizeBytes(a.creativeBytes()) + a.Result.Bytes()
	if len(a.name) > 0 {
		n += 1 + protowire.SizeBytes(len(a.name))
	}
	return n
}

func (a *Advert) creativeBytes() int {
	n := len(a.fields) + len(a.coupon)
	for i := range a.texts {
		n += lackedBytes(a.texts[i])
	}
	return n
}

// Append appends fields of a SponsoredResult, with the place's coordinates in the datum of the answer.
func (a *Advert) Append(b []byte, datum hexbid.Datum) []byte {
	if len(a.name) > 0 {
		b = protowire.AppendBytes(protowire.AppendTag(b, sponsoredCampaign, protowire.BytesType), a.name)
	}
	b = protowire.AppendTag(b, sponsoredCreative, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(a.creativeBytes()))
	b = append(append(b, a.fields...), a.coupon...)
	for i := range a.texts {
		b = appendLacked(b, creativeTexts[i], a.texts[i])
	}
	return a.append(b, sponsoredProgram, sponsoredPlace, datum)
}

// Message returns the result as a message, for callers in this process.
func (a *Advert) Message(datum hexbid.Datum) *pb.SponsoredResult {
	m := new(pb.SponsoredResult)
	decode(a.Append(nil, datum), m)
	return m
}

// decode decodes bytes that this package has encoded.
func decode(card []byte, into proto.Message) {
	if err := proto.Unmarshal(card, into); err != nil {
		panic(fmt.Sprintf("decoding a card: %v", err))
	}
}
