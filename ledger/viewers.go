package ledger

import (
	"bytes"
	"encoding/binary"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/frequency"
	"github.com/hexbid/hexbid/ledger/journal"
)

// The rows of journal.Viewers are what the ledger knows of a viewer. They are outside the chain, so that they can be
// removed. A key is a pseudonym, a uid and a mark that says what the row is.
const (
	couponMark     = 'c' // of a campaign: the sequence of the claim's record, which does not name the viewer
	campaignMark   = 'f' // of a campaign: exposures
	advertiserMark = 'F' // of an advertiser: exposures
	clicksMark     = 'k' // of a campaign: clicks that were not filtered, in the form of exposures

	pseudonymBytes = 16
	viewerKeyBytes = pseudonymBytes + 8 + 1
)

// CouponKey is the key in journal.Viewers that says that a viewer was granted a coupon of a campaign. The value is the
// sequence of the claim's record, which does not name the viewer.
func CouponKey(pseudonym [16]byte, campaign hexbid.UID) []byte {
	return viewerKey(pseudonym, campaign, couponMark)
}

func viewerKey(pseudonym [16]byte, uid hexbid.UID, mark byte) []byte {
	return append(binary.BigEndian.AppendUint64(pseudonym[:], uint64(uid)), mark)
}

// ViewerRow is a row of journal.Viewers.
type ViewerRow struct {
	Viewer    [16]byte // pseudonym
	Subject   hexbid.UID
	IsCoupon  bool // of the campaign Subject
	IsClicks  bool // on the campaign Subject, in the place of exposures
	Exposures frequency.Exposures
	IsDamaged bool   // Exposures are empty, because the row does not decode; it counts for nothing
	Sequence  uint64 // of a coupon: the record that granted it
	mark      byte
}

// IsOfAdvertiser reports whether the subject is an advertiser.
func (r *ViewerRow) IsOfAdvertiser() bool { return r.mark == advertiserMark }

// Key returns the row's key.
func (r *ViewerRow) Key() []byte { return viewerKey(r.Viewer, r.Subject, r.mark) }

// decodeViewerRow reads a row. It returns false for a row of an unknown kind, which a later version may have written.
func decodeViewerRow(key, value []byte) (r ViewerRow, known bool) {
	if len(key) != viewerKeyBytes {
		return r, false
	}
	r.Viewer, r.Subject = [16]byte(key), hexbid.UID(binary.BigEndian.Uint64(key[pseudonymBytes:]))
	r.mark = key[viewerKeyBytes-1]
	switch r.mark {
	case couponMark:
		if r.IsCoupon = true; len(value) == 8 {
			r.Sequence = binary.BigEndian.Uint64(value)
		}
	case campaignMark, advertiserMark, clicksMark:
		var err error
		r.IsClicks = r.mark == clicksMark
		r.Exposures, err = frequency.Decode(value)
		r.IsDamaged = err != nil
	default:
		return r, false
	}
	return r, true
}

// viewerRange is the rows of one viewer in journal.Viewers.
func viewerRange(pseudonym [16]byte) journal.Range {
	return journal.Range{Table: journal.Viewers, From: pseudonym[:], To: after(pseudonym)}
}

// viewerRanges is everything of one viewer in a journal.
func viewerRanges(pseudonym [16]byte) (ranges []journal.Range) {
	for _, t := range journal.OfViewers {
		ranges = append(ranges, journal.Range{Table: t, From: pseudonym[:], To: after(pseudonym)})
	}
	return ranges
}

// HeldRow is a row of a viewer in any of journal.OfViewers.
type HeldRow struct {
	ViewerRow
	Table journal.Table
	Raw   []byte // key after the pseudonym, and value, of a row that cannot be read; nil for others
	after []byte // key after the pseudonym
}

// Position names the row among those of its viewer, for ReadHeld.
func (r *HeldRow) Position() []byte { return append([]byte{byte(r.Table)}, r.after...) }

// ReadHeld calls visit with all that a journal holds of a viewer, after the position of an earlier row (nil: from the
// start), until visit returns false. A row is valid during the call only.
func ReadHeld(v journal.View, pseudonym [16]byte, position []byte, visit func(*HeldRow) (more bool)) error {
	going := true
	for _, of := range viewerRanges(pseudonym) {
		switch {
		case len(position) > 0 && byte(of.Table) < position[0]:
			continue
		case len(position) > 0 && byte(of.Table) == position[0]:
			of.From = append(append(bytes.Clone(pseudonym[:]), position[1:]...), 0)
		}
		if err := v.Scan(of.Table, of.From, of.To, func(key, value []byte) (bool, error) {
			going = visit(heldRow(of.Table, key, value))
			return going, nil
		}); err != nil || !going {
			return err
		}
	}
	return nil
}

func heldRow(t journal.Table, key, value []byte) *HeldRow {
	r := &HeldRow{Table: t, after: key[pseudonymBytes:]}
	known := false
	if t == journal.Viewers {
		r.ViewerRow, known = decodeViewerRow(key, value)
	}
	if !known || r.IsDamaged {
		r.Raw = append(bytes.Clone(r.after), value...)
	}
	return r
}

// after returns the key right after all those of a viewer, nil for the end of the table.
func after(pseudonym [16]byte) []byte {
	for i := len(pseudonym) - 1; i >= 0; i-- {
		if pseudonym[i]++; pseudonym[i] != 0 {
			return pseudonym[:]
		}
	}
	return nil
}

// maxHistoryRows is the most rows of a viewer that ReadHistory looks at, coupons included.
const maxHistoryRows = frequency.MaxSubjects

// ReadHistory reads what a viewer has seen of capped campaigns and advertisers. It returns nil for a viewer of whom
// there is more than a History holds.
func ReadHistory(v journal.View, pseudonym [16]byte) (*frequency.History, error) {
	var seen []frequency.Seen
	rows, bytes := 0, 0
	of := viewerRange(pseudonym)
	err := v.Scan(of.Table, of.From, of.To, func(key, value []byte) (bool, error) {
		if rows, bytes = rows+1, bytes+len(value); rows > maxHistoryRows || bytes > frequency.MaxBytes {
			return false, nil
		}
		row, known := decodeViewerRow(key, value)
		if known && !row.IsCoupon && !row.IsClicks && !row.IsDamaged {
			seen = append(seen, frequency.Seen{Subject: row.Subject, Exposures: row.Exposures})
		}
		return true, nil
	})
	if err != nil || rows > maxHistoryRows || bytes > frequency.MaxBytes {
		return nil, err
	}
	return frequency.NewHistory(seen), nil
}

// ReadViewer reads the rows of a viewer, the first atMost of them, in the order of uids.
func ReadViewer(v journal.View, pseudonym [16]byte, atMost int) (rows []ViewerRow, more bool, err error) {
	return readViewerRows(v, viewerRange(pseudonym), atMost)
}

// ReadViewers reads atMost rows of all viewers, from a key on.
func ReadViewers(v journal.View, from []byte, atMost int) (rows []ViewerRow, more bool, err error) {
	return readViewerRows(v, journal.Range{Table: journal.Viewers, From: from}, atMost)
}

func readViewerRows(v journal.View, of journal.Range, atMost int) (rows []ViewerRow, more bool, err error) {
	err = v.Scan(of.Table, of.From, of.To, func(key, value []byte) (bool, error) {
		if more = len(rows) == atMost; more {
			return false, nil
		}
		if row, known := decodeViewerRow(key, value); known {
			rows = append(rows, row)
		}
		return true, nil
	})
	return rows, more, err
}
