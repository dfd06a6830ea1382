package server

import (
	"context"
	"errors"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/spans"
)

// A unary call goes through four stages, each bounded:
//
//	open     the headers have arrived; tap has let the call in, and bounds the time that its request may take
//	arrived  the whole request has arrived, still encoded
//	working  the call's class has let it in; its method decodes the request and answers
//	done     the answer is encoded and waits for the caller to take it
//
// gRPC runs interceptors only after it has decoded a request, too late for the limits of the first three stages. The
// registrar therefore wraps methods, and the wrapper calls the generated handler with an interceptor of its own.

// registrar registers services whose unary methods go through Server.unary. It also keeps all methods for callers in
// this process.
type registrar struct {
	*grpc.Server
	server *Server
}

// unaryMethod and streamMethod are registered methods with the services that they belong to.
type unaryMethod struct {
	service any
	handler grpc.MethodHandler // goes through Server.unary
	door    *door
}

type streamMethod struct {
	service     any
	description grpc.StreamDesc
}

// RegisterService implements grpc.ServiceRegistrar.
func (r registrar) RegisterService(d *grpc.ServiceDesc, service any) {
	own := *d
	own.Methods = slices.Clone(d.Methods)
	for i := range own.Methods {
		m := &own.Methods[i]
		method := "/" + d.ServiceName + "/" + m.MethodName
		m.Handler = r.server.unary(method, m.Handler)
		r.server.unaryMethods[method] = unaryMethod{service, m.Handler, r.server.doorOf(method)}
	}
	for _, m := range d.Streams {
		r.server.streams["/"+d.ServiceName+"/"+m.StreamName] = streamMethod{service, m}
	}
	r.Server.RegisterService(&own, service)
}

// call is a unary call under way.
type call struct {
	server  *Server
	gate    *gate
	peer    *connection
	caller  hexbid.Principal
	door    *arrival  // nil for a call that came through none
	opened  time.Time // when a goroutine began with it
	arrived time.Time // when its whole request had arrived; zero before that
	bytes   int       // of the request
	counted bool      // against the caller's quota
	party   *party    // that its work counts for

	recorded *spans.Call // nil for nearly all calls
}

// unary wraps every unary call: it waits for the request, applies the limit of its class, checks readiness, contains
// panics, converts errors and counts metrics.
func (s *Server) unary(method string, handler grpc.MethodHandler) grpc.MethodHandler {
	g := &s.gates[classOf[method]]
	return func(service any, ctx context.Context, receive func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		peer := connectionOf(ctx)
		c := &call{server: s, gate: g, peer: peer, door: arrivalOf(ctx), opened: time.Now()}
		c.recorded = s.recordCall(ctx, g.class, method, c.opened)
		defer c.leave()
		var response any
		failure := hexbid.Contain(func() (err error) {
			if err := c.door.begin(); err != nil {
				return err
			}
			if c.caller, _, err = s.callerOf(ctx, peer, method); err != nil {
				return err
			}
			if err := s.parties.join(peer, &c.caller); err != nil {
				return err
			}
			c.party = peer.party()
			if err := c.count(); err != nil {
				return err
			}
			response, err = handler(service, c.context(ctx), func(m any) error { return c.receive(m, receive) }, c.answer)
			return err
		})
		peer.ended(errors.Is(ctx.Err(), context.Canceled))
		err := s.finish(method, &c.caller, c.since(), failure)
		endRecorded(c.recorded, &c.caller, err)
		if err != nil {
			return nil, err
		}
		return response, nil
	}
}

// context returns the context of a handler: with the deadline that the caller stated, or with the one that tap gave to
// a call without.
func (c *call) context(ctx context.Context) context.Context {
	if c.door != nil && c.door.stated != nil {
		return c.door.stated
	}
	return ctx
}

// receive waits for a request, enters it into its class, and decodes it.
func (c *call) receive(m any, receive func(any) error) error {
	var e envelope
	stage := c.recorded.Stage("receive")
	c.peer.awaitCall()
	err := receive(&e)
	c.peer.callArrived(e.size())
	stage.End()
	defer e.free()
	if err != nil {
		return malformed(err)
	}
	at := time.Now()
	if err := c.server.enter(c.gate, c.party, e.size()); err != nil {
		return err
	}
	c.arrived, c.bytes = at, e.size()
	c.peer.begin()
	defer c.recorded.Stage("decode").End()
	return c.server.codec.open(&e, m)
}

var errStarting = status.Error(codes.Unavailable,
	"starting: the catalogue is being indexed; health says SERVING when it is ready")

// enter lets a request in if the catalogue is loaded and its class has room.
func (s *Server) enter(g *gate, of *party, bytes int) error {
	if g.class != unclassed && s.exchange.Load() == nil {
		return errStarting
	}
	if !s.pressure.work(g.class, of) {
		g.refused.Add(1)
		return errBusy
	}
	if err := g.enter(bytes, of); err != nil {
		s.pressure.leave(g.class, of)
		return err
	}
	return nil
}

// count counts the call against its caller's quota, before its request is read.
func (c *call) count() error {
	if err := c.server.quotas.enter(&c.caller); err != nil {
		return err
	}
	c.counted = true
	if c.gate.class == writing {
		return c.server.quotas.write(&c.caller, 1)
	}
	return nil
}

// leave ends the call, and the work on it if that has begun.
func (c *call) leave() {
	if c.counted {
		c.server.quotas.leave(&c.caller)
	}
	if c.arrived.IsZero() {
		return
	}
	c.gate.leave(c.bytes, c.party)
	c.server.pressure.leave(c.gate.class, c.party)
	c.server.pressure.learn(c.gate.class, time.Since(c.arrived))
	if c.door != nil {
		c.server.metrics.answered[c.gate.class].Observe(time.Since(c.door.at).Seconds())
	}
	c.peer.end()
}

// since returns when a call began to count. Its time to answer excludes the time that its caller took to send it.
func (c *call) since() time.Time {
	if c.arrived.IsZero() {
		return c.opened
	}
	return c.arrived
}

// answer is the interceptor of unary calls. It adds the principal to the context, and encodes the result while the call
// still counts as work. The search service returns encoded bytes itself, which is cheaper than building the message.
func (c *call) answer(ctx context.Context, request any, info *grpc.UnaryServerInfo,
	handler grpc.UnaryHandler) (any, error) {
	ctx = spans.With(hexbid.WithPrincipal(ctx, c.caller), c.recorded)
	if r, ok := request.(*pb.SearchNearbyRequest); ok {
		return info.Server.(*searchService).encoded(ctx, c, r)
	}
	response, err := handler(ctx, request)
	if err != nil {
		return nil, err
	}
	defer c.recorded.Stage("encode").End()
	return encodeAnswer(c.peer, response.(proto.Message))
}

// finish turns a call's outcome into a status, logs failures of our own and counts the call.
func (s *Server) finish(method string, caller *hexbid.Principal, since time.Time, failure error) error {
	err := statusOf(failure)
	if status.Code(err) == codes.Internal {
		s.config.Log.Error("a call failed", "method", method, "caller", *caller, "error", failure)
	}
	s.metrics.call(method, since, err)
	return err
}
