package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// mostBytes is the largest message that the service accepts.
const mostBytes = 8 << 20

// messageBombs sends small messages that cost much work, and messages that lie about themselves. Some clients send one
// after another and never wait for answers.
func messageBombs(ctx context.Context, r *round) error {
	bombs := r.bombs()
	return r.onWires(ctx, 2, eachOf(func(ctx context.Context, w *wire, n int) error {
		for i := n; ctx.Err() == nil; i++ {
			if err := r.throw(w, bombs[i%len(bombs)]); err != nil {
				return err
			}
		}
		return nil
	}))
}

// bomb is a message and its method.
type bomb struct {
	method  string
	frame   []byte
	headers []hpack.HeaderField
}

func (r *round) bombs() []bomb {
	search, create := pb.SearchService_SearchNearby_FullMethodName, pb.CampaignService_CreateCampaign_FullMethodName
	imports, update := pb.CampaignService_Import_FullMethodName, pb.CampaignService_UpdateCampaign_FullMethodName
	plain := func(method string, body []byte) bomb {
		return bomb{method: method, frame: frame(body, uint32(len(body)), false)}
	}
	zipped := zippedZeros(1 << 30)
	empties := bytes.Repeat([]byte{0x0a, 0}, mostBytes/2-100) // empty rows, two bytes each
	masks := proto.Size(&pb.UpdateCampaignRequest{}) + mostBytes/2 - 100
	return []bomb{
		{search, frame(zipped, uint32(len(zipped)), true), []hpack.HeaderField{{Name: "grpc-encoding", Value: "gzip"}}},
		{imports, frame(zipped, uint32(len(zipped)), true), []hpack.HeaderField{{Name: "grpc-encoding", Value: "gzip"}}},
		{search, frame([]byte("few"), 1<<32-1, false), nil},
		{search, frame(nil, 0, true), nil},
		plain(imports, empties),
		plain(imports, nested(2, bytes.Repeat([]byte{0x2a, 0}, mostBytes/4))), // campaigns in one row
		plain(create, nestedDeep(3, 10_000)),
		plain(create, groupsDeep(1_000_000)),
		plain(search, bytes.Repeat([]byte{0x12, 2, 0x32, 0}, mostBytes/8)), // viewers with interests, merged
		plain(search, nested(2, nested(6, bytes.Repeat([]byte{1}, mostBytes-100)))),
		plain(update, nested(2, bytes.Repeat([]byte{0x0a, 0}, masks/2))),                          // paths of a mask
		plain(create, nested(3, nested(18, bytes.Repeat([]byte{0x12, 0}, mostBytes/4)))),          // circles
		plain(create, nested(3, nested(18, nested(6, bytes.Repeat([]byte("["), mostBytes-100))))), // GeoJSON
		plain(create, nested(3, nested(18, nested(6, []byte(strings.Repeat(`{"type":"Feature","geometry":`, 200_000)))))),
		plain(search, nested(5, bytes.Repeat([]byte{0xe9}, mostBytes-100))),
		plain(search, unknownFields(mostBytes-100)),
	}
}

// throw sends a bomb on a stream of its own.
func (r *round) throw(w *wire, b bomb) error {
	stream, err := w.open(b.method, b.headers...)
	if err != nil {
		return err
	}
	r.tally.calls.Add(1)
	return w.body(stream, b.frame, true)
}

// heldMessages sends large messages without their last byte, on many streams at once.
func heldMessages(ctx context.Context, r *round) error {
	held := frame(make([]byte, mostBytes-1), mostBytes, false)
	methods := []string{pb.CampaignService_Import_FullMethodName, pb.CampaignService_CreateCampaign_FullMethodName,
		pb.SearchService_SearchNearby_FullMethodName}
	return r.onWires(ctx, floodConnections, func(ctx context.Context, w *wire) error {
		var group sync.WaitGroup
		for i := range 50 {
			stream, err := w.open(methods[i%len(methods)])
			if err != nil {
				break
			}
			r.tally.calls.Add(1)
			group.Go(func() { _ = w.body(stream, held, false) }) // until the server closes the connection
		}
		group.Wait()
		select {
		case <-ctx.Done():
		case <-time.After(r.share / 4): // then begin again
		}
		return nil
	})
}

// nested returns a body as a field of a message.
func nested(field protowire.Number, body []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), body)
}

func nestedDeep(field protowire.Number, depth int) (body []byte) {
	for range depth {
		body = nested(field, body)
	}
	return body
}

func groupsDeep(depth int) (body []byte) {
	for range depth {
		body = protowire.AppendTag(body, 99, protowire.StartGroupType)
	}
	return body
}

func unknownFields(size int) (body []byte) {
	for len(body) < size {
		body = protowire.AppendVarint(protowire.AppendTag(body, 1<<28, protowire.VarintType), 1)
	}
	return body
}

func zippedZeros(size int) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	zeros := make([]byte, 1<<20)
	for range size >> 20 {
		_, _ = z.Write(zeros) // cannot fail, because it writes into memory
	}
	_ = z.Close()
	return out.Bytes()
}
