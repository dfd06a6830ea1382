package audit

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/merkle"
)

// earlier follows the records that compaction has left: all but events that billed nothing. Between them are gaps, so
// they cannot be folded. But hours still add up to their roots, roots are a chain, and neighbours hold each other's
// hash.
type earlier struct {
	last   *link
	hour   fold.HourOpened
	opened uint64 // sequence of the record that opened the hour, 0 for none
	tree   merkle.Tree
	count  fold.HourClosed // Charges and Charged of the open hour
	link   merkle.Hash     // of the last closed hour
	linked bool            // link was compared with the first hour that closed after the base
}

// readEarlier verifies the records up to the base.
func (a *auditor) readEarlier() error {
	if a.base.Sequence == 0 {
		a.earlier.linked = true
		return nil
	}
	return a.View.Scan(journal.Records, nil, fold.RecordKey(a.base.Sequence+1), func(key, value []byte) (bool, error) {
		a.at = binary.BigEndian.Uint64(key)
		encoded := slices.Clone(value)
		record, err := fold.Decode(encoded)
		if err != nil || record.Sequence != a.at {
			a.wrong(a.at, "the record", fmt.Sprintf("another one, or none: %v", err))
			return true, nil
		}
		a.takeEarlier(&link{record, encoded, fold.HashOf(encoded)})
		return true, a.ctx.Err()
	})
}

func (a *auditor) takeEarlier(l *link) {
	e := &a.earlier
	if e.last != nil && e.last.Sequence+1 == l.Sequence && e.last.hash != l.Previous {
		a.wrong(e.last.Sequence, hashText(l.Previous)+", which "+recordName(l.Sequence)+" holds",
			hashText(e.last.hash))
	}
	if l.Sequence == a.base.Sequence && l.hash != a.base.Tail {
		a.wrong(l.Sequence, hashText(a.base.Tail)+", which the base has", hashText(l.hash))
	}
	e.last = l
	a.verifyKnown(l.Sequence, l.hash)
	switch body := l.Body.(type) {
	case *fold.Event:
		a.earlierCharge(l, body)
	case *fold.HourOpened:
		e.hour, e.opened, e.tree, e.count = *body, l.Sequence, merkle.Tree{}, fold.HourClosed{}
		a.expect(journal.Roots, fold.RootKey(body.Hour), rootValue(e.opened, 0))
	case *fold.HourClosed:
		a.earlierClosed(l, body)
	case *fold.Movement:
		a.earlierMovement(l, body.Advertiser, body.RequestID, body.Posted)
	case *fold.Credit:
		a.earlierMovement(l, body.Advertiser, body.RequestID, body.Posted)
	case *fold.Terms:
		if a.expectOnce(journal.Members, fold.MemberKey(body.Advertiser, body.Campaign), []byte(body.Name)) {
			a.expect(journal.Names, fold.NameKey(body.Name, body.Campaign), []byte{})
		}
	case *fold.AdvertiserTerms:
		a.expect(journal.Names, fold.NameKey(body.Name, body.Advertiser), []byte{})
		a.expect(journal.Members, fold.MemberKey(body.Advertiser, 0), []byte(body.Name))
	}
}

// expect takes in a row that a record before the base has put.
func (a *auditor) expect(t journal.Table, key, value []byte) {
	a.rows.put([]journal.Row{{Table: t, Key: key, Value: value}})
}

// expectOnce takes in a row that only the first record of its kind puts, and reports whether this was the first.
func (a *auditor) expectOnce(t journal.Table, key, value []byte) bool {
	if _, known := a.rows.again[row{t, string(key)}]; known {
		return false
	}
	a.expect(t, key, value)
	return true
}

func (a *auditor) earlierMovement(l *link, advertiser hexbid.UID, requestID string, posted int32) {
	a.expect(journal.Movements, fold.MovementKey(advertiser, posted, l.Sequence), []byte{})
	if requestID != "" {
		a.expect(journal.Requests, fold.RequestKey(advertiser, requestID), fold.RecordKey(l.Sequence))
	}
}

// earlierCharge adds the leaf of a charge to the tree of its hour.
func (a *auditor) earlierCharge(l *link, e *fold.Event) {
	if e.Charged == 0 {
		return
	}
	open := &a.earlier
	a.Charges++
	a.Charged += e.Charged
	a.expect(journal.Charges, fold.ChargeKey(e.Award.Campaign, l.Sequence), fold.RecordKey(open.tree.Size()))
	a.expectTiles(open.tree.Append(merkle.LeafHash(merkle.Salt(open.hour.Salt, l.Sequence), fold.Leaf(l.encoded))))
	open.count.Charges++
	open.count.Charged += e.Charged
}

func (a *auditor) expectTiles(tiles []merkle.Tile) {
	for _, tile := range tiles {
		a.expect(journal.Tiles, fold.TileKey(a.earlier.hour.Hour, tile.Level, tile.Index), tile.Hashes)
	}
}

// earlierClosed compares what a record says of an hour with its charges.
func (a *auditor) earlierClosed(l *link, closed *fold.HourClosed) {
	e := &a.earlier
	a.expectTiles(e.tree.Unfinished())
	a.expect(journal.Roots, fold.RootKey(closed.Hour), rootValue(e.opened, l.Sequence))
	want := *closed
	want.Hour, want.Root, want.Charges, want.Charged = e.hour.Hour, e.tree.Root(), e.count.Charges, e.count.Charged
	want.PreviousLink = e.link
	if want != *closed {
		a.wrong(l.Sequence, hourOf(&want), hourOf(closed))
	}
	a.Hours++
	a.lastClosed, a.lastClosedAt = *closed, l.At
	e.link = merkle.Link(closed.PreviousLink, closed.Hour, closed.Charges, closed.Root)
}

// joinLinks compares the link of the last hour before the base with the one that the first hour after it holds.
func (a *auditor) joinLinks(sequence uint64, closed *fold.HourClosed) {
	e := &a.earlier
	if e.linked {
		return
	}
	if e.linked = true; e.link != closed.PreviousLink {
		a.wrong(sequence, fmt.Sprintf("link %x of the hours before", e.link[:]),
			fmt.Sprintf("link %x", closed.PreviousLink[:]))
	}
}

func hourOf(h *fold.HourClosed) string {
	return fmt.Sprintf("hour %d with %d charges of %d micros, root %x, previous link %x", h.Hour, h.Charges,
		int64(h.Charged), h.Root[:], h.PreviousLink[:])
}

func rootValue(opened, closed uint64) []byte {
	return binary.BigEndian.AppendUint64(fold.RecordKey(opened), closed)
}
