package pebble

import (
	"encoding/binary"
	"errors"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hexbid/hexbid"
	diskpb "github.com/hexbid/hexbid/proto/hexbid/disk/v1"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/wire"
)

// Values are messages of hexbid.disk.v1, except derived data.

// numbers are the uid and the version that the engine assigns to a record. They stand at the end of its encoding, so
// callers encode everything else before they queue.
type numbers struct {
	uid     hexbid.UID
	version uint64
}

func numbersOf(m *hexbid.Meta) numbers { return numbers{m.UID, m.Version} }

// encodeBody encodes a record without its numbers.
func encodeBody(r *store.Record) ([]byte, error) {
	m := wire.Pack(r.Resource)
	if len(r.Refers) > 0 {
		m.Refers = make([]string, len(r.Refers))
	}
	for i := range r.Refers {
		m.Refers[i] = r.Refers[i].Name
	}
	if len(r.Counts) > 0 {
		m.Counts = make([]*diskpb.Count, len(r.Counts))
	}
	for i := range r.Counts {
		c := &r.Counts[i]
		m.Counts[i] = &diskpb.Count{Owner: c.Owner, Counter: uint32(c.Counter), By: c.By, TimesOwner: c.TimesOwner,
			TimesCounter: uint32(c.Times)}
	}
	return proto.Marshal(m)
}

// encode encodes a record with its numbers.
func encode(r *store.Record) ([]byte, error) {
	body, err := encodeBody(r)
	return appendRecord(body, r.Meta(), nil), err
}

// appendRecord appends a record whose body is already encoded.
func appendRecord(b []byte, m *hexbid.Meta, body []byte) []byte {
	return wire.AppendNumbers(append(b, body...), m.UID, m.Version)
}

func decodeNumbers(value []byte) (numbers, error) {
	uid, version, ok := wire.Numbers(value)
	if !ok {
		return numbers{}, errors.New("a record without uid and version")
	}
	return numbers{uid, version}, nil
}

func decode(kind hexbid.ResourceKind, value []byte) (r store.Record, err error) {
	if r.Resource, err = wire.UnpackResource(value); err != nil {
		return r, err
	}
	if store.KindOf(r.Resource) != kind {
		return r, errOtherKind
	}
	if err := decodeDeclared(value, &r); err != nil {
		return r, err
	}
	r.CompleteCounts()
	return r, nil
}

var errOtherKind = errors.New("a record of another kind than its key says")

// unpack decodes the parts of a Record that is decoded as a message already.
func unpack(kind hexbid.ResourceKind, m *diskpb.Record) (r store.Record, err error) {
	if r.Resource, err = wire.Unpack(m); err != nil {
		return r, err
	}
	if store.KindOf(r.Resource) != kind {
		return r, errOtherKind
	}
	for _, name := range m.GetRefers() {
		r.Refers = append(r.Refers, store.Reference{Name: name})
	}
	for _, c := range m.GetCounts() {
		r.Counts = append(r.Counts, store.Count{Owner: c.GetOwner(), Counter: store.Counter(c.GetCounter()), By: c.GetBy(),
			TimesOwner: c.GetTimesOwner(), Times: store.Counter(c.GetTimesCounter())})
	}
	r.CompleteCounts()
	return r, nil
}

func encodeVerdict(v *store.Verdict) ([]byte, error) {
	return proto.Marshal(wire.PackVerdict((*wire.Verdict)(v)))
}

func decodeVerdict(value []byte) (store.Verdict, error) {
	m := new(diskpb.Verdict)
	if err := proto.Unmarshal(value, m); err != nil {
		return store.Verdict{}, err
	}
	v, err := wire.UnpackVerdict(m)
	return store.Verdict(v), err
}

func encodeLosses(losses []store.Loss) ([]byte, error) {
	m := new(diskpb.Losses)
	for i := range losses {
		l := &losses[i]
		m.Losses = append(m.Losses, &diskpb.Loss{At: timestamppb.New(l.At), Acknowledged: l.Acknowledged, Found: l.Found,
			What: strings.ToValidUTF8(l.What, "?")})
	}
	return proto.Marshal(m)
}

func decodeLosses(value []byte) (losses []store.Loss, err error) {
	m := new(diskpb.Losses)
	err = proto.Unmarshal(value, m)
	for _, l := range m.GetLosses() {
		losses = append(losses, store.Loss{At: l.GetAt().AsTime(), Acknowledged: l.GetAcknowledged(), Found: l.GetFound(),
			What: l.GetWhat()})
	}
	return losses, err
}

// derivedHeadBytes is the size of the head before a derived value: uid, version, By and Inputs, big-endian.
const derivedHeadBytes = 8 + 8 + 4 + 8

func encodeDerived(d *store.Derived) []byte {
	b := make([]byte, 0, derivedHeadBytes+len(d.Value))
	b = binary.BigEndian.AppendUint64(b, uint64(d.UID))
	b = binary.BigEndian.AppendUint64(b, d.Version)
	b = binary.BigEndian.AppendUint32(b, d.By)
	b = binary.BigEndian.AppendUint64(b, d.Inputs)
	return append(b, d.Value...)
}

func decodeDerived(b []byte) (store.Derived, error) {
	if len(b) < derivedHeadBytes {
		return store.Derived{}, errors.New("derived data that is too short")
	}
	return store.Derived{UID: hexbid.UID(binary.BigEndian.Uint64(b)), Version: binary.BigEndian.Uint64(b[8:]),
		By: binary.BigEndian.Uint32(b[16:]), Inputs: binary.BigEndian.Uint64(b[20:]),
		Value: append([]byte(nil), b[derivedHeadBytes:]...)}, nil
}

// Numbers of the fields of a Change and of an Entry, which are appended as they are
// known: most of a change is encoded already.
const (
	changeAt, changeWho, changeFrom, changeEntries, changeCredential, changeUndoes = 1, 2, 3, 4, 5, 6
	changeVersion, changePrevious                                                  = 14, 15

	entryName, entryBefore, entryVerdictBefore, entryUIDBefore, entryUIDAfter = 1, 2, 3, 4, 5
)

// entry is the effect of a change on one name.
type entry struct {
	name          string
	before, after hexbid.UID // 0 for none
	image         []byte     // the encoded record before
	verdict       []byte     // the encoded verdict before, if the change has replaced it
}

func (e *entry) append(b []byte) []byte {
	b = appendBytes(b, entryName, e.name)
	if e.image != nil {
		b = appendBytes(b, entryBefore, e.image)
	}
	if e.verdict != nil {
		b = appendBytes(b, entryVerdictBefore, e.verdict)
	}
	b = appendNumber(b, entryUIDBefore, uint64(e.before))
	return appendNumber(b, entryUIDAfter, uint64(e.after))
}

// appendHead begins a change: all that does not depend on the ones before.
func appendHead(b []byte, c *store.Change) ([]byte, error) {
	if !c.At.IsZero() {
		at, err := proto.Marshal(timestamppb.New(c.At))
		if err != nil {
			return b, err
		}
		b = appendBytes(b, changeAt, at)
	}
	if c.Who != "" {
		b = appendBytes(b, changeWho, strings.ToValidUTF8(c.Who, "?"))
	}
	if c.From != "" {
		b = appendBytes(b, changeFrom, strings.ToValidUTF8(c.From, "?"))
	}
	if c.Key != "" {
		b = appendBytes(b, changeCredential, strings.ToValidUTF8(c.Key, "?"))
	}
	return appendNumber(b, changeUndoes, c.Undoes), nil
}

func appendEnd(b []byte, version uint64, previous digest) []byte {
	return appendBytes(appendNumber(b, changeVersion, version), changePrevious, previous[:])
}

func appendBytes[T string | []byte](b []byte, field protowire.Number, value T) []byte {
	b = protowire.AppendVarint(protowire.AppendTag(b, field, protowire.BytesType), uint64(len(value)))
	return append(b, value...)
}

func appendNumber(b []byte, field protowire.Number, value uint64) []byte {
	if value == 0 {
		return b
	}
	return protowire.AppendFixed64(protowire.AppendTag(b, field, protowire.Fixed64Type), value)
}

func decodeChange(value []byte) (*diskpb.Change, error) {
	m := new(diskpb.Change)
	if err := proto.Unmarshal(value, m); err != nil {
		return nil, err
	}
	if len(m.GetPrevious()) != len(digest{}) {
		return nil, errors.New("a change without the hash of the one before")
	}
	return m, nil
}
