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

// reluctant is a store whose commits go on for a while after their context has ended. (A read may be left behind: its
// handler ends with the context.)
type reluctant struct {
	store.Store
	served     *served
	committing atomic.Int32
	left       atomic.Bool // Serve had returned before a commit did
}

// Commit implements store.Store.
func (r *reluctant) Commit(ctx context.Context, groups []store.Group) ([]store.Outcome, error) {
	r.committing.Add(1)
	defer r.committing.Add(-1)
	<-ctx.Done()
	select {
	case <-r.served.ended:
		r.left.Store(true)
	case <-time.After(200 * time.Millisecond):
	}
	return r.Store.Commit(ctx, groups)
}

func TestServeReturnsWhenNoHandlerRunsAnyMore(t *testing.T) {
	catalogue := &reluctant{Store: store.NewMemory()}
	s := serveOn(t, catalogue, func(c *Config) { c.DrainTimeout = time.Millisecond })
	catalogue.served = s
	conn, told := s.dial(t), make(chan error, 1)
	go func() {
		_, err := pb.NewCampaignServiceClient(conn).CreateAdvertiser(t.Context(),
			&pb.CreateAdvertiserRequest{AdvertiserId: "a", Advertiser: &pb.Advertiser{DisplayName: "A"}})
		told <- err
	}()
	waitUntil(t, "a handler commits", func() bool { return catalogue.committing.Load() == 1 })
	s.stop()
	if err := <-told; status.Code(err) != codes.Unavailable {
		t.Errorf("the call in flight: %v", err)
	}
	<-s.ended
	if catalogue.left.Load() || catalogue.committing.Load() != 0 {
		t.Error("the handler ran on after it")
	}
}
