package main

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// testServer is the real program on a port of its own, with a clock that the test sets.
type testServer struct {
	main      *Main
	conn      *grpc.ClientConn
	search    pb.SearchServiceClient
	campaigns pb.CampaignServiceClient
	now       atomic.Int64 // Unix nanoseconds
	stop      func()       // drains and waits; may be called twice
}

var testNow = time.Date(2026, 11, 20, 4, 7, 30, 0, time.UTC) // a Friday, 12:07 in Shanghai

// boot starts the program. The function change adjusts its configuration.
func boot(t *testing.T, change func(*ServeConfig)) *testServer {
	t.Helper()
	return bootWhen(t, testNow, change)
}

// bootWhen starts the program at a time.
func bootWhen(t *testing.T, now time.Time, change func(*ServeConfig)) *testServer {
	t.Helper()
	return bootLogging(t, now, slog.NewTextHandler(io.Discard, nil), change)
}

// bootLogging starts the program at a time, with a log.
func bootLogging(t *testing.T, now time.Time, log slog.Handler, change func(*ServeConfig)) *testServer {
	t.Helper()
	config := DefaultServeConfig()
	config.SwapShare = 0          // or a search in a hundred has its slots in another order
	config.ExploreShare = 0       // or one in fifty ranks and prices by other qualities
	config.Filter = filterFlags{} // tests click by machine; those of the filters set limits
	config.Listen, config.MetricsListen, config.HTTPListen = "127.0.0.1:0", "", ""
	config.MaxWait = 0 // no call is refused because the machine is busy with other tests
	config.AuctionBudget, config.NearbyBudget, config.HistoryBudget = 10*time.Second, 10*time.Second, time.Minute
	if change != nil {
		change(&config)
	}
	s := &testServer{main: NewMain(config)}
	s.now.Store(now.UnixNano())
	s.main.Clock = func() time.Time { return time.Unix(0, s.now.Load()).UTC() }
	s.main.Log = slog.New(log)
	ctx, cancel := context.WithCancel(context.Background())
	if err := s.main.Open(ctx); err != nil {
		cancel()
		t.Fatal(err)
	}
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- s.main.Run(ctx, func(string) { close(ready) }) }()
	select {
	case <-ready:
	case err := <-ended:
		cancel()
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(s.main.Address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	s.conn, s.search, s.campaigns = conn, pb.NewSearchServiceClient(conn), pb.NewCampaignServiceClient(conn)
	stopped := false
	s.stop = func() {
		if stopped {
			return
		}
		stopped = true
		conn.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(s.stop)
	return s
}

func withDemo(c *ServeConfig) { c.Demo = true }

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute) // generous, for a busy machine
	t.Cleanup(cancel)
	return ctx
}
