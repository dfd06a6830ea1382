package server

import (
	"errors"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/hexbid/hexbid"
)

// codeOf maps the kinds of error to gRPC codes. Nothing else does.
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
	case hexbid.Unauthenticated:
		return codes.Unauthenticated
	case hexbid.DataLoss:
		return codes.DataLoss
	case hexbid.Canceled:
		return codes.Canceled
	case hexbid.DeadlineExceeded:
		return codes.DeadlineExceeded
	}
	return codes.Internal
}

// statusOf converts an error to a status with the fields in its details.
func statusOf(err error) error {
	if err == nil {
		return nil
	}
	var e *hexbid.Error
	if errors.As(err, &e) {
		return detailed(status.New(codeOf(e.Kind), err.Error()), err)
	}
	if kind := hexbid.KindOf(err); kind != hexbid.Internal { // the kind of a context that has ended
		all, _ := hexbid.ErrorsOf(err)
		return status.Error(codeOf(kind), all[0].Detail)
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	return status.Error(codes.Internal, "something went wrong here; the operator's log says what")
}

// detailed adds the fields that an error names to a status, and when to try again.
func detailed(s *status.Status, err error) error {
	var bad errdetails.BadRequest
	all, _ := hexbid.ErrorsOf(err)
	for _, e := range all {
		if e.Field != "" {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: e.Field,
				Description: e.Detail})
		}
	}
	var details []protoadapt.MessageV1
	if len(bad.GetFieldViolations()) > 0 {
		details = append(details, &bad)
	}
	for _, e := range all {
		if e.Retry > 0 {
			details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(e.Retry)})
			break
		}
	}
	if len(details) == 0 {
		return s.Err()
	}
	with, err := s.WithDetails(details...)
	if err != nil {
		return s.Err()
	}
	return with.Err()
}
