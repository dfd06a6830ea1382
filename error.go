package hexbid

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// ErrorKind says what a caller can do about an error.
type ErrorKind uint8

// The kinds of error, each mapped to one gRPC code by package server.
const (
	Internal         ErrorKind = iota // our fault
	Invalid                           // the request must change
	NotFound                          // the named thing is not there
	AlreadyExists                     // the named thing is there already
	Stale                             // read again, then write: the etag has moved on
	InUse                             // something else still needs it
	Exhausted                         // a limit is reached; try later or less
	Unavailable                       // try again, here or elsewhere
	Denied                            // the deployment does not permit it
	DataLoss                          // what was stored is damaged or gone: an operator must restore it
	Canceled                          // the caller has gone away
	DeadlineExceeded                  // the call's time ran out before it was done
)

// Error is every error that a user may see. It names the field, what was there
// and what would be right.
type Error struct {
	Kind   ErrorKind
	Field  string // path of the field, as in "campaign.bid_micros"; may be empty
	Detail string // value and remedy
	Err    error  // cause, for the log; may be nil
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

// MaxErrors is the most errors that Errors keeps of one resource.
const MaxErrors = 20

// Errors are several errors of one resource, in the order of its fields.
type Errors struct {
	All     []*Error // at least two, at most MaxErrors
	Omitted int      // how many more there were
}

// Error tells the first and how many others there are.
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

// JoinErrors makes one error of those that are not nil: nil, the one there is,
// or *Errors.
func JoinErrors(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return join(errs)
		}
	}
	return nil // without an allocation: every search is validated
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

// ErrorsOf lists the errors in one, and how many more there were. One that is
// not an *Error becomes one, of the kind that KindOf says.
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

// endings are the words for a context that has ended.
var endings = map[ErrorKind]string{Canceled: "the caller went away", DeadlineExceeded: "the deadline passed before the answer was ready"}

// WithoutFields drops the errors about fields that others are about already:
// about the field itself, a part of it or what it is a part of. A field that
// could not be read otherwise seems to be missing too.
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

// within says whether a path is another or leads into it.
func within(path, into string) bool {
	return path == into || strings.HasPrefix(path, into+".")
}

// KindOf finds the kind of an error. One that is not an *Error is of a context that
// has ended, or Internal.
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

// Shorten cuts what a user sent to a length fit for an error message.
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
