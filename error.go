package hexbid

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ErrorKind says what a caller can do about an error.
type ErrorKind uint8

// The kinds of error, each mapped to one gRPC code by package server.
const (
	Internal      ErrorKind = iota // our fault
	Invalid                        // the request must change
	NotFound                       // the named thing is not there
	AlreadyExists                  // the named thing is there already
	Stale                          // read again, then write: the etag has moved on
	InUse                          // something else still needs it
	Exhausted                      // a limit is reached; try later or less
	Unavailable                    // try again, here or elsewhere
	Denied                         // the deployment does not permit it
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

// KindOf finds the kind of an error; one that is not an *Error is Internal.
func KindOf(err error) ErrorKind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
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
