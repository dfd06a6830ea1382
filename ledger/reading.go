package ledger

import (
	"context"

	"github.com/hexbid/hexbid/ledger/journal"
)

// A read of a disk that stalls cannot be interrupted, and yet a call has to end when its caller's context does. So what
// a caller has read for it runs in a goroutine of its own, which opens and closes the view. A caller whose context ends
// leaves it behind. It ends with its first read after that, which the view refuses, or when the disk answers.

// Read runs f with the journal's last synced state, which it closes afterwards. All that was judged before the call is
// in it. The rows of totals may be up to a minute behind the records; ReadTotals has them written.
//
// When the context ends first, Read returns its error. f may then still wait for the disk, and go on for a moment when
// it answers. So f must not write to what the caller of Read looks at after an error.
func (l *Ledger) Read(ctx context.Context, f func(v journal.View) error) error {
	return l.readBy(ctx, func(ctx context.Context) (journal.View, error) { return l.presentView(ctx, false) }, f)
}

// ReadTotals is Read of a state whose rows of totals say what its records do. If nothing more can be written, those
// rows may be behind. It has the owner write the rows of all accounts that changed since the last time, however few of
// them f looks at. So it is for those who need the totals of many accounts at one record, and they should take turns.
func (l *Ledger) ReadTotals(ctx context.Context, f func(v journal.View) error) error {
	return l.readBy(ctx, func(ctx context.Context) (journal.View, error) { return l.presentView(ctx, true) }, f)
}

// ReadSynced is Read without asking the owner: what is being written is not in it yet.
func (l *Ledger) ReadSynced(ctx context.Context, f func(v journal.View) error) error {
	return l.readBy(ctx, func(context.Context) (journal.View, error) { return l.journal.View() }, f)
}

func (l *Ledger) readBy(ctx context.Context, open func(context.Context) (journal.View, error),
	f func(v journal.View) error) error {
	if err := l.left.Refusal("ledger"); err != nil {
		return err
	}
	return l.left.Within(ctx, func() error {
		v, err := open(ctx)
		if err != nil {
			return err
		}
		defer v.Close()
		return f(&endingView{v, ctx})
	})
}

// presentView opens a view after all that was judged before, with all totals if asked. It waits for the disk however
// long that takes, because the writer opens the view, and somebody has to close it.
func (l *Ledger) presentView(ctx context.Context, totals bool) (journal.View, error) {
	var opened viewing
	r := newRequest(func(o *owner) error {
		if ctx.Err() == nil { // else nobody looks at the view
			o.batch.views = append(o.batch.views, &opened)
			o.batch.totals = o.batch.totals || totals
		}
		return nil
	})
	err := l.ask(l.context, r)
	select {
	case <-r.done: // the writer is done with opened
		if opened.view != nil {
			return opened.view, nil
		}
	default:
	}
	if ended := ctx.Err(); ended != nil {
		return nil, ended
	}
	if err != nil || opened.err == nil {
		return l.journal.View()
	}
	return nil, opened.err
}

// reading runs f on the journal's last synced state. It is for the ledger's own goroutines, which wait for the disk.
func (l *Ledger) reading(f func(v journal.View) error) error {
	v, err := l.journal.View()
	if err != nil {
		return err
	}
	defer v.Close()
	return f(v)
}

// endingView is a view that refuses to read once a context has ended.
type endingView struct {
	journal.View
	ctx context.Context
}

// Get implements journal.View.
func (v *endingView) Get(t journal.Table, key []byte) ([]byte, error) {
	if err := v.ctx.Err(); err != nil {
		return nil, err
	}
	return v.View.Get(t, key)
}

// Scan implements journal.View.
func (v *endingView) Scan(t journal.Table, from, to []byte, visit journal.Visit) error {
	return v.View.Scan(t, from, to, v.ending(visit))
}

// ScanBack implements journal.View.
func (v *endingView) ScanBack(t journal.Table, from, to []byte, visit journal.Visit) error {
	return v.View.ScanBack(t, from, to, v.ending(visit))
}

func (v *endingView) ending(visit journal.Visit) journal.Visit {
	return func(key, value []byte) (bool, error) {
		if err := v.ctx.Err(); err != nil {
			return false, err
		}
		return visit(key, value)
	}
}
