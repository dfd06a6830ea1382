package capacity

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/simulator/load"
)

func mustParse(t interface{ Fatal(...any) }, text string) []Condition {
	conditions, err := ParseConditions("slo", text)
	if err != nil {
		t.Fatal(err)
	}
	return conditions
}

// cliff is a server that keeps p99 at a millisecond up to a rate.
func cliff(edge float64) Probe {
	return func(_ context.Context, perSecond float64) (load.Measures, string, error) {
		if perSecond > edge {
			return load.Measures{"p99": 1, "answered": 1}, "", nil
		}
		return load.Measures{"p99": 0.001, "answered": 1}, "", nil
	}
}

func TestTheIntervalHoldsTheEdge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		edge := math.Exp(rapid.Float64Range(math.Log(1), math.Log(500_000)).Draw(t, "log of the edge"))
		s := DefaultSearch(mustParse(t, "p99<5ms"))
		s.Start = rapid.Float64Range(1, 10_000).Draw(t, "start")
		found, err := s.Find(t.Context(), cliff(edge))
		if err != nil {
			t.Fatal(err)
		}
		if found.Low > edge || found.High <= edge || found.High > found.Low*(1+s.Precision)*1.0001 {
			t.Fatalf("%g to %g, the edge is %g", found.Low, found.High, edge)
		}
	})
}

// TestARestlessEdgeWidensTheInterval: within a tenth of the edge it is chance
// whether a rate holds.
func TestARestlessEdgeWidensTheInterval(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		found, err := DefaultSearch(mustParse(t, "p99<5ms")).Find(t.Context(), func(ctx context.Context, perSecond float64) (load.Measures, string, error) {
			return cliff(1000*(0.9+0.2*r.Float64()))(ctx, perSecond)
		})
		if err != nil {
			t.Fatal(err)
		}
		if found.Low > 1100 || found.High < 900 || found.Low < 600 || found.High > 1700 {
			t.Errorf("%g to %g where 900 to 1100 is chance", found.Low, found.High)
		}
	}
}

func TestAnObjectiveThatCannotBeMetIsAnError(t *testing.T) {
	found, err := DefaultSearch(mustParse(t, "p99<5ms")).Find(t.Context(), cliff(0))
	var e *hexbid.Error
	if !errors.As(err, &e) || e.Kind != hexbid.Invalid || !strings.Contains(err.Error(), "cannot be met") || !strings.Contains(err.Error(), "p99 is 1 s") {
		t.Errorf("%v", err)
	}
	if found.Low != 0 || len(found.Tries) == 0 {
		t.Errorf("%+v", found)
	}
}

func TestCallsThatAreNotAnsweredMissAnyObjective(t *testing.T) {
	found, err := DefaultSearch(mustParse(t, "p99<5ms")).Find(t.Context(), func(_ context.Context, perSecond float64) (load.Measures, string, error) {
		return load.Measures{"p99": 0.001, "answered": min(1, 1000/perSecond)}, "", nil
	})
	if err != nil || found.Low > 1002 || found.High < 1000 {
		t.Errorf("%g to %g, %v", found.Low, found.High, err)
	}
}

func TestABusyGeneratorIsNoUpperEnd(t *testing.T) {
	probe := func(ctx context.Context, perSecond float64) (load.Measures, string, error) {
		m, _, err := cliff(1000)(ctx, perSecond)
		if perSecond > 700 {
			return m, "the generator took 99 % of its cores", err
		}
		return m, "", err
	}
	found, err := DefaultSearch(mustParse(t, "p99<5ms")).Find(t.Context(), probe)
	if err != nil || found.High != 0 || !strings.Contains(found.NoVerdict, "99 %") || found.Low < 700 {
		t.Errorf("%+v, %v", found, err)
	}
}

// TestALateGeneratorDoesNotExcuseTheServer: where service times alone miss, the
// lag is not why.
func TestALateGeneratorDoesNotExcuseTheServer(t *testing.T) {
	found, err := DefaultSearch(mustParse(t, "p99<5ms")).Find(t.Context(), func(ctx context.Context, perSecond float64) (load.Measures, string, error) {
		m, _, err := cliff(1000)(ctx, perSecond)
		m["service_p99"] = m["p99"] * 0.9
		return m, "the generator sent late", err
	})
	if err != nil || found.Low > 1000 || found.High < 1000 || found.NoVerdict != "" {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestTheMostThatIsToBeTriedIsNoUpperEnd(t *testing.T) {
	s := DefaultSearch(mustParse(t, "p99<5ms"))
	s.Most = 3000
	found, err := s.Find(t.Context(), cliff(1e9))
	if err != nil || found.Low != 3000 || found.High != 0 || !strings.Contains(found.NoVerdict, "3000") {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestAMeasureThatIsMissingEndsTheSearch(t *testing.T) {
	_, err := DefaultSearch(mustParse(t, "server_p99<5ms")).Find(t.Context(), cliff(100))
	if err == nil || !strings.Contains(err.Error(), "server_p99 was not measured") {
		t.Errorf("%v", err)
	}
}

func TestConditionsAreRead(t *testing.T) {
	m := load.Measures{"p99": 0.005, "p99.9": 0.02, "errors": 0.001, "fill": 0.8, "reached": 990, "service_p50": 0.0007}
	for text, want := range map[string]bool{
		"p99<5ms": false, "p99<=5ms": true, "p99 > 4.9ms": true, "p99.9<1s": true, "errors<0.2%": true, "errors<0.001": false, "errors>=0.1%": true,
		"fill>50%": true, "reached>1000": false, "service_p50<800us": true,
	} {
		c := mustParse(t, text)[0]
		if holds, err := c.Holds(m); err != nil || holds != want {
			t.Errorf("%s: %t, %v", text, holds, err)
		}
	}
	if n := len(mustParse(t, "p99<5ms, errors<1%")); n != 2 {
		t.Errorf("%d conditions", n)
	}
}

func TestBadConditionsSayWhatWouldBeRight(t *testing.T) {
	for text, words := range map[string]string{
		"": "neither < nor >", "p99": "neither", "p98<5ms": "no measure \"p98\"", "p99<5": "as in 5ms", "p99<-5ms": "as in 5ms", "errors<2": "no share", "errors<200%": "no share",
		"errors<NaN": "no share", "reached>x": "no number", "<5ms": "no measure", "foo_p99<5ms": "no measure", "p99<5ms,,": "neither",
	} {
		_, err := ParseConditions("--slo", text)
		var e *hexbid.Error
		if !errors.As(err, &e) || e.Field != "--slo" || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
