package exchange

import (
	"context"

	"github.com/hexbid/hexbid"
)

// turns lets a few callers at a time do work that takes milliseconds of a core, so that searches keep the other cores.
// Some more callers wait in line. The rest are refused.
type turns struct {
	line    chan struct{} // whoever waits or works
	working chan struct{}
}

func newTurns(working, waiting int) *turns {
	return &turns{make(chan struct{}, working+waiting), make(chan struct{}, working)}
}

// take waits for a turn; done ends it. The error is Exhausted when the line is full, or the context's.
func (t *turns) take(ctx context.Context) (done func(), err error) {
	select {
	case t.line <- struct{}{}:
	default:
		return nil, hexbid.Errorf(hexbid.Exhausted, "",
			"%d calls that look at many campaigns are in line already: back off and try again", cap(t.line))
	}
	select {
	case t.working <- struct{}{}:
		return func() { <-t.working; <-t.line }, nil
	case <-ctx.Done():
		<-t.line
		return nil, ctx.Err()
	}
}
