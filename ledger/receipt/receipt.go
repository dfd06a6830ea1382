// Package receipt reads from a journal what advertisers get to see of it: charges with their receipts, the roots of
// hours, statements of months, the hours and days of a campaign. It never writes, and it holds no state.
//
// A receipt proves one charge to whoever has the root of its hour from somebody they trust. It names no rival and tells
// nothing of other charges: what it holds is the charge's own record, a salt, and hashes.
package receipt

import (
	"fmt"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/ledger/merkle"
)

// Hash is a SHA-256 hash.
type Hash = merkle.Hash

// Receipt is a charge with what proves it.
type Receipt struct {
	Charge Charge
	Proof  *Proof // nil while the receipt is pending
	Root   *Root  // nil while the receipt is pending
}

// Pending reports whether the charge's hour is not closed yet, so that there is no root.
func (r *Receipt) Pending() bool { return r.Root == nil }

// Proof is what binds a charge to a root. All else in a receipt follows from both.
type Proof struct {
	// Record is the charge's record without the hash of the record before it. Records are not salted, so that hash
	// would let others try out what the record before says.
	Record []byte
	Salt   [merkle.SaltBytes]byte
	Index  uint64 // of the leaf among the charges of the hour
	Path   []Hash
}

// Get returns the receipt of the charge whose record has a sequence. NotFound: there is no such record, or it charged
// nothing. DataLoss: what proves the charge is damaged.
func Get(v journal.View, sequence uint64) (*Receipt, error) {
	charge, encoded, err := readCharge(v, sequence)
	if err != nil {
		return nil, err
	}
	closed, err := readHour(v, charge.hour())
	if err != nil || closed == nil {
		return &Receipt{Charge: *charge}, err
	}
	r := &Receipt{Charge: *charge, Root: &closed.Root, Proof: &Proof{Record: fold.Leaf(encoded),
		Salt: merkle.Salt(closed.secret, sequence)}}
	if r.Proof.Index, err = readLeafIndex(v, charge); err != nil {
		return nil, err
	}
	r.Proof.Path, err = merkle.Prove(r.Root.Charges, r.Proof.Index, r.Root.MerkleRoot, tilesOf(v, r.Root.Hour))
	if err == nil {
		err = r.check()
	}
	if err != nil {
		return nil, damaged(err, "the charge of record %d does not prove", sequence)
	}
	return r, nil
}

// readLeafIndex returns the place of a charge among the charges of its hour.
func readLeafIndex(v journal.View, c *Charge) (uint64, error) {
	value, err := v.Get(journal.Charges, fold.ChargeKey(c.Event.Award.Campaign, c.Sequence))
	if err != nil {
		return 0, err
	}
	index, err := fold.DecodeIndex(value)
	if err != nil {
		return 0, damaged(err, "the charge of record %d in the list of its campaign", c.Sequence)
	}
	return index, nil
}

// tilesOf reads tiles of the tree of an hour.
func tilesOf(v journal.View, hour uint32) merkle.ReadTile {
	return func(level uint8, index uint64) ([]byte, error) {
		hashes, err := v.Get(journal.Tiles, fold.TileKey(hour, level, index))
		if err == nil && hashes == nil {
			err = fmt.Errorf("tile %d of level %d of hour %d is missing", index, level, hour)
		}
		return hashes, err
	}
}

// damaged says what of the journal cannot be, and why.
func damaged(cause error, format string, args ...any) error {
	return &hexbid.Error{Kind: hexbid.DataLoss, Field: "ledger", Detail: fmt.Sprintf(format, args...), Err: cause}
}
