package server

import (
	"context"
	"math"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
)

// stream is every stream's way in and out. A stream holds a goroutine or two and
// little else while it waits; what it brings counts as its class's work, message by
// message.
//
// gRPC lets a handler wait for a message as long as the stream is there, so the
// handler has a goroutine of its own: when the stream is given up, this one returns
// the reason, and gRPC ends the handler's wait.
func (s *Server) stream(service any, raw grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	opened, conn := time.Now(), connectionOf(raw.Context())
	if n := int(conn.streams.Add(1)); n > s.config.Limits.StreamsAConnection {
		conn.streams.Add(-1)
		return s.finish(info.FullMethod, conn, opened, hexbid.Errorf(hexbid.Exhausted, "",
			"the connection has %d streams open, the most: end one, or use another connection", n-1))
	}
	g, handled := s.watch(raw, info, conn), make(chan error, 1)
	s.handling.Go(func() {
		defer conn.streams.Add(-1)
		defer g.end()
		handled <- hexbid.Contain(func() error { return handler(service, g) })
	})
	var failure error
	select {
	case failure = <-g.givenUp:
	case failure = <-handled:
	}
	return s.finish(info.FullMethod, conn, opened, failure)
}

// guardedStream counts what a stream brings as work until it is answered, and gives
// up a stream that brings nothing, or whose client does not take the answers.
type guardedStream struct {
	grpc.ServerStream
	ctx      context.Context // of the stream, with the principal
	server   *Server
	gate     *gate
	peer     *connection
	answered bool       // each message that comes is answered by one
	givenUp  chan error // has room for the reason

	mu      sync.Mutex // guards what follows
	working []int      // bytes of the messages that have come and are not answered
	over    bool       // nothing is taken in any more
	idle    *time.Timer
}

var (
	errIdleStream = status.Error(codes.DeadlineExceeded, "the stream was idle too long: all that it brought has been answered; open it again to go on")
	errUntaken    = status.Error(codes.DeadlineExceeded, "the client did not take an answer in time: read answers while sending")
)

func (s *Server) watch(raw grpc.ServerStream, info *grpc.StreamServerInfo, peer *connection) *guardedStream {
	g := &guardedStream{ServerStream: raw, ctx: hexbid.WithPrincipal(raw.Context(), peer.caller), server: s, gate: &s.gates[classOf[info.FullMethod]], peer: peer,
		answered: info.IsClientStream, givenUp: make(chan error, 1)}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.idle = time.AfterFunc(s.config.Limits.StreamTimeout, func() { g.giveUp(errIdleStream, 0) })
	return g
}

// Context implements grpc.ServerStream.
func (g *guardedStream) Context() context.Context { return g.ctx }

// RecvMsg implements grpc.ServerStream.
func (g *guardedStream) RecvMsg(m any) error {
	var e envelope
	g.peer.awaitBatch()
	err := g.ServerStream.RecvMsg(&e)
	g.peer.batchArrived(e.size())
	defer e.free()
	if err != nil {
		return malformed(err)
	}
	if err := g.begin(e.size()); err != nil {
		return err
	}
	return g.server.codec.open(&e, m)
}

// SendMsg implements grpc.ServerStream.
func (g *guardedStream) SendMsg(m any) error {
	encoded, err := encodeAnswer(g.peer, m.(proto.Message))
	if err != nil {
		return err
	}
	untaken := time.AfterFunc(g.server.config.Limits.StreamTimeout, func() { g.giveUp(errUntaken, math.MaxInt) })
	defer untaken.Stop()
	if err := g.ServerStream.SendMsg(encoded); err != nil {
		return err
	}
	if g.answered {
		g.done()
	}
	return nil
}

// begin counts a message in. It decides under the lock against giveUp: a stream that
// ends as idle has answered every message that it took in.
func (g *guardedStream) begin(bytes int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		return errIdleStream
	}
	if err := g.server.enter(g.gate, bytes); err != nil {
		return err
	}
	if g.gate.class != unclassed { // health's Watch is open for good, and no work
		g.peer.begin()
	}
	g.working = append(g.working, bytes)
	g.idle.Stop()
	return nil
}

// done counts a message out. Once all are answered the client has to bring another.
func (g *guardedStream) done() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.working) == 0 || g.over {
		return
	}
	g.leave()
	if len(g.working) == 0 {
		g.idle.Reset(g.server.config.Limits.StreamTimeout)
	}
}

func (g *guardedStream) leave() {
	g.gate.leave(g.working[0])
	g.working = g.working[1:]
	if g.gate.class != unclassed {
		g.peer.end()
	}
}

// giveUp ends the stream, unless more messages than these are worked on.
func (g *guardedStream) giveUp(why error, working int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.working) > working || g.over {
		return
	}
	g.over = true
	g.givenUp <- why
}

// end counts out what is left unanswered, and takes in nothing more.
func (g *guardedStream) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over = true
	g.idle.Stop()
	for len(g.working) > 0 {
		g.leave()
	}
}
