package store

import "context"

// LogReader shows the changes after a version to visit, as Store.Log does.
type LogReader func(ctx context.Context, after uint64, visit func(*Change) (more bool)) error

// Tape is the end of the log of changes, kept in memory for the feeds that keep up.
// It is bounded in changes and bytes: a feed that falls behind reads the log.
type Tape struct{}

// NewTape makes the tape of a store whose last change has a version. A feed reads
// what the tape no longer holds through log.
func NewTape(version uint64, log LogReader) *Tape { panic("to be written") }

// Append adds a change that is synced, and its size in the log. Engines call it in
// order of version.
func (t *Tape) Append(c Change, bytes int) { panic("to be written") }

// Version is that of the last change.
func (t *Tape) Version() uint64 { panic("to be written") }

// Feed starts a feed of the changes after a version.
func (t *Tape) Feed(after uint64) *Feed { panic("to be written") }

// Close ends all feeds: once they have what is on the tape, Next gives the error.
func (t *Tape) Close(err error) { panic("to be written") }

// Feed is one reader's place in the log of changes; it is used by one goroutine. It
// holds a few changes at most, however far behind it is.
type Feed struct{}

// Next waits for the next change. Its error is the context's, a gap (see IsGap) when
// the log no longer has the change, or that of reading the log; after each of them
// the feed stays where it was.
func (f *Feed) Next(ctx context.Context) (Change, error) { panic("to be written") }

// Waiting returns a further change if one is in memory already.
func (f *Feed) Waiting() (Change, bool) { panic("to be written") }
