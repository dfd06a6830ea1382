package server

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/store"
)

// callers is a store that notes for whom it is read.
type callers struct {
	store.Store
	asked chan asked
}

type asked struct{ principal, peer string }

// Get implements store.Store.
func (c callers) Get(ctx context.Context, name string) (store.Record, error) {
	if name == hexbid.MarketName { // the start reads it for itself
		return c.Store.Get(ctx, name)
	}
	from := ""
	if p, ok := peer.FromContext(ctx); ok {
		from = p.Addr.String()
	}
	select {
	case c.asked <- asked{hexbid.PrincipalOf(ctx).String(), from}:
	default:
	}
	return c.Store.Get(ctx, name)
}

func TestACallOverTheNetworkIsTheOperatorsAndSaysFromWhere(t *testing.T) {
	s := callers{store.NewMemory(), make(chan asked, 1)}
	var ours string
	conn := serveOn(t, s, nil).dial(t, grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			ours = c.LocalAddr().String()
		}
		return c, err
	}))
	unary := func() error {
		_, err := pb.NewCampaignServiceClient(conn).GetAdvertiser(t.Context(),
			&pb.GetAdvertiserRequest{Name: "advertisers/a"})
		return err
	}
	upload := func() error {
		stream, err := pb.NewCampaignServiceClient(conn).Import(t.Context())
		if err != nil {
			return err
		}
		if err := stream.Send(advertisers("advertisers/a", 1)); err != nil {
			return err
		}
		_, err = stream.Recv()
		return err
	}
	for _, c := range []struct {
		name string
		call func() error
	}{{"an import", upload}, {"a unary call", unary}} {
		if err := c.call(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got, want := <-s.asked, (asked{"operator from " + ours, ours}); got != want {
			t.Errorf("%s came as %q, want %q", c.name, got, want)
		}
	}
}
