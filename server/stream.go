package server

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// reflectionPrefix begins the methods of gRPC's reflection, of every version.
const reflectionPrefix = "/grpc.reflection."

// stream wraps every stream. While a stream waits, it uses a goroutine or two and little else. Each message that it
// brings counts as work of its class.
//
// gRPC lets a handler wait for a message as long as the stream lasts, so the handler runs in a goroutine of its own. To
// give the stream up, stream returns the reason, and gRPC then ends the handler's wait.
func (s *Server) stream(service any, raw grpc.ServerStream, info *grpc.StreamServerInfo,
	handler grpc.StreamHandler) error {
	opened, conn := time.Now(), connectionOf(raw.Context())
	caller, proof, err := s.callerOf(raw.Context(), conn, info.FullMethod)
	if err != nil {
		return s.finish(info.FullMethod, &caller, opened, err)
	}
	defer func() { conn.ended(errors.Is(raw.Context().Err(), context.Canceled)) }()
	if strings.HasPrefix(info.FullMethod, reflectionPrefix) && caller.Role != hexbid.Operator {
		return s.finish(info.FullMethod, &caller, opened, hexbid.Errorf(hexbid.Denied, "",
			"reflection is for operators: the contract's .proto files are in the repository"))
	}
	if err := s.parties.join(conn, &caller); err != nil {
		return s.finish(info.FullMethod, &caller, opened, err)
	}
	if err := s.quotas.enter(&caller); err != nil {
		return s.finish(info.FullMethod, &caller, opened, err)
	}
	defer s.quotas.leave(&caller)
	if n := int(conn.streams.Add(1)); n > s.config.Limits.StreamsAConnection {
		conn.streams.Add(-1)
		return s.finish(info.FullMethod, &caller, opened, hexbid.Errorf(hexbid.Exhausted, "",
			"the connection has %d streams open, the most: end one, or use another connection", n-1))
	}
	g, handled := s.guard(raw, info, conn, caller), make(chan error, 1)
	g.proof.Store(proof)
	s.handling.Go(func() {
		defer conn.streams.Add(-1)
		defer g.end()
		handled <- hexbid.Contain(func() error { return handler(service, g) })
	})
	return s.finish(info.FullMethod, &caller, opened, g.await(handled))
}

// betweenCallerLooks is how often an open stream looks whether its caller still has rights. A stream whose caller sends
// nothing ends within that time too.
const betweenCallerLooks = 500 * time.Millisecond

// await returns why the stream ends.
func (g *guardedStream) await(handled <-chan error) error {
	looks := time.NewTicker(betweenCallerLooks)
	defer looks.Stop()
	for {
		select {
		case why := <-g.givenUp:
			return why
		case why := <-handled:
			return why
		case <-looks.C:
			g.lookAtCaller()
		}
	}
}

// lookAtCaller gives the stream up if its credential is no longer in force. If only the caller's rights have changed,
// what the stream has brought is answered first.
func (g *guardedStream) lookAtCaller() {
	switch err := g.stillCalls(); {
	case err == nil:
	case hexbid.KindOf(err) == hexbid.Unauthenticated:
		g.giveUp(err, math.MaxInt)
	default:
		g.giveUp(err, 0)
	}
}

// guardedStream counts each message as work until it is answered. It gives up a stream that brings nothing, or whose
// client does not take the answers. A watch brings one message, which is work until the first answer. Its later answers
// come when there is news, so a watch is never idle.
type guardedStream struct {
	grpc.ServerStream
	ctx     context.Context // the stream's, with the principal
	server  *Server
	gate    *gate
	peer    *connection
	party   *party                        // that its work counts for
	proof   atomic.Pointer[access.Proof]  // of the caller's credential; nil without one
	needs   atomic.Pointer[hexbid.Grants] // that it goes on with
	watch   bool                          // brings one message and gets many answers
	givenUp chan error                    // buffered for the one reason

	mu      sync.Mutex // guards the fields below
	working []int      // bytes of each message that has no answer yet
	over    bool       // the stream accepts no more messages
	idle    *time.Timer
}

var (
	errIdleStream = status.Error(codes.DeadlineExceeded,
		"the stream was idle too long: all that it brought has been answered; open it again to go on")
	errUntaken = status.Error(codes.DeadlineExceeded,
		"the client did not take an answer in time: read answers while sending")
)

func (s *Server) guard(raw grpc.ServerStream, info *grpc.StreamServerInfo, peer *connection,
	caller hexbid.Principal) *guardedStream {
	g := &guardedStream{ServerStream: raw, ctx: hexbid.WithPrincipal(raw.Context(), caller), server: s,
		gate: &s.gates[classOf[info.FullMethod]], peer: peer, party: peer.party(),
		watch: !info.IsClientStream, givenUp: make(chan error, 1)}
	if caller.Role != hexbid.Member || g.gate.class != importing { // each row is judged by the rights of its moment
		g.needs.Store(caller.Grants)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.idle = time.AfterFunc(s.config.Limits.StreamTimeout, func() { g.giveUp(errIdleStream, 0) })
	return g
}

// Context implements grpc.ServerStream.
func (g *guardedStream) Context() context.Context { return g.ctx }

// RecvMsg implements grpc.ServerStream.
func (g *guardedStream) RecvMsg(m any) error {
	if g.gate.class == importing {
		if err := g.server.pressure.awaitRoom(g.ctx, importing, g.server.config.Limits.StreamTimeout/2); err != nil {
			return err
		}
	}
	var e envelope
	g.peer.awaitBatch()
	err := g.ServerStream.RecvMsg(&e)
	g.peer.batchArrived(e.size())
	defer e.free()
	if err != nil {
		return malformed(err)
	}
	if err := g.stillCalls(); err != nil {
		return err
	}
	if err := g.begin(e.size()); err != nil {
		return err
	}
	if err := g.server.codec.open(&e, m); err != nil {
		return err
	}
	g.narrow(m)
	return nil
}

// narrow notes what a watch needs, once that is known: a watch of one advertiser goes on without the memberships at
// others.
func (g *guardedStream) narrow(m any) {
	asked, is := m.(*pb.WatchAlertsRequest)
	caller := hexbid.PrincipalOf(g.ctx)
	if !is || caller.Role != hexbid.Member {
		return
	}
	if of, err := hexbid.ParseName(asked.GetParent()); err == nil && !of.HasWildcard() {
		g.needs.Store(caller.Grants.At(asked.GetParent()))
	}
}

// stillCalls returns an error unless the stream's caller still has the rights that it goes on with.
func (g *guardedStream) stillCalls() error {
	return g.server.stillCalls(g.ctx, &g.proof, g.needs.Load())
}

// SendMsg implements grpc.ServerStream.
func (g *guardedStream) SendMsg(m any) error {
	if g.watch {
		if err := g.stillCalls(); err != nil {
			return err
		}
	}
	encoded, err := encodeAnswer(g.peer, m.(proto.Message))
	if err != nil {
		return err
	}
	untaken := time.AfterFunc(g.server.config.Limits.StreamTimeout, func() { g.giveUp(errUntaken, math.MaxInt) })
	defer untaken.Stop()
	if err := g.ServerStream.SendMsg(encoded); err != nil {
		return err
	}
	g.done()
	return nil
}

// begin counts a message. It decides under the lock against giveUp, so a stream that ends as idle has answered every
// message that it accepted.
func (g *guardedStream) begin(bytes int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		return errIdleStream
	}
	if err := g.server.enter(g.gate, g.party, bytes); err != nil {
		return err
	}
	if g.gate.class != unclassed { // health's Watch stays open for good and is no work
		g.peer.begin()
	}
	g.working = append(g.working, bytes)
	g.idle.Stop()
	return nil
}

// done counts a message as answered. Once all are answered, the client must bring another in time.
func (g *guardedStream) done() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.working) == 0 || g.over {
		return
	}
	g.leave()
	if len(g.working) == 0 && !g.watch {
		g.idle.Reset(g.server.config.Limits.StreamTimeout)
	}
}

func (g *guardedStream) leave() {
	g.gate.leave(g.working[0], g.party)
	g.server.pressure.leave(g.gate.class, g.party)
	g.working = g.working[1:]
	if g.gate.class != unclassed {
		g.peer.end()
	}
}

// giveUp ends the stream unless more messages than working are being worked on.
func (g *guardedStream) giveUp(why error, working int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.working) > working || g.over {
		return
	}
	g.over = true
	g.givenUp <- why
}

// end stops counting the messages left unanswered and accepts no more.
func (g *guardedStream) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over = true
	g.idle.Stop()
	for len(g.working) > 0 {
		g.leave()
	}
}
