// Package wire maps nouns to the messages of the contract and back. It is the one
// place that does: the server converts with it what callers send and see, the
// engines of package store keep with it what lies on disk, and the cards of an
// answer are encoded here.
//
// A field of a resource has one line each way, in resource.go, campaign.go,
// area.go or audience.go. A reflection test fails when a field of a noun or of a
// message has none.
//
// The package has no state. What it converts it does not change; a noun may share
// texts and lists with the message that it was made of.
package wire

import (
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// FromNoun converts a resource to its message. A campaign's serving status and
// notices are not the noun's: they are left empty.
func FromNoun(r hexbid.Resource) proto.Message {
	switch v := r.(type) {
	case *hexbid.Advertiser:
		return advertiserFromNoun(v)
	case *hexbid.Program:
		return programFromNoun(v)
	case *hexbid.Place:
		return placeFromNoun(v)
	case *hexbid.Campaign:
		return campaignFromNoun(v)
	}
	return nil
}

// ToNoun converts what a caller sent to a resource, and says what it mended. What is
// output only is left out. The error names every field that does not convert, and
// the resource has the others; nil stands for a message that is not a resource.
func ToNoun(m proto.Message) (hexbid.Resource, []string, error) {
	var c conversion
	r := c.resource(m)
	return r, c.notices, c.err
}

func (c *conversion) resource(m proto.Message) hexbid.Resource {
	switch v := m.(type) {
	case *pb.Advertiser:
		return c.advertiser(v)
	case *pb.Program:
		return c.program(v)
	case *pb.Place:
		return c.place(v)
	case *pb.Campaign:
		return c.campaign(v)
	}
	return nil
}

// conversion is one conversion from the wire. It gathers the errors of all fields,
// and what was mended.
type conversion struct {
	// stored says that the message comes from our own disk: fields that are output
	// only count, and coordinates and numbers of shapes were judged before.
	stored  bool
	err     error
	notices []string
}

// note adds an error; nil changes nothing.
func (c *conversion) note(err error) {
	if err != nil {
		c.err = hexbid.JoinErrors(c.err, err)
	}
}

// fromInstant converts an instant; the zero one is unset.
func fromInstant(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// instant converts an instant; unset is the zero one. Whether it is one that a
// resource may have is the noun's to check.
func (c *conversion) instant(field string, t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	at := t.AsTime()
	if !t.IsValid() || at.IsZero() { // which would read as unset
		c.note(hexbid.Invalidf(field, "%d s and %d ns are not an instant between 1970 and 2200", t.GetSeconds(), t.GetNanos()))
	}
	return at
}

// Etag is the etag of a version.
func Etag(version uint64) string { return "v" + strconv.FormatUint(version, 16) }

// ParseEtag is the version that an etag stands for. The error names the field
// etag.
func ParseEtag(s string) (version uint64, err error) {
	if _, err := fmt.Sscanf(s, "v%x", &version); err != nil || Etag(version) != s {
		return 0, hexbid.Invalidf("etag", "%q is not an etag: send it as it came, or leave it out", hexbid.Shorten(s))
	}
	return version, nil
}
