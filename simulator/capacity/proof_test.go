package capacity

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/hexbid/hexbid/simulator/load"
)

// machine is an M/M/1 queue in closed form, in virtual time. Its p99 is ln 100 / (μ − λ), so it keeps p99 < T up to the
// capacity μ − ln 100 / T, which is known for each try. With T = 5 ms and a capacity of 9,079 a second, p99 grows by 10
// % when the rate grows by 1 %. With T = 10 ms and 540 a second it grows by 1.2 %. That is the hardest case, because
// noise in p99 shifts the rate by nearly as much.
type machine struct {
	capacity func(try int) float64
	bound    float64        // T, seconds
	noise    func() float64 // factor on p99
	stalls   func(try int) bool
	tries    int
}

func (m *machine) probe(_ context.Context, perSecond float64) (load.Measures, string, error) {
	m.tries++
	p99 := 2.0
	if left := m.capacity(m.tries) + math.Log(100)/m.bound - perSecond; left > 0 {
		p99 = min(p99, math.Log(100)/left)
	}
	if m.noise != nil {
		p99 *= m.noise()
	}
	if m.stalls != nil && m.stalls(m.tries) {
		p99 = 1
	}
	return load.Measures{"p99": p99, "answered": 1}, "", nil
}

// truth returns the range of the capacity from the first try that confirms to the last.
func (m *machine) truth(found *Found) (low, high float64) {
	low, high = math.Inf(1), 0
	for i := range found.Tries {
		if found.Tries[i].Phase == "confirm" {
			low, high = min(low, m.capacity(i+1)), max(high, m.capacity(i+1))
		}
	}
	return low, high
}

func steady(capacity float64) func(int) float64 { return func(int) float64 { return capacity } }

func logNormal(sigma float64, r *rand.Rand) func() float64 {
	return func() float64 { return math.Exp(sigma * r.NormFloat64()) }
}

// outcomes counts searches: how many intervals held the truth, had both ends within 5 % of it, and were missing.
type outcomes struct {
	searches, inside, close, refused, mostTries int
	lows, highs                                 []float64 // as multiples of the truth
}

func (o *outcomes) String() string {
	slices.Sort(o.lows)
	slices.Sort(o.highs)
	middle := func(all []float64) float64 { return all[len(all)/2] }
	return fmt.Sprintf("of %d searches %d hold the truth, %d with both ends within 5 %%, %d found none; at most %d "+
		"tries; lower ends %.3f, %.3f, %.3f (least, median, most), upper %.3f, %.3f, %.3f",
		o.searches, o.inside, o.close, o.refused, o.mostTries, o.lows[0], middle(o.lows), o.lows[len(o.lows)-1], o.highs[0],
		middle(o.highs), o.highs[len(o.highs)-1])
}

// searched returns the outcomes for machines with seeds 0, 1, …. Equal seeds give equal outcomes.
func searched(t *testing.T, seeds int, make func(seed float64, r *rand.Rand) *machine) *outcomes {
	t.Helper()
	o := &outcomes{searches: seeds}
	for seed := range seeds {
		m := make(float64(seed)/float64(seeds), rand.New(rand.NewPCG(uint64(seed), 7)))
		found, err := DefaultSearch(mustParse(t, fmt.Sprintf("p99<%gms", 1000*m.bound))).Find(t.Context(), m.probe)
		o.mostTries = max(o.mostTries, len(found.Tries))
		if err != nil {
			if found.NoVerdict == "" || !strings.Contains(err.Error(), "varies too much") {
				t.Fatalf("%+v, %v", found, err)
			}
			o.refused++
			continue
		}
		low, high := m.truth(found)
		if found.Low <= low && high <= found.High {
			o.inside++
		}
		if found.Low >= low*0.95 && found.High <= high*1.05 {
			o.close++
		}
		o.lows, o.highs = append(o.lows, found.Low/low), append(o.highs, found.High/high)
	}
	t.Log(o)
	return o
}

// TestTheTruthLiesInside counts over a hundred searches of each machine. At least so many intervals must hold the
// truth, at least so many must have both ends within 5 % of it, and at most so many may be missing. No search makes
// more than 40 tries.
func TestTheTruthLiesInside(t *testing.T) {
	anywhere := func(seed float64) float64 { return 9079 * math.Pow(2, seed) }
	drifting := func(change func(seed, try float64) float64) func(float64, *rand.Rand) *machine {
		return func(seed float64, r *rand.Rand) *machine {
			return &machine{bound: 0.005, noise: logNormal(0.1, r),
				capacity: func(try int) float64 { return anywhere(seed) * change(seed, float64(try)) }}
		}
	}
	for name, test := range map[string]struct {
		make                   func(seed float64, r *rand.Rand) *machine
		inside, close, refused int
	}{
		"no noise": {func(seed float64, _ *rand.Rand) *machine {
			return &machine{bound: 0.005, capacity: steady(anywhere(seed))}
		}, 100, 100, 0},
		"p99 with 20 % of noise": {func(_ float64, r *rand.Rand) *machine {
			return &machine{bound: 0.005, capacity: steady(9079), noise: logNormal(0.2, r)}
		}, 99, 70, 0},
		"the same of any capacity": {func(seed float64, r *rand.Rand) *machine {
			return &machine{bound: 0.005, capacity: steady(anywhere(seed)), noise: logNormal(0.2, r)}
		}, 99, 75, 0},
		"the same and one stall": {func(seed float64, r *rand.Rand) *machine {
			k := 1 + int(seed*30)
			return &machine{bound: 0.005, capacity: steady(9079), noise: logNormal(0.2, r),
				stalls: func(try int) bool { return try == k }}
		}, 99, 60, 0},
		// Chance decides over a sixth of the rate to either side, and the ends lie there.
		"20 % of noise where p99 hardly depends on the rate": {func(_ float64, r *rand.Rand) *machine {
			return &machine{bound: 0.010, capacity: steady(539.5), noise: logNormal(0.2, r)}
		}, 84, 0, 10},
		"p99 with 80 % of noise": {func(_ float64, r *rand.Rand) *machine {
			return &machine{bound: 0.005, capacity: steady(9079), noise: logNormal(0.8, r)}
		}, 92, 5, 4},
		// An interval that misses the truth misses it by less than 3 %, because the machine changes while the last
		// tries run.
		"falls by a twelfth on the way": {drifting(func(_, try float64) float64 { return math.Exp(-0.002 * try) }), 95, 0, 0},
		"rises by a twelfth on the way": {drifting(func(_, try float64) float64 { return math.Exp(0.002 * try) }), 97, 0, 0},
		"falls by a fifth on the way":   {drifting(func(_, try float64) float64 { return math.Exp(-0.005 * try) }), 94, 0, 0},
		"rises by a fifth on the way":   {drifting(func(_, try float64) float64 { return math.Exp(0.005 * try) }), 92, 0, 0},
		"goes up and down by a tenth": {drifting(func(seed, try float64) float64 {
			return 1 + 0.1*math.Sin(try/6+100*seed)
		}), 94, 0, 3},
	} {
		t.Run(name, func(t *testing.T) {
			const searches = 400
			o := searched(t, searches, test.make)
			if strings.Contains(name, "on the way") && (o.lows[len(o.lows)-1] > 1.03 || o.highs[0] < 0.97) {
				t.Error("an interval misses the truth by more than 3 %")
			}
			if 100*o.inside < test.inside*searches || 100*o.close < test.close*searches ||
				100*o.refused > test.refused*searches || o.mostTries > 40 {
				t.Errorf("expected of a hundred %d, %d and %d", test.inside, test.close, test.refused)
			}
		})
	}
}

// TestOneStallInAnyTryChangesNothing: the machine stands still in try k.
func TestOneStallInAnyTryChangesNothing(t *testing.T) {
	for k := range 31 {
		m := &machine{bound: 0.005, capacity: steady(9079), stalls: func(try int) bool { return try == k }}
		found, err := DefaultSearch(mustParse(t, "p99<5ms")).Find(t.Context(), m.probe)
		if err != nil || found.Low > 9079 || found.High < 9079 || found.Low < 0.95*9079 || found.High > 1.05*9079 ||
			len(found.Tries) > 40 {
			t.Errorf("a stall in try %d: %.0f to %.0f after %d tries, %v", k, found.Low, found.High, len(found.Tries), err)
		}
	}
}

// TestASuddenChangeIsFollowed: from try k on the machine does a fifth less, or a fifth more. No search can notice a
// change during its last tries, so the test counts only changes before the last eight.
func TestASuddenChangeIsFollowed(t *testing.T) {
	for _, change := range []float64{0.8, 1.25} {
		missed := 0
		for k := 1; k <= 40; k++ {
			m := &machine{bound: 0.005, capacity: func(try int) float64 {
				if try >= k {
					return 9079 * change
				}
				return 9079
			}}
			found, err := DefaultSearch(mustParse(t, "p99<5ms")).Find(t.Context(), m.probe)
			if err != nil {
				t.Fatal(err)
			}
			low, high := m.truth(found)
			if k <= len(found.Tries)-8 && (found.Low > low || found.High < high) {
				missed++
				t.Logf("times %v from try %d of %d: %.0f to %.0f, the truth was %.0f to %.0f", change, k, len(found.Tries),
					found.Low, found.High, low, high)
			}
		}
		if missed > 0 {
			t.Errorf("%d changes times %v were not followed", missed, change)
		}
	}
}
