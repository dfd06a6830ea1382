package quality

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hexbid/hexbid"
)

// truth is how people look at a list. Campaigns differ in how likely a click on them is, and the better ones stand
// above.
type truth struct {
	seen, clicked [hexbid.MaxSlots]float64 // by slot: impressions an award, and clicks a seen impression beside slot 1
	best, worst   float64                  // chance of a click on a seen impression in slot 1, of the first and last rank
}

var lists = [WayCount]truth{
	WhenSeen: {seen: [10]float64{.9, .7, .55, .45, .4, .33, .3, .26, .24, .22},
		clicked: [10]float64{1, .85, .8, .74, .7, .66, .62, .6, .57, .55}, best: .12, worst: .02},
	OnRender: {seen: [10]float64{.99, .99, .98, .98, .9, .9, .9, .85, .85, .8},
		clicked: [10]float64{1, .7, .5, .4, .35, .3, .26, .22, .2, .19}, best: .2, worst: .1},
}

// chance returns how likely a click is on a campaign of a rank, seen in slot 1.
func (l *truth) chance(rank int) float64 {
	return l.best * math.Pow(l.worst/l.best, float64(rank)/(hexbid.MaxSlots-1))
}

// run runs a trial of a pair.
func (l *truth) run(p *Positions, way Way, pair int, random *rand.Rand) {
	swapped := random.IntN(2) == 1
	for lower := range 2 {
		rank, slot := pair-1+lower, pair-1+lower
		if swapped {
			rank = pair - lower
		}
		at := Position{Way: way, Pair: pair, Lower: lower == 1, Swapped: swapped}
		p.Awarded(at)
		if random.Float64() >= l.seen[slot] {
			continue
		}
		p.Seen(at)
		if random.Float64() < l.chance(rank)*l.clicked[slot] {
			p.Clicked(at)
		}
	}
}

// fill runs trials until each slot of each pair has so many clicks in either arm.
func (l *truth) fill(p *Positions, way Way, clicks float64, random *rand.Rand) {
	for pair := 1; pair < hexbid.MaxSlots; pair++ {
		arms := &p.cells[way][pair-1]
		for min(arms[0][0].clicks, arms[0][1].clicks, arms[1][0].clicks, arms[1][1].clicks) < clicks {
			l.run(p, way, pair, random)
		}
	}
}

var assumedFactors = []int64{1000, 720, 560, 460, 390, 340, 300, 270, 245, 225}

func TestPositionsAreRecoveredFromSwappedPairs(t *testing.T) {
	random := rand.New(rand.NewPCG(10, 7))
	p := new(Positions)
	for way := range lists {
		lists[way].fill(p, Way(way), 10_000, random)
	}
	for way, l := range lists {
		seen, clicked := p.Steps(Way(way), assumedFactors)
		for k := range seen {
			within(t, "v", k, seen[k], l.seen[k+1]/l.seen[k])
			within(t, "c", k, clicked[k], l.clicked[k+1]/l.clicked[k])
		}
	}
}

// within checks a ratio against the truth: within three standard errors and within 3 %.
func within(t *testing.T, what string, pair int, r Ratio, want float64) {
	t.Helper()
	off := math.Abs(math.Log(r.Estimate / want))
	if off > 3*r.LogError || off > 0.03 {
		t.Errorf("%s of slot %d beside slot %d is %.4f (standard error %.1f %%), in truth %.4f", what, pair+2, pair+1,
			r.Estimate, 100*r.LogError, want)
	}
}

// TestStandardErrorsAreAsStated repeats a small experiment often: the errors of the estimates are as large as stated.
func TestStandardErrorsAreAsStated(t *testing.T) {
	random, l := rand.New(rand.NewPCG(1, 2)), &lists[WhenSeen]
	const rounds, pair = 300, 3
	var sum, beyond float64
	for range rounds {
		p := new(Positions)
		for range 60_000 {
			l.run(p, WhenSeen, pair, random)
		}
		_, clicked := p.Steps(WhenSeen, assumedFactors)
		z := math.Log(clicked[pair-1].Estimate/(l.clicked[pair]/l.clicked[pair-1])) / clicked[pair-1].LogError
		sum += z * z
		if math.Abs(z) > 3 {
			beyond++
		}
	}
	if spread := math.Sqrt(sum / rounds); spread < 0.85 || spread > 1.15 || beyond > 3 {
		t.Errorf("errors are %.2f times as large as stated, and %v of %d beyond three of them", spread, beyond, rounds)
	}
}

// TestTheAverageOverAllRequestsWouldMistakeCampaignsForSlots says why pairs are swapped at all.
func TestTheAverageOverAllRequestsWouldMistakeCampaignsForSlots(t *testing.T) {
	random, l := rand.New(rand.NewPCG(3, 4)), &lists[WhenSeen]
	p := new(Positions)
	l.fill(p, WhenSeen, 2_000, random)
	_, clicked := p.Steps(WhenSeen, assumedFactors)
	last := Shares(clicked)[hexbid.MaxSlots-1]
	if truth := l.clicked[hexbid.MaxSlots-1]; math.Abs(math.Log(last/truth)) > 0.2 {
		t.Errorf("the last slot is worth %.3f of the first, in truth %.3f", last, truth)
	}
	naive := 1.0
	for k := range clicked {
		straight := &p.cells[WhenSeen][k][0]
		naive *= straight[1].clicks / straight[1].seen / (straight[0].clicks / straight[0].seen)
	}
	if naive > l.clicked[hexbid.MaxSlots-1]/3 {
		t.Errorf("without swaps the last slot seems worth %.3f: this market does not show the fault", naive)
	}
}

func TestWithoutTrialsTheAssumptionHolds(t *testing.T) {
	seen, clicked := new(Positions).Steps(WhenSeen, assumedFactors)
	for i, factor := range Factors(seen) {
		if want := assumedFactors[i] * 1000; factor != want {
			t.Errorf("slot %d has the factor %d, assumed is %d", i+1, factor, want)
		}
	}
	if Shares(clicked) != [hexbid.MaxSlots]float64{1, 1, 1, 1, 1, 1, 1, 1, 1, 1} {
		t.Errorf("slots differ by %v without a click", Shares(clicked))
	}
}

func TestFactorsNeverRise(t *testing.T) {
	steps := [hexbid.MaxSlots - 1]Ratio{{1.2, 0}, {0.5, 0}, {3, 0}, {1e-9, 0}, {1, 0}, {1e12, 0}, {1, 0}, {1, 0}, {1, 0}}
	got := Factors(steps)
	falling := slices.IsSortedFunc(got, func(a, b int64) int { return int(b - a) })
	if !falling || slices.Min(got) < 1 || got[0] != 1_000_000 {
		t.Errorf("factors %v", got)
	}
}

func TestAForeignPositionCountsNothing(t *testing.T) {
	p := new(Positions)
	for _, at := range []Position{{}, {Pair: hexbid.MaxSlots}, {Pair: -1}, {Way: WayCount, Pair: 1}} {
		p.Awarded(at)
		p.Seen(at)
		p.Clicked(at)
	}
	if *p != (Positions{}) {
		t.Errorf("counted %+v", p)
	}
}
