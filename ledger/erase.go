package ledger

import (
	"context"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/journal"
)

// EraseViewer removes all rows of a viewer: exposures, clicks and coupons, and their counts of the last minutes. When
// it returns they are off the disk's tables. No record names a viewer, so the chain stays as it is. A later event of
// the viewer begins anew.
func (l *Ledger) EraseViewer(ctx context.Context, pseudonym [16]byte) error {
	return l.between(ctx, newRequest(func(o *owner) error { return o.eraseViewer(pseudonym) }))
}

// eraseViewer runs when all that was judged is on disk. Callers whose events wait may have read the rows that go. The
// number of erasures tells them apart: they took it before they read, and it changes when the rows are gone.
func (o *owner) eraseViewer(pseudonym [16]byte) error {
	o.begin()
	o.batch.Erase = append(o.batch.Erase, viewerRanges(pseudonym)...)
	o.recent.forgetViewer(pseudonym)
	o.seen.forgetViewer(pseudonym)
	o.traffic.Forget(pseudonym)
	o.erasures++
	if err := o.flush(); err != nil {
		return err
	}
	o.ledger.erasures.Store(o.erasures)
	return nil
}

// MaxForgotten is how many rows a call of ForgetExposures removes at most.
const MaxForgotten = 4096

// ForgetExposures removes rows of exposures that no cap needs, by their keys in journal.Viewers. The caller has seen
// them in a state of the journal that ends with the record asOf. Rows that have changed since stay. The error is Stale
// if that state is too old to tell.
func (l *Ledger) ForgetExposures(ctx context.Context, keys [][]byte, asOf uint64) error {
	if len(keys) > MaxForgotten {
		return hexbid.Invalidf("keys", "%d of them: at most %d a call", len(keys), MaxForgotten)
	}
	return l.ask(ctx, newRequest(func(o *owner) error { return o.forgetExposures(keys, asOf) }))
}

func (o *owner) forgetExposures(keys [][]byte, asOf uint64) error {
	if asOf < o.seen.olderFrom {
		return hexbid.Errorf(hexbid.Stale, "viewers", "rows have changed since they were scanned: scan them again")
	}
	for _, key := range keys {
		if o.seen.get(recentKeyOf(journal.Viewers, key)) == nil {
			o.batch.Rows = append(o.batch.Rows, journal.Row{Table: journal.Viewers, Key: key})
		}
	}
	return nil
}
