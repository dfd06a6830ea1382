// Package wire maps resources to messages and back. Nothing else does: the server converts what callers send and see,
// the engines of package store convert what lies on disk, and the cards of an answer are encoded here.
//
// A field of a resource has one line for each direction, in resource.go, campaign.go, area.go, audience.go, access.go
// or market.go. A reflection test fails when a field of a resource or of a message has none.
//
// The package has no state and does not change what it converts. A resource may share texts and lists with the message
// that it was made from.
package wire

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// FromNoun converts a resource to its message. It leaves a campaign's serving status and notices empty, because the
// resource does not hold them.
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
	return besidesFromNoun(r)
}

// ToNoun converts what a caller sent to a resource and returns notices of what it corrected. It ignores output-only
// fields. The error names every field that does not convert; the resource holds the other fields. ToNoun returns nil
// for a message that is not a resource.
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
	return c.besides(m)
}

// conversion is one conversion of a message. It collects the errors of all fields and the corrections.
type conversion struct {
	// stored says that the message comes from our own disk. Then output-only fields count, and coordinates and numbers
	// of shapes need no check.
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

// fromInstant converts an instant; the zero instant stays unset.
func fromInstant(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// instant converts an instant; unset becomes the zero instant. Validate checks whether a resource may have it.
func (c *conversion) instant(field string, t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	at := t.AsTime()
	if !t.IsValid() || at.IsZero() { // it would read as unset
		c.note(hexbid.Invalidf(field, "%d s and %d ns are not an instant between 1970 and 2200",
			t.GetSeconds(), t.GetNanos()))
	}
	return at
}

// ToInstant converts an instant that a request may leave out: unset becomes the zero instant. Its error names the
// field.
func ToInstant(field string, t *timestamppb.Timestamp) (time.Time, error) {
	var c conversion
	return c.instant(field, t), c.err
}
