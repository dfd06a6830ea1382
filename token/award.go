package token

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
)

// Award is what the token of a sponsored result carries: everything that billing its events will need, fixed when the
// auction was won, and everything that its price follows from.
type Award struct {
	RequestID  string // at most auction.MaxRequestIDBytes long
	Campaign   hexbid.UID
	Advertiser hexbid.UID
	Price      hexbid.Money
	Slot       int
	Host       hexbid.Host
	Scene      hexbid.Scene
	Cell       uint64 // H3, resolution 7: never the exact point
	// MarketVersion is the version of the operator's configuration that the auction followed. It is 0 in a token of the
	// first format version. Such a token has no request id, no bid and nothing that set its price. Of its basis it has
	// only the pricing model and the quality.
	MarketVersion uint64
	Basis         auction.Basis
	Prediction    auction.Prediction // how the quality came about
	Explored      bool               // the campaign's own quality was a try above its estimate
	Trial         auction.Trial      // what slots are worth is learned from trials
	ClientID      string             // at most hexbid.MaxClientIDBytes long
	// ClientUID is the uid of the client that the token was given to. It is 0 if the caller was known only by the name
	// that it gave itself, as ClientID says.
	ClientUID   hexbid.UID
	HasViewer   bool // false without personalisation or without a user key
	Viewer      [16]byte
	IssuedAt    time.Time // to the millisecond
	ClickExpiry time.Time // to the millisecond
}

// MaxAwardBytes is the most characters of a sealed award. It leaves room for fields to come: today a token has at most
// 448, with the longest ids and the greatest numbers, and one of a GSP auction has some 220.
const MaxAwardBytes = 512

// SealAward seals an award.
func (k *Keyring) SealAward(a *Award) string {
	var buffer [maxPlainAwardBytes]byte
	return k.Seal(AwardPurpose, a.append(buffer[:0]))
}

// maxPlainAwardBytes is how many bytes MaxAwardBytes of base64url hold, less the header and the tag.
const maxPlainAwardBytes = MaxAwardBytes*3/4 - headerBytes - tagBytes

// OpenAward opens a text that SealAward returned, and returns the token's name too. Its error wraps ErrNotSealedHere.
func (k *Keyring) OpenAward(text string) (Award, Name, error) {
	plain, name, err := k.Open(AwardPurpose, text)
	if err != nil {
		return Award{}, Name{}, err
	}
	a, err := decodeAward(plain)
	return a, name, err
}

// WorkOutPrice computes the price, and what set it, from the token alone. It fails for a token of the first format
// version and for a basis that no auction produces.
func (a *Award) WorkOutPrice() (hexbid.Money, auction.SetBy, error) {
	if a.MarketVersion == 0 {
		return 0, 0, fmt.Errorf("the token was issued before tokens carried what set their price")
	}
	if err := a.Basis.Check(); err != nil {
		return 0, 0, fmt.Errorf("the token's basis: %w", err)
	}
	price, setBy := a.Basis.Price()
	return price, setBy, nil
}

// The first byte of an encoded award is its format version. Tokens of an earlier version are still in use for eight
// days after the program is replaced, so the program decodes them too.
const (
	firstAwardVersion  = 1
	secondAwardVersion = 2
	thirdAwardVersion  = 3
	awardVersion       = 4
)

// The second byte. Parts that many awards do without are there if a flag says so. In a trial that swaps its pair both
// of its flags are set.
const (
	flagExplored = 1 << iota
	flagViewer
	flagLowered // factors of host and scene, or of distance, lower the quality
	flagTrial
	flagSwapped
	flagClient // the client is known by its uid
)

// firstMechanism is the mechanism that a token writes as 0. The others count on from there.
const firstMechanism = hexbid.MechanismGSP

// append encodes the award: version, flags, enumerations of one byte, the number of factors, unsigned varints, then the
// viewer and the texts. It leaves out what the award's mechanism does not read, and what follows from the rest: paced
// bid, score and what set the price.
func (a *Award) append(b []byte) []byte {
	basis, flags, quality := &a.Basis, byte(0), a.Basis.QualityPPM
	if a.Explored {
		flags |= flagExplored
	}
	if a.HasViewer {
		flags |= flagViewer
	}
	if a.isLowered() {
		flags, quality = flags|flagLowered, a.Prediction.BasePPM
	}
	if a.Trial.Pair > 0 {
		flags |= flagTrial
	}
	if a.Trial.Swapped {
		flags |= flagSwapped
	}
	if a.ClientUID != 0 {
		flags |= flagClient
	}
	b = append(b, awardVersion, flags, byte(basis.Pricing), byte(a.Slot), byte(a.Host), byte(a.Scene),
		byte(basis.Mechanism-firstMechanism), byte(len(basis.Factors)))
	for _, v := range [...]uint64{uint64(a.Campaign), uint64(a.Advertiser), uint64(a.Price), uint64(quality),
		a.Cell, uint64(a.IssuedAt.UnixMilli()), uint64(a.ClickExpiry.UnixMilli()), a.MarketVersion, uint64(basis.Bid),
		uint64(basis.MultiplierPPM), uint64(basis.Reserve)} {
		b = binary.AppendUvarint(b, v)
	}
	switch basis.Mechanism {
	case hexbid.MechanismGSP:
		b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(basis.Increment)), uint64(basis.Next))
	case hexbid.MechanismVCG:
		b = binary.AppendUvarint(binary.AppendUvarint(b, basis.Sum.High), basis.Sum.Low)
	}
	for _, factor := range basis.Factors {
		b = binary.AppendUvarint(b, uint64(factor))
	}
	b = a.appendLearning(b)
	if a.ClientUID != 0 {
		b = binary.AppendUvarint(b, uint64(a.ClientUID))
	}
	if a.HasViewer {
		b = append(b, a.Viewer[:]...)
	}
	id := a.RequestID[:min(len(a.RequestID), auction.MaxRequestIDBytes)] // the tie-break reads no more of it
	b = append(append(b, byte(len(id))), id...)
	return append(b, a.ClientID...)
}

// isLowered reports whether factors lower the quality, or the distance counts. The token then holds the campaign's own
// quality and the factors, from which the quality follows.
func (a *Award) isLowered() bool {
	return a.Prediction != auction.Prediction{} && a.Prediction != auction.PredictionOf(a.Basis.QualityPPM)
}

// appendLearning encodes the factors of the quality, and the trial.
func (a *Award) appendLearning(b []byte) []byte {
	if a.isLowered() {
		p := &a.Prediction
		b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(p.ScenePPM)), uint64(p.DistancePPM))
		b = append(b, p.Band)
	}
	if a.Trial.Pair > 0 {
		b = append(b, a.Trial.Pair)
	}
	return b
}

func decodeAward(b []byte) (a Award, err error) {
	d := awardDecoder{rest: b}
	switch version := d.byte(); version {
	case firstAwardVersion:
		d.first(&a)
	case secondAwardVersion, thirdAwardVersion, awardVersion:
		d.award(&a)
	default:
		return Award{}, fmt.Errorf("%w: an award of version %d", ErrNotSealedHere, version)
	}
	if d.broken {
		return Award{}, fmt.Errorf("%w: an award of %d bytes does not decode", ErrNotSealedHere, len(b))
	}
	return a, nil
}

// awardDecoder reads an encoded award. After the end of the input, or after a number that is too great, broken is set
// and the decoder reads zeros.
type awardDecoder struct {
	rest   []byte
	broken bool
}

// award decodes the present version, and the two before it, which are the present one without what later flags
// announce.
func (d *awardDecoder) award(a *Award) {
	flags := d.fixed(a)
	basis := &a.Basis
	basis.Mechanism = firstMechanism + hexbid.Mechanism(d.byte())
	factors := int(d.byte())
	d.numbers(a)
	a.MarketVersion, basis.Bid, basis.MultiplierPPM, basis.Reserve = uint64(d.number()), hexbid.Money(d.number()),
		d.number(), d.number()
	switch basis.Mechanism {
	case hexbid.MechanismGSP:
		basis.Increment, basis.Next = hexbid.Money(d.number()), d.number()
	case hexbid.MechanismVCG:
		basis.Sum = auction.Sum{High: d.uvarint(), Low: d.uvarint()}
	}
	d.factors(basis, factors)
	d.learning(a, flags)
	if flags&flagClient != 0 {
		a.ClientUID = hexbid.UID(d.number())
	}
	d.viewer(a)
	a.RequestID = string(d.take(int(d.byte())))
	a.ClientID = string(d.rest)
}

func (d *awardDecoder) factors(b *auction.Basis, count int) {
	if count > hexbid.MaxSlots {
		d.broken = true
		return
	}
	b.Factors = make([]int64, count)
	for i := range b.Factors {
		b.Factors[i] = d.number()
	}
}

// learning decodes the factors of the quality, and the trial.
func (d *awardDecoder) learning(a *Award, flags byte) {
	a.Prediction = auction.PredictionOf(a.Basis.QualityPPM)
	if flags&flagLowered != 0 {
		a.Prediction.ScenePPM, a.Prediction.DistancePPM, a.Prediction.Band = d.number(), d.number(), d.byte()
		a.Basis.QualityPPM = a.Prediction.QualityPPM()
	}
	if flags&flagTrial != 0 {
		a.Trial = auction.Trial{Pair: d.byte(), Swapped: flags&flagSwapped != 0}
	}
}

// first decodes the first version. It has the fields that the present version starts with, without the basis.
func (d *awardDecoder) first(a *Award) {
	d.fixed(a)
	a.Basis.Mechanism = firstMechanism
	d.numbers(a)
	a.Prediction = auction.PredictionOf(a.Basis.QualityPPM)
	d.viewer(a)
	a.ClientID = string(d.rest)
}

// fixed, numbers and viewer decode the fields that all versions have.
func (d *awardDecoder) fixed(a *Award) (flags byte) {
	flags = d.byte()
	a.Explored, a.HasViewer = flags&flagExplored != 0, flags&flagViewer != 0
	a.Basis.Pricing, a.Slot, a.Host, a.Scene = hexbid.PricingModel(d.byte()), int(d.byte()), hexbid.Host(d.byte()),
		hexbid.Scene(d.byte())
	return flags
}

func (d *awardDecoder) numbers(a *Award) {
	a.Campaign, a.Advertiser = hexbid.UID(d.number()), hexbid.UID(d.number())
	a.Price, a.Basis.QualityPPM, a.Cell = hexbid.Money(d.number()), d.number(), uint64(d.number())
	a.IssuedAt, a.ClickExpiry = time.UnixMilli(d.number()).UTC(), time.UnixMilli(d.number()).UTC()
}

func (d *awardDecoder) viewer(a *Award) {
	if a.HasViewer {
		copy(a.Viewer[:], d.take(len(a.Viewer)))
	}
}

// take returns the next n bytes.
func (d *awardDecoder) take(n int) []byte {
	if n > len(d.rest) {
		d.rest, d.broken = nil, true
		return nil
	}
	taken := d.rest[:n]
	d.rest = d.rest[n:]
	return taken
}

func (d *awardDecoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *awardDecoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.broken, n = true, len(d.rest)
	}
	d.rest = d.rest[n:]
	return v
}

// number reads a number of 63 bits.
func (d *awardDecoder) number() int64 {
	v := d.uvarint()
	d.broken = d.broken || v > math.MaxInt64
	return int64(v)
}
