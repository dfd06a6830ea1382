package server

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/store"
)

// reluctant is a store whose reads go on for a while after their context has ended.
type reluctant struct {
	store.Store
	served  *served
	reading atomic.Int32
	left    atomic.Bool // Serve had returned before a read did
}

// Get implements store.Store.
func (r *reluctant) Get(ctx context.Context, name string) (store.Record, error) {
	r.reading.Add(1)
	defer r.reading.Add(-1)
	<-ctx.Done()
	select {
	case <-r.served.ended:
		r.left.Store(true)
	case <-time.After(200 * time.Millisecond):
	}
	return r.Store.Get(ctx, name)
}

func TestServeReturnsWhenNoHandlerRunsAnyMore(t *testing.T) {
	catalogue := &reluctant{Store: store.NewMemory()}
	s := serveOn(t, catalogue, func(c *Config) { c.DrainTimeout = time.Millisecond })
	catalogue.served = s
	conn, told := s.dial(t), make(chan error, 1)
	go func() {
		_, err := pb.NewCampaignServiceClient(conn).GetAdvertiser(t.Context(),
			&pb.GetAdvertiserRequest{Name: "advertisers/a"})
		told <- err
	}()
	waitUntil(t, "a handler reads", func() bool { return catalogue.reading.Load() == 1 })
	s.stop()
	if err := <-told; status.Code(err) != codes.Unavailable {
		t.Errorf("the call in flight: %v", err)
	}
	<-s.ended
	if catalogue.left.Load() || catalogue.reading.Load() != 0 {
		t.Error("the handler ran on after it")
	}
}
