package server

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/exchange"
	"github.com/hexbid/hexbid/ledger/journal"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/store"
)

// openStreams opens a stream of each method that callers have, and has its first message answered. A stream returns
// what it receives next.
var openStreams = map[string]func(context.Context, grpc.ClientConnInterface) (next func() error, err error){
	"Import": func(ctx context.Context, conn grpc.ClientConnInterface) (func() error, error) {
		s, err := pb.NewCampaignServiceClient(conn).Import(ctx)
		if err != nil {
			return nil, err
		}
		if err := s.Send(&pb.ImportRequest{Rows: adRows()}); err != nil {
			return nil, err
		}
		_, err = s.Recv()
		return func() error { _, err := s.Recv(); return err }, err
	},
	"StreamEvents": func(ctx context.Context, conn grpc.ClientConnInterface) (func() error, error) {
		s, err := pb.NewEventServiceClient(conn).StreamEvents(ctx)
		if err != nil {
			return nil, err
		}
		if err := s.Send(&pb.StreamEventsRequest{Events: []*pb.Event{{Kind: pb.EventKind_EVENT_KIND_CLICK, Token: "x",
			EventId: "1"}}}); err != nil {
			return nil, err
		}
		_, err = s.Recv()
		return func() error { _, err := s.Recv(); return err }, err
	},
	"WatchAlerts": func(ctx context.Context, conn grpc.ClientConnInterface) (func() error, error) {
		s, err := pb.NewLedgerServiceClient(conn).WatchAlerts(ctx, &pb.WatchAlertsRequest{})
		if err != nil {
			return nil, err
		}
		for r := new(pb.WatchAlertsResponse); err == nil && !r.GetCaughtUp(); {
			r, err = s.Recv()
		}
		return func() error { _, err := s.Recv(); return err }, err
	},
}

// issueTo issues a key to an operator, whom it makes if need be.
func issueTo(t *testing.T, e *exchange.Exchange, user string) (text string) {
	t.Helper()
	_, err := e.Create(ctx, &hexbid.User{Meta: hexbid.Meta{Name: user}, Role: hexbid.Operator}, false)
	if err != nil && hexbid.KindOf(err) != hexbid.AlreadyExists {
		t.Fatal(err)
	}
	if _, text, err = e.IssueKey(ctx, &hexbid.Key{Meta: hexbid.Meta{Name: user + "/keys/k"}}); err != nil {
		t.Fatal(err)
	}
	return text
}

// A stream ends with its credential, also while its caller sends nothing and waits.
func TestAStreamEndsWithItsCredential(t *testing.T) {
	s := serveBilled(t, journal.NewMemory(), func(c *Config) { c.Limits.StreamTimeout = time.Hour })
	e := s.exchange.Load()
	for what, withdraw := range map[string]struct {
		do   func(user string) error
		code codes.Code
	}{
		"revoked": {func(user string) error {
			return e.Delete(ctx, user+"/keys/k", store.AnyVersion, false)
		}, codes.Unauthenticated},
		"suspended": {func(user string) error {
			return edit(e, user, func(u *hexbid.User) { u.Suspended = true })
		}, codes.Unauthenticated},
		"another role": {func(user string) error {
			return edit(e, user, func(u *hexbid.User) { u.Role = hexbid.Auditor })
		}, codes.Unavailable},
	} {
		for method, open := range openStreams {
			t.Run(method+" "+what, func(t *testing.T) {
				user := "users/of-" + string(rune('a'+len(method)%26)) + what[:1]
				next, err := open(bearing(t.Context(), "Bearer "+issueTo(t, e, user)), s.dial(t))
				if err != nil {
					t.Fatal(err)
				}
				if err := withdraw.do(user); err != nil {
					t.Fatal(err)
				}
				if err := next(); status.Code(err) != withdraw.code {
					t.Errorf("ends with %v: want %s", err, withdraw.code)
				}
			})
		}
	}
}

// edit changes a user.
func edit(e *exchange.Exchange, user string, change func(*hexbid.User)) error {
	_, err := e.Update(ctx, user, store.AnyVersion, false, func(r hexbid.Resource) (hexbid.Resource, error) {
		next := *r.(*hexbid.User)
		change(&next)
		return &next, nil
	})
	return err
}

// While the directory may lack a revocation no credential is good, and the server says that it does not serve.
func TestADirectoryThatLagsTakesNoCredential(t *testing.T) {
	s, operator, _ := serveKeys(t, nil)
	follow, stop := context.WithCancel(context.Background())
	followed := make(chan struct{})
	go func() { s.FollowCallers(follow); close(followed) }()
	defer func() { stop(); <-followed }()
	conn := s.dial(t)
	serving := func() bool {
		r, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
		return err == nil && r.GetStatus() == healthpb.HealthCheckResponse_SERVING
	}
	calls := func() codes.Code {
		_, err := whoAmI(bearing(t.Context(), "Bearer "+operator), conn)
		return status.Code(err)
	}
	if calls() != codes.OK || !serving() {
		t.Fatal("the server does not serve")
	}
	next, err := openStreams["Import"](bearing(t.Context(), "Bearer "+operator), conn)
	if err != nil {
		t.Fatal(err)
	}
	s.exchange.Load().Directory().SetBehind(true)
	if code := calls(); code != codes.Unavailable {
		t.Errorf("a good key: %s", code)
	}
	if err := next(); status.Code(err) != codes.Unavailable {
		t.Errorf("an open stream: %v", err)
	}
	waitUntil(t, "not serving", func() bool { return !serving() })
	s.exchange.Load().Directory().SetBehind(false)
	waitUntil(t, "serving", serving)
	if code := calls(); code != codes.OK {
		t.Errorf("a good key afterwards: %s", code)
	}
}
