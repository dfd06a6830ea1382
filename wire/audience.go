package wire

import (
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// audienceFromNoun converts an audience. It leaves an audience that admits everyone unset.
func audienceFromNoun(a *hexbid.Audience) *pb.Audience {
	out := &pb.Audience{
		Ages:              fromAll(a.Ages, agesFromNoun),
		Genders:           fromEnums[pb.Gender](a.Genders),
		OperatingSystems:  fromEnums[pb.OperatingSystem](a.OS),
		Hosts:             fromEnums[pb.Host](a.Hosts),
		Scenes:            fromEnums[pb.Scene](a.Scenes),
		Networks:          fromEnums[pb.Network](a.Networks),
		Interests:         fromEnums[pb.Category](a.Interests),
		ExcludedInterests: fromEnums[pb.Category](a.NotInterests),
		CreditBands:       fromEnums[pb.CreditBand](a.Credit),
		Residences:        fromEnums[pb.Residence](a.Residences),
		IncludeUnknown:    fromEnums[pb.AudienceDimension](a.IncludeUnknown),
	}
	if proto.Size(out) == 0 {
		return nil
	}
	return out
}

func (c *conversion) audience(v *pb.Audience) hexbid.Audience {
	if v == nil {
		return hexbid.Audience{}
	}
	const field = "campaign.audience."
	return hexbid.Audience{
		Ages:           toAll(c, v.GetAges(), (*conversion).ages),
		Genders:        toEnums(c, field+"genders", v.GetGenders(), hexbid.GenderCount),
		OS:             toEnums(c, field+"operating_systems", v.GetOperatingSystems(), hexbid.OSCount),
		Hosts:          toEnums(c, field+"hosts", v.GetHosts(), hexbid.HostCount),
		Scenes:         toEnums(c, field+"scenes", v.GetScenes(), hexbid.SceneCount),
		Networks:       toEnums(c, field+"networks", v.GetNetworks(), hexbid.NetworkCount),
		Interests:      toEnums(c, field+"interests", v.GetInterests(), hexbid.CategoryCount),
		NotInterests:   toEnums(c, field+"excluded_interests", v.GetExcludedInterests(), hexbid.CategoryCount),
		Credit:         toEnums(c, field+"credit_bands", v.GetCreditBands(), hexbid.CreditBandCount),
		Residences:     toEnums(c, field+"residences", v.GetResidences(), hexbid.ResidenceCount),
		IncludeUnknown: toEnums(c, field+"include_unknown", v.GetIncludeUnknown(), hexbid.DimensionCount),
	}
}

func agesFromNoun(v *hexbid.AgeRange) *pb.AgeRange {
	return &pb.AgeRange{MinAge: int32(v.Min), MaxAge: int32(v.Max)}
}

func (c *conversion) ages(v *pb.AgeRange) hexbid.AgeRange {
	return hexbid.AgeRange{Min: int(v.GetMinAge()), Max: int(v.GetMaxAge())}
}
