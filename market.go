package hexbid

import "fmt"

// MarketName is the resource name of the market, of which a deployment has one.
const MarketName = "market"

// These constants bound the tables of a market, and so the work of a search that reads them.
const (
	// MaxReserves is the most reserves. A search looks at each of them once.
	MaxReserves = 200
	// MaxPositionFactor is the largest factor of a position.
	MaxPositionFactor = 1_000_000
	// MaxDistanceEnds is the most ends of bands of distance. There is one band more than ends.
	MaxDistanceEnds = 15
	maxRegionBytes  = 16
)

// Market holds the operator's rules of the auction. What the market learns from clicks goes on from these rules, except
// where they pin it.
type Market struct {
	Meta
	// Priors are the chances of a click on a seen impression, by category. They are the quality of campaigns of which
	// nothing has been learned. A category that is left out has the program's own prior.
	Priors []CategoryPrior
	// PositionFactors are the chances that the slots are seen, relative to the first slot and in any common unit. They
	// pin the factors: nothing is learned. Empty starts from the program's own factors and learns.
	PositionFactors []int64
	Mechanism       Mechanism
	// SceneMechanisms say how winners pay in some scenes, instead of Mechanism.
	SceneMechanisms []SceneMechanism
	Reserves        []Reserve
	// Increment is added to a price that another entry or a reserve sets, under MechanismGSP.
	Increment Money
	// MinimumBidCPC and MinimumBidCPM are the least bids of a campaign that is written, for a click and for a thousand
	// impressions. Campaigns that are there already stay.
	MinimumBidCPC, MinimumBidCPM Money
	// Distance says how the chance of a click falls with the distance to a program's nearest place. It pins the factors:
	// nothing is learned. Nil starts from the program's own table and learns.
	Distance *DistanceTable
}

// CategoryPrior is the prior of a category.
type CategoryPrior struct {
	Category Category
	PPM      int64 // 1 to 1,000,000
}

// SceneMechanism says how winners pay in a scene.
type SceneMechanism struct {
	Scene     Scene
	Mechanism Mechanism
}

// Reserve is a floor in micros per thousand seen impressions. It applies to a candidate that matches every stated
// field. The highest that applies counts.
type Reserve struct {
	Host        Host
	Scene       Scene
	Category    Category // of the candidate's program
	Region      string   // adcode of a region that holds the request's point
	PerThousand Money
}

// DistanceTable cuts distances into bands. The zero value says that distance does not count.
type DistanceTable struct {
	EndsM   []float64 // upper ends of all bands but the last, ascending
	Factors []CategoryDistance
}

// CategoryDistance is what a category's quality is multiplied by in each band.
type CategoryDistance struct {
	Category Category // CategoryUnknown stands for all categories that are not named
	// FactorPPM are the factors, nearest band first, one more than there are ends. None is above that of a nearer band.
	FactorPPM []int64
	// WithoutPlacePPM is the factor of programs without a place; 0 stands for that of the farthest band.
	WithoutPlacePPM int64
}

// Mechanism decides what winners pay.
type Mechanism uint8

// The mechanisms. Package auction has their formulas.
const (
	MechanismUnspecified Mechanism = iota // is taken as GSP
	MechanismGSP                          // the generalised second price
	MechanismVCG                          // what a winner's presence costs the others
	MechanismFirstPrice                   // the winner's own bid
	MechanismCount
)

var mechanismNames = [MechanismCount]string{"unspecified", "gsp", "vcg", "first_price"}

// String returns the name as files and flags write it.
func (m Mechanism) String() string { return nameIn(mechanismNames[:], uint8(m)) }

// ParseMechanism reads the name of a mechanism.
func ParseMechanism(s string) (Mechanism, error) {
	return parseName[Mechanism](mechanismNames[1:], "mechanism", s)
}

// Validate implements Resource. Whether regions exist and tables make sense as a whole is for the exchange to say.
func (m *Market) Validate() error {
	return JoinErrors(m.checkPriors(), m.checkPositionFactors(),
		checkEnum("market.mechanism", m.Mechanism, MechanismCount, true), m.checkSceneMechanisms(), m.checkReserves(),
		checkUpTo("market.increment_micros", m.Increment, MaxBidCPC),
		checkUpTo("market.minimum_bid_cpc_micros", m.MinimumBidCPC, MaxBidCPC),
		checkUpTo("market.minimum_bid_cpm_micros", m.MinimumBidCPM, MaxBidCPM), m.checkDistance())
}

// checkUpTo refuses an amount below 0 or above the most.
func checkUpTo(field string, amount, most Money) error {
	if amount < 0 || amount > most {
		return Invalidf(field, "%s is out of range: use 0 to %s", amount.Micros(), most.Micros())
	}
	return nil
}

func (m *Market) checkPriors() error {
	seen := map[Category]bool{}
	return checkEach("market.priors", m.Priors, int(CategoryCount), func(field string, p *CategoryPrior) error {
		return JoinErrors(checkEnum(field+".category", p.Category, CategoryCount, false),
			checkOnce(field+".category", seen, p.Category), checkPPM(field+".prior_ppm", p.PPM))
	})
}

// checkEach checks the entries of a list of bounded length, each with the path of its field.
func checkEach[T any](field string, all []T, most int, check func(field string, one *T) error) error {
	if len(all) > most {
		return Invalidf(field, "has %d entries: at most %d", len(all), most)
	}
	var errs []error
	for i := range all {
		errs = append(errs, check(fmt.Sprintf("%s[%d]", field, i), &all[i]))
	}
	return JoinErrors(errs...)
}

// checkOnce refuses a value that a list has named before.
func checkOnce[T interface {
	comparable
	fmt.Stringer
}](field string, seen map[T]bool, value T) error {
	if seen[value] {
		return Invalidf(field, "%s is listed twice", value)
	}
	seen[value] = true
	return nil
}

func checkPPM(field string, ppm int64) error {
	if ppm < 1 || ppm > wholePPM {
		return Invalidf(field, "%d is out of range: use 1 to %d", ppm, int64(wholePPM))
	}
	return nil
}

func (m *Market) checkPositionFactors() error {
	const field = "market.position_factors"
	if n := len(m.PositionFactors); n > 0 && n != MaxSlots {
		return Invalidf(field, "has %d entries: give one for each of %d slots, or none to learn them", n, MaxSlots)
	}
	before := int64(MaxPositionFactor)
	for i, factor := range m.PositionFactors {
		if factor < 1 || factor > before {
			return Invalidf(fmt.Sprintf("%s[%d]", field, i), "%d is out of range: use 1 to %d, none above the one before",
				factor, before)
		}
		before = factor
	}
	return nil
}

func (m *Market) checkSceneMechanisms() error {
	seen := map[Scene]bool{}
	return checkEach("market.scene_mechanisms", m.SceneMechanisms, int(SceneCount),
		func(field string, s *SceneMechanism) error {
			return JoinErrors(checkEnum(field+".scene", s.Scene, SceneCount, false),
				checkOnce(field+".scene", seen, s.Scene), checkEnum(field+".mechanism", s.Mechanism, MechanismCount, false))
		})
}

func (m *Market) checkReserves() error {
	return checkEach("market.reserves", m.Reserves, MaxReserves, func(field string, r *Reserve) error {
		return JoinErrors(checkEnum(field+".host", r.Host, HostCount, true),
			checkEnum(field+".scene", r.Scene, SceneCount, true),
			checkEnum(field+".category", r.Category, CategoryCount, true),
			checkText(field+".region", r.Region, 0, maxRegionBytes),
			checkUpTo(field+".per_thousand_micros", r.PerThousand, MaxBidCPM))
	})
}

func (m *Market) checkDistance() error {
	if m.Distance == nil {
		return nil
	}
	const field = "market.distance"
	if n := len(m.Distance.EndsM); n > MaxDistanceEnds {
		return Invalidf(field+".ends_m", "has %d entries: at most %d", n, MaxDistanceEnds)
	}
	if len(m.Distance.EndsM) > 0 && len(m.Distance.Factors) == 0 {
		return Invalidf(field+".factors", "is empty: give the factors of every band, or leave the ends out")
	}
	seen := map[Category]bool{}
	return checkEach(field+".factors", m.Distance.Factors, int(CategoryCount),
		func(field string, d *CategoryDistance) error {
			return JoinErrors(checkEnum(field+".category", d.Category, CategoryCount, true),
				checkOnce(field+".category", seen, d.Category), d.check(field, len(m.Distance.EndsM)))
		})
}

// check checks the factors of a category in a table with so many ends.
func (d *CategoryDistance) check(field string, ends int) error {
	if len(d.FactorPPM) != ends+1 {
		return Invalidf(field+".factor_ppm", "has %d entries: give %d, one more than there are ends", len(d.FactorPPM),
			ends+1)
	}
	most := int64(wholePPM)
	for i, ppm := range d.FactorPPM {
		if ppm < 1 || ppm > most {
			return Invalidf(fmt.Sprintf("%s.factor_ppm[%d]", field, i),
				"%d is out of range: use 1 to %d, so that no factor rises with distance", ppm, most)
		}
		most = ppm
	}
	if d.WithoutPlacePPM < 0 || d.WithoutPlacePPM > most {
		return Invalidf(field+".without_place_ppm", "%d is out of range: use 1 to %d, or 0 for that of the farthest band",
			d.WithoutPlacePPM, most)
	}
	return nil
}
