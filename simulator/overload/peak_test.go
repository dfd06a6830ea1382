package overload

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hexbid/hexbid"
)

// model is a server that can answer so much, spends r of an answer on a refusal, and is slower at times.
func model(capacity, r, noise float64, random *rand.Rand) func(context.Context, float64) (Round, error) {
	return func(_ context.Context, perSecond float64) (Round, error) {
		now := capacity * (1 - noise*random.Float64())
		goodput := min(perSecond, now*Share(perSecond/now, r))
		return Round{Offered: perSecond, Goodput: goodput, Refused: perSecond - goodput}, nil
	}
}

func TestThePeakOfAServerIsFound(t *testing.T) {
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 1))
		capacity, r, noise := 100+20_000*random.Float64(), 0.3*random.Float64(), 0.1*random.Float64()
		tries := 0
		p := Peak{Start: 50, Most: 1e6, Probe: model(capacity, r, noise, random), Tell: func(int, *Round) { tries++ }}
		found, err := p.Find(t.Context())
		if err != nil || found > capacity || found < 0.9*capacity*(1-noise) {
			t.Errorf("seed %d: found %.0f of %.0f with r %.2f and noise %.2f: %v", seed, found, capacity, r, noise, err)
		}
		if tries > 40 {
			t.Errorf("seed %d: %d tries", seed, tries)
		}
	}
}

func TestAPeakThatIsNotTheServersIsNotFound(t *testing.T) {
	limited := func(_ context.Context, perSecond float64) (Round, error) {
		o := Round{Offered: perSecond, Goodput: perSecond}
		if perSecond > 1000 {
			o.Limited = "the generator was busy"
		}
		return o, nil
	}
	endless := func(_ context.Context, perSecond float64) (Round, error) {
		return Round{Offered: perSecond, Goodput: perSecond}, nil
	}
	tired := 0
	varies := func(_ context.Context, perSecond float64) (Round, error) { // falls behind each seventh time
		if tired++; tired%7 == 0 {
			return Round{Offered: perSecond, Goodput: perSecond / 10}, nil
		}
		return Round{Offered: perSecond, Goodput: perSecond}, nil
	}
	for says, probe := range map[string]func(context.Context, float64) (Round, error){
		"the generator was busy at 1600 calls": limited,
		"answers all of 10000 calls a second":  endless,
		"no steady limit in 50 tries":          varies,
	} {
		p := Peak{Start: 100, Most: 10_000, Probe: probe, Tell: func(int, *Round) {}}
		_, err := p.Find(t.Context())
		if hexbid.KindOf(err) != hexbid.Unavailable || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want one that says %q", err, says)
		}
	}
}

func TestAMedianIsOfEachFigureByItself(t *testing.T) {
	m := Median([]Round{
		{Times: 2, Goodput: 1, P99: 30, Recovery: 0.1, Recovered: true, Limited: "busy"},
		{Times: 2, Goodput: 3, P99: 10, Recovery: 0},
		{Times: 2, Goodput: 2, P99: 20, Recovery: 0.3, Recovered: true},
	})
	want := Round{Times: 2, Goodput: 2, P99: 20, Recovery: 0.3, Recovered: true}
	if m != want {
		t.Errorf("%+v, want %+v", m, want)
	}
	most := Median([]Round{{Limited: "busy", Recovery: 0.1, Recovered: true}, {Limited: "late"}, {}})
	if most.Limited == "" || most.Recovered || most.Recovery != 0 {
		t.Errorf("%+v", most)
	}
}
