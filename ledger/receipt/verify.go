package receipt

import (
	"encoding/hex"
	"slices"
	"strings"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/merkle"
)

// Verify checks a receipt's file without a server or stored state, and returns what it proves. It recomputes
//
//   - the price, by the auction's own arithmetic, from the bid, the quality and the rest of the award;
//   - the charge, from the price: a click's, or a thousandth for an impression;
//   - the leaf's hash from salt and record, the path from it to the Merkle root of the hour, and the link that stands
//     for this root and all before it;
//   - every other line of the file, all of which follow from these.
//
// The link must be among links, which the caller has from somebody other than the file's sender. With no links the
// receipt is checked in itself alone. The error, of kind Invalid, says what does not hold.
func Verify(text []byte, links []Hash) (*Receipt, error) {
	proof, root, err := read(text)
	if err != nil {
		return nil, err
	}
	charge, err := proof.charge()
	if err != nil {
		return nil, err
	}
	root.Link = merkle.Link(root.Previous, root.Hour, root.Charges, root.MerkleRoot)
	r := &Receipt{Charge: *charge, Proof: proof, Root: root}
	if err := r.check(); err != nil {
		return nil, err
	}
	rendered, err := r.File()
	if err != nil {
		return nil, err
	}
	if err := compare(text, rendered); err != nil {
		return nil, err
	}
	if len(links) > 0 && !slices.Contains(links, root.Link) {
		return nil, hexbid.Invalidf("root",
			"the receipt leads to root %x of the hour from %s, which is not the one given",
			root.Link[:], instant(root.Start()))
	}
	return r, nil
}

// ParseRoot reads a root's link: 64 hexadecimal digits.
func ParseRoot(text string) (link Hash, err error) {
	b, err := hex.DecodeString(strings.TrimSpace(text))
	if err != nil || len(b) != len(link) {
		return link, hexbid.Invalidf("root",
			"%.80q is not a root: use the 64 hexadecimal digits that `hexbid ledger roots` lists",
			text)
	}
	return Hash(b), nil
}

// charge decodes the record of a proof.
func (p *Proof) charge() (*Charge, error) {
	record, err := fold.DecodeLeaf(p.Record)
	if err != nil {
		return nil, &hexbid.Error{Kind: hexbid.Invalid, Field: "receipt.proof.record", Detail: "it does not decode",
			Err: err}
	}
	return chargeOf(record)
}

// check compares the parts of a receipt with each other.
func (r *Receipt) check() error {
	if hour := r.Charge.hour(); hour != r.Root.Hour {
		return hexbid.Invalidf("receipt.charge.time", "%s is not in the hour of the root, from %s",
			instant(r.Charge.Time),
			instant(r.Root.Start()))
	}
	if err := r.Charge.checkAmount(); err != nil {
		return err
	}
	leaf := merkle.LeafHash(r.Proof.Salt, r.Proof.Record)
	if err := merkle.Check(r.Proof.Path, r.Root.Charges, r.Proof.Index, leaf, r.Root.MerkleRoot); err != nil {
		return &hexbid.Error{Kind: hexbid.Invalid, Field: "receipt.proof.path",
			Detail: "the record is not under the root", Err: err}
	}
	return nil
}

// checkAmount recomputes the price from the award, and what is due from the price.
func (c *Charge) checkAmount() error {
	a := &c.Event.Award
	if c.PriceProven() {
		award := c.award()
		price, _, err := award.WorkOutPrice()
		if err != nil {
			return &hexbid.Error{Kind: hexbid.Invalid, Field: "receipt.award", Detail: "it has no price", Err: err}
		}
		if price != a.Price {
			return hexbid.Invalidf("receipt.award.price_micros", "%d, but the auction's arithmetic gives %d", a.Price,
				price)
		}
	}
	if p := a.Predicted(); p.QualityPPM() != a.Basis.QualityPPM {
		return hexbid.Invalidf("receipt.award.quality_ppm", "%d, but the campaign's own %d and the factors %d and %d make %d",
			a.Basis.QualityPPM, p.BasePPM, p.ScenePPM, p.DistancePPM, p.QualityPPM())
	}
	if due := c.due(); c.Event.Charged != due {
		return hexbid.Invalidf("receipt.charge.charged_micros", "%d, but a price of %d makes %d due", c.Event.Charged,
			a.Price, due)
	}
	return nil
}
