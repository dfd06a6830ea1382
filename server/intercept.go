package server

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid"
)

// codeOf maps the kinds of error to gRPC codes: the one place that does.
func codeOf(kind hexbid.ErrorKind) codes.Code {
	switch kind {
	case hexbid.Invalid:
		return codes.InvalidArgument
	case hexbid.NotFound:
		return codes.NotFound
	case hexbid.AlreadyExists:
		return codes.AlreadyExists
	case hexbid.Stale:
		return codes.Aborted
	case hexbid.InUse:
		return codes.FailedPrecondition
	case hexbid.Exhausted:
		return codes.ResourceExhausted
	case hexbid.Unavailable:
		return codes.Unavailable
	case hexbid.Denied:
		return codes.PermissionDenied
	case hexbid.DataLoss:
		return codes.DataLoss
	}
	return codes.Internal
}

// statusOf makes the status of an error, with the field in its details.
func statusOf(err error) error {
	if err == nil {
		return nil
	}
	var e *hexbid.Error
	switch {
	case errors.As(err, &e):
		return detailed(status.New(codeOf(e.Kind), err.Error()), err)
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, "the deadline passed before the answer was ready")
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, "the caller went away")
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	return status.Error(codes.Internal, "something went wrong here; the operator's log says what")
}

// detailed adds the fields that an error is about to a status.
func detailed(s *status.Status, err error) error {
	var bad errdetails.BadRequest
	all, _ := hexbid.ErrorsOf(err)
	for _, e := range all {
		if e.Field != "" {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: e.Field, Description: e.Detail})
		}
	}
	if len(bad.GetFieldViolations()) == 0 {
		return s.Err()
	}
	with, err := s.WithDetails(&bad)
	if err != nil {
		return s.Err()
	}
	return with.Err()
}

type arrivalKey struct{}

// arrival is when a call came in.
func arrival(ctx context.Context) time.Time {
	if at, ok := ctx.Value(arrivalKey{}).(time.Time); ok {
		return at
	}
	return time.Now()
}

// unary is every unary call's way in and out: readiness, limit, panics, errors
// and metrics.
func (s *Server) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (response any, err error) {
	at := time.Now()
	err = s.guard(info.FullMethod, at, func() error {
		if err := s.codec.failure(request); err != nil {
			return err
		}
		response, err = handler(context.WithValue(ctx, arrivalKey{}, at), request)
		return err
	})
	return response, err
}

// stream is the same for streams.
func (s *Server) stream(service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return s.guard(info.FullMethod, time.Now(), func() error { return handler(service, &checkedStream{stream, s.codec}) })
}

// checkedStream tells the messages that did not decode.
type checkedStream struct {
	grpc.ServerStream
	codec *lenientCodec
}

// RecvMsg implements grpc.ServerStream.
func (c *checkedStream) RecvMsg(m any) error {
	if err := c.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return c.codec.failure(m)
}

func (s *Server) guard(method string, at time.Time, call func() error) (err error) {
	ours := strings.HasPrefix(method, "/hexbid.")
	if ours && s.exchange.Load() == nil {
		return status.Error(codes.Unavailable, "starting: the catalogue is being indexed; health says SERVING when it is ready")
	}
	if ours {
		defer s.inFlight.Add(-1)
		if s.inFlight.Add(1) > int64(s.config.MaxInFlight) {
			err = status.Errorf(codes.ResourceExhausted, "%d calls are in flight already: back off and try again", s.config.MaxInFlight)
			s.metrics.call(method, at, err)
			return err
		}
	}
	failure := hexbid.Contain(call)
	err = statusOf(failure)
	if status.Code(err) == codes.Internal {
		s.config.Log.Error("a call failed", "method", method, "error", failure)
	}
	s.metrics.call(method, at, err)
	return err
}
