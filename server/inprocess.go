package server

import (
	"context"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
)

// InProcess returns a connection for callers in this process, such as the gateway. Its calls pass the stages that calls
// from the network pass: limits of their class, readiness, panics, errors and metrics. They are made for the principal
// that the caller's context carries; without one they are made for nobody. Metadata is ignored. A call without a
// deadline gets Limits.RequestTimeout.
//
// The reply of Invoke is the method's message, or an *Encoded for the answer's bytes.
func (s *Server) InProcess() grpc.ClientConnInterface { return inProcess{s} }

type inProcess struct{ server *Server }

// Encoded receives an answer in the wire format, which saves decoding it. Free it after use.
type Encoded struct{ mem.Buffer }

// insideKey is the context key that marks a call from this process.
type insideKey struct{}

// clientKey is the context key of the name that a client in this process gives itself.
type clientKey struct{}

// WithClient returns a context whose calls are made for the search client of that name.
func WithClient(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, clientKey{}, name)
}

// Invoke implements grpc.ClientConnInterface.
func (c inProcess) Invoke(ctx context.Context, method string, request, reply any, _ ...grpc.CallOption) error {
	m, there := c.server.unaryMethods[method]
	if !there {
		return status.Errorf(codes.Unimplemented, "%s is no unary method", method)
	}
	if !c.server.pressure.hasRoom(m.door.class, time.Now().UnixNano()) {
		m.door.refused.Inc()
		return errBusy
	}
	ctx = context.WithValue(ctx, insideKey{}, true)
	if _, states := ctx.Deadline(); !states {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.server.config.Limits.RequestTimeout)
		defer cancel()
	}
	answered, err := m.handler(m.service, ctx, func(e any) error { return enclose(e.(*envelope), request) }, nil)
	if err != nil {
		return err
	}
	return take(answered.(answer), reply)
}

// enclose encodes a request into an envelope. What is decoded from it shares nothing with the caller's message.
func enclose(e *envelope, request any) error {
	encoded, err := proto.Marshal(request.(proto.Message))
	if err != nil {
		return hexbid.Invalidf("", "the request cannot be encoded: %s", hexbid.Shorten(err.Error()))
	}
	e.data = mem.BufferSlice{mem.SliceBuffer(encoded)}
	return nil
}

// take passes an answer on to whoever waits for it.
func take(a answer, reply any) error {
	if e, encoded := reply.(*Encoded); encoded {
		e.Buffer = a.Buffer
		return nil
	}
	defer a.Free()
	return proto.Unmarshal(a.ReadOnlyData(), reply.(proto.Message))
}

// NewStream implements grpc.ClientConnInterface. The stream ends when its context does, or when the method returns. The
// caller must read until an error, or end the context.
func (c inProcess) NewStream(ctx context.Context, _ *grpc.StreamDesc, method string,
	_ ...grpc.CallOption) (grpc.ClientStream, error) {
	m, there := c.server.streams[method]
	if !there {
		return nil, status.Errorf(codes.Unimplemented, "%s is no stream", method)
	}
	ctx, cancel := context.WithCancel(context.WithValue(ctx, insideKey{}, true))
	p := &pipe{ctx: ctx, requests: make(chan *envelope), answers: make(chan answer), sent: make(chan struct{}),
		done: make(chan struct{}), many: m.description.ClientStreams}
	info := &grpc.StreamServerInfo{FullMethod: method, IsClientStream: m.description.ClientStreams,
		IsServerStream: m.description.ServerStreams}
	go func() {
		defer close(p.done)
		defer cancel()
		p.ended = c.server.stream(m.service, serverEnd{p}, info, m.description.Handler)
	}()
	return clientEnd{p}, nil
}

// pipe is a stream within this process. It holds no messages: whoever sends waits until the other end takes.
type pipe struct {
	ctx      context.Context
	requests chan *envelope
	answers  chan answer
	sent     chan struct{} // closed when the caller has sent everything
	done     chan struct{} // closed when the method has returned
	ended    error         // why; set before done is closed
	many     bool          // the caller may send more than one message
}

// serverEnd is the method's end of a pipe. Metadata goes nowhere.
type serverEnd struct{ *pipe }

// Context implements grpc.ServerStream.
func (p serverEnd) Context() context.Context { return p.ctx }

// SetHeader implements grpc.ServerStream. Callers in this process get no metadata.
func (p serverEnd) SetHeader(metadata.MD) error { return nil }

// SendHeader implements grpc.ServerStream.
func (p serverEnd) SendHeader(metadata.MD) error { return nil }

// SetTrailer implements grpc.ServerStream.
func (p serverEnd) SetTrailer(metadata.MD) {}

// RecvMsg implements grpc.ServerStream.
func (p serverEnd) RecvMsg(e any) error {
	select {
	case arrived := <-p.requests:
		*e.(*envelope) = *arrived
		return nil
	case <-p.sent:
		return io.EOF
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}

// SendMsg implements grpc.ServerStream.
func (p serverEnd) SendMsg(a any) error {
	select {
	case p.answers <- a.(answer):
		return nil
	case <-p.ctx.Done():
		a.(answer).Free()
		return p.ctx.Err()
	}
}

// clientEnd is the caller's end of a pipe.
type clientEnd struct{ *pipe }

// Context implements grpc.ClientStream.
func (p clientEnd) Context() context.Context { return p.ctx }

// Header implements grpc.ClientStream. There is no metadata.
func (p clientEnd) Header() (metadata.MD, error) { return nil, nil }

// Trailer implements grpc.ClientStream.
func (p clientEnd) Trailer() metadata.MD { return nil }

// CloseSend implements grpc.ClientStream. It may be called once.
func (p clientEnd) CloseSend() error {
	close(p.sent)
	return nil
}

// SendMsg implements grpc.ClientStream. It returns io.EOF when the method has returned, and RecvMsg says why. For the
// only message of a stream it returns nil then: generated code sends that one and would take io.EOF for the reason.
func (p clientEnd) SendMsg(m any) error {
	e := new(envelope)
	if err := enclose(e, m); err != nil {
		return err
	}
	select {
	case p.requests <- e:
		return nil
	case <-p.done:
		if !p.many {
			return nil
		}
		return io.EOF
	}
}

// RecvMsg implements grpc.ClientStream.
func (p clientEnd) RecvMsg(m any) error {
	select {
	case a := <-p.answers:
		return take(a, m)
	case <-p.done:
		if p.ended != nil {
			return p.ended
		}
		return io.EOF
	}
}
