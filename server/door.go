package server

import (
	"context"
	"path"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
)

// door is what the server knows of a unary method before any call of it.
type door struct {
	class    class
	refused  prometheus.Counter // calls refused here at the limit
	hopeless prometheus.Counter // calls refused here because their time is too short
}

// doorOf makes the door of a method.
func (s *Server) doorOf(method string) *door {
	name := path.Base(method)
	return &door{classOf[method], s.metrics.calls.WithLabelValues(name, codes.ResourceExhausted.String()),
		s.metrics.calls.WithLabelValues(name, codes.DeadlineExceeded.String())}
}

// arrival is a unary call whose headers have arrived. It is the context in which gRPC waits for the request.
type arrival struct {
	context.Context                 // with the bound on the request's arrival
	stated          context.Context // with the later deadline that the caller stated; nil for none
	at              time.Time
	party           *party
	pressure        *pressure
	refused         bool        // the wrapper refuses it
	begun           atomic.Bool // or given up before that
	unwatch         func() bool // stops watching for the end of the call
}

type arrivalKey struct{}

// Value implements context.Context.
func (a *arrival) Value(key any) any {
	if _, asked := key.(arrivalKey); asked {
		return a
	}
	return a.Context.Value(key)
}

// arrivalOf returns a call's arrival, nil if the call did not come through the door.
func arrivalOf(ctx context.Context) *arrival {
	a, _ := ctx.Value(arrivalKey{}).(*arrival)
	return a
}

// begin ends the call's wait for a core. It returns an error for a call that is to be refused.
func (a *arrival) begin() error {
	switch {
	case a == nil:
	case a.refused:
		return errBusy
	case a.begun.CompareAndSwap(false, true):
		a.unwatch()
		a.pressure.begin(a.party, time.Since(a.at))
	}
	return nil
}

// abandon ends the wait of a call that ended before a goroutine began with it. gRPC ends some calls by itself, as one
// whose compression it does not know.
func (a *arrival) abandon() {
	if a.begun.CompareAndSwap(false, true) {
		a.pressure.abandon(a.party)
	}
}

var (
	errBusy = status.Error(codes.ResourceExhausted,
		"the server is at its limit and takes no more calls of this kind at present: back off and try again")
	errHopeless = status.Error(codes.DeadlineExceeded,
		"the deadline is too near: the server is busy, and would answer after it")
)

// longestRefused is the longest deadline of a call that tap refuses itself. gRPC keeps the timer of a call that tap
// refuses until the deadline, some 300 bytes. The wrapper refuses calls with longer ones.
const longestRefused = 5 * time.Second

// tap runs when the headers of a call have arrived. It refuses a call that the server has no time for, at a fraction
// of what an answer costs. For the others it bounds how long a unary call's request may take to arrive, because gRPC
// waits for the request as long as the context that tap returns lasts. The end of the call cancels that context
// together with its parent.
func (s *Server) tap(ctx context.Context, info *tap.Info) (context.Context, error) {
	if s.config.Auth == AuthNone && len(s.config.TrustedProxies) == 0 && hasForwarding(info.Header) {
		return nil, statusOf(errForwarded)
	}
	method, unary := s.unaryMethods[info.FullMethodName]
	if !unary {
		return ctx, nil
	}
	d := method.door
	peer := connectionOf(ctx)
	peer.expect()
	a := &arrival{Context: ctx, at: time.Now(), party: peer.party(), pressure: s.pressure}
	deadline, states := ctx.Deadline()
	left := deadline.Sub(a.at)
	if states && s.pressure.isHopeless(d.class, left, a.at.UnixNano()) {
		d.hopeless.Inc()
		return nil, errHopeless
	}
	if !s.pressure.admit(d.class, a.party, a.at.UnixNano()) {
		if states && left > longestRefused {
			a.refused = true
			return a, nil
		}
		d.refused.Inc()
		return nil, errBusy
	}
	if !states || left > s.config.Limits.RequestTimeout {
		bounded, cancel := context.WithTimeout(ctx, s.config.Limits.RequestTimeout)
		_ = cancel // the end of ctx cancels it
		if a.Context = bounded; states {
			a.stated = ctx
		}
	}
	a.unwatch = context.AfterFunc(ctx, a.abandon)
	return a, nil
}
