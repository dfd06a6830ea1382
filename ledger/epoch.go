package ledger

import (
	"context"
	"io"

	"github.com/hexbid/hexbid/ledger/fold"
)

// BeginEpoch opens the ledger of a restored journal, writes a record that begins a new epoch, and closes the ledger.
// The server that the backup is of may have answered events since. So tokens issued before the epoch are answered as
// expired, unless abandons says that those answers do not count. It returns the record.
func BeginEpoch(ctx context.Context, o Options, abandons bool) (fold.Point, error) {
	l, err := Open(ctx, o)
	if err != nil {
		return fold.Point{}, err
	}
	var begun fold.Point
	err = l.ask(ctx, newRequest(func(o *owner) (err error) {
		begun, err = o.beginEpoch(abandons)
		return err
	}))
	l.closeWithin(ctx)
	if err != nil {
		return fold.Point{}, err
	}
	return begun, nil
}

// beginEpoch adds the record that begins the next epoch.
func (o *owner) beginEpoch(abandons bool) (fold.Point, error) {
	if err := o.readClock(); err != nil {
		return fold.Point{}, err
	}
	epoch := &fold.Epoch{Number: o.books.Epoch().Number + 1, Abandons: abandons}
	if epoch.Number > 1 && !abandons {
		epoch.IssuedBefore = (o.now + 999) / 1000
	}
	if _, err := io.ReadFull(o.ledger.options.Random, epoch.ID[:]); err != nil {
		return fold.Point{}, err
	}
	return o.append(epoch, nil)
}

// beginFirst begins the first epoch of an empty journal.
func (o *owner) beginFirst() error {
	if o.books.Last().Sequence > 0 {
		return nil
	}
	_, err := o.beginEpoch(false)
	return err
}
