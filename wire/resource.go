package wire

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// resourceMessage holds the methods that all messages of the catalogue share.
type resourceMessage interface {
	GetName() string
	GetUid() uint64
	GetCreateTime() *timestamppb.Timestamp
	GetUpdateTime() *timestamppb.Timestamp
}

// meta converts the metadata. Callers set the name alone; the rest is output only. Of the rest, messages on disk hold
// only the times.
func (c *conversion) meta(kind hexbid.ResourceKind, m resourceMessage) hexbid.Meta {
	if !c.stored {
		return hexbid.Meta{Name: m.GetName()}
	}
	return hexbid.Meta{Name: m.GetName(), CreatedAt: c.instant(kind.String()+".create_time", m.GetCreateTime()),
		UpdatedAt: c.instant(kind.String()+".update_time", m.GetUpdateTime())}
}

func advertiserFromNoun(v *hexbid.Advertiser) *pb.Advertiser {
	return &pb.Advertiser{
		Name: v.Name, Uid: uint64(v.UID), CreateTime: fromInstant(v.CreatedAt),
		UpdateTime: fromInstant(v.UpdatedAt), DisplayName: v.DisplayName,
		State:        pb.ServingState(v.State),
		FrequencyCap: capFromNoun(v.Cap),
		Quota:        FromHoldings(&v.Quota),
	}
}

// FromHoldings converts what an advertiser has or may have. It returns nil for nothing.
func FromHoldings(v *hexbid.Holdings) *pb.Holdings {
	if *v == (hexbid.Holdings{}) {
		return nil
	}
	return &pb.Holdings{Campaigns: v.Campaigns, Places: v.Places, Vertices: v.Vertices, Entries: v.Entries,
		Keywords: v.Keywords, Bytes: v.Bytes}
}

func toHoldings(v *pb.Holdings) hexbid.Holdings {
	return hexbid.Holdings{Campaigns: v.GetCampaigns(), Places: v.GetPlaces(), Vertices: v.GetVertices(),
		Entries: v.GetEntries(), Keywords: v.GetKeywords(), Bytes: v.GetBytes()}
}

func (c *conversion) advertiser(v *pb.Advertiser) *hexbid.Advertiser {
	return &hexbid.Advertiser{
		Meta:        c.meta(hexbid.KindAdvertiser, v),
		DisplayName: v.GetDisplayName(),
		State:       toEnum(c, "advertiser.state", v.GetState(), hexbid.StateCount),
		Cap:         c.frequencyCap("advertiser.frequency_cap", v.GetFrequencyCap()),
		Quota:       toHoldings(v.GetQuota()),
	}
}

func programFromNoun(v *hexbid.Program) *pb.Program {
	return &pb.Program{
		Name: v.Name, Uid: uint64(v.UID), CreateTime: fromInstant(v.CreatedAt),
		UpdateTime: fromInstant(v.UpdatedAt), DisplayName: v.DisplayName,
		AlternativeNames: v.AlternativeNames,
		Category:         pb.Category(v.Category),
		Hosts:            fromEnums[pb.Host](v.Hosts),
		OperatingSystems: fromEnums[pb.OperatingSystem](v.OS),
		MinimumAge:       int32(v.MinimumAge),
		Path:             v.Path,
		IconUri:          v.IconURI,
		Keywords:         v.Keywords,
	}
}

func (c *conversion) program(v *pb.Program) *hexbid.Program {
	return &hexbid.Program{
		Meta:             c.meta(hexbid.KindProgram, v),
		DisplayName:      v.GetDisplayName(),
		AlternativeNames: v.GetAlternativeNames(),
		Category:         toEnum(c, "program.category", v.GetCategory(), hexbid.CategoryCount),
		Hosts:            toEnums(c, "program.hosts", v.GetHosts(), hexbid.HostCount),
		OS:               toEnums(c, "program.operating_systems", v.GetOperatingSystems(), hexbid.OSCount),
		MinimumAge:       int(v.GetMinimumAge()),
		Path:             v.GetPath(),
		IconURI:          v.GetIconUri(),
		Keywords:         v.GetKeywords(),
	}
}

func placeFromNoun(v *hexbid.Place) *pb.Place {
	return &pb.Place{
		Name: v.Name, Uid: uint64(v.UID), CreateTime: fromInstant(v.CreatedAt),
		UpdateTime: fromInstant(v.UpdatedAt), DisplayName: v.DisplayName,
		Latitude:     v.Point.Lat,
		Longitude:    v.Point.Lng,
		Datum:        pb.Datum_DATUM_WGS84,
		Address:      v.Address,
		OpeningHours: v.OpeningHours,
		ReviewState:  pb.ReviewState(v.Review),
	}
}

func (c *conversion) place(v *pb.Place) *hexbid.Place {
	out := &hexbid.Place{
		Meta:         c.meta(hexbid.KindPlace, v),
		DisplayName:  v.GetDisplayName(),
		Point:        c.point("place", v.GetLatitude(), v.GetLongitude(), v.GetDatum()),
		Address:      v.GetAddress(),
		OpeningHours: v.GetOpeningHours(),
	}
	if c.stored {
		out.Review = toEnum(c, "place.review_state", v.GetReviewState(), hexbid.ReviewCount)
	}
	return out
}
