package exchange

import (
	"context"
	"sync"

	"github.com/hexbid/hexbid"
)

// turns lets a few callers at a time do work that takes milliseconds of a core, so that searches keep the other cores.
// Some more callers wait in line. The rest are refused. The last eighth of the line is for those who have less than an
// eighth of it already, so that no user keeps all others out.
type turns struct {
	line    chan struct{} // whoever waits or works
	working chan struct{}

	mu sync.Mutex     // guards of
	of map[string]int // calls of each named caller in line
}

func newTurns(working, waiting int) *turns {
	return &turns{line: make(chan struct{}, working+waiting), working: make(chan struct{}, working), of: map[string]int{}}
}

// take waits for a turn; done ends it. The error is Exhausted when the line is full, or the context's.
func (t *turns) take(ctx context.Context) (done func(), err error) {
	caller := hexbid.PrincipalOf(ctx).ID
	if !t.enter(caller) {
		return nil, hexbid.Errorf(hexbid.Exhausted, "",
			"the line of %d calls that look at many campaigns is full, or nearly and many in it are yours: back off and try "+
				"again", cap(t.line))
	}
	select {
	case t.working <- struct{}{}:
		return func() { <-t.working; t.leave(caller) }, nil
	case <-ctx.Done():
		t.leave(caller)
		return nil, ctx.Err()
	}
}

// enter puts a call of a caller into the line. It is false when the line has no place for it.
func (t *turns) enter(caller string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept := cap(t.line) / 8
	if caller != "" && len(t.line) >= cap(t.line)-kept && t.of[caller] >= max(1, kept) {
		return false
	}
	select {
	case t.line <- struct{}{}:
	default:
		return false
	}
	if caller != "" {
		t.of[caller]++
	}
	return true
}

// leave takes a call of a caller out of the line.
func (t *turns) leave(caller string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	<-t.line
	if t.of[caller]--; t.of[caller] <= 0 {
		delete(t.of, caller)
	}
}
