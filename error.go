package hexbid

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// ErrorKind says what a caller can do about an error.
type ErrorKind uint8

// The kinds of error. Package server maps each to one gRPC code.
const (
	Internal         ErrorKind = iota // a fault of this program
	Invalid                           // the request must change
	NotFound                          // the named resource does not exist
	AlreadyExists                     // the named resource exists already
	Stale                             // the etag is old: read again, then write
	InUse                             // the state forbids it: another resource needs it, or the money is not there
	Exhausted                         // a limit is reached: try later or less
	Unavailable                       // try again, here or at another server
	Denied                            // the deployment does not permit it
	DataLoss                          // stored data is damaged or missing: an operator must restore it
	Canceled                          // the caller has gone away
	DeadlineExceeded                  // the call ran out of time
	Unauthenticated                   // nobody knows who calls: send a credential that is in force
)

// Error is every error that a user may see. It names the field, the value and what would be right.
type Error struct {
	Kind   ErrorKind
	Field  string // path of the field, as in "campaign.bid_micros"; may be empty
	Detail string // the value and the remedy
	Err    error  // cause, for the log; may be nil
	// Retry says how long to wait before trying again is worth while, 0 if nobody knows.
	Retry time.Duration
}

// Error joins field, detail and cause.
func (e *Error) Error() string {
	var parts []string
	for _, part := range []string{e.Field, e.Detail} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error of the given kind about a field.
func Errorf(kind ErrorKind, field, format string, args ...any) *Error {
	return &Error{Kind: kind, Field: field, Detail: fmt.Sprintf(format, args...)}
}

// Invalidf makes an Error of kind Invalid about a field.
func Invalidf(field, format string, args ...any) *Error {
	return Errorf(Invalid, field, format, args...)
}

// MaxErrors is the most errors that Errors keeps for one resource.
const MaxErrors = 20

// Errors holds several errors of one resource, in the order of its fields.
type Errors struct {
	All     []*Error // at least two, at most MaxErrors
	Omitted int      // how many errors All leaves out
}

// Error returns the first error and says how many others there are.
func (e *Errors) Error() string {
	return fmt.Sprintf("%v (and %d more)", e.All[0], len(e.All)-1+e.Omitted)
}

// Unwrap returns the errors, so that errors.As finds the first.
func (e *Errors) Unwrap() []error {
	out := make([]error, len(e.All))
	for i := range e.All {
		out[i] = e.All[i]
	}
	return out
}

// JoinErrors combines the errors that are not nil. It returns nil for none, the error itself for one, and *Errors for
// more.
func JoinErrors(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return join(errs)
		}
	}
	return nil // no allocation, because every search is validated
}

func join(errs []error) error {
	var joined Errors
	for _, err := range errs {
		all, omitted := ErrorsOf(err)
		room := min(len(all), MaxErrors-len(joined.All))
		joined.All = append(joined.All, all[:room]...)
		joined.Omitted += omitted + len(all) - room
	}
	if len(joined.All)+joined.Omitted == 1 {
		return joined.All[0]
	}
	return &joined
}

// ErrorsOf lists the errors that an error consists of, and how many more were omitted. It turns one that is not an
// *Error into an *Error of the kind that KindOf returns.
func ErrorsOf(err error) (all []*Error, omitted int) {
	var several *Errors
	var one *Error
	switch {
	case err == nil:
		return nil, 0
	case errors.As(err, &several):
		return several.All, several.Omitted
	case errors.As(err, &one):
		return []*Error{one}, 0
	}
	kind := KindOf(err)
	return []*Error{{Kind: kind, Detail: endings[kind], Err: err}}, 0
}

// endings explain why a context has ended.
var endings = map[ErrorKind]string{Canceled: "the caller went away",
	DeadlineExceeded: "the deadline passed before the answer was ready"}

// WithoutFields drops the errors about a field that another error is already about. A field counts as the same when it
// equals the other, is a part of it, or contains it. Without this, a field that could not be read would also be
// reported as missing.
func WithoutFields(err, others error) error {
	known, _ := ErrorsOf(others)
	all, omitted := ErrorsOf(err)
	kept := Errors{Omitted: omitted}
	for _, e := range all {
		if !slices.ContainsFunc(known, func(k *Error) bool { return within(k.Field, e.Field) || within(e.Field, k.Field) }) {
			kept.All = append(kept.All, e)
		}
	}
	if len(kept.All) == 0 {
		return nil
	}
	return JoinErrors(&kept)
}

// within reports whether a path equals another or leads into it.
func within(path, into string) bool {
	return path == into || strings.HasPrefix(path, into+".")
}

// KindOf returns the kind of an error. The error of an ended context is Canceled or DeadlineExceeded, and any other
// that is not an *Error is Internal.
func KindOf(err error) ErrorKind {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Kind
	case errors.Is(err, context.DeadlineExceeded):
		return DeadlineExceeded
	case errors.Is(err, context.Canceled):
		return Canceled
	}
	return Internal
}

// Shorten cuts a text that a user sent to a length fit for an error message.
func Shorten(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return fmt.Sprintf("%s… (%d bytes)", s[:cut], len(s))
}
