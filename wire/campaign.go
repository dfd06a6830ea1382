package wire

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

func campaignFromNoun(v *hexbid.Campaign) *pb.Campaign {
	return &pb.Campaign{
		Name: v.Name, Uid: uint64(v.UID), CreateTime: fromInstant(v.CreatedAt),
		UpdateTime: fromInstant(v.UpdatedAt), DisplayName: v.DisplayName,
		Program:           v.Program,
		State:             pb.ServingState(v.State),
		PricingModel:      pb.PricingModel(v.Pricing),
		BidMicros:         int64(v.Bid),
		DailyBudgetMicros: int64(v.DailyBudget),
		TotalBudgetMicros: int64(v.TotalBudget),
		Pacing:            pb.Pacing(v.Pacing),
		Goal:              pb.Goal(v.Goal),
		TargetCostMicros:  int64(v.TargetCost),
		StartTime:         fromInstant(v.Start),
		EndTime:           fromInstant(v.End),
		TimeZone:          v.TimeZone,
		WeeklyHours:       fromAll(v.Hours, hoursFromNoun),
		Area:              areaFromNoun(&v.Area),
		ExcludedArea:      areaFromNoun(&v.Excluded),
		Audience:          audienceFromNoun(&v.Audience),
		FrequencyCap:      capFromNoun(v.Cap),
		Creatives:         fromAll(v.Creatives, creativeFromNoun),
		HostBids:          fromAll(v.HostBids, hostBidFromNoun),
		Keywords:          fromAll(v.Keywords, keywordFromNoun),
	}
}

func (c *conversion) campaign(v *pb.Campaign) *hexbid.Campaign {
	return &hexbid.Campaign{
		Meta:        c.meta(hexbid.KindCampaign, v),
		DisplayName: v.GetDisplayName(),
		Program:     v.GetProgram(),
		State:       toEnum(c, "campaign.state", v.GetState(), hexbid.StateCount),
		Pricing:     toEnum(c, "campaign.pricing_model", v.GetPricingModel(), hexbid.PricingCount),
		Bid:         hexbid.Money(v.GetBidMicros()),
		DailyBudget: hexbid.Money(v.GetDailyBudgetMicros()),
		TotalBudget: hexbid.Money(v.GetTotalBudgetMicros()),
		Pacing:      toEnum(c, "campaign.pacing", v.GetPacing(), hexbid.PacingCount),
		Goal:        toEnum(c, "campaign.goal", v.GetGoal(), hexbid.GoalCount),
		TargetCost:  hexbid.Money(v.GetTargetCostMicros()),
		Start:       c.instant("campaign.start_time", v.GetStartTime()),
		End:         c.instant("campaign.end_time", v.GetEndTime()),
		TimeZone:    v.GetTimeZone(),
		Hours:       toAll(c, v.GetWeeklyHours(), (*conversion).hours),
		Area:        c.area("campaign.area", v.GetArea()),
		Excluded:    c.area("campaign.excluded_area", v.GetExcludedArea()),
		Audience:    c.audience(v.GetAudience()),
		Cap:         c.frequencyCap("campaign.frequency_cap", v.GetFrequencyCap()),
		Creatives:   toAll(c, v.GetCreatives(), (*conversion).creative),
		HostBids:    toAll(c, v.GetHostBids(), (*conversion).hostBid),
		Keywords:    toAll(c, v.GetKeywords(), (*conversion).keyword),
	}
}

// fromAll converts a list of resources' parts; an empty list stays unset.
func fromAll[N, M any](nouns []N, convert func(*N) *M) []*M {
	if len(nouns) == 0 {
		return nil
	}
	out := make([]*M, len(nouns))
	for i := range nouns {
		out[i] = convert(&nouns[i])
	}
	return out
}

// toAll converts a list of messages; an empty list becomes nil.
func toAll[N, M any](c *conversion, messages []*M, convert func(*conversion, *M) N) []N {
	if len(messages) == 0 {
		return nil
	}
	out := make([]N, len(messages))
	for i, m := range messages {
		out[i] = convert(c, m)
	}
	return out
}

func hoursFromNoun(v *hexbid.WeeklyHours) *pb.WeeklyHours {
	return &pb.WeeklyHours{Day: pb.DayOfWeek(v.Day), StartHour: int32(v.Start), EndHour: int32(v.End)}
}

func (c *conversion) hours(v *pb.WeeklyHours) hexbid.WeeklyHours {
	return hexbid.WeeklyHours{Day: int(v.GetDay()), Start: int(v.GetStartHour()), End: int(v.GetEndHour())}
}

func capFromNoun(v hexbid.FrequencyCap) *pb.FrequencyCap {
	if v == (hexbid.FrequencyCap{}) {
		return nil
	}
	m := &pb.FrequencyCap{Impressions: int32(v.Impressions), ServeUncapped: v.ServeUncapped}
	if v.Window != 0 {
		m.Window = durationpb.New(v.Window)
	}
	return m
}

// frequencyCap converts the cap of a campaign or an advertiser. It refuses a cap that is there but says nothing, which
// would read as no cap, and a window of 0, which would read as one without end.
func (c *conversion) frequencyCap(field string, v *pb.FrequencyCap) hexbid.FrequencyCap {
	if v != nil && proto.Size(v) == 0 {
		c.note(hexbid.Invalidf(field+".impressions", "is missing: use 1 to %d, or leave %s out to have no cap",
			hexbid.MaxCapImpressions, field))
	}
	if v.GetWindow() != nil && v.GetWindow().AsDuration() == 0 {
		c.note(hexbid.Invalidf(field+".window", "0s is out of range: use one hour to 30 days, or leave it out for ever"))
	}
	return hexbid.FrequencyCap{Impressions: int(v.GetImpressions()), Window: v.GetWindow().AsDuration(),
		ServeUncapped: v.GetServeUncapped()}
}

func creativeFromNoun(v *hexbid.Creative) *pb.Creative {
	return &pb.Creative{Host: pb.Host(v.Host), Title: v.Title, Promotion: v.Promotion, Path: v.Path, ImageUri: v.ImageURI,
		Coupon: couponFromNoun(v.Coupon)}
}

func (c *conversion) creative(v *pb.Creative) hexbid.Creative {
	return hexbid.Creative{Host: toEnum(c, "campaign.creatives.host", v.GetHost(), hexbid.HostCount), Title: v.GetTitle(),
		Promotion: v.GetPromotion(), Path: v.GetPath(), ImageURI: v.GetImageUri(), Coupon: c.coupon(v.GetCoupon())}
}

func couponFromNoun(v *hexbid.Coupon) *pb.Coupon {
	if v == nil {
		return nil
	}
	return &pb.Coupon{Text: v.Text, Terms: v.Terms, ValidUntilTime: fromInstant(v.ValidUntil), TotalCount: v.TotalCount}
}

func (c *conversion) coupon(v *pb.Coupon) *hexbid.Coupon {
	if v == nil {
		return nil
	}
	return &hexbid.Coupon{Text: v.GetText(), Terms: v.GetTerms(), TotalCount: v.GetTotalCount(),
		ValidUntil: c.instant("campaign.creatives.coupon.valid_until_time", v.GetValidUntilTime())}
}

func hostBidFromNoun(v *hexbid.HostBid) *pb.HostBid {
	return &pb.HostBid{Host: pb.Host(v.Host), MultiplierPpm: v.MultiplierPPM}
}

func (c *conversion) hostBid(v *pb.HostBid) hexbid.HostBid {
	return hexbid.HostBid{Host: toEnum(c, "campaign.host_bids.host", v.GetHost(), hexbid.HostCount),
		MultiplierPPM: v.GetMultiplierPpm()}
}

func keywordFromNoun(v *hexbid.Keyword) *pb.Keyword {
	return &pb.Keyword{Text: v.Text, Match: pb.KeywordMatch(v.Match), Negative: v.Negative}
}

func (c *conversion) keyword(v *pb.Keyword) hexbid.Keyword {
	return hexbid.Keyword{Text: v.GetText(), Match: toEnum(c, "campaign.keywords.match", v.GetMatch(), hexbid.MatchCount),
		Negative: v.GetNegative()}
}
