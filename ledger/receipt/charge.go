package receipt

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/token"
)

// Charge is a record that charged something.
type Charge struct {
	Sequence uint64
	Time     time.Time // of the record
	Event    *fold.Event
	SetBy    auction.SetBy // what set the price; 0 in a token of the first version, which does not say
}

// chargeOf returns the charge that a record holds. Invalid: it holds none.
func chargeOf(r *fold.Record) (*Charge, error) {
	event, ok := r.Body.(*fold.Event)
	if !ok || event.Charged <= 0 {
		return nil, hexbid.Invalidf("receipt.proof.record", "it charges nothing")
	}
	c := &Charge{Sequence: r.Sequence, Time: time.UnixMicro(r.At).UTC(), Event: event}
	if c.PriceProven() {
		award := c.award()
		if _, setBy, err := award.WorkOutPrice(); err == nil {
			c.SetBy = setBy
		}
	}
	return c, nil
}

// PriceProven reports whether the record holds what its price follows from. Records of tokens of the first version do
// not.
func (c *Charge) PriceProven() bool { return c.Event.Award.MarketVersion != 0 }

// award returns the part of the token's award that a price follows from.
func (c *Charge) award() token.Award {
	return token.Award{MarketVersion: c.Event.Award.MarketVersion, Basis: c.Event.Award.Basis}
}

// due returns what the event costs at the award's price: a click its price, an impression a thousandth of the price of
// a thousand. A click that stands for its impression too pays for that under CPM.
func (c *Charge) due() hexbid.Money {
	e := c.Event
	clicked := e.Kind == hexbid.Click
	seen := e.Kind == hexbid.Impression || clicked && e.Implies
	switch pricing := e.Award.Basis.Pricing; {
	case pricing == hexbid.CPC && clicked:
		return e.Award.Price
	case pricing == hexbid.CPM && seen:
		return e.Award.Price / 1000
	}
	return 0
}

// hour returns the hour that the charge belongs to, since 1970, UTC.
func (c *Charge) hour() uint32 { return fold.HourOf(c.Time.UnixMicro()) }

// readCharge reads a charge and its encoded record.
func readCharge(v journal.View, sequence uint64) (*Charge, []byte, error) {
	record, encoded, err := readRecord(v, sequence)
	if err != nil {
		return nil, nil, err
	}
	if record != nil {
		if charge, err := chargeOf(record); err == nil {
			return charge, encoded, nil
		}
	}
	return nil, nil, NoCharge(sequence)
}

// NoCharge returns the error for a sequence that is not a charge's.
func NoCharge(sequence uint64) error {
	return hexbid.Errorf(hexbid.NotFound, "sequence", "record %d is not a charge; `hexbid ledger charges` lists charges",
		sequence)
}

// readRecord reads a record. It returns nil when there is none, or when compaction has removed it.
func readRecord(v journal.View, sequence uint64) (*fold.Record, []byte, error) {
	encoded, err := v.Get(journal.Records, fold.RecordKey(sequence))
	if err != nil || encoded == nil {
		return nil, nil, err
	}
	record, err := fold.Decode(encoded)
	if err == nil && record.Sequence != sequence {
		err = damaged(nil, "record %d stands where record %d should", record.Sequence, sequence)
	}
	return record, slices.Clone(encoded), err
}

// ChargeQuery asks for charges of a campaign in order of sequence.
type ChargeQuery struct {
	Campaign   hexbid.UID
	After      uint64    // only later records; 0 is from the first
	Start, End time.Time // only records of this time, End excluded; zero is no limit
	Limit      int       // at most so many; at least 1
}

// Charges returns a page of charges, and the sequence to ask for the next page after; 0 when there is none.
func Charges(v journal.View, q ChargeQuery) (page []Charge, next uint64, err error) {
	from, to, err := q.sequences(v)
	if err != nil {
		return nil, 0, err
	}
	err = v.Scan(journal.Charges, fold.ChargeKey(q.Campaign, from), fold.ChargeKey(q.Campaign, to),
		func(key, _ []byte) (bool, error) {
			if len(page) == q.Limit {
				next = page[q.Limit-1].Sequence
				return false, nil
			}
			charge, err := readListed(v, key)
			if err != nil {
				return false, err
			}
			page = append(page, *charge)
			return true, nil
		})
	return page, next, err
}

// readListed reads the charge that a row of journal.Charges names. A missing one is DataLoss.
func readListed(v journal.View, key []byte) (*Charge, error) {
	charge, _, err := readCharge(v, binary.BigEndian.Uint64(key[8:]))
	if hexbid.KindOf(err) == hexbid.NotFound {
		err = damaged(err, "campaign %d lists a charge that is not there", binary.BigEndian.Uint64(key))
	}
	return charge, err
}

// sequences returns the sequences that a query spans, to excluded.
func (q *ChargeQuery) sequences(v journal.View) (from, to uint64, err error) {
	from, to = q.After+1, v.Last()+1
	if !q.Start.IsZero() {
		first, err := firstAt(v, q.Start)
		if err != nil {
			return 0, 0, err
		}
		from = max(from, first)
	}
	if !q.End.IsZero() {
		if to, err = firstAt(v, q.End); err != nil {
			return 0, 0, err
		}
	}
	return from, max(from, to), nil
}

// firstAt returns the sequence of the first record at or after an instant, the one after the last when there is none.
// Stamps never decrease, so it searches by halves: some 40 reads.
func firstAt(v journal.View, instant time.Time) (uint64, error) {
	from, to, micros := uint64(1), v.Last()+1, instant.UnixMicro()
	for from < to {
		middle := from + (to-from)/2
		record, err := nextRecord(v, middle)
		switch {
		case err != nil:
			return 0, err
		case record == nil || record.At >= micros:
			to = middle
		default:
			from = max(middle, record.Sequence) + 1
		}
	}
	return from, nil
}

// nextRecord returns the first record from a sequence on; records between may have been removed.
func nextRecord(v journal.View, sequence uint64) (record *fold.Record, err error) {
	err = v.Scan(journal.Records, fold.RecordKey(sequence), nil, func(_, value []byte) (bool, error) {
		record, err = fold.Decode(slices.Clone(value))
		return false, err
	})
	return record, err
}
