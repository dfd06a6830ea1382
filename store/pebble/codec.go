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
	Noun     T      `cbor:"noun"`
	Covering []byte `cbor:"packed,omitempty"`
	Derived  uint8  `cbor:"derived,omitempty"` // how the covering was made
}

// Ways of making a covering. The first had the discs around a program's places in it;
// a covering that was made so is not used.
const (
	derivedWithPlaces = iota
	derivedWithoutPlaces
)

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
	w := wireRecord[hexbid.Resource]{Noun: r.Resource, Covering: geoindex.PackCovering(nil, r.Covering)}
	if len(w.Covering) > 0 {
		w.Derived = derivedWithoutPlaces
	}
	return encoding.Marshal(w)
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
	r := store.Record{Resource: P(&w.Noun)}
	if len(w.Covering) == 0 || w.Derived == derivedWithPlaces && goesAroundPlaces(r.Resource) {
		return r, nil
	}
	var err error
	r.Covering, err = geoindex.UnpackCovering(make([]geoindex.Posting, 0, len(w.Covering)/4+1), w.Covering)
	return r, err
}

func goesAroundPlaces(r hexbid.Resource) bool {
	c, ok := r.(*hexbid.Campaign)
	return ok && c.GoesAroundPlaces()
}
