package server

import (
	"fmt"
	"math"
	"time"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/exchange"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/wire"
)

// An answer to a search has two forms: the message that the contract states, for callers in this process, and its
// bytes, for the network. The bytes join cards, which package wire has encoded, with what differs by request: a
// distance, a price, a token. Building the message would take longer than the search. The field numbers are those of
// search.proto; a test compares the two forms.

// message returns the answer as the contract states it.
func (f *found) message() *pb.SearchNearbyResponse {
	out := f.rest()
	for i := range f.Sponsored {
		s := &f.Sponsored[i]
		advert := f.advert(s)
		m := advert.Message(f.datum)
		m.Slot, m.PriceMicros, m.PricingModel, m.Token = int32(s.Slot), int64(s.Price), pb.PricingModel(s.Pricing), s.Token
		if s.Place != 0 {
			m.DistanceM = proto.Float64(s.DistanceM)
		}
		out.Sponsored = append(out.Sponsored, m)
	}
	for i := range f.Nearby {
		n := &f.Nearby[i]
		result := wire.Result{Program: n.Cards.Program, Place: n.Cards.Place}
		m := result.Message(f.datum)
		m.DistanceM = n.DistanceM
		out.Nearby = append(out.Nearby, m)
	}
	return out
}

// rest returns everything of an answer except its results.
func (f *found) rest() *pb.SearchNearbyResponse {
	return &pb.SearchNearbyResponse{NextPageToken: f.NextPageToken, RequestId: f.RequestID,
		EvaluateTime: timestamppb.New(f.EvaluatedAt), AuctionDuration: durationpb.New(f.AuctionTook),
		SponsoredSkipped: f.SponsoredSkipped, NearbyIncomplete: f.NearbyEnd != exchange.NearbyWhole, Notice: f.Notice,
		Trace: traceFromNoun(f.Trace), ServerDuration: durationpb.New(time.Since(f.arrived))}
}

// encode writes the answer into memory of gRPC's pool, which gets the memory back once the answer is sent.
func (f *found) encode(peer *connection) answer {
	memory := peer.Get(f.bytes())
	b := (*memory)[:0]
	for i := range f.Sponsored {
		b = f.appendSponsored(b, &f.Sponsored[i])
	}
	for i := range f.Nearby {
		b = appendNearby(b, &f.Nearby[i], f.datum)
	}
	b, err := proto.MarshalOptions{}.MarshalAppend(b, f.rest())
	if err != nil {
		panic(fmt.Sprintf("encoding an answer: %v", err))
	}
	*memory = b
	return peer.answer(memory)
}

// bytes returns an upper bound of the size of the encoded answer without a trace.
func (f *found) bytes() int {
	const aResult, others = 16, 512
	n := others + len(f.Notice)
	for i := range f.Sponsored {
		s := &f.Sponsored[i] // some texts of the program come three times: its own, the creative's and the place's
		n += aResult + 64 + len(s.Token) + len(s.Cards.Campaign) + 3*len(s.Cards.Program) + len(s.Cards.Place)
	}
	for i := range f.Nearby {
		n += aResult + 2*len(f.Nearby[i].Cards.Program) + len(f.Nearby[i].Cards.Place)
	}
	return n
}

func appendDouble(b []byte, field protowire.Number, v float64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, field, protowire.Fixed64Type), math.Float64bits(v))
}

func appendVarint(b []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

func appendText(b []byte, field protowire.Number, text string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), text)
}

// appendNearby appends a NearbyResult.
func appendNearby(b []byte, n *exchange.Nearby, datum hexbid.Datum) []byte {
	const distanceBytes = 9
	result := wire.Result{Program: n.Cards.Program, Place: n.Cards.Place}
	b = protowire.AppendTag(b, 2, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(result.Bytes()+distanceBytes))
	return appendDouble(result.Append(b, datum), 3, n.DistanceM)
}

// appendSponsored appends a SponsoredResult.
func (f *found) appendSponsored(b []byte, s *exchange.Sponsored) []byte {
	var fields [512]byte // all but the card: a token and a few numbers
	own := appendVarint(fields[:0], 1, uint64(s.Slot))
	if !f.HidesPrices {
		own = appendVarint(own, 6, uint64(s.Price))
	}
	own = appendVarint(own, 7, uint64(s.Pricing))
	own = appendText(own, 8, s.Token)
	if s.Place != 0 {
		own = appendDouble(own, 5, s.DistanceM)
	}
	advert := f.advert(s)
	b = protowire.AppendTag(b, 1, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(len(own)+advert.Bytes()))
	return advert.Append(append(b, own...), f.datum)
}

// advert returns what a sponsored result shows, as far as the caller may see it.
func (f *found) advert(s *exchange.Sponsored) wire.Advert {
	result := wire.Result{Program: s.Cards.Program, Place: s.Cards.Place}
	a := wire.NewAdvert(result, s.Cards.Campaign, f.host, f.EvaluatedAt)
	if f.HidesCampaigns {
		a.HideCampaign()
	}
	return a
}

// answer is an encoded message, which the codec passes on.
type answer struct{ mem.Buffer }

// encodeAnswer encodes an answer that is a message.
func encodeAnswer(peer *connection, m proto.Message) (answer, error) {
	options := proto.MarshalOptions{UseCachedSize: true}
	memory := peer.Get(proto.Size(m))
	b, err := options.MarshalAppend((*memory)[:0], m)
	if err != nil {
		return answer{}, err
	}
	*memory = b
	return peer.answer(memory), nil
}
