// Package earlier reads the first three formats of a catalogue's folder. They stored resources, verdicts and losses in
// CBOR (RFC 8949) under the names of Go's fields. The package writes nothing: package pebble brings a folder over to
// the present format when it opens the folder.
package earlier

import (
	"fmt"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/wire"
)

// Record is a resource as it was stored.
type Record struct {
	Resource hexbid.Resource
	// Covering holds the postings of a campaign, without those of the discs around its program's places. It is empty if
	// the covering was stored in a form that includes those discs.
	Covering []geoindex.Posting
}

// record has the names of a stored record's fields. The first format stored the covering elsewhere, with the discs.
type record[T any] struct {
	Noun     T      `cbor:"noun"`
	Covering []byte `cbor:"packed"`
	Derived  uint8  `cbor:"derived"` // how the covering was made
}

// withPlaces is the value of Derived for a covering that includes the discs around places.
const withPlaces = 0

var decoding = must(cbor.DecOptions{MaxArrayElements: 1 << 20}.DecMode())

func must[T any](mode T, err error) T {
	if err != nil {
		panic(err) // the options above are constant
	}
	return mode
}

// DecodeRecord decodes a record of the kind that its key tells.
func DecodeRecord(kind hexbid.ResourceKind, value []byte) (Record, error) {
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
	return Record{}, fmt.Errorf("record of unknown kind %d", kind)
}

// noun is a pointer to T that is a Resource.
type noun[T any] interface {
	*T
	hexbid.Resource
}

func decodeAs[T any, P noun[T]](value []byte) (Record, error) {
	var w record[T]
	if err := decoding.Unmarshal(value, &w); err != nil {
		return Record{}, err
	}
	r := Record{Resource: P(&w.Noun)}
	if len(w.Covering) == 0 || w.Derived == withPlaces && goesAroundPlaces(r.Resource) {
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

// DecodeVerdict decodes a verdict.
func DecodeVerdict(value []byte) (wire.Verdict, error) {
	var v struct {
		State   hexbid.ReviewState `cbor:"state"`
		At      time.Time          `cbor:"at"`
		Of      hexbid.Place       `cbor:"of"`
		Version uint64             `cbor:"version"`
	}
	err := decoding.Unmarshal(value, &v)
	return wire.Verdict(v), err
}

// Loss has the fields of store.Loss, so that either converts to the other.
type Loss struct {
	At           time.Time `cbor:"at"`
	Acknowledged uint64    `cbor:"acknowledged"`
	Found        uint64    `cbor:"found"`
	What         string    `cbor:"what"`
}

// DecodeLosses decodes the losses that operators accepted.
func DecodeLosses(value []byte) (losses []Loss, err error) {
	err = decoding.Unmarshal(value, &losses)
	return losses, err
}
