package gateway

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/demo"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/server"
)

// defaultSearch is the search that both protocols are measured with: three slots and twenty nearby results.
func defaultSearch() *pb.SearchNearbyRequest {
	return &pb.SearchNearbyRequest{Host: pb.Host_HOST_WECHAT,
		Location: &pb.Location{Latitude: demo.Center.Lat, Longitude: demo.Center.Lng}}
}

// answerOf returns the encoded answer to the default search.
func answerOf(t testing.TB, p *port) []byte {
	t.Helper()
	ctx := hexbid.WithPrincipal(t.Context(), hexbid.Principal{Role: hexbid.Operator})
	var e server.Encoded
	if err := p.conn.Invoke(ctx, pb.SearchService_SearchNearby_FullMethodName, defaultSearch(), &e); err != nil {
		t.Fatal(err)
	}
	defer e.Free()
	return bytes.Clone(e.ReadOnlyData())
}

// callers is how many calls are under way at once.
const callers = 8

// BenchmarkSearchOverHTTP and BenchmarkSearchOverGRPC make the same search of the same market over loopback, as many at
// once. The ratio of their rates is what JSON costs.
func BenchmarkSearchOverHTTP(b *testing.B) {
	p := openStill(b)
	body, err := encoding.Marshal(defaultSearch())
	if err != nil {
		b.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: callers}}
	b.SetParallelism(callers)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, err := client.Post("http://"+p.address+"/v1/nearby:search", jsonType, bytes.NewReader(body))
			if err != nil {
				b.Error(err)
				return
			}
			if n, err := io.Copy(io.Discard, r.Body); err != nil || n < 1000 || r.StatusCode != http.StatusOK {
				b.Errorf("%s, %d bytes, %v", r.Status, n, err)
				return
			}
			r.Body.Close()
		}
	})
}

func BenchmarkSearchOverGRPC(b *testing.B) {
	p := openStill(b)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.server.Serve(ctx, l) }()
	defer func() { cancel(); <-ended }()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	client, request := pb.NewSearchServiceClient(conn), defaultSearch()
	b.SetParallelism(callers)
	b.ResetTimer()
	b.RunParallel(func(loop *testing.PB) {
		for loop.Next() {
			r, err := client.SearchNearby(ctx, request)
			if err != nil || proto.Size(r) < 1000 {
				b.Errorf("%v, %v", r, err)
				return
			}
		}
	})
}
