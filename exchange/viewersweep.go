package exchange

import (
	"bytes"
	"context"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/frequency"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/store"
)

// viewerSweep goes through all rows of viewers: once at the start, to fill the filter, and then every hour. It makes
// the filter anew, so that viewers who are gone leave it, and removes the rows of exposures that no cap needs. It reads
// some thousand rows at a time, and rests in between.
type viewerSweep struct {
	viewers *viewers
	ledger  *ledger.Ledger
	store   store.Store
	bytes   int // of the filter
	rest    time.Duration

	forEver map[hexbid.UID]bool // whether a campaign or an advertiser has a cap for ever; of this pass
	from    []byte              // where the next rows begin
	damaged int                 // rows that do not decode; of this pass
}

const (
	sweepViewersEvery = time.Hour
	viewersAPiece     = 4096
	restBetweenPieces = 20 * time.Millisecond
)

// sweepViewers goes through the rows until the context ends.
func (e *Exchange) sweepViewers(ctx context.Context) {
	for {
		s := e.newSweep()
		s.rest = restBetweenPieces
		if e.viewers.filter.Load() == nil {
			s.rest = 0
		}
		wait := sweepViewersEvery
		if err := s.run(ctx); err != nil && ctx.Err() == nil {
			e.config.Log.Warn("rows of viewers cannot be swept: searches read histories from the disk meanwhile", "error", err)
			wait = time.Minute
		}
		pause(ctx, wait)
		if ctx.Err() != nil {
			return
		}
	}
}

func (e *Exchange) newSweep() *viewerSweep {
	return &viewerSweep{viewers: e.viewers, ledger: e.config.Ledger, store: e.store,
		bytes: int(e.config.Histories.FilterBytes), forEver: map[hexbid.UID]bool{}}
}

// run makes one pass. Impressions that are recorded meanwhile enter both filters.
func (s *viewerSweep) run(ctx context.Context) error {
	next := frequency.NewFilter(s.bytes)
	s.viewers.filling.Store(next)
	defer s.viewers.filling.Store(nil)
	for more := true; more; {
		var err error
		if more, err = s.piece(ctx, next); err != nil {
			return err
		}
		if s.rest > 0 {
			pause(ctx, s.rest)
		}
	}
	s.viewers.filter.Store(next)
	if s.damaged > 0 {
		s.viewers.log.Error("rows of what viewers have seen or clicked cannot be read and are removed: they count anew",
			"rows", s.damaged)
	}
	return nil
}

// piece looks at some rows. It reports whether there are more.
func (s *viewerSweep) piece(ctx context.Context, next *frequency.Filter) (more bool, err error) {
	piece, err := s.scan(ctx)
	if err != nil {
		return false, err
	}
	old, err := s.old(ctx, piece.rows)
	if err != nil {
		return false, err
	}
	gone := map[int]bool{}
	for _, i := range old {
		gone[i] = true
	}
	keys := make([][]byte, 0, len(old))
	for i := range piece.rows {
		if gone[i] {
			keys = append(keys, piece.rows[i].Key())
		} else {
			next.Add(&piece.rows[i].Viewer)
		}
	}
	if len(keys) > 0 {
		err = s.ledger.ForgetExposures(ctx, keys, piece.asOf)
		if hexbid.KindOf(err) == hexbid.Stale { // the next pass tries again
			err = nil
		}
	}
	return piece.more, err
}

// sweepPiece is some rows of one state of the journal.
type sweepPiece struct {
	rows []ledger.ViewerRow
	asOf uint64
	more bool
}

// scan reads the next rows.
func (s *viewerSweep) scan(ctx context.Context) (sweepPiece, error) {
	read := make(chan sweepPiece, 1) // the reading may go on after the context has ended
	from := s.from
	err := s.ledger.ReadSynced(ctx, func(v journal.View) error {
		p := sweepPiece{asOf: v.Last()}
		var err error
		p.rows, p.more, err = ledger.ReadViewers(v, from, viewersAPiece)
		read <- p
		return err
	})
	if err != nil {
		return sweepPiece{}, err
	}
	p := <-read
	if p.more {
		s.from = append(bytes.Clone(p.rows[len(p.rows)-1].Key()), 0)
	}
	return p, nil
}

// old returns the rows that no cap needs: the last impression has left every window that there can be, and no cap is
// for ever. A row that does not decode counts for nothing.
func (s *viewerSweep) old(ctx context.Context, rows []ledger.ViewerRow) (indices []int, err error) {
	before := s.ledger.Now().Add(-frequency.LongestWindow).UnixMicro()
	for i := range rows {
		if r := &rows[i]; r.IsDamaged {
			s.damaged++
			indices = append(indices, i)
		} else if !r.IsCoupon && r.Exposures.Last() <= before {
			forEver, err := s.isForEver(ctx, r.Subject)
			if err != nil {
				return nil, err
			}
			if r.IsClicks || !forEver {
				indices = append(indices, i)
			}
		}
	}
	return indices, nil
}

// isForEver reports whether a campaign or an advertiser has a cap for ever. A deleted one has none: the tokens that are
// out have long expired.
func (s *viewerSweep) isForEver(ctx context.Context, uid hexbid.UID) (bool, error) {
	if forEver, known := s.forEver[uid]; known {
		return forEver, nil
	}
	record, err := s.store.ByUID(ctx, uid)
	if err != nil && hexbid.KindOf(err) != hexbid.NotFound {
		return false, err
	}
	limit := capOf(record.Resource)
	s.forEver[uid] = limit.Impressions > 0 && limit.Window == 0
	return s.forEver[uid], nil
}
