package server

import (
	"context"
	"fmt"
	"math"
	"time"

	"google.golang.org/grpc"
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

// An answer to a search is put together from cards, which package wire encodes, and
// what differs by request: a distance, a price, a token. Numbers of fields are those
// of search.proto; a test decodes answers and compares them with messages built the
// plain way.

func appendDouble(b []byte, field protowire.Number, v float64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, field, protowire.Fixed64Type), math.Float64bits(v))
}

func appendVarint(b []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

func appendText(b []byte, field protowire.Number, text string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), text)
}

// appendNearby adds a NearbyResult.
func appendNearby(b []byte, n *exchange.Nearby, datum hexbid.Datum) []byte {
	const distanceBytes = 9
	b = protowire.AppendTag(b, 2, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(len(n.Card)+distanceBytes))
	return appendDouble(wire.AppendCard(b, n.Card, datum), 3, n.DistanceM)
}

// appendSponsored adds a SponsoredResult.
func appendSponsored(b []byte, s *exchange.Sponsored, datum hexbid.Datum) []byte {
	var fields [512]byte // but for the card: a token and a few numbers
	own := appendVarint(fields[:0], 1, uint64(s.Slot))
	own = appendVarint(own, 6, uint64(s.Price))
	own = appendVarint(own, 7, uint64(s.Pricing))
	own = appendText(own, 8, s.Token)
	if s.Place != 0 {
		own = appendDouble(own, 5, s.DistanceM)
	}
	b = protowire.AppendTag(b, 1, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(len(own)+len(s.Card)))
	b = append(b, own...)
	if s.Place == 0 {
		return append(b, s.Card...)
	}
	return wire.AppendCard(b, s.Card, datum)
}

// answer is an encoded SearchNearbyResponse, which the codec passes on.
type answer struct{ mem.Buffer }

// answerTo encodes an answer into memory of gRPC's pool, which takes it back when it
// is sent.
func answerTo(c *call, r *exchange.Response, datum hexbid.Datum) answer {
	memory := c.peer.Get(answerBytes(r))
	b := (*memory)[:0]
	for i := range r.Sponsored {
		b = appendSponsored(b, &r.Sponsored[i], datum)
	}
	for i := range r.Nearby {
		b = appendNearby(b, &r.Nearby[i], datum)
	}
	*memory = appendRest(b, r, c.arrived)
	return c.peer.answer(memory)
}

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

// answerBytes is the room for an answer without a trace.
func answerBytes(r *exchange.Response) int {
	const aResult, others = 16, 512
	n := others + len(r.Notice)
	for i := range r.Sponsored {
		n += aResult + 64 + len(r.Sponsored[i].Token) + len(r.Sponsored[i].Card)
	}
	for i := range r.Nearby {
		n += aResult + len(r.Nearby[i].Card)
	}
	return n
}

// appendRest adds what an answer has beside its results.
func appendRest(b []byte, r *exchange.Response, arrived time.Time) []byte {
	rest := pb.SearchNearbyResponse{NextPageToken: r.NextPageToken, RequestId: r.RequestID, EvaluateTime: timestamppb.New(r.EvaluatedAt),
		AuctionDuration: durationpb.New(r.AuctionTook), SponsoredSkipped: r.SponsoredSkipped, NearbyIncomplete: r.NearbyEnd != exchange.NearbyWhole, Notice: r.Notice, Trace: traceFromNoun(r.Trace),
		ServerDuration: durationpb.New(time.Since(arrived))}
	b, err := proto.MarshalOptions{}.MarshalAppend(b, &rest)
	if err != nil {
		panic(fmt.Sprintf("encoding an answer: %v", err))
	}
	return b
}

// registerSearch registers the service with a method that returns an answer
// where the generated one would return a message.
func registerSearch(g grpc.ServiceRegistrar, s *searchService) {
	description := pb.SearchService_ServiceDesc
	description.Methods = []grpc.MethodDesc{{MethodName: "SearchNearby", Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		r := new(pb.SearchNearbyRequest)
		if err := decode(r); err != nil {
			return nil, err
		}
		return s.answer(ctx, r)
	}}}
	g.RegisterService(&description, s)
}
