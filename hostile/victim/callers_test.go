package victim

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// TestOnlyABusyServerIsAskedAgain: a quota of an advertiser, which names its field, ends a call at once.
func TestOnlyABusyServerIsAskedAgain(t *testing.T) {
	detailed := func(retry bool) error {
		s := status.New(codes.ResourceExhausted, "no")
		if retry {
			s, _ = s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Millisecond)})
		} else {
			s, _ = s.WithDetails(&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "f"}}})
		}
		return s.Err()
	}
	for name, c := range map[string]struct {
		err   error
		calls int
	}{"the door": {status.Error(codes.ResourceExhausted, "busy"), 3}, "a quota of calls": {detailed(true), 3},
		"a quota of what there may be": {detailed(false), 1}, "another error": {errors.New("no"), 1}, "none": {nil, 1}} {
		calls := 0
		err := UntilTaken(t.Context(), func() error {
			if calls++; calls == 3 {
				return nil
			}
			return c.err
		})
		if calls != c.calls || c.calls == 1 && !errors.Is(err, c.err) || c.calls == 3 && err != nil {
			t.Errorf("%s: %d calls, %v", name, calls, err)
		}
	}
}
