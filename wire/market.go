package wire

import (
	"fmt"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

func marketFromNoun(v *hexbid.Market) *pb.Market {
	out := &pb.Market{
		Name: v.Name, Uid: uint64(v.UID), CreateTime: fromInstant(v.CreatedAt),
		UpdateTime:          fromInstant(v.UpdatedAt),
		PositionFactors:     v.PositionFactors,
		Mechanism:           pb.Mechanism(v.Mechanism),
		IncrementMicros:     int64(v.Increment),
		MinimumBidCpcMicros: int64(v.MinimumBidCPC),
		MinimumBidCpmMicros: int64(v.MinimumBidCPM),
		Distance:            FromDistances(v.Distance),
	}
	for _, p := range v.Priors {
		out.Priors = append(out.Priors, &pb.CategoryPrior{Category: pb.Category(p.Category), PriorPpm: p.PPM})
	}
	for _, s := range v.SceneMechanisms {
		out.SceneMechanisms = append(out.SceneMechanisms, &pb.SceneMechanism{Scene: pb.Scene(s.Scene),
			Mechanism: pb.Mechanism(s.Mechanism)})
	}
	for _, r := range v.Reserves {
		out.Reserves = append(out.Reserves, &pb.Reserve{Host: pb.Host(r.Host), Scene: pb.Scene(r.Scene),
			Category: pb.Category(r.Category), Region: r.Region, PerThousandMicros: int64(r.PerThousand)})
	}
	return out
}

// FromDistances converts a table of distances.
func FromDistances(d *hexbid.DistanceTable) *pb.DistanceTable {
	if d == nil {
		return nil
	}
	out := &pb.DistanceTable{EndsM: d.EndsM}
	for _, f := range d.Factors {
		out.Factors = append(out.Factors, &pb.CategoryDistance{Category: pb.Category(f.Category), FactorPpm: f.FactorPPM,
			WithoutPlacePpm: f.WithoutPlacePPM})
	}
	return out
}

func (c *conversion) market(v *pb.Market) *hexbid.Market {
	return &hexbid.Market{
		Meta:            c.meta(hexbid.KindMarket, v),
		Priors:          c.priors(v.GetPriors()),
		PositionFactors: v.GetPositionFactors(),
		Mechanism:       toEnum(c, "market.mechanism", v.GetMechanism(), hexbid.MechanismCount),
		SceneMechanisms: c.sceneMechanisms(v.GetSceneMechanisms()),
		Reserves:        c.reserves(v.GetReserves()),
		Increment:       hexbid.Money(v.GetIncrementMicros()),
		MinimumBidCPC:   hexbid.Money(v.GetMinimumBidCpcMicros()),
		MinimumBidCPM:   hexbid.Money(v.GetMinimumBidCpmMicros()),
		Distance:        c.distances(v.GetDistance()),
	}
}

// hasRoom reports whether a list has at most so many entries, and notes an error for one that is longer. Lists of
// callers are bounded before they are converted.
func (c *conversion) hasRoom(field string, n, most int) bool {
	if n > most {
		c.note(hexbid.Invalidf(field, "has %d entries: at most %d", n, most))
	}
	return n <= most
}

func (c *conversion) priors(all []*pb.CategoryPrior) (out []hexbid.CategoryPrior) {
	if !c.hasRoom("market.priors", len(all), int(hexbid.CategoryCount)) {
		return nil
	}
	for i, p := range all {
		out = append(out, hexbid.CategoryPrior{PPM: p.GetPriorPpm(),
			Category: toEnum(c, fmt.Sprintf("market.priors[%d].category", i), p.GetCategory(), hexbid.CategoryCount)})
	}
	return out
}

func (c *conversion) sceneMechanisms(all []*pb.SceneMechanism) (out []hexbid.SceneMechanism) {
	if !c.hasRoom("market.scene_mechanisms", len(all), int(hexbid.SceneCount)) {
		return nil
	}
	for i, s := range all {
		field := fmt.Sprintf("market.scene_mechanisms[%d]", i)
		out = append(out, hexbid.SceneMechanism{Scene: toEnum(c, field+".scene", s.GetScene(), hexbid.SceneCount),
			Mechanism: toEnum(c, field+".mechanism", s.GetMechanism(), hexbid.MechanismCount)})
	}
	return out
}

func (c *conversion) reserves(all []*pb.Reserve) (out []hexbid.Reserve) {
	if !c.hasRoom("market.reserves", len(all), hexbid.MaxReserves) {
		return nil
	}
	for i, r := range all {
		field := fmt.Sprintf("market.reserves[%d]", i)
		out = append(out, hexbid.Reserve{Host: toEnum(c, field+".host", r.GetHost(), hexbid.HostCount),
			Scene:    toEnum(c, field+".scene", r.GetScene(), hexbid.SceneCount),
			Category: toEnum(c, field+".category", r.GetCategory(), hexbid.CategoryCount),
			Region:   r.GetRegion(), PerThousand: hexbid.Money(r.GetPerThousandMicros())})
	}
	return out
}

func (c *conversion) distances(d *pb.DistanceTable) *hexbid.DistanceTable {
	const field = "market.distance.factors"
	if d == nil || !c.hasRoom(field, len(d.GetFactors()), int(hexbid.CategoryCount)) {
		return nil
	}
	out := &hexbid.DistanceTable{EndsM: d.GetEndsM()}
	for i, f := range d.GetFactors() {
		out.Factors = append(out.Factors, hexbid.CategoryDistance{FactorPPM: f.GetFactorPpm(),
			WithoutPlacePPM: f.GetWithoutPlacePpm(),
			Category:        toEnum(c, fmt.Sprintf("%s[%d].category", field, i), f.GetCategory(), hexbid.CategoryCount)})
	}
	return out
}
