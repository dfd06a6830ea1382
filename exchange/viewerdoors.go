package exchange

import (
	"context"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/journal"
)

// ViewerStats counts what searches asked of viewers' histories since the start.
type ViewerStats struct {
	// Answers by where they came from: filter, cache, journal, and empty for a journal without rows of the viewer; or
	// why there was none: late, busy, long, unread.
	Answers map[string]uint64
	// FalsePositives is the share of viewers without a history whom the filter takes for others; 1 until it is filled.
	FalsePositives float64
	// AwardsOut is how many awards of capped campaigns wait for their impression.
	AwardsOut int
}

var historySourceNames = [historySources]string{fromFilter: "filter", fromCache: "cache", fromJournal: "journal",
	fromEmpty: "empty", tooLate: "late", tooMany: "busy", tooLong: "long", notRead: "unread"}

// ViewerStats returns what searches asked of viewers' histories, nothing in a market without a ledger.
func (e *Exchange) ViewerStats() ViewerStats {
	stats := ViewerStats{Answers: map[string]uint64{}}
	if e.viewers == nil {
		return stats
	}
	for source, name := range historySourceNames {
		stats.Answers[name] = e.viewers.answered[source].Load()
	}
	stats.FalsePositives, stats.AwardsOut = 1, e.viewers.awards.count()
	if f := e.viewers.filter.Load(); f != nil {
		stats.FalsePositives = f.FalsePositives()
	}
	return stats
}

// maxViewerRows is the most rows of a viewer that ViewerHistory returns.
const maxViewerRows = 1000

// ViewerHistory returns what the deployment knows of a viewer, whose user key is the one that searches have.
func (e *Exchange) ViewerHistory(ctx context.Context, userKey string) (*hexbid.ViewerHistory, error) {
	l, viewer, err := e.viewerDoor(ctx, access.GetViewerHistory, userKey)
	if err != nil {
		return nil, err
	}
	type found struct {
		rows []ledger.ViewerRow
		more bool
	}
	read := make(chan found, 1) // the reading may go on after the context has ended
	if err := l.ReadSynced(ctx, func(v journal.View) error {
		rows, more, err := ledger.ReadViewer(v, viewer, maxViewerRows)
		read <- found{rows, more}
		return err
	}); err != nil {
		return nil, err
	}
	f := <-read
	out := &hexbid.ViewerHistory{More: f.more, Exposures: make([]hexbid.Exposure, len(f.rows))}
	for i := range f.rows {
		out.Exposures[i] = e.exposureOf(ctx, &f.rows[i])
	}
	return out, nil
}

// exposureOf puts a row into nouns. A subject that is gone has a uid and no name.
func (e *Exchange) exposureOf(ctx context.Context, r *ledger.ViewerRow) hexbid.Exposure {
	x := hexbid.Exposure{UID: r.Subject, Coupon: r.IsCoupon}
	if r.IsClicks {
		x.Clicks = int64(r.Exposures.Ever)
	} else {
		x.Impressions = int64(r.Exposures.Ever)
	}
	x.Name = e.nameOf(ctx, r.Subject)
	if last := r.Exposures.Last(); last > 0 {
		x.Last = time.UnixMicro(last).UTC()
	}
	return x
}

// EraseViewerHistory erases what the deployment knows of a viewer: what they have seen of campaigns and advertisers
// with a frequency cap, what they have clicked, and which coupons they have. No record of the ledger changes, because
// none names a viewer.
func (e *Exchange) EraseViewerHistory(ctx context.Context, userKey string) error {
	l, viewer, err := e.viewerDoor(ctx, access.EraseViewerHistory, userKey)
	if err != nil {
		return err
	}
	if err := l.EraseViewer(ctx, viewer); err != nil {
		return err
	}
	e.viewers.forget(viewer)
	e.recent.forget()
	return nil
}

func (e *Exchange) viewerDoor(ctx context.Context, m access.Method,
	userKey string) (*ledger.Ledger, [16]byte, error) {
	if err := e.admit(ctx, m, ""); err != nil {
		return nil, [16]byte{}, err
	}
	l, err := e.ledger()
	if err != nil {
		return nil, [16]byte{}, err
	}
	if userKey == "" || len(userKey) > hexbid.MaxUserKeyBytes {
		return nil, [16]byte{}, hexbid.Invalidf("user_key", "has %d bytes: give 1 to %d, as searches do", len(userKey),
			hexbid.MaxUserKeyBytes)
	}
	return l, e.keys.Ring().Pseudonym(userKey), nil
}
