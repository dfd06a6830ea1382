package fold

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/token"
)

// Event is an event that a client reported. Only events that use up their kind become records (UsesUp).
type Event struct {
	Kind    hexbid.EventKind
	Token   token.Name
	EventID [16]byte // HashEventID
	Award   Award
	Value   hexbid.Money // of a conversion
	Ruling
}

func (e *Event) number() int     { return fieldEvent }
func (e *Event) ruling() *Ruling { return &e.Ruling }

func (e *Event) fields(c *codec) {
	number(c, 1, &e.Kind)
	array(c, 2, e.Token.Issuer[:])
	number(c, 3, &e.Token.Sequence)
	array(c, 4, e.EventID[:])
	within := c.open(5)
	e.Award.fields(c)
	c.close(within)
	number(c, 6, &e.Value)
}

// HashEventID returns the first 16 bytes of a SHA-256 over a token's name, a kind and the client's own id of the event.
// Ids of different tokens cannot be compared by it.
func HashEventID(name token.Name, kind hexbid.EventKind, id string) [16]byte {
	b := make([]byte, 0, 128)
	b = append(b, name.Issuer[:]...)
	b = binary.BigEndian.AppendUint64(b, name.Sequence)
	sum := sha256.Sum256(append(append(b, byte(kind)), id...))
	return [16]byte(sum[:16])
}

// Award is what a token carried, without its viewer and its cell: nothing that derives from a person is chained.
type Award struct {
	Campaign      hexbid.UID
	Advertiser    hexbid.UID
	Price         hexbid.Money // of a click or of a thousand impressions
	Slot          int
	Host          hexbid.Host
	Scene         hexbid.Scene
	MarketVersion uint64
	Explored      bool
	RequestID     string
	ClientID      string
	IssuedAt      int64 // milliseconds since 1970
	ClickExpiry   int64 // milliseconds since 1970, excluded
	Basis         auction.Basis
	Prediction    auction.Prediction // zero when no factor lowered the quality
	Trial         auction.Trial
}

// AwardOf returns what a record keeps of a token's award. It shares the factors of the basis.
func AwardOf(a *token.Award) Award {
	kept := Award{Campaign: a.Campaign, Advertiser: a.Advertiser, Price: a.Price, Slot: a.Slot, Host: a.Host,
		Scene: a.Scene, MarketVersion: a.MarketVersion, Explored: a.Explored, RequestID: a.RequestID, ClientID: a.ClientID,
		IssuedAt: a.IssuedAt.UnixMilli(), ClickExpiry: a.ClickExpiry.UnixMilli(), Basis: a.Basis,
		Trial: a.Trial}
	if a.Prediction != auction.PredictionOf(a.Basis.QualityPPM) {
		kept.Prediction = a.Prediction
	}
	return kept
}

// Predicted returns how the quality came about.
func (a *Award) Predicted() auction.Prediction {
	if a.Prediction == (auction.Prediction{}) {
		return auction.PredictionOf(a.Basis.QualityPPM)
	}
	return a.Prediction
}

func (a *Award) fields(c *codec) {
	number(c, 1, &a.Campaign)
	number(c, 2, &a.Advertiser)
	number(c, 3, &a.Price)
	number(c, 4, &a.Slot)
	number(c, 5, &a.Host)
	number(c, 6, &a.Scene)
	number(c, 7, &a.MarketVersion)
	flag(c, 8, &a.Explored)
	text(c, 9, &a.RequestID)
	text(c, 10, &a.ClientID)
	number(c, 11, &a.IssuedAt)
	number(c, 12, &a.ClickExpiry)
	basis := &a.Basis
	mechanism(c, 13, &basis.Mechanism)
	number(c, 14, &basis.Pricing)
	number(c, 15, &basis.Bid)
	number(c, 16, &basis.MultiplierPPM)
	number(c, 17, &basis.QualityPPM)
	number(c, 18, &basis.Reserve)
	number(c, 19, &basis.Increment)
	number(c, 20, &basis.Next)
	numbers(c, 21, &basis.Factors)
	number(c, 22, &basis.Sum.High)
	number(c, 23, &basis.Sum.Low)
	number(c, 24, &a.Prediction.BasePPM)
	number(c, 25, &a.Prediction.ScenePPM)
	number(c, 26, &a.Prediction.DistancePPM)
	number(c, 27, &a.Prediction.Band)
	number(c, 28, &a.Trial.Pair)
	flag(c, 29, &a.Trial.Swapped)
}

// mechanism is a field of a mechanism. Records count mechanisms from GSP, which is 0.
func mechanism(c *codec, field int, v *hexbid.Mechanism) {
	counted := *v - hexbid.MechanismGSP
	number(c, field, &counted)
	if c.decoding {
		*v = hexbid.MechanismGSP + counted
	}
}

// maxAwardBytes is more than an encoded event has without the owner's part.
func maxAwardBytes(a *Award) int {
	return 190 + len(a.RequestID) + len(a.ClientID) + 4*len(a.Basis.Factors)
}

// UsesUp reports whether an event with this outcome uses up its token's kind. Such events are records. All others are
// answered without one.
func UsesUp(outcome hexbid.EventOutcome) bool {
	switch outcome {
	case hexbid.EventCharged, hexbid.EventRecorded, hexbid.EventBudgetExhausted, hexbid.EventBeyondCap,
		hexbid.EventFiltered, hexbid.EventGranted, hexbid.EventGone, hexbid.EventAlready:
		return true
	}
	return false
}
