package wire

import (
	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// ToRequest converts a search and fills the defaults in. Its error names every field that does not convert.
// Request.Validate then checks the bounds.
func ToRequest(r *pb.SearchNearbyRequest) (*hexbid.Request, error) {
	if r.GetLocation() == nil {
		return nil, hexbid.Invalidf("location", "is missing: give latitude and longitude")
	}
	var c conversion
	l := r.GetLocation()
	out := &hexbid.Request{
		Point:           c.point("location", l.GetLatitude(), l.GetLongitude(), l.GetDatum()),
		AccuracyM:       l.GetAccuracyM(),
		Words:           r.GetWords(),
		PageToken:       r.GetPageToken(),
		Trace:           r.GetTrace(),
		RadiusM:         hexbid.DefaultRadiusM,
		NearbyLimit:     hexbid.DefaultNearbyLimit,
		Slots:           hexbid.DefaultSlots,
		Viewer:          c.viewer(r.GetViewer()),
		Datum:           toEnum(&c, "location.datum", l.GetDatum(), hexbid.DatumCount),
		Host:            toEnum(&c, "host", r.GetHost(), hexbid.HostCount),
		Scene:           toEnum(&c, "scene", r.GetScene(), hexbid.SceneCount),
		Category:        toEnum(&c, "category", r.GetCategory(), hexbid.CategoryCount),
		Personalization: toEnum(&c, "personalization", r.GetPersonalization(), hexbid.PersonalizationCount),
	}
	if r.RadiusM != nil {
		out.RadiusM = r.GetRadiusM()
	}
	if r.NearbyLimit != nil {
		out.NearbyLimit = int(r.GetNearbyLimit())
	}
	if r.SponsoredSlots != nil {
		out.Slots = int(r.GetSponsoredSlots())
	}
	return out, c.err
}

func (c *conversion) viewer(v *pb.Viewer) hexbid.Viewer {
	out := hexbid.Viewer{
		UserKey:    v.GetUserKey(),
		HomeRegion: v.GetHomeRegion(),
		Age:        hexbid.AgeUnknown,
		Gender:     toEnum(c, "viewer.gender", v.GetGender(), hexbid.GenderCount),
		OS:         toEnum(c, "viewer.operating_system", v.GetOperatingSystem(), hexbid.OSCount),
		Network:    toEnum(c, "viewer.network", v.GetNetwork(), hexbid.NetworkCount),
		Credit:     toEnum(c, "viewer.credit_band", v.GetCreditBand(), hexbid.CreditBandCount),
		Interests:  toEnums(c, "viewer.interests", v.GetInterests(), hexbid.CategoryCount),
	}
	if v != nil && v.Age != nil {
		if v.GetAge() < 0 { // -1 would mean unknown
			c.note(hexbid.Invalidf("viewer.age", "%d is out of range: use 0 to %d, or leave it unset when unknown", v.GetAge(),
				hexbid.MaxAge))
		}
		out.Age = int(v.GetAge())
	}
	return out
}
