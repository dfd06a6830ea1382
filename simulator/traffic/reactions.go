package traffic

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// Reactions says what people do with the sponsored results that they are shown: they see them, the lower ones less
// often, and open some of those that they have seen.
type Reactions struct {
	Seed uint64
	// ClickRate is the share of seen results that are opened, in the category that people open the most. Other categories
	// have their share of it.
	ClickRate float64
	// ClickAfter is the median of the time from an impression to its click.
	ClickAfter time.Duration
}

// Defaults of Reactions. The click rate is that of catering in the market's defaults.
const (
	DefaultClickRate  = 0.03
	DefaultClickAfter = 5 * time.Second
)

// Reaction is an event that a client reports a while after the answer.
type Reaction struct {
	After time.Duration
	Event *pb.Event
}

// seenPPM is the chance that a result is seen, by slot, and opensOf the share of ClickRate in a category that is not
// opened as much as catering. Both are those of the market's defaults.
var (
	seenPPM = [hexbid.MaxSlots]float64{1_000_000, 720_000, 560_000, 460_000, 390_000, 340_000, 300_000, 270_000, 245_000,
		225_000}
	opensOf = map[pb.Category]float64{pb.Category_CATEGORY_CATERING: 1, pb.Category_CATEGORY_LIFE_SERVICES: 28. / 30,
		pb.Category_CATEGORY_TRAVEL: 25. / 30, pb.Category_CATEGORY_LEISURE: 25. / 30,
		pb.Category_CATEGORY_SHOPPING: 22. / 30,
		pb.Category_CATEGORY_FINANCE:  12. / 30, pb.Category_CATEGORY_GOVERNMENT: 15. / 30}
)

// opensOthers is opensOf for the other categories.
const opensOthers = 20. / 30

// Assumptions says what is assumed of people's reactions, one sentence each.
func (r Reactions) Assumptions() []string {
	return []string{fmt.Sprintf("results are seen by slot as often as %.2f, %.2f, %.2f and so on; %.1f %% of seen "+
		"results "+
		"of catering are clicked, of other categories fewer; half are seen within %s and clicked %s later",
		seenPPM[0]/1e6, seenPPM[1]/1e6, seenPPM[2]/1e6, 100*r.ClickRate, lookAfter, r.ClickAfter)}
}

// Delays of reactions are log-normal, with a median and the sigma of the logarithm. A click follows the impression.
const (
	lookAfter             = 1500 * time.Millisecond
	lookSigma, clickSigma = 0.5, 0.8
)

// mostDelay ends the tails of the delays.
const mostDelay = 5 * time.Minute

// To returns the reactions to the answer of the i-th search. Equal seeds give equal reactions.
func (r Reactions) To(i int, answer *pb.SearchNearbyResponse) (all []Reaction) {
	random := rand.New(rand.NewPCG(r.Seed^0x72656163, uint64(i)))
	for _, s := range answer.GetSponsored() {
		seen, opened := random.Float64(), random.Float64()
		look, think := delay(random, lookAfter, lookSigma), delay(random, r.ClickAfter, clickSigma)
		if seen*1e6 >= seenPPM[min(max(s.GetSlot(), 1), hexbid.MaxSlots)-1] {
			continue
		}
		all = append(all, reaction(look, pb.EventKind_EVENT_KIND_IMPRESSION, i, s))
		if opened < r.ClickRate*opens(s.GetProgram().GetCategory()) {
			all = append(all, reaction(look+think, pb.EventKind_EVENT_KIND_CLICK, i, s))
		}
	}
	return all
}

func opens(c pb.Category) float64 {
	if share, known := opensOf[c]; known {
		return share
	}
	return opensOthers
}

// reaction makes an event. Its id tells search and slot apart; beside the token that is enough.
func reaction(after time.Duration, kind pb.EventKind, i int, s *pb.SponsoredResult) Reaction {
	return Reaction{after, &pb.Event{Kind: kind, Token: s.GetToken(),
		EventId: fmt.Sprintf("simulated-%d-%d", i, s.GetSlot())}}
}

func delay(r *rand.Rand, median time.Duration, sigma float64) time.Duration {
	return min(time.Duration(float64(median)*math.Exp(sigma*r.NormFloat64())), mostDelay)
}
