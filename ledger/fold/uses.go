package fold

import (
	"encoding/binary"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/token"
)

// uses remembers which tokens' impressions, clicks and claims are used up, exactly, and after which impressions the
// click of the same token bills nothing. It has a bitmap for each issuer, kind and chunk of 2^16 sequences, some 8 KiB
// of a full one. An issuer counts its tokens, so a chunk's tokens are of about the same time, and the whole chunk is
// forgotten once the click of the last of them has expired. From then on the expiry itself rules out a second use.
//
// 81 million tokens, as 45,000 searches a second issue in thirty minutes, are 1,236 chunks a kind, so 30 MiB for the
// three kinds when all of them come back.
type uses struct {
	chunks map[chunkKey]*chunk
	recent [useKinds]*chunk // the last one looked at, of each kind
	minute int64            // up to which chunks are dropped, since 1970
}

// MaxChunks bounds the bitmaps of tokens in use. A server makes some 40 an hour for each thousand searches a second.
// Only a server that starts again and again, or tokens of which hardly any come back, could make so many. Then a token
// of a chunk that is not there yet waits until others are dropped.
const MaxChunks = 1 << 16

const chunkBits = 16

// useKind is what a bitmap remembers of tokens: a hexbid.EventKind that is used up, or how its impression came out.
type useKind uint8

// The numbers are on disk.
const (
	seenBeyondCap useKind = 8 + iota
	seenFiltered
	useKinds
)

const _ = uint(seenBeyondCap) - uint(hexbid.EventKindCount) // kinds of events stay below

func (k useKind) isKnown() bool {
	return k > 0 && k < useKind(hexbid.EventKindCount) || k >= seenBeyondCap && k < useKinds
}

// impressionAs returns what is remembered of an impression beside its use, 0 for nothing.
func impressionAs(outcome hexbid.EventOutcome) useKind {
	switch outcome {
	case hexbid.EventBeyondCap:
		return seenBeyondCap
	case hexbid.EventFiltered:
		return seenFiltered
	}
	return 0
}

type chunkKey struct {
	issuer token.Issuer
	kind   useKind
	number uint64
}

func chunkOf(kind useKind, name token.Name) chunkKey {
	return chunkKey{issuer: name.Issuer, kind: kind, number: name.Sequence >> chunkBits}
}

// chunk is the used tokens of a chunk. It is gone when used is nil.
type chunk struct {
	chunkKey
	used   *roaring.Bitmap
	expiry int64 // the latest click expiry of the used tokens, milliseconds since 1970
	hash   Hash
	marks
}

func newUses() uses { return uses{chunks: map[chunkKey]*chunk{}} }

// find returns a token's chunk, nil if there is none.
func (u *uses) find(kind useKind, name token.Name) *chunk {
	key := chunkOf(kind, name)
	if k := u.recent[kind]; k != nil && k.chunkKey == key && k.used != nil {
		return k
	}
	k := u.chunks[key]
	if k != nil {
		u.recent[kind] = k
	}
	return k
}

func (u *uses) has(kind useKind, name token.Name) bool {
	k := u.find(kind, name)
	return k != nil && k.used.Contains(uint32(name.Sequence&(1<<chunkBits-1)))
}

// lacks returns how many chunks would have to be made to remember a token: 0 or 1.
func (u *uses) lacks(kind useKind, name token.Name) int {
	if u.find(kind, name) != nil {
		return 0
	}
	return 1
}

// Used reports whether a token's impression, click or claim is used up. Of conversions, and of tokens whose click has
// expired, books know nothing.
func (b *Books) Used(kind hexbid.EventKind, name token.Name) bool {
	return kind > 0 && kind < hexbid.EventKindCount && b.uses.has(useKind(kind), name)
}

// use marks a token's kind as used up, or how its impression came out.
func (b *Books) use(kind useKind, e *Event) {
	k := b.uses.find(kind, e.Token)
	if k == nil {
		k = &chunk{chunkKey: chunkOf(kind, e.Token), used: roaring.New()}
		b.uses.chunks[k.chunkKey] = k
	}
	b.rows.touch(k)
	k.used.Add(uint32(e.Token.Sequence & (1<<chunkBits - 1)))
	k.expiry = max(k.expiry, e.Award.ClickExpiry)
}

// dropExpired forgets the chunks whose tokens had all expired when the present minute began. The minute, rather than
// the stamp, decides, so that a replay drops the same ones whatever stamps passed without a record.
func (b *Books) dropExpired() {
	minute := b.at / minuteMicros
	if minute <= b.uses.minute {
		return
	}
	b.uses.minute = minute
	for key, k := range b.uses.chunks {
		if k.expiry*1000 <= minute*minuteMicros {
			b.rows.touch(k)
			k.used = nil
			delete(b.uses.chunks, key)
		}
	}
}

// UsesBytes returns the memory of the bitmaps of tokens in use, and how many bitmaps there are. It looks at each.
func (b *Books) UsesBytes() (bytes uint64, chunks int) {
	const overhead = 400 // of a chunk: its struct, the bitmap's and their entry in the map
	for _, k := range b.uses.chunks {
		bytes += overhead + k.used.GetSizeInBytes()
	}
	return bytes, len(b.uses.chunks)
}

func (k *chunk) key() stateKey {
	return stateKey{table: journal.Uses, kind: byte(k.kind), issuer: k.issuer, number: k.number}
}

func (k *chunk) print() *Hash { return &k.hash }

// value is the expiry in eight bytes and the bitmap as roaring serializes it.
func (k *chunk) value(b []byte) []byte {
	if k.used == nil {
		return b
	}
	b = slices.Grow(b, 8+int(k.used.GetSerializedSizeInBytes()))
	b = binary.BigEndian.AppendUint64(b, uint64(k.expiry))
	out := appender(b)
	if _, err := k.used.WriteTo(&out); err != nil {
		panic("a bitmap does not serialize into memory: " + err.Error())
	}
	return out
}

// appender is a writer that never fails.
type appender []byte

// Write implements io.Writer.
func (a *appender) Write(b []byte) (int, error) {
	*a = append(*a, b...)
	return len(b), nil
}

// decodeChunk reads a row of journal.Uses.
func decodeChunk(key, value []byte) (*chunk, error) {
	const keyBytes = len(token.Issuer{}) + 1 + 8
	if len(key) != keyBytes || len(value) < 8 {
		return nil, damaged("tokens in use", len(key), keyBytes)
	}
	k := &chunk{used: roaring.New(), expiry: int64(binary.BigEndian.Uint64(value))}
	k.kind, k.number = useKind(key[keyBytes-9]), binary.BigEndian.Uint64(key[keyBytes-8:])
	copy(k.issuer[:], key)
	err := k.used.UnmarshalBinary(value[8:])
	if err == nil {
		err = k.used.Validate()
	}
	if err != nil || k.used.IsEmpty() || k.used.Maximum() >= 1<<chunkBits || !k.kind.isKnown() ||
		k.expiry < 0 {
		return nil, &hexbid.Error{Kind: hexbid.DataLoss, Field: "tokens in use", Detail: "do not decode", Err: err}
	}
	return k, nil
}
