package fold

import (
	"encoding/binary"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/token"
)

// Microseconds of a span.
const (
	minuteMicros = 60_000_000
	hourMicros   = 3_600_000_000
)

// HourOf returns the hour of a stamp, since 1970, UTC.
func HourOf(at int64) uint32 { return uint32(at / hourMicros) }

func key64(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

// RecordKey is the key of a record.
func RecordKey(sequence uint64) []byte { return key64(sequence) }

// AnswerKeyBytes is the length of an AnswerKey.
const AnswerKeyBytes = 4 + len(token.Issuer{}) + 8 + 1

// AnswerKey is the key by which a token and a kind lead to the record of their first event, which is its answer.
func AnswerKey(name token.Name, kind hexbid.EventKind, clickExpiryMS int64) []byte {
	return AppendAnswerKey(make([]byte, 0, AnswerKeyBytes), name, kind, clickExpiryMS)
}

// AppendAnswerKey appends an AnswerKey to b.
func AppendAnswerKey(b []byte, name token.Name, kind hexbid.EventKind, clickExpiryMS int64) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(clickExpiryMS/(hourMicros/1000)))
	b = binary.BigEndian.AppendUint64(append(b, name.Issuer[:]...), name.Sequence)
	return append(b, byte(kind))
}

// AnswersLast is how long first answers are kept after their token's click expiry: until a conversion of the token
// would have expired, and a day longer.
const AnswersLast = hexbid.ConversionWindow + 24*time.Hour

// AnswersFrom is the first key of answers to tokens whose clicks expire in an hour or later.
func AnswersFrom(hour uint32) []byte { return binary.BigEndian.AppendUint32(nil, hour) }

// ChargeKey is the key of a charge among those of its campaign. The value is the index of its leaf in the hour's tree
// (DecodeIndex).
func ChargeKey(campaign hexbid.UID, sequence uint64) []byte {
	return binary.BigEndian.AppendUint64(key64(uint64(campaign)), sequence)
}

// HourKey is the key of a campaign's totals of an hour.
func HourKey(hour uint32, campaign hexbid.UID) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, hour), uint64(campaign))
}

// DayKey is the key of a campaign's totals of a local date, and in journal.AdvertiserDays of an advertiser's totals of
// a date of its statement. Dates are days since 1970; earlier ones sort after all others.
func DayKey(uid hexbid.UID, date int32) []byte {
	return binary.BigEndian.AppendUint32(key64(uint64(uid)), uint32(date))
}

// PostedKey is the key of what a campaign was charged and credited on a date of its advertiser's statement. It comes
// after the advertiser's own row of the date, whose key is a prefix of it.
func PostedKey(advertiser hexbid.UID, posted int32, campaign hexbid.UID) []byte {
	return binary.BigEndian.AppendUint64(DayKey(advertiser, posted), uint64(campaign))
}

// MovementKey is the key of a movement or a credit among those of its advertiser.
func MovementKey(advertiser hexbid.UID, posted int32, sequence uint64) []byte {
	return binary.BigEndian.AppendUint64(DayKey(advertiser, posted), sequence)
}

// MemberKey is the key of a campaign among those of its advertiser. With campaign 0 it is the key of the advertiser
// itself. The value is the resource name.
func MemberKey(advertiser, campaign hexbid.UID) []byte {
	return binary.BigEndian.AppendUint64(key64(uint64(advertiser)), uint64(campaign))
}

// RequestKey is the key of a movement or a credit by the caller's request id. The value is the sequence of its record
// (DecodeIndex).
func RequestKey(advertiser hexbid.UID, requestID string) []byte {
	return append(key64(uint64(advertiser)), requestID...)
}

// NameKey is the key of a uid that a resource name has or had.
func NameKey(name string, uid hexbid.UID) []byte {
	return binary.BigEndian.AppendUint64(append([]byte(name), 0), uint64(uid))
}

// TileKey is the key of a tile of an hour's tree.
func TileKey(hour uint32, level uint8, index uint64) []byte {
	b := append(binary.BigEndian.AppendUint32(nil, hour), level)
	return binary.BigEndian.AppendUint64(b, index)
}

// RootKey is the key of an hour in which something was charged. The value is what DecodeRoot reads.
func RootKey(hour uint32) []byte { return binary.BigEndian.AppendUint32(nil, hour) }

func encodeRoot(opened, closed uint64) []byte {
	return binary.BigEndian.AppendUint64(key64(opened), closed)
}

// DecodeRoot reads the sequences of the records that opened and closed an hour; closed is 0 while the hour is open.
func DecodeRoot(value []byte) (opened, closed uint64, err error) {
	if len(value) != 16 {
		return 0, 0, damaged("root of an hour", len(value), 16)
	}
	return binary.BigEndian.Uint64(value), binary.BigEndian.Uint64(value[8:]), nil
}

// DecodeIndex reads the value of a row of journal.Answers, Charges or Requests.
func DecodeIndex(value []byte) (uint64, error) {
	if len(value) != 8 {
		return 0, damaged("number", len(value), 8)
	}
	return binary.BigEndian.Uint64(value), nil
}

func damaged(what string, got, want int) error {
	return hexbid.Errorf(hexbid.DataLoss, what, "has %d bytes, not %d: the row is damaged", got, want)
}
