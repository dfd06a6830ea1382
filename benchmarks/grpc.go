package benchmarks

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	encodingproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// SearchRequest is a request of the workload as it goes over the wire.
func (w *Workload) SearchRequest(i int, slots, limit int32) *pb.SearchNearbyRequest {
	r := w.Request(i, int(slots), int(limit))
	return &pb.SearchNearbyRequest{
		Location: &pb.Location{Latitude: r.Point.Lat, Longitude: r.Point.Lng}, Host: pb.Host(r.Host), Scene: pb.Scene(r.Scene),
		NearbyLimit: proto.Int32(limit), SponsoredSlots: proto.Int32(slots), RadiusM: proto.Float64(hexbid.DefaultRadiusM),
		Viewer: &pb.Viewer{UserKey: r.Viewer.UserKey, Age: proto.Int32(int32(r.Viewer.Age)), Gender: pb.Gender(r.Viewer.Gender), OperatingSystem: pb.OperatingSystem(r.Viewer.OS)},
	}
}

// canned answers every search with the same bytes: it decodes the request and
// does nothing else. What it reaches is what gRPC costs.
type canned struct {
	pb.UnimplementedSearchServiceServer
	answer []byte
}

// cannedCodec passes bytes through where a message would be encoded.
type cannedCodec struct{ encoding.CodecV2 }

type cannedMessage struct {
	*pb.SearchNearbyResponse
	bytes []byte
}

// Marshal implements encoding.CodecV2.
func (c cannedCodec) Marshal(v any) (mem.BufferSlice, error) {
	if m, ok := v.(*cannedMessage); ok {
		return mem.BufferSlice{mem.SliceBuffer(m.bytes)}, nil
	}
	return c.CodecV2.Marshal(v)
}

// serveCanned serves an answer; the description is the product's own but for what
// the method returns.
func serveCanned(answer []byte) (*grpc.ClientConn, func(), error) {
	s := grpc.NewServer(grpc.ForceServerCodecV2(cannedCodec{encoding.GetCodecV2(encodingproto.Name)}))
	description := pb.SearchService_ServiceDesc
	description.Methods = []grpc.MethodDesc{{MethodName: "SearchNearby", Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		var r pb.SearchNearbyRequest
		if err := decode(&r); err != nil {
			return nil, err
		}
		return &cannedMessage{bytes: answer}, nil
	}}}
	s.RegisterService(&description, &canned{answer: answer})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, fmt.Errorf("listening: %w", err)
	}
	go s.Serve(l)
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	return conn, s.Stop, err
}

const (
	callers    = 32
	loopLasts  = time.Second
	loopRounds = 5
	warmUps    = 10 // until the cache of display records has seen each request some times
)

// closedLoop calls a server as fast as it answers so many callers.
func closedLoop(conn *grpc.ClientConn, requests []*pb.SearchNearbyRequest) (perSecond float64, err error) {
	client := pb.NewSearchServiceClient(conn)
	var calls atomic.Int64
	var failed atomic.Pointer[error]
	var group sync.WaitGroup
	started := time.Now()
	for range callers {
		group.Go(func() {
			for time.Since(started) < loopLasts && failed.Load() == nil {
				if _, err := client.SearchNearby(context.Background(), requests[calls.Add(1)%int64(len(requests))]); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	group.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return float64(calls.Load()) / time.Since(started).Seconds(), nil
}

// BesideCanned measures a server and the canned one in turn: A B A B. The ratio
// is of one turn.
func BesideCanned(conn *grpc.ClientConn, w *Workload, name string, slots, limit int32) (map[string]Spread, error) {
	requests := make([]*pb.SearchNearbyRequest, distinctRequests)
	for i := range requests {
		requests[i] = w.SearchRequest(i, slots, limit)
	}
	sizes := 0
	var answer []byte
	for i := range 200 { // an answer of typical size
		r, err := pb.NewSearchServiceClient(conn).SearchNearby(context.Background(), requests[i])
		if err != nil {
			return nil, err
		}
		sizes += proto.Size(r)
		if answer, err = proto.Marshal(r); err == nil && len(answer)*(i+1) >= sizes && i >= 20 {
			break
		}
	}
	cannedConn, stop, err := serveCanned(answer)
	if err != nil {
		return nil, err
	}
	defer stop()
	defer cannedConn.Close()
	for range warmUps {
		if _, err := closedLoop(conn, requests); err != nil {
			return nil, err
		}
	}
	return Rounds(loopRounds, func() (Figures, error) {
		ours, err := closedLoop(conn, requests)
		if err != nil {
			return nil, err
		}
		theirs, err := closedLoop(cannedConn, requests)
		return Figures{"grpc_rps_" + name: ours, "grpc_canned_rps_" + name: theirs, "grpc_ratio_" + name: ours / theirs, "grpc_answer_bytes_" + name: float64(len(answer))}, err
	})
}
