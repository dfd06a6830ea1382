package token

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/hexbid/hexbid"
)

// Award is what a sponsored result's token carries: all that billing its
// events will need, fixed when the auction was won.
type Award struct {
	Campaign    hexbid.UID
	Advertiser  hexbid.UID
	Price       hexbid.Money
	Pricing     hexbid.PricingModel
	Slot        int
	Host        hexbid.Host
	Scene       hexbid.Scene
	Cell        uint64 // H3, resolution 7: never the exact point
	QualityPPM  int64
	Explored    bool // the quality was a trial, not an estimate
	ClientID    string
	HasViewer   bool // false without personalisation or user key
	Viewer      [16]byte
	IssuedAt    time.Time // to the millisecond
	ClickExpiry time.Time // to the millisecond
}

// SealAward seals an award.
func (k *Keyring) SealAward(a *Award) string {
	var buffer [192]byte
	return k.Seal(AwardPurpose, a.append(buffer[:0]))
}

// OpenAward opens what SealAward gave, and returns the token's name beside it.
// Its error is ErrNotSealedHere, wrapped.
func (k *Keyring) OpenAward(text string) (Award, Name, error) {
	plain, name, err := k.Open(AwardPurpose, text)
	if err != nil {
		return Award{}, Name{}, err
	}
	a, err := decodeAward(plain)
	return a, name, err
}

// awardVersion is the first byte of an encoded award. Tokens of an earlier one
// stay out for eight days after the program is replaced: a new version decodes
// them too.
const awardVersion = 1

const (
	flagExplored = 1 << iota
	flagViewer
)

// append encodes: version, flags, one byte enumerations, unsigned varints, then
// the texts.
func (a *Award) append(b []byte) []byte {
	flags := byte(0)
	if a.Explored {
		flags |= flagExplored
	}
	if a.HasViewer {
		flags |= flagViewer
	}
	b = append(b, awardVersion, flags, byte(a.Pricing), byte(a.Slot), byte(a.Host), byte(a.Scene))
	for _, v := range []uint64{uint64(a.Campaign), uint64(a.Advertiser), uint64(a.Price), uint64(a.QualityPPM),
		a.Cell, uint64(a.IssuedAt.UnixMilli()), uint64(a.ClickExpiry.UnixMilli())} {
		b = binary.AppendUvarint(b, v)
	}
	if a.HasViewer {
		b = append(b, a.Viewer[:]...)
	}
	return append(b, a.ClientID...)
}

// awardHeaderBytes are the bytes before the varints.
const awardHeaderBytes = 6

func decodeAward(b []byte) (a Award, err error) {
	if len(b) < awardHeaderBytes {
		return a, fmt.Errorf("%w: %d bytes are too few", ErrNotSealedHere, len(b))
	}
	if b[0] != awardVersion {
		return a, fmt.Errorf("%w: an award of version %d", ErrNotSealedHere, b[0])
	}
	flags := b[1]
	a.Pricing, a.Slot, a.Host, a.Scene = hexbid.PricingModel(b[2]), int(b[3]), hexbid.Host(b[4]), hexbid.Scene(b[5])
	b = b[awardHeaderBytes:]
	var numbers [7]uint64
	for i := range numbers {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > math.MaxInt64 {
			return Award{}, fmt.Errorf("%w: number %d does not decode", ErrNotSealedHere, i)
		}
		numbers[i], b = v, b[n:]
	}
	a.Campaign, a.Advertiser = hexbid.UID(numbers[0]), hexbid.UID(numbers[1])
	a.Price, a.QualityPPM, a.Cell = hexbid.Money(numbers[2]), int64(numbers[3]), numbers[4]
	a.IssuedAt, a.ClickExpiry = time.UnixMilli(int64(numbers[5])).UTC(), time.UnixMilli(int64(numbers[6])).UTC()
	a.Explored, a.HasViewer = flags&flagExplored != 0, flags&flagViewer != 0
	if a.HasViewer {
		if len(b) < len(a.Viewer) {
			return Award{}, fmt.Errorf("%w: the pseudonym is cut short", ErrNotSealedHere)
		}
		b = b[copy(a.Viewer[:], b):]
	}
	a.ClientID = string(b)
	return a, nil
}
