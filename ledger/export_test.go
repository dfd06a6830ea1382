package ledger

import "context"

// Taken returns how many requests the owner has taken from its queue.
func (l *Ledger) Taken() int { return int(l.queued.Load()) - len(l.queue) }

// Compactions returns how often the compactor has worked.
func (l *Ledger) Compactions() uint64 { return l.compactions.Load() }

// SeenKeys is how many rows of exposures fill a part of what the owner keeps at hand.
const SeenKeys = seenKeys

// RecordLater looks up what events need, and records them when the function that it returns is called.
func (l *Ledger) RecordLater(ctx context.Context, events []Event) (func() ([]Answer, error), error) {
	p, err := l.prepare(ctx, events)
	return func() ([]Answer, error) {
		err := l.ask(ctx, newRequest(p.judge))
		return p.answers, err
	}, err
}
