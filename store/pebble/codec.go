package pebble

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/store"
)

// A record is CBOR (RFC 8949) with field names, so that a field added later
// decodes to its zero value from older records. Its key tells its kind.
type wireRecord[T any] struct {
	Noun     T        `cbor:"noun"`
	Covering []uint64 `cbor:"covering,omitempty"` // keys, with fullBit
	Places   uint64   `cbor:"places,omitempty"`
}

// fullBit marks a full posting; no H3 cell and no other key has the bit.
const fullBit = 1 << 61

var (
	encoding = must(cbor.EncOptions{Time: cbor.TimeRFC3339Nano}.EncMode())
	decoding = must(cbor.DecOptions{MaxArrayElements: 1 << 20}.DecMode())
)

func must[T any](mode T, err error) T {
	if err != nil {
		panic(err) // the options above are constant
	}
	return mode
}

func encode(r *store.Record) ([]byte, error) {
	covering := make([]uint64, len(r.Covering))
	for i, p := range r.Covering {
		covering[i] = uint64(p.Key)
		if p.Full {
			covering[i] |= fullBit
		}
	}
	return encoding.Marshal(wireRecord[hexbid.Resource]{r.Resource, covering, r.CoveredPlaces})
}

func decode(kind hexbid.ResourceKind, value []byte) (store.Record, error) {
	switch kind {
	case hexbid.KindAdvertiser:
		return decodeAs[hexbid.Advertiser](value)
	case hexbid.KindProgram:
		return decodeAs[hexbid.Program](value)
	case hexbid.KindPlace:
		return decodeAs[hexbid.Place](value)
	case hexbid.KindCampaign:
		return decodeAs[hexbid.Campaign](value)
	}
	return store.Record{}, fmt.Errorf("record of unknown kind %d", kind)
}

// noun is a pointer to T that is a Resource.
type noun[T any] interface {
	*T
	hexbid.Resource
}

func decodeAs[T any, P noun[T]](value []byte) (store.Record, error) {
	var w wireRecord[T]
	if err := decoding.Unmarshal(value, &w); err != nil {
		return store.Record{}, err
	}
	r := store.Record{Resource: P(&w.Noun), CoveredPlaces: w.Places}
	for _, key := range w.Covering {
		r.Covering = append(r.Covering, geoindex.Posting{Key: geoindex.Key(key &^ fullBit), Full: key&fullBit != 0})
	}
	return r, nil
}
