package fold

import (
	"crypto/sha256"
	"slices"

	"github.com/hexbid/hexbid"
)

// Hash is a SHA-256 hash.
type Hash = [sha256.Size]byte

// Record is one record of the ledger. Its hash covers its encoded bytes, and these hold the hash of the record before.
type Record struct {
	Sequence uint64 // counts from 1
	At       int64  // the stamp: microseconds since 1970, never below that of the record before
	Previous Hash   // of the record before, zero of the first
	Body     Body
}

// Body is what a record says: *Event, *Terms, *AdvertiserTerms, *Movement, *Credit, *HourOpened, *HourClosed,
// *Checkpoint, *Compacted or *Epoch.
type Body interface {
	// number is the body's field in a LedgerRecord.
	number() int
	fields(c *codec)
	// ruling is what the owner of the ledger decides about the body; nil when it decides nothing.
	ruling() *Ruling
}

// Ruling is what the owner of the ledger decides about an event, a movement or a credit. The owner states the verdict
// and the dates that it computes from its clock. Books fill in the rest, and put a date forward that is behind the last
// one.
type Ruling struct {
	Date     int32 // of the campaign, in its zone; days since 1970
	Posted   int32 // of the statement, in the deployment's zone; days since 1970
	Verdict  Verdict
	Reason   uint8 // why the event was filtered
	Outcome  hexbid.EventOutcome
	Charged  hexbid.Money
	Free     hexbid.Money // due and not charged
	Implies  bool         // a click that stands for its impression too
	Creative hexbid.Host  // whose coupon a claim took; 0 is the creative for every host
	Balance  hexbid.Money // of the advertiser after a movement or a credit
}

func (r *Ruling) fields(c *codec) {
	signed(c, 1, &r.Date)
	signed(c, 2, &r.Posted)
	number(c, 3, &r.Verdict)
	number(c, 4, &r.Reason)
	number(c, 5, &r.Outcome)
	number(c, 6, &r.Charged)
	number(c, 7, &r.Free)
	flag(c, 8, &r.Implies)
	number(c, 9, &r.Creative)
	number(c, 10, &r.Balance)
}

// Verdict is what is known of an event outside the chain. Its owner stamps it, so that nothing in the chain has to name
// the viewer whose history it follows from.
type Verdict uint8

// The verdicts.
const (
	VerdictNone      Verdict = iota
	VerdictFiltered          // invalid traffic, for the ruling's Reason
	VerdictBeyondCap         // the viewer had seen the campaign as often as its cap allows
	VerdictAlready           // the viewer has a coupon of this campaign
)

// Numbers of the fields of a LedgerRecord.
const (
	fieldEvent = 1 + iota
	fieldTerms
	fieldAdvertiserTerms
	fieldMovement
	fieldCredit
	fieldHourOpened
	fieldHourClosed
	fieldCheckpoint
	fieldCompacted
	fieldEpoch
	_
	fieldRuling
	fieldSequence
	fieldAt
	fieldPrevious
)

// ownBytes is the room for what the owner appends to a body: the ruling and 52 bytes of sequence, stamp and hash.
const ownBytes = 128

// EncodeAhead encodes what is known of a body before the owner of the ledger decides about it. Any goroutine may do it.
// Complete makes a record of it.
func EncodeAhead(body Body) []byte {
	if e, ok := body.(*Event); ok {
		return e.encodeAhead() // allocates no codec
	}
	var c codec
	within := c.open(body.number())
	body.fields(&c)
	c.close(within)
	return c.bytes
}

func (e *Event) encodeAhead() []byte {
	c := codec{bytes: make([]byte, 0, maxAwardBytes(&e.Award)+ownBytes)}
	within := c.open(fieldEvent)
	e.fields(&c)
	c.close(within)
	return c.bytes
}

// Complete appends to an encoded body what the owner decides: the ruling, sequence, stamp and hash of the record. ahead
// must come from EncodeAhead of the record's body. Complete takes it over.
func Complete(ahead []byte, r *Record) []byte {
	c := codec{bytes: ahead}
	if ruling := r.Body.ruling(); ruling != nil {
		within := c.open(fieldRuling)
		ruling.fields(&c)
		c.close(within)
	}
	at := uint64(r.At)
	fixed(&c, fieldSequence, &r.Sequence)
	fixed(&c, fieldAt, &at)
	array(&c, fieldPrevious, r.Previous[:])
	return c.bytes
}

// Encode returns the record's bytes.
func (r *Record) Encode() []byte { return Complete(EncodeAhead(r.Body), r) }

// HashOf returns the hash of an encoded record.
func HashOf(encoded []byte) Hash { return sha256.Sum256(encoded) }

// previousBytes is the length of the last field of an encoded record, the hash of the record before.
const previousBytes = 2 + len(Hash{})

// Leaf returns the part of an encoded record that its leaf in the tree of its hour covers: all but the hash of the
// record before. Records are not salted, so that hash would let whoever is shown one record try out what the other
// says.
func Leaf(encoded []byte) []byte { return encoded[:len(encoded)-previousBytes] }

// DecodeLeaf decodes what Leaf returned. The record's Previous is zero.
func DecodeLeaf(leaf []byte) (*Record, error) {
	c := codec{bytes: slices.Clone(leaf)}
	array(&c, fieldPrevious, make([]byte, len(Hash{})))
	return Decode(c.bytes)
}

// Decode reverses Encode. It returns a DataLoss error for bytes that Encode does not return.
func Decode(encoded []byte) (*Record, error) {
	c := codec{decoding: true, bytes: encoded}
	r := &Record{Body: bodyOf(encoded)}
	if r.Body == nil {
		return nil, hexbid.Errorf(hexbid.DataLoss, "record", "is of no kind that there is: it is damaged, or a later "+
			"program wrote it")
	}
	within := c.open(r.Body.number())
	r.Body.fields(&c)
	c.close(within)
	if ruling := r.Body.ruling(); ruling != nil {
		within := c.open(fieldRuling)
		ruling.fields(&c)
		c.close(within)
	}
	var at uint64
	fixed(&c, fieldSequence, &r.Sequence)
	fixed(&c, fieldAt, &at)
	array(&c, fieldPrevious, r.Previous[:])
	if r.At = int64(at); r.At < 0 {
		c.fail()
	}
	return r, c.end("record")
}

// bodyOf returns an empty body of the kind that an encoded record starts with, nil for none.
func bodyOf(encoded []byte) Body {
	if len(encoded) == 0 || encoded[0]&7 != wireBytes {
		return nil
	}
	switch encoded[0] >> 3 {
	case fieldEvent:
		return new(Event)
	case fieldTerms:
		return new(Terms)
	case fieldAdvertiserTerms:
		return new(AdvertiserTerms)
	case fieldMovement:
		return new(Movement)
	case fieldCredit:
		return new(Credit)
	case fieldHourOpened:
		return new(HourOpened)
	case fieldHourClosed:
		return new(HourClosed)
	case fieldCheckpoint:
		return new(Checkpoint)
	case fieldCompacted:
		return new(Compacted)
	case fieldEpoch:
		return new(Epoch)
	}
	return nil
}
