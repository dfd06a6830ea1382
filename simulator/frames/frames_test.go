package frames

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const path = "/tests.Echo/Echo"

// serve answers calls as a function says.
func serve(t *testing.T, answer func(context.Context, string) (string, error)) (address string, stop func()) {
	t.Helper()
	s := grpc.NewServer(grpc.MaxConcurrentStreams(16))
	s.RegisterService(&grpc.ServiceDesc{ServiceName: "tests.Echo", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Echo", Handler: func(_ any, ctx context.Context, decode func(any) error,
			_ grpc.UnaryServerInterceptor) (any, error) {
			in := new(wrapperspb.StringValue)
			if err := decode(in); err != nil {
				return nil, err
			}
			out, err := answer(ctx, in.GetValue())
			return wrapperspb.String(out), err
		}}}}, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(l) })
	stop = func() {
		s.Stop()
		serving.Wait()
	}
	t.Cleanup(stop)
	return l.Addr().String(), stop
}

func dial(t *testing.T, address string) *Conn {
	t.Helper()
	c, err := Dial(t.Context(), address, nil, Method{Path: path, Timeout: time.Minute,
		Headers: map[string]string{"authorization": "Bearer k"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func message(t testing.TB, text string) []byte {
	b, err := proto.Marshal(wrapperspb.String(text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEachCallGetsItsOwnStatus(t *testing.T) {
	var most, now atomic.Int64
	address, _ := serve(t, func(ctx context.Context, text string) (string, error) {
		most.Store(max(most.Load(), now.Add(1)))
		defer now.Add(-1)
		in, _ := metadata.FromIncomingContext(ctx)
		deadline, has := ctx.Deadline()
		if in.Get("authorization")[0] != "Bearer k" || !has || time.Until(deadline) > time.Minute {
			return "", status.Error(codes.Internal, "the headers are not those that were given")
		}
		if text == "refuse" {
			return "", status.Error(codes.ResourceExhausted, "busy: back off")
		}
		return string(make([]byte, 40_000)), nil
	})
	c := dial(t, address)
	var calls sync.WaitGroup
	for i := range 2000 { // some 80 MB of answers
		calls.Go(func() {
			text, want := "hello", codes.OK
			if i%3 == 0 {
				text, want = "refuse", codes.ResourceExhausted
			}
			if err := c.Call(t.Context(), message(t, text)); status.Code(err) != want {
				t.Errorf("%s: %v", text, err)
			}
		})
	}
	calls.Wait()
	if n := most.Load(); n > 16 {
		t.Errorf("%d calls at once, where the server permits 16", n)
	}
	if len(c.pending) != 0 || len(c.slots) != 0 {
		t.Errorf("%d calls are pending, %d slots taken", len(c.pending), len(c.slots))
	}
}

func TestACallThatIsTakenBackEndsAtTheServer(t *testing.T) {
	began, ended := make(chan struct{}), make(chan error, 1)
	address, _ := serve(t, func(ctx context.Context, text string) (string, error) {
		if text == "wait" {
			close(began)
			<-ctx.Done()
			ended <- ctx.Err()
		}
		return "", nil
	})
	c := dial(t, address)
	ctx, cancel := context.WithCancel(t.Context())
	var call sync.WaitGroup
	call.Go(func() {
		if err := c.Call(ctx, message(t, "wait")); status.Code(err) != codes.Canceled {
			t.Errorf("%v", err)
		}
	})
	<-began
	cancel()
	call.Wait()
	if err := <-ended; err == nil {
		t.Error("the server's call did not end")
	}
	if err := c.Call(t.Context(), message(t, "hello")); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

func TestCallsFailWithTheirConnection(t *testing.T) {
	began := make(chan struct{})
	address, stop := serve(t, func(ctx context.Context, _ string) (string, error) {
		close(began)
		<-ctx.Done()
		return "", ctx.Err()
	})
	c := dial(t, address)
	var call sync.WaitGroup
	call.Go(func() {
		if err := c.Call(t.Context(), message(t, "wait")); err == nil {
			t.Error("a call outlives its connection")
		}
	})
	<-began
	stop()
	call.Wait()
	if err := c.Call(t.Context(), message(t, "hello")); status.Code(err) != codes.Unavailable {
		t.Errorf("a call on a connection that has ended: %v", err)
	}
}

func TestOtherServersAreRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var answering sync.WaitGroup
	defer answering.Wait()
	answering.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	})
	if c, err := Dial(t.Context(), l.Addr().String(), nil, Method{Path: path, Timeout: time.Second}); err == nil {
		c.Close()
		t.Error("it was taken for a gRPC server")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Dial(ctx, l.Addr().String(), nil, Method{}); err == nil {
		t.Error("a dial outlives its context")
	}
}
