package receipt

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/merkle"
)

// Root stands for all charges of an hour. It tells nothing of them but their number.
type Root struct {
	Hour       uint32 // since 1970, UTC
	MerkleRoot Hash
	Charges    uint64
	Previous   Hash   // Link of the root before, zero of the first
	Link       Hash   // stands for this root and all before it (merkle.Link)
	Sequence   uint64 // of the record that closed the hour; 0 in a root from a file
}

const secondsAnHour = 3600

// Start returns when the hour began.
func (r *Root) Start() time.Time { return startOf(r.Hour) }

func startOf(hour uint32) time.Time { return time.Unix(int64(hour)*secondsAnHour, 0).UTC() }

// Roots returns a page of the roots of the hours that begin from start on and before end (zero: no limit), and the
// start of the next page; zero when there is none.
func Roots(v journal.View, start, end time.Time, limit int) (page []Root, next time.Time, err error) {
	from, to := hourFrom(start, 0), hourFrom(end, math.MaxUint32)
	if from >= to {
		return nil, time.Time{}, nil
	}
	err = v.Scan(journal.Roots, fold.RootKey(from), fold.RootKey(to), func(key, _ []byte) (bool, error) {
		closed, err := readHour(v, binary.BigEndian.Uint32(key))
		if err != nil || closed == nil { // the last hour may be open
			return closed == nil, err
		}
		if len(page) == limit {
			next = closed.Root.Start()
			return false, nil
		}
		page = append(page, closed.Root)
		return true, nil
	})
	return page, next, err
}

// hourFrom returns the first hour that begins at or after an instant.
func hourFrom(t time.Time, zero uint32) uint32 {
	if t.IsZero() {
		return zero
	}
	hour := (t.Unix() + secondsAnHour - 1) / secondsAnHour
	return uint32(min(max(hour, 0), math.MaxUint32))
}

// closedHour is an hour with the secret that the salts of its leaves derive from.
type closedHour struct {
	Root
	secret [32]byte
}

// readHour reads an hour that is closed, nil for another one.
func readHour(v journal.View, hour uint32) (*closedHour, error) {
	value, err := v.Get(journal.Roots, fold.RootKey(hour))
	if err != nil || value == nil {
		return nil, err
	}
	openedBy, closedBy, err := fold.DecodeRoot(value)
	if err != nil || closedBy == 0 {
		return nil, err
	}
	closing, _, err := readRecord(v, closedBy)
	if err != nil {
		return nil, err
	}
	opening, _, err := readRecord(v, openedBy)
	if err != nil {
		return nil, err
	}
	closed, isClosing := bodyOf[*fold.HourClosed](closing)
	opened, isOpening := bodyOf[*fold.HourOpened](opening)
	if !isClosing || !isOpening || closed.Hour != hour || opened.Hour != hour {
		return nil, damaged(nil, "the records that open and close hour %d are not there", hour)
	}
	root := Root{Hour: hour, MerkleRoot: closed.Root, Charges: closed.Charges, Previous: closed.PreviousLink,
		Sequence: closedBy}
	root.Link = merkle.Link(root.Previous, hour, root.Charges, root.MerkleRoot)
	return &closedHour{root, opened.Salt}, nil
}

// bodyOf returns the body of a record, which may be nil, if it is of a kind.
func bodyOf[T fold.Body](r *fold.Record) (body T, ok bool) {
	if r != nil {
		body, ok = r.Body.(T)
	}
	return body, ok
}

// Vouched returns the links that some trusted links vouch for: themselves, and those of all roots before them that
// roots, in order, connects to them. A root that does not fit, or that is missing, ends the chain there.
func Vouched(roots []Root, trusted []Hash) []Hash {
	vouched := slices.Clone(trusted)
	var next Hash // the last link that was added
	for _, r := range slices.Backward(roots) {
		link := merkle.Link(r.Previous, r.Hour, r.Charges, r.MerkleRoot)
		if link == next || slices.Contains(trusted, link) {
			next = r.Previous
			vouched = append(vouched, next)
		}
	}
	return vouched
}
