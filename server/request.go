package server

import (
	"fmt"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/store"
)

// enum converts a wire enumeration, whose numbers are the noun's. The error
// names the field.
func enum[T ~uint8, P ~int32](field string, value P, count T) (T, error) {
	if value < 0 || value >= P(count) {
		return 0, hexbid.Invalidf(field, "%d is not a known value: use 0 to %d", value, count-1)
	}
	return T(value), nil
}

func enums[T ~uint8, P ~int32](field string, values []P, count T) ([]T, error) {
	if len(values) == 0 {
		return nil, nil
	}
	if len(values) > int(count) {
		return nil, hexbid.Invalidf(field, "has %d entries: at most %d, each once", len(values), count)
	}
	out := make([]T, len(values))
	for i, v := range values {
		var err error
		if out[i], err = enum(field, v, count); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func toWire[P ~int32, T ~uint8](values []T) []P {
	out := make([]P, len(values))
	for i, v := range values {
		out[i] = P(v)
	}
	return out
}

// pointToNoun checks coordinates as they were written and converts them to
// WGS-84.
func pointToNoun(field string, lat, lng float64, datum pb.Datum) (hexbid.Point, error) {
	p := hexbid.Point{Lat: lat, Lng: lng}
	d, err := enum(field+".datum", datum, hexbid.DatumCount)
	if err == nil {
		err = p.Validate(field)
	}
	if err != nil {
		return hexbid.Point{}, err
	}
	return geoindex.ToWGS84(d, p), nil
}

// collector gathers the errors of many conversions, and what they mended.
type collector struct {
	err     error
	notices []string
}

func collect[T any](c *collector, value T, err error) T {
	if err != nil {
		c.err = hexbid.JoinErrors(c.err, err)
	}
	return value
}

// requestToNoun fills the defaults in and converts; what is out of bounds is
// left to Request.Validate.
func requestToNoun(r *pb.SearchNearbyRequest) (*hexbid.Request, error) {
	if r.GetLocation() == nil {
		return nil, hexbid.Invalidf("location", "is missing: give latitude and longitude")
	}
	var c collector
	l, v := r.GetLocation(), r.GetViewer()
	out := &hexbid.Request{
		Point:           collect2(&c)(pointToNoun("location", l.GetLatitude(), l.GetLongitude(), l.GetDatum())),
		AccuracyM:       l.GetAccuracyM(),
		Words:           r.GetWords(),
		PageToken:       r.GetPageToken(),
		Trace:           r.GetTrace(),
		RadiusM:         hexbid.DefaultRadiusM,
		NearbyLimit:     hexbid.DefaultNearbyLimit,
		Slots:           hexbid.DefaultSlots,
		Viewer:          hexbid.Viewer{UserKey: v.GetUserKey(), Age: hexbid.AgeUnknown, HomeRegion: v.GetHomeRegion()},
		Datum:           convert(&c, "location.datum", l.GetDatum(), hexbid.DatumCount),
		Host:            convert(&c, "host", r.GetHost(), hexbid.HostCount),
		Scene:           convert(&c, "scene", r.GetScene(), hexbid.SceneCount),
		Category:        convert(&c, "category", r.GetCategory(), hexbid.CategoryCount),
		Personalization: convert(&c, "personalization", r.GetPersonalization(), hexbid.PersonalizationCount),
	}
	out.Viewer.Gender = convert(&c, "viewer.gender", v.GetGender(), hexbid.GenderCount)
	out.Viewer.OS = convert(&c, "viewer.operating_system", v.GetOperatingSystem(), hexbid.OSCount)
	out.Viewer.Network = convert(&c, "viewer.network", v.GetNetwork(), hexbid.NetworkCount)
	out.Viewer.Credit = convert(&c, "viewer.credit_band", v.GetCreditBand(), hexbid.CreditBandCount)
	out.Viewer.Interests = convertAll(&c, "viewer.interests", v.GetInterests(), hexbid.CategoryCount)
	if r.RadiusM != nil {
		out.RadiusM = r.GetRadiusM()
	}
	if r.NearbyLimit != nil {
		out.NearbyLimit = int(r.GetNearbyLimit())
	}
	if r.SponsoredSlots != nil {
		out.Slots = int(r.GetSponsoredSlots())
	}
	if v != nil && v.Age != nil {
		if v.GetAge() < 0 { // -1 would read as unknown
			return nil, hexbid.Invalidf("viewer.age", "%d is out of range: use 0 to %d, or leave it unset when unknown", v.GetAge(), hexbid.MaxAge)
		}
		out.Viewer.Age = int(v.GetAge())
	}
	return out, c.err
}

func convert[T ~uint8, P ~int32](c *collector, field string, value P, count T) T {
	out, err := enum(field, value, count)
	return collect(c, out, err)
}

func convertAll[T ~uint8, P ~int32](c *collector, field string, values []P, count T) []T {
	out, err := enums(field, values, count)
	return collect(c, out, err)
}

func collect2(c *collector) func(hexbid.Point, error) hexbid.Point {
	return func(p hexbid.Point, err error) hexbid.Point { return collect(c, p, err) }
}

func etag(version uint64) string { return fmt.Sprintf("v%x", version) }

// ifVersion is the version that an etag stands for; an empty one waives the
// condition.
func ifVersion(s string) (version uint64, err error) {
	if s == "" {
		return store.AnyVersion, nil
	}
	if _, err := fmt.Sscanf(s, "v%x", &version); err != nil || etag(version) != s {
		return 0, hexbid.Invalidf("etag", "%q is not an etag: send it as it came, or leave it out", hexbid.Shorten(s))
	}
	return version, nil
}
