package exchange

import (
	"bytes"
	"context"
	"encoding/hex"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/journal"
)

// Bounds of a page of an export. A row has a thousand times at most.
const (
	exportRows  = 1000
	exportTimes = 20_000
)

// heldPage is a part of what the journal holds of a viewer.
type heldPage struct {
	records []hexbid.ViewerRecord
	next    []byte // position of the last row, nil when there are no more
}

// ExportViewer returns a page of everything that is held of a viewer: the rows on disk, and then the awards in memory
// whose impression is not reported yet. pageToken is the Next of the page before, empty for the first.
func (e *Exchange) ExportViewer(ctx context.Context, userKey, pageToken string) (*hexbid.ViewerExport, error) {
	l, viewer, err := e.viewerDoor(ctx, access.ExportViewer, userKey)
	if err != nil {
		return nil, err
	}
	list, position := "viewer "+hex.EncodeToString(viewer[:]), ""
	if pageToken != "" {
		if position, err = e.OpenPosition(ctx, list, pageToken); err != nil {
			return nil, err
		}
	}
	read := make(chan heldPage, 1) // the reading may go on after the context has ended
	if err := l.ReadSynced(ctx, func(v journal.View) error {
		page, err := readHeld(v, viewer, []byte(position))
		read <- page
		return err
	}); err != nil {
		return nil, err
	}
	page := <-read
	out := &hexbid.ViewerExport{ReadAt: e.config.Clock().UTC(), Records: page.records}
	if page.next != nil {
		out.Next = e.SealPosition(ctx, list, string(page.next))
	} else {
		now := e.config.Clock().Add(e.ledgerTime.ahead())
		out.Records = append(out.Records, e.viewers.awards.of(viewer, now)...)
	}
	for i := range out.Records {
		out.Records[i].Name = e.nameOf(ctx, out.Records[i].UID)
	}
	return out, nil
}

// nameOf returns the name of a uid, empty if it is deleted.
func (e *Exchange) nameOf(ctx context.Context, uid hexbid.UID) string {
	r, err := e.store.ByUID(ctx, uid)
	if err != nil {
		return ""
	}
	return r.Meta().Name
}

// readHeld reads a page after a position.
func readHeld(v journal.View, viewer [16]byte, position []byte) (page heldPage, err error) {
	var last []byte
	times := 0
	err = ledger.ReadHeld(v, viewer, position, func(r *ledger.HeldRow) bool {
		if len(page.records) == exportRows || times >= exportTimes {
			page.next = last
			return false
		}
		record := recordOf(r)
		page.records, times = append(page.records, record), times+len(record.Times)
		last = r.Position()
		return true
	})
	return page, err
}

// recordOf puts a row into nouns.
func recordOf(r *ledger.HeldRow) hexbid.ViewerRecord {
	out := hexbid.ViewerRecord{UID: r.Subject, Count: int64(r.Exposures.Ever), Sequence: r.Sequence,
		Unread: bytes.Clone(r.Raw)}
	switch {
	case r.Raw != nil:
		out.Kind = hexbid.UnreadOfViewer
	case r.IsCoupon:
		out.Kind, out.Count = hexbid.CouponOfViewer, 1
	case r.IsClicks:
		out.Kind = hexbid.CampaignClicks
	case r.IsOfAdvertiser():
		out.Kind = hexbid.AdvertiserImpressions
	default:
		out.Kind = hexbid.CampaignImpressions
	}
	for _, at := range r.Exposures.Stamps {
		out.Times = append(out.Times, time.UnixMicro(at).UTC())
	}
	return out
}

// of returns a viewer's awards.
func (r *recentAwards) of(viewer [16]byte, now time.Time) (held []hexbid.ViewerRecord) {
	s := r.shardOf(&viewer)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now.Add(-r.keepFor).UnixMicro())
	for _, a := range s.byViewer[viewer] {
		held = append(held, hexbid.ViewerRecord{Kind: hexbid.AwardOfViewer, UID: a.campaign, Count: 1,
			Times: []time.Time{time.UnixMicro(a.At).UTC()}})
	}
	return held
}
