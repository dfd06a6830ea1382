package store

import (
	"context"
	"sync"
)

// Tape is the end of a list of changes that an engine appends to. Each Feed
// holds its own place in the list; what every feed has passed is garbage.
type Tape struct {
	mu  sync.Mutex // guards end
	end *link
}

// link is one place of the list; next is set before ready is closed.
type link struct {
	ready  chan struct{}
	change Change
	next   *link
}

// NewTape makes an empty tape.
func NewTape() *Tape { return &Tape{end: newLink()} }

func newLink() *link { return &link{ready: make(chan struct{})} }

// Append adds a change. Engines call it in order of version.
func (t *Tape) Append(c Change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.end
	l.change, l.next = c, newLink()
	t.end = l.next
	close(l.ready)
}

// Feed starts a feed at the end of the tape.
func (t *Tape) Feed() *Feed {
	t.mu.Lock()
	defer t.mu.Unlock()
	return &Feed{at: t.end}
}

// Feed is one reader's place in the list of changes; it is used by one
// goroutine.
type Feed struct{ at *link }

// Next waits for the next change. Its error is the context's.
func (f *Feed) Next(ctx context.Context) (Change, error) {
	select {
	case <-f.at.ready:
	case <-ctx.Done():
		return Change{}, ctx.Err()
	}
	change := f.at.change
	f.at = f.at.next
	return change, nil
}

// Waiting returns a further change if one is there already.
func (f *Feed) Waiting() (Change, bool) {
	select {
	case <-f.at.ready:
		change := f.at.change
		f.at = f.at.next
		return change, true
	default:
		return Change{}, false
	}
}
