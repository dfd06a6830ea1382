package server

import (
	"context"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// A unary call goes through four stages, each bounded:
//
//	open     its headers are there; tap bounds the time that its request may take
//	arrived  the request is there, whole and encoded
//	working  its class has let it in; it is decoded, and its method answers
//	done     the answer is encoded and waits for the caller to take it
//
// gRPC runs interceptors when a request has been decoded, too late for the limits of
// the first three stages. So methods are wrapped where they are registered; the wrapper
// calls the generated handler with an interceptor of its own.

// registrar registers services whose unary methods go through Server.unary.
type registrar struct {
	*grpc.Server
	server *Server
}

// RegisterService implements grpc.ServiceRegistrar.
func (r registrar) RegisterService(d *grpc.ServiceDesc, service any) {
	own := *d
	own.Methods = slices.Clone(d.Methods)
	for i := range own.Methods {
		m := &own.Methods[i]
		method := "/" + d.ServiceName + "/" + m.MethodName
		r.server.unaryMethods[method] = true
		m.Handler = r.server.unary(method, m.Handler)
	}
	r.Server.RegisterService(&own, service)
}

// statedKey leads to a call's context as it came, with the deadline that it states.
type statedKey struct{}

// tap runs when a call's headers are there. It bounds how long a unary call's request
// may take to arrive: gRPC waits for it as long as the context lasts that tap
// returns. The end of the call cancels that context with the one that it is made of.
func (s *Server) tap(ctx context.Context, info *tap.Info) (context.Context, error) {
	if !s.unaryMethods[info.FullMethodName] {
		return ctx, nil
	}
	deadline, states := ctx.Deadline()
	if states && time.Until(deadline) <= s.config.Limits.RequestTimeout {
		return ctx, nil
	}
	bounded, cancel := context.WithTimeout(ctx, s.config.Limits.RequestTimeout)
	_ = cancel // by the end of ctx
	if states {
		bounded = context.WithValue(bounded, statedKey{}, ctx)
	}
	return bounded, nil
}

// call is a unary call on its way.
type call struct {
	server  *Server
	gate    *gate
	peer    *connection
	opened  time.Time // when its headers had come
	arrived time.Time // when its request had come whole; zero before that
	bytes   int       // of the request
}

// unary is every unary call's way in and out: the wait for its request, its class's
// limit, readiness, panics, errors and metrics.
func (s *Server) unary(method string, handler grpc.MethodHandler) grpc.MethodHandler {
	g := &s.gates[classOf[method]]
	return func(service any, ctx context.Context, receive func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		c := &call{server: s, gate: g, peer: connectionOf(ctx), opened: time.Now()}
		defer c.leave()
		var response any
		failure := hexbid.Contain(func() (err error) {
			response, err = handler(service, c.context(ctx), func(m any) error { return c.receive(m, receive) }, c.answer)
			return err
		})
		if err := s.finish(method, c.peer, c.since(), failure); err != nil {
			return nil, err
		}
		return response, nil
	}
}

// context is what a handler works under: the deadline that the caller states, or what
// tap gave to a call that states none.
func (c *call) context(ctx context.Context) context.Context {
	if stated, ok := ctx.Value(statedKey{}).(context.Context); ok {
		return stated
	}
	return ctx
}

// receive waits for a request, asks its class to let it in, and decodes it.
func (c *call) receive(m any, receive func(any) error) error {
	var e envelope
	c.peer.awaitCall()
	err := receive(&e)
	c.peer.callArrived(e.size())
	defer e.free()
	if err != nil {
		return malformed(err)
	}
	at := time.Now()
	if err := c.server.enter(c.gate, e.size()); err != nil {
		return err
	}
	c.arrived, c.bytes = at, e.size()
	c.peer.begin()
	return c.server.codec.open(&e, m)
}

// enter lets a request in: when the catalogue is there, and its class has room.
func (s *Server) enter(g *gate, bytes int) error {
	if g.class != unclassed && s.exchange.Load() == nil {
		return status.Error(codes.Unavailable, "starting: the catalogue is being indexed; health says SERVING when it is ready")
	}
	return g.enter(bytes)
}

// leave ends the work for a call, if it has begun.
func (c *call) leave() {
	if !c.arrived.IsZero() {
		c.gate.leave(c.bytes)
		c.peer.end()
	}
}

// since is when a call began to count: its time to answer leaves out how long its
// caller took to send it.
func (c *call) since() time.Time {
	if c.arrived.IsZero() {
		return c.opened
	}
	return c.arrived
}

// answer is the interceptor of unary calls. It says who calls, and encodes what the
// method answers while the call still counts as worked on. The search service gives
// the bytes itself, which costs it less than the message would.
func (c *call) answer(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	ctx = hexbid.WithPrincipal(ctx, c.peer.caller)
	if r, ok := request.(*pb.SearchNearbyRequest); ok {
		return info.Server.(*searchService).encoded(ctx, c, r)
	}
	response, err := handler(ctx, request)
	if err != nil {
		return nil, err
	}
	return encodeAnswer(c.peer, response.(proto.Message))
}

// finish makes the status of a call's outcome, logs what is our fault and counts it.
func (s *Server) finish(method string, peer *connection, since time.Time, failure error) error {
	err := statusOf(failure)
	if status.Code(err) == codes.Internal {
		s.config.Log.Error("a call failed", "method", method, "caller", peer.caller, "error", failure)
	}
	s.metrics.call(method, since, err)
	return err
}
