package gateway

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/hexbid/hexbid/server"
)

// refusal makes the error of a request that the gateway itself refuses, about a field or "".
func refusal(httpStatus int, code codes.Code, field, format string, args ...any) error {
	return &runtime.HTTPStatusError{HTTPStatus: httpStatus, Err: naming(code, field, fmt.Sprintf(format, args...))}
}

// malformed makes the error of a request whose JSON or whose path says what the method does not know.
func malformed(field, format string, args ...any) error {
	return naming(codes.InvalidArgument, field, fmt.Sprintf(format, args...))
}

// naming makes a status that names a field in its details, unless it is "".
func naming(code codes.Code, field, detail string) error {
	if field == "" {
		return status.Error(code, detail)
	}
	s := status.New(code, field+": "+detail)
	with, err := s.WithDetails(&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
		{Field: field, Description: detail}}})
	if err != nil {
		return s.Err()
	}
	return with.Err()
}

// Generated handlers keep the text of an error of decoding, and drop its details. fieldError therefore carries the
// field within its text, and revive takes it out again.
type fieldError struct{ field, detail string }

const fieldMark = "\x1f"

// Error returns the field and the detail, each after a mark.
func (e fieldError) Error() string { return fieldMark + e.field + fieldMark + e.detail }

// revive returns the status of an error, with the field of a fieldError in its details.
func revive(err error) *status.Status {
	s := status.Convert(err)
	if mark, rest, marked := strings.Cut(s.Message(), fieldMark); marked && mark == "" {
		field, detail, _ := strings.Cut(rest, fieldMark)
		return status.Convert(naming(s.Code(), field, detail))
	}
	return s
}

// fail answers with an error.
func (g *Gateway) fail(w http.ResponseWriter, r *http.Request, err error) {
	httpStatus := 0
	var own *runtime.HTTPStatusError
	if errors.As(err, &own) {
		httpStatus, err = own.HTTPStatus, own.Err
	} else if _, told := status.FromError(err); !told { // a panic, or an error that no stage expects
		g.config.Log.Error("a request over HTTP failed", "path", r.URL.Path, "error", err)
		err = server.StatusOf(err)
	}
	s := revive(err)
	if httpStatus == 0 {
		httpStatus = runtime.HTTPStatusFromCode(s.Code())
	}
	h := w.Header()
	h.Set("Content-Type", jsonType)
	h.Del("Content-Length")
	if s.Code() == codes.Unauthenticated {
		h.Set("WWW-Authenticate", "Bearer")
	}
	if seconds, says := retryAfter(s); says {
		h.Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
	w.WriteHeader(httpStatus)
	_, _ = w.Write(statusText(s)) // a caller who is gone needs no answer
}

// retryAfter returns the seconds after which a caller may try again, if the status says so.
func retryAfter(s *status.Status) (seconds int64, says bool) {
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return int64(math.Ceil(info.GetRetryDelay().AsDuration().Seconds())), true
		}
	}
	return 0, false
}

// statusText returns a google.rpc.Status as JSON, on one line.
func statusText(s *status.Status) []byte {
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(s.Proto())
	if err != nil { // a detail of an unknown type, or bytes of a path that are no text
		message := strings.ToValidUTF8(s.Message(), "\ufffd")
		text, _ = protojson.Marshal(status.New(s.Code(), message).Proto())
	}
	return append(text, '\n')
}
