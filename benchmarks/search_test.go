package benchmarks

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"runtime"
	"sort"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/demo"
	"github.com/hexbid/hexbid/exchange"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/server"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/token"
)

// index builds a snapshot of so many campaigns, one program and one place for
// every five.
func index(b *testing.B, campaigns int) (*bidder.Snapshot, *Workload, uint64) {
	b.Helper()
	w, err := NewWorkload(1)
	if err != nil {
		b.Fatal(err)
	}
	s := store.NewMemory()
	var ops []store.Op
	commit := func(r hexbid.Resource) {
		ops = append(ops, store.Op{Put: &store.Record{Resource: r}})
		if len(ops) == 10_000 {
			if _, err := s.Commit(context.Background(), ops); err != nil {
				b.Fatal(err)
			}
			ops = ops[:0]
		}
	}
	for i := range campaigns {
		owner := fmt.Sprintf("advertisers/a%d", i/5)
		program := owner + "/programs/p"
		if i%5 == 0 {
			commit(&hexbid.Advertiser{Meta: hexbid.Meta{Name: owner}})
			commit(&hexbid.Program{Meta: hexbid.Meta{Name: program}, DisplayName: "p", Category: hexbid.Category(1 + i/5%16), Hosts: []hexbid.Host{hexbid.WeChat}})
			commit(&hexbid.Place{Meta: hexbid.Meta{Name: program + "/places/l"}, Point: w.Point(), Review: hexbid.Approved})
		}
		commit(w.Campaign(fmt.Sprintf("%s/campaigns/c%d", owner, i), program))
	}
	if _, err := s.Commit(context.Background(), ops); err != nil {
		b.Fatal(err)
	}
	before := heap()
	market := bidder.DefaultMarket()
	x := bidder.NewIndexer(&market, time.Now, slog.New(slog.DiscardHandler))
	if _, err := x.Load(context.Background(), s); err != nil {
		b.Fatal(err)
	}
	bytes := heap() - before
	runtime.KeepAlive(s)
	return x.Snapshot(), w, bytes
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// quantiles times each call of an open loop of distinct queries.
func quantiles(b *testing.B, queries int, call func(i int)) {
	took := make([]time.Duration, 0, 1<<20)
	i := 0
	for b.Loop() {
		start := time.Now()
		call(i % queries)
		if len(took) < cap(took) {
			took = append(took, time.Since(start))
		}
		i++
	}
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	b.ReportMetric(float64(took[len(took)/2]), "p50-ns")
	b.ReportMetric(float64(took[len(took)*99/100]), "p99-ns")
}

func BenchmarkEngine(b *testing.B) {
	for _, campaigns := range []int{10_000, 100_000} {
		s, w, bytes := index(b, campaigns)
		queries := make([]bidder.Query, 20_000)
		for i := range queries {
			queries[i] = bidder.NewQuery(w.Request(10, 20), fmt.Sprint(i), time.Now())
		}
		var scratch bidder.Scratch
		b.Run(fmt.Sprintf("auction/%d", campaigns), func(b *testing.B) {
			b.ReportAllocs()
			quantiles(b, len(queries), func(i int) { s.Search(&queries[i], &scratch) })
			b.ReportMetric(float64(bytes)/float64(campaigns), "heap-B/campaign")
		})
		b.Run(fmt.Sprintf("nearby/%d", campaigns), func(b *testing.B) {
			b.ReportAllocs()
			quantiles(b, len(queries), func(i int) { s.Nearby(&queries[i], nil, nil, &scratch) })
		})
	}
}

func BenchmarkGRPCOnTheDemoMarket(b *testing.B) {
	config := exchange.DefaultConfig()
	config.Log = slog.New(slog.DiscardHandler)
	keys, err := token.OpenKeys(filepath.Join(b.TempDir(), "keys"))
	if err != nil {
		b.Fatal(err)
	}
	e, err := exchange.Open(context.Background(), config, store.NewMemory(), keys)
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	market, err := demo.Market()
	if err != nil {
		b.Fatal(err)
	}
	for _, o := range e.Import(context.Background(), market, false) {
		if o.Err != nil {
			b.Fatal(o.Err)
		}
	}
	client := serve(b, e)
	ctx := context.Background()
	for name, limit := range map[string]int32{"sponsored-only": 0, "default-answer": 20} {
		b.Run(name, func(b *testing.B) {
			r := &pb.SearchNearbyRequest{Location: &pb.Location{Latitude: demo.Center.Lat, Longitude: demo.Center.Lng}, NearbyLimit: proto.Int32(limit),
				Viewer: &pb.Viewer{Age: proto.Int32(24), Gender: pb.Gender_GENDER_FEMALE, OperatingSystem: pb.OperatingSystem_OPERATING_SYSTEM_IOS}, Host: pb.Host_HOST_WECHAT}
			b.SetParallelism(16)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if _, err := client.SearchNearby(ctx, r); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}

func serve(b *testing.B, e *exchange.Exchange) pb.SearchServiceClient {
	config := server.DefaultConfig()
	config.Log = slog.New(slog.DiscardHandler)
	s, err := server.New(config)
	if err != nil {
		b.Fatal(err)
	}
	s.Ready(e)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close(); cancel(); <-ended })
	return pb.NewSearchServiceClient(conn)
}
