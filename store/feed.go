package store

import (
	"context"
	"slices"
	"sync"

	"github.com/hexbid/hexbid"
)

// LogReader calls visit with the changes after a version, as Store.Log does.
type LogReader func(ctx context.Context, after uint64, visit func(*Change) (more bool)) error

const (
	// tapeChanges and tapeBytes bound a tape. The last change always stays.
	tapeChanges = 4096
	tapeBytes   = 16 << 20
	// aheadChanges and aheadRecords bound what a feed reads from the log at once.
	aheadChanges = 64
	aheadRecords = 256
)

// Tape holds the end of the log of changes in memory, for feeds that keep up. A feed that falls behind reads the log
// instead, so a slow feed does not lengthen the tape.
type Tape struct {
	log LogReader

	mu      sync.Mutex // guards the fields below
	held    []taped    // by version
	bytes   int        // of all held changes
	start   uint64     // the tape holds all changes after this version
	version uint64
	grown   chan struct{} // closed at the next Append or Close
	closed  error
}

// taped is a change and its approximate size.
type taped struct {
	Change
	bytes int
}

// NewTape makes the tape of a store whose last change has a version. A feed reads older changes through log. If log is
// nil, such a read is a gap.
func NewTape(version uint64, log LogReader) *Tape {
	if log == nil {
		log = func(_ context.Context, after uint64, _ func(*Change) bool) error { return Gap(after, version) }
	}
	return &Tape{log: log, start: version, version: version, grown: make(chan struct{})}
}

// Append adds a change that is synced and readable in the log. bytes approximates its memory. Engines call it in order
// of version.
func (t *Tape) Append(c Change, bytes int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held = append(t.held, taped{c, bytes})
	t.bytes += bytes
	t.version = c.Version
	for len(t.held) > 1 && (len(t.held) > tapeChanges || t.bytes > tapeBytes) {
		t.start = t.held[0].Version
		t.bytes -= t.held[0].bytes
		t.held[0] = taped{} // release its memory: the array lives on
		t.held = t.held[1:]
	}
	close(t.grown)
	t.grown = make(chan struct{})
}

// Version is that of the last change.
func (t *Tape) Version() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.version
}

// Close ends all feeds. After the changes that a feed already holds, its Next returns err.
func (t *Tape) Close(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed == nil {
		t.closed = err
		close(t.grown)
		t.grown = make(chan struct{})
	}
}

// Feed starts a feed of the changes after a version. The version may be newer than the tape, because an engine may show
// a state before the tape has its change; the feed then reads the log first.
func (t *Tape) Feed(after uint64) *Feed {
	return &Feed{tape: t, after: after, fromLog: after > t.Version()}
}

// next returns the first change after a version if the tape holds it. Otherwise it says whether to read the log or to
// wait until grown is closed.
func (t *Tape) next(after uint64) (c Change, there, readLog bool, grown <-chan struct{}, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if after >= t.start {
		i, _ := slices.BinarySearchFunc(t.held, after+1, func(c taped, version uint64) int {
			if c.Version < version {
				return -1
			}
			return 1
		})
		if i < len(t.held) {
			return t.held[i].Change, true, false, nil, nil
		}
	}
	return Change{}, false, after < t.start, t.grown, t.closed
}

// Feed is one reader's position in the log of changes. One goroutine uses it. It holds a few changes at most, however
// far behind it is.
type Feed struct {
	tape    *Tape
	after   uint64   // version of the last change returned
	ahead   []Change // following changes, read from the log
	fromLog bool     // read the log before the tape
}

// Next waits for the next change. Its error is the context's, a gap (see IsGap) when the log no longer has the change,
// an error of reading the log, or Unavailable when the store is closed. An error does not move the feed.
func (f *Feed) Next(ctx context.Context) (Change, error) {
	for {
		if change, there := f.Waiting(); there {
			return change, nil
		}
		change, there, readLog, grown, err := f.tape.next(f.after)
		switch {
		case err != nil:
			return Change{}, err
		case there && !f.fromLog:
			return f.hand(change), nil
		case readLog || f.fromLog:
			if err := f.read(ctx, readLog); err != nil {
				return Change{}, err
			}
			continue
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return Change{}, ctx.Err()
		}
	}
}

// Waiting returns a further change if one is in memory already.
func (f *Feed) Waiting() (Change, bool) {
	if len(f.ahead) > 0 {
		change := f.ahead[0]
		f.ahead[0] = Change{} // release its memory
		f.ahead = f.ahead[1:]
		return f.hand(change), true
	}
	if f.fromLog {
		return Change{}, false
	}
	change, there, _, _, _ := f.tape.next(f.after)
	if there {
		f.hand(change)
	}
	return change, there
}

// hand moves the feed past a change and returns the change.
func (f *Feed) hand(c Change) Change {
	f.after = c.Version
	return c
}

// read reads some changes from the log. must says that the tape has dropped changes that the feed has not seen, so the
// log must have some.
func (f *Feed) read(ctx context.Context, must bool) error {
	f.ahead = nil
	records := 0
	err := f.tape.log(ctx, f.after, func(c *Change) bool {
		f.ahead = append(f.ahead, *c)
		records += len(c.Puts) + len(c.Deletes)
		return len(f.ahead) < aheadChanges && records < aheadRecords
	})
	if err != nil {
		f.ahead = nil
		return err
	}
	if must && len(f.ahead) == 0 {
		return hexbid.Errorf(hexbid.DataLoss, "data",
			"the log of changes ends at version %d, before the last change", f.after)
	}
	f.fromLog = false
	return nil
}
