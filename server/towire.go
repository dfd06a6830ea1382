package server

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/exchange"
	"github.com/hexbid/hexbid/geoindex"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/targeting"
)

func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// fromNoun converts a resource; a campaign's serving status is the caller's.
func fromNoun(r hexbid.Resource) proto.Message {
	m := r.Metadata()
	created, updated := timestamp(m.CreatedAt), timestamp(m.UpdatedAt)
	switch v := r.(type) {
	case *hexbid.Advertiser:
		return &pb.Advertiser{Name: m.Name, Uid: uint64(m.UID), Etag: etag(m.Version), CreateTime: created, UpdateTime: updated,
			DisplayName: v.DisplayName, State: pb.ServingState(v.State)}
	case *hexbid.Program:
		return &pb.Program{Name: m.Name, Uid: uint64(m.UID), Etag: etag(m.Version), CreateTime: created, UpdateTime: updated,
			DisplayName: v.DisplayName, AlternativeNames: v.AlternativeNames, Category: pb.Category(v.Category), Hosts: toWire[pb.Host](v.Hosts),
			OperatingSystems: toWire[pb.OperatingSystem](v.OS), MinimumAge: int32(v.MinimumAge), Path: v.Path, IconUri: v.IconURI, Keywords: v.Keywords}
	case *hexbid.Place:
		return &pb.Place{Name: m.Name, Uid: uint64(m.UID), Etag: etag(m.Version), CreateTime: created, UpdateTime: updated,
			DisplayName: v.DisplayName, Latitude: v.Point.Lat, Longitude: v.Point.Lng, Datum: pb.Datum_DATUM_WGS84, Address: v.Address,
			OpeningHours: v.OpeningHours, ReviewState: pb.ReviewState(v.Review)}
	case *hexbid.Campaign:
		out := campaignFromNoun(v)
		out.CreateTime, out.UpdateTime = created, updated
		return out
	}
	return nil
}

func campaignFromNoun(v *hexbid.Campaign) *pb.Campaign {
	out := &pb.Campaign{
		Name: v.Name, Uid: uint64(v.UID), Etag: etag(v.Version), DisplayName: v.DisplayName, Program: v.Program, State: pb.ServingState(v.State),
		PricingModel: pb.PricingModel(v.Pricing), BidMicros: int64(v.Bid), DailyBudgetMicros: int64(v.DailyBudget), TotalBudgetMicros: int64(v.TotalBudget),
		Pacing: pb.Pacing(v.Pacing), StartTime: timestamp(v.Start), EndTime: timestamp(v.End), TimeZone: v.TimeZone,
		Area: areaFromNoun(&v.Area), ExcludedArea: areaFromNoun(&v.Excluded), Audience: audienceFromNoun(&v.Audience),
	}
	for _, h := range v.Hours {
		out.WeeklyHours = append(out.WeeklyHours, &pb.WeeklyHours{Day: pb.DayOfWeek(h.Day), StartHour: int32(h.Start), EndHour: int32(h.End)})
	}
	if v.Cap.Impressions > 0 {
		out.FrequencyCap = &pb.FrequencyCap{Impressions: int32(v.Cap.Impressions), Window: durationpb.New(v.Cap.Window), ServeUncapped: v.Cap.ServeUncapped}
	}
	for _, k := range v.Keywords {
		out.Keywords = append(out.Keywords, &pb.Keyword{Text: k.Text, Match: pb.KeywordMatch(k.Match), Negative: k.Negative})
	}
	for _, b := range v.HostBids {
		out.HostBids = append(out.HostBids, &pb.HostBid{Host: pb.Host(b.Host), MultiplierPpm: b.MultiplierPPM})
	}
	for _, c := range v.Creatives {
		creative := &pb.Creative{Host: pb.Host(c.Host), Title: c.Title, Promotion: c.Promotion, Path: c.Path, ImageUri: c.ImageURI}
		if c.Coupon != nil {
			creative.Coupon = &pb.Coupon{Text: c.Coupon.Text, Terms: c.Coupon.Terms, ValidUntilTime: timestamp(c.Coupon.ValidUntil), TotalCount: c.Coupon.TotalCount}
		}
		out.Creatives = append(out.Creatives, creative)
	}
	return out
}

func areaFromNoun(a *hexbid.Area) *pb.Area {
	if a.IsEmpty() {
		return nil
	}
	out := &pb.Area{AroundPlacesM: a.AroundPlacesM, Regions: a.Regions, Everywhere: a.Everywhere}
	for _, c := range a.Circles {
		out.Circles = append(out.Circles, &pb.Circle{Latitude: c.Center.Lat, Longitude: c.Center.Lng, Datum: pb.Datum_DATUM_WGS84, RadiusM: c.RadiusM})
	}
	for _, p := range a.Polygons {
		out.Polygons = append(out.Polygons, geoindex.FormatPolygon(p))
	}
	for _, c := range a.Cells {
		out.H3Cells = append(out.H3Cells, geoindex.Cell(c).String())
	}
	return out
}

func audienceFromNoun(a *hexbid.Audience) *pb.Audience {
	out := &pb.Audience{Genders: toWire[pb.Gender](a.Genders), OperatingSystems: toWire[pb.OperatingSystem](a.OS), Hosts: toWire[pb.Host](a.Hosts),
		Scenes: toWire[pb.Scene](a.Scenes), Networks: toWire[pb.Network](a.Networks), Interests: toWire[pb.Category](a.Interests),
		ExcludedInterests: toWire[pb.Category](a.NotInterests), CreditBands: toWire[pb.CreditBand](a.Credit), Residences: toWire[pb.Residence](a.Residences),
		IncludeUnknown: toWire[pb.AudienceDimension](a.IncludeUnknown)}
	for _, r := range a.Ages {
		out.Ages = append(out.Ages, &pb.AgeRange{MinAge: int32(r.Min), MaxAge: int32(r.Max)})
	}
	if proto.Size(out) == 0 {
		return nil
	}
	return out
}

// maxTraced bounds the entries and the losses of a trace.
const maxTraced = 1000

func traceFromNoun(t *exchange.Trace) *pb.Trace {
	if t == nil {
		return nil
	}
	s, a := t.Snapshot, t.Account
	out := &pb.Trace{Campaigns: int64(s.Campaigns), Candidates: int64(a.Candidates), Matches: int64(a.Matches),
		BlocksRead: int64(t.Sifted+targeting.BlockSize-1) / targeting.BlockSize, CandidatesScored: int64(t.Scored), Mechanism: s.MechanismIn(t.Query.Scene).String()}
	for res := range geoindex.Finest + 1 {
		out.Cells = append(out.Cells, t.Query.At.Cell.Parent(res).String())
	}
	for _, id := range t.Query.At.Regions.All() {
		out.Regions = append(out.Regions, id.Region().Code)
	}
	factors := s.PositionFactors()
	shown := min(len(a.Entries), maxTraced)
	out.EntriesOmitted = int64(len(a.Entries) - shown)
	for i, e := range a.Entries[:shown] {
		entry := &pb.TraceEntry{Campaign: t.Name(e.Ordinal), CampaignUid: uint64(e.CampaignUID), PacedBidMicros: int64(e.PacedBid),
			QualityPpm: e.QualityPPM, Score: e.Score, Reserve: e.Reserve}
		if i < len(a.Awards) {
			entry.Slot, entry.PriceMicros, entry.PriceSetBy = int32(i+1), int64(a.Awards[i].Price), a.Awards[i].SetBy.String()
			entry.PositionFactorPpm = factors[i] * 1_000_000 / factors[0]
		}
		out.Entries = append(out.Entries, entry)
	}
	for i := range a.Verdicts {
		v := &a.Verdicts[i]
		if v.Rule == bidder.Shown {
			continue
		}
		if len(out.Losses) == maxTraced {
			out.LossesOmitted++
			continue
		}
		out.Losses = append(out.Losses, &pb.TraceLoss{Campaign: t.Name(v.Ordinal), Rule: string(v.Rule), Reason: v.Reason(t.Name)})
	}
	return out
}

func explanation(e *exchange.Explanation) *pb.ExplainResponse {
	v, a := &e.Verdict, &e.Advice
	out := &pb.ExplainResponse{Shown: v.Rule == bidder.Shown, Rule: string(v.Rule), Reason: e.Reason, Score: v.Entry.Score, RequestId: e.RequestID,
		NeededScore: v.Needed, NeededSlot: int32(v.NeededSlot), Advice: e.AdviceText,
		NeededBidMicros: int64(a.Bid), NeededHostMultiplierPpm: a.HostPPM, NeededDailyBudgetMicros: int64(a.DailyBudget), NeededTotalBudgetMicros: int64(a.TotalBudget)}
	switch v.Rule {
	case bidder.Shown:
		out.Slot, out.PriceMicros, out.PriceSetBy = int32(v.Award.Slot), int64(v.Award.Price), v.Award.SetBy.String()
	case bidder.RuleArea:
		if !v.Excluded {
			out.MissedByM = proto.Float64(v.MissedByM)
		}
	case bidder.RuleProgram, bidder.RuleAudience:
		out.Dimension = v.Dimension.String()
	}
	return out
}
