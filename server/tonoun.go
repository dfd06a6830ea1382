package server

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// toNoun converts a resource, and says what it mended. Output-only fields are
// left out.
func toNoun(m proto.Message) (hexbid.Resource, []string, error) {
	var c collector
	var r hexbid.Resource
	switch v := m.(type) {
	case *pb.Advertiser:
		r = &hexbid.Advertiser{Meta: hexbid.Meta{Name: v.GetName()}, DisplayName: v.GetDisplayName(),
			State: convert(&c, "advertiser.state", v.GetState(), hexbid.StateCount)}
	case *pb.Program:
		r = programToNoun(v, &c)
	case *pb.Place:
		r = &hexbid.Place{Meta: hexbid.Meta{Name: v.GetName()}, DisplayName: v.GetDisplayName(), Address: v.GetAddress(), OpeningHours: v.GetOpeningHours(),
			Point: collect2(&c)(pointToNoun("place", v.GetLatitude(), v.GetLongitude(), v.GetDatum()))}
	case *pb.Campaign:
		r = campaignToNoun(v, &c)
	}
	return r, c.notices, c.err
}

func programToNoun(v *pb.Program, c *collector) *hexbid.Program {
	return &hexbid.Program{
		Meta: hexbid.Meta{Name: v.GetName()}, DisplayName: v.GetDisplayName(), AlternativeNames: v.GetAlternativeNames(),
		Category: convert(c, "program.category", v.GetCategory(), hexbid.CategoryCount),
		Hosts:    convertAll(c, "program.hosts", v.GetHosts(), hexbid.HostCount),
		OS:       convertAll(c, "program.operating_systems", v.GetOperatingSystems(), hexbid.OSCount), MinimumAge: int(v.GetMinimumAge()),
		Path: v.GetPath(), IconURI: v.GetIconUri(), Keywords: v.GetKeywords(),
	}
}

func campaignToNoun(v *pb.Campaign, c *collector) *hexbid.Campaign {
	out := &hexbid.Campaign{
		Meta: hexbid.Meta{Name: v.GetName()}, DisplayName: v.GetDisplayName(), Program: v.GetProgram(),
		State:       convert(c, "campaign.state", v.GetState(), hexbid.StateCount),
		Pricing:     convert(c, "campaign.pricing_model", v.GetPricingModel(), hexbid.PricingCount),
		Bid:         hexbid.Money(v.GetBidMicros()),
		DailyBudget: hexbid.Money(v.GetDailyBudgetMicros()),
		TotalBudget: hexbid.Money(v.GetTotalBudgetMicros()),
		Pacing:      convert(c, "campaign.pacing", v.GetPacing(), hexbid.PacingCount),
		Start:       instant(c, "campaign.start_time", v.GetStartTime()),
		End:         instant(c, "campaign.end_time", v.GetEndTime()),
		TimeZone:    v.GetTimeZone(),
		Area:        areaToNoun(c, "campaign.area", v.GetArea()),
		Excluded:    areaToNoun(c, "campaign.excluded_area", v.GetExcludedArea()),
		Audience:    audienceToNoun(c, v.GetAudience()),
	}
	for _, h := range v.GetWeeklyHours() {
		out.Hours = append(out.Hours, hexbid.WeeklyHours{Day: int(h.GetDay()), Start: int(h.GetStartHour()), End: int(h.GetEndHour())})
	}
	if f := v.GetFrequencyCap(); f != nil {
		out.Cap = hexbid.FrequencyCap{Impressions: int(f.GetImpressions()), Window: f.GetWindow().AsDuration(), ServeUncapped: f.GetServeUncapped()}
	}
	for _, k := range v.GetKeywords() {
		out.Keywords = append(out.Keywords, hexbid.Keyword{Text: k.GetText(), Match: convert(c, "campaign.keywords.match", k.GetMatch(), hexbid.MatchCount), Negative: k.GetNegative()})
	}
	for _, b := range v.GetHostBids() {
		out.HostBids = append(out.HostBids, hexbid.HostBid{Host: convert(c, "campaign.host_bids.host", b.GetHost(), hexbid.HostCount), MultiplierPPM: b.GetMultiplierPpm()})
	}
	for _, creative := range v.GetCreatives() {
		out.Creatives = append(out.Creatives, hexbid.Creative{Host: convert(c, "campaign.creatives.host", creative.GetHost(), hexbid.HostCount),
			Title: creative.GetTitle(), Promotion: creative.GetPromotion(), Path: creative.GetPath(), ImageURI: creative.GetImageUri(),
			Coupon: couponToNoun(c, creative.GetCoupon())})
	}
	return out
}

func couponToNoun(c *collector, v *pb.Coupon) *hexbid.Coupon {
	if v == nil {
		return nil
	}
	return &hexbid.Coupon{Text: v.GetText(), Terms: v.GetTerms(), TotalCount: v.GetTotalCount(),
		ValidUntil: instant(c, "campaign.creatives.coupon.valid_until_time", v.GetValidUntilTime())}
}

func instant(c *collector, field string, t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	at := t.AsTime()
	if err := t.CheckValid(); err != nil || at.Year() < 1970 || at.Year() > 2200 { // what nanoseconds in 64 bits hold
		return collect(c, time.Time{}, error(hexbid.Invalidf(field, "%d s is not an instant between 1970 and 2200", t.GetSeconds())))
	}
	return at
}

func areaToNoun(c *collector, field string, v *pb.Area) hexbid.Area {
	if v.GetOmittedShapes() != 0 {
		return collect(c, hexbid.Area{}, error(hexbid.Invalidf(field+".omitted_shapes", "%v", omittedError(v))))
	}
	out := hexbid.Area{AroundPlacesM: v.GetAroundPlacesM(), Regions: v.GetRegions(), Everywhere: v.GetEverywhere()}
	if len(v.GetCircles()) > 1000 || len(v.GetH3Cells()) > 1000 { // before any is converted
		return collect(c, out, error(hexbid.Invalidf(field, "has %d circles and %d cells: at most 1000 of each", len(v.GetCircles()), len(v.GetH3Cells()))))
	}
	for _, circle := range v.GetCircles() {
		center := collect2(c)(pointToNoun(field+".circles", circle.GetLatitude(), circle.GetLongitude(), circle.GetDatum()))
		out.Circles = append(out.Circles, hexbid.Circle{Center: center, RadiusM: circle.GetRadiusM()})
	}
	for _, text := range v.GetPolygons() {
		polygons, turned, err := geoindex.ParsePolygons(text)
		if err != nil {
			collect(c, polygons, error(hexbid.Invalidf(field+".polygons", "%v", err)))
		}
		if turned > 0 {
			c.notices = append(c.notices, fmt.Sprintf("%s.polygons: %d rings wound the wrong way and were turned (RFC 7946, 3.1.6)", field, turned))
		}
		out.Polygons = append(out.Polygons, polygons...)
	}
	for _, s := range v.GetH3Cells() {
		cell, err := geoindex.ParseCell(s)
		if err != nil {
			collect(c, cell, error(hexbid.Invalidf(field+".h3_cells", "%v", err)))
		}
		out.Cells = append(out.Cells, uint64(cell))
	}
	return out
}

func audienceToNoun(c *collector, v *pb.Audience) (out hexbid.Audience) {
	const field = "campaign.audience."
	for _, r := range v.GetAges() {
		out.Ages = append(out.Ages, hexbid.AgeRange{Min: int(r.GetMinAge()), Max: int(r.GetMaxAge())})
	}
	out.Genders = convertAll(c, field+"genders", v.GetGenders(), hexbid.GenderCount)
	out.OS = convertAll(c, field+"operating_systems", v.GetOperatingSystems(), hexbid.OSCount)
	out.Hosts = convertAll(c, field+"hosts", v.GetHosts(), hexbid.HostCount)
	out.Scenes = convertAll(c, field+"scenes", v.GetScenes(), hexbid.SceneCount)
	out.Networks = convertAll(c, field+"networks", v.GetNetworks(), hexbid.NetworkCount)
	out.Interests = convertAll(c, field+"interests", v.GetInterests(), hexbid.CategoryCount)
	out.NotInterests = convertAll(c, field+"excluded_interests", v.GetExcludedInterests(), hexbid.CategoryCount)
	out.Credit = convertAll(c, field+"credit_bands", v.GetCreditBands(), hexbid.CreditBandCount)
	out.Residences = convertAll(c, field+"residences", v.GetResidences(), hexbid.ResidenceCount)
	out.IncludeUnknown = convertAll(c, field+"include_unknown", v.GetIncludeUnknown(), hexbid.DimensionCount)
	return out
}
