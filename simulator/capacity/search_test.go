package capacity

import (
	"context"
	"errors"
	"fmt"
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

// cliff returns a server that keeps p99 at a millisecond up to a rate.
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
		s.Start = rapid.Float64Range(100, 10_000).Draw(t, "start")
		found, err := s.Find(t.Context(), cliff(edge))
		if err != nil {
			t.Fatal(err)
		}
		if found.Low > edge || found.High <= edge || found.Low < edge*(1-s.Precision) || found.High > edge*(1+s.Precision) ||
			len(found.Tries) > 40 {
			t.Fatalf("%g to %g, the edge is %g", found.Low, found.High, edge)
		}
	})
}

// TestARestlessEdgeWidensTheInterval: within a tenth of the edge chance decides whether a rate holds.
func TestARestlessEdgeWidensTheInterval(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		found, err := DefaultSearch(mustParse(t, "p99<5ms")).Find(t.Context(),
			func(ctx context.Context, perSecond float64) (load.Measures, string, error) {
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
	if !errors.As(err, &e) || e.Kind != hexbid.Invalid || !strings.Contains(err.Error(), "cannot be met") ||
		!strings.Contains(err.Error(), "p99 is 1 s") {
		t.Errorf("%v", err)
	}
	if found.Low != 0 || len(found.Tries) == 0 {
		t.Errorf("%+v", found)
	}
}

func TestCallsThatAreNotAnsweredMissAnyObjective(t *testing.T) {
	found, err := DefaultSearch(mustParse(t, "p99<5ms")).Find(t.Context(),
		func(_ context.Context, perSecond float64) (load.Measures, string, error) {
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

// TestAGeneratorsLimitOnceIsNotTheEnd: the generator lags in any one try, and the search finds the interval all the
// same.
func TestAGeneratorsLimitOnceIsNotTheEnd(t *testing.T) {
	for k := 1; k <= 30; k++ {
		tries := 0
		found, err := DefaultSearch(mustParse(t, "p99<5ms")).Find(t.Context(),
			func(ctx context.Context, perSecond float64) (load.Measures, string, error) {
				if tries++; tries == k {
					return load.Measures{"p99": 1, "answered": 1}, "the generator sent late", nil
				}
				return cliff(9079)(ctx, perSecond)
			})
		if err != nil || found.NoVerdict != "" || found.Low < 0.95*9079 || found.Low > 9079 || found.High > 1.05*9079 ||
			found.High < 9079 {
			t.Errorf("in try %d: %.0f to %.0f, %q, %v", k, found.Low, found.High, found.NoVerdict, err)
		}
	}
}

// TestAGeneratorsLimitInTheClimbIsGoneAround: between 3,000 and 5,000 a second the generator is the limit, and above
// 5,000 the server is. The interval includes the rates that could not be judged.
func TestAGeneratorsLimitInTheClimbIsGoneAround(t *testing.T) {
	found, err := DefaultSearch(mustParse(t, "p99<5ms")).Find(t.Context(),
		func(ctx context.Context, perSecond float64) (load.Measures, string, error) {
			m, _, err := cliff(3000)(ctx, perSecond)
			if perSecond > 5000 {
				m["service_p99"] = 1
			}
			return m, "the generator sent late", err
		})
	if err != nil || found.NoVerdict != "" || found.Low < 0.95*3000 || found.Low > 3000 || found.High < 5000 ||
		found.High > 10_000 {
		t.Errorf("%.0f to %.0f, %q, %v", found.Low, found.High, found.NoVerdict, err)
	}
}

// TestAGeneratorTooSlowForTheFirstRateIsAskedLess: the search goes on at lower rates.
func TestAGeneratorTooSlowForTheFirstRateIsAskedLess(t *testing.T) {
	s := DefaultSearch(mustParse(t, "p99<5ms"))
	s.Start = 8000
	found, err := s.Find(t.Context(), func(_ context.Context, perSecond float64) (load.Measures, string, error) {
		if perSecond > 900 {
			return load.Measures{"p99": 1, "answered": 1}, "the generator sent late", nil
		}
		return load.Measures{"p99": 0.001, "answered": 1}, "", nil
	})
	if err != nil || !strings.Contains(found.NoVerdict, "sent late") || found.High != 0 || found.Low < 0.95*900 ||
		found.Low > 900 {
		t.Errorf("%.0f to %.0f, %q, %v", found.Low, found.High, found.NoVerdict, err)
	}
	_, err = s.Find(t.Context(), func(context.Context, float64) (load.Measures, string, error) {
		return load.Measures{"p99": 1, "answered": 1}, "the generator sent late", nil
	})
	var e *hexbid.Error
	if !errors.As(err, &e) || e.Kind != hexbid.Unavailable || !strings.Contains(err.Error(), "sent late") {
		t.Errorf("%v", err)
	}
}

// TestTheMostHeldAtTimesIsSaidToBe: the highest rate that may be tried holds once and then fails.
func TestTheMostHeldAtTimesIsSaidToBe(t *testing.T) {
	s, tries := DefaultSearch(mustParse(t, "p99<5ms")), 0
	s.Start, s.Most = 1000, 1000
	found, err := s.Find(t.Context(), func(ctx context.Context, perSecond float64) (load.Measures, string, error) {
		if tries++; tries == 1 {
			return cliff(1000)(ctx, perSecond)
		}
		return cliff(800)(ctx, perSecond)
	})
	if err != nil || found.Low > 800 || found.Low < 600 || found.High != 0 ||
		!strings.Contains(found.NoVerdict, "sometimes holds at 1000") {
		t.Errorf("%.0f to %.0f, %q, %v", found.Low, found.High, found.NoVerdict, err)
	}
}

// TestTheUpperEndGoesOutFromWhereTheServerFailed: above the generator's limit the server fails only sometimes.
func TestTheUpperEndGoesOutFromWhereTheServerFailed(t *testing.T) {
	sixes := 0
	found, err := DefaultSearch(mustParse(t, "p99<5ms")).Find(t.Context(),
		func(ctx context.Context, perSecond float64) (load.Measures, string, error) {
			m, _, err := cliff(3000)(ctx, perSecond)
			if perSecond == 6400 {
				if sixes++; sixes == 4 || sixes == 5 {
					return load.Measures{"p99": 0.001, "answered": 1}, "", nil
				}
			}
			if perSecond > 5000 {
				m["service_p99"] = 1
			}
			return m, "the generator sent late", err
		})
	if err != nil || found.High <= 6400 || found.Low > 3000 || found.Low < 0.95*3000 {
		t.Errorf("%.0f to %.0f, %q, %v", found.Low, found.High, found.NoVerdict, err)
	}
}

// TestEveryTrySaysWhatFollowed: the search notes each decision. A decision that names a rate names the one tried next.
func TestEveryTrySaysWhatFollowed(t *testing.T) {
	for _, edge := range []float64{9079, 30, 1e9} {
		found, err := DefaultSearch(mustParse(t, "p99<5ms")).Find(t.Context(), cliff(edge))
		if err != nil {
			t.Fatal(err)
		}
		for i, try := range found.Tries {
			if try.Decision == "" {
				t.Errorf("try %d of %d, at %.0f in the %s, has no decision", i+1, len(found.Tries), try.PerSecond, try.Phase)
			}
			if _, next, names := strings.Cut(try.Decision, "on to "); names && try.Phase == "climb" &&
				next != fmt.Sprintf("%.0f", found.Tries[i+1].PerSecond) {
				t.Errorf("%q, and then %.0f was tried", try.Decision, found.Tries[i+1].PerSecond)
			}
		}
	}
}

// TestARestlessMachineIsRefused: when every verdict is a coin toss the search returns no interval, and says why.
func TestARestlessMachineIsRefused(t *testing.T) {
	r, refused := rand.New(rand.NewPCG(5, 6)), 0
	for range 50 {
		found, err := DefaultSearch(mustParse(t, "p99<5ms")).Find(t.Context(),
			func(ctx context.Context, perSecond float64) (load.Measures, string, error) {
				return cliff(perSecond*(0.5+r.Float64()))(ctx, perSecond)
			})
		if err != nil {
			refused++
			if found.NoVerdict == "" {
				t.Errorf("%v, and the run does not say so", err)
			}
		}
	}
	if refused == 0 {
		t.Error("an interval of coins was found each time")
	}
}

// TestALateGeneratorDoesNotExcuseTheServer: when service times alone miss the objective, the lag is not the cause.
func TestALateGeneratorDoesNotExcuseTheServer(t *testing.T) {
	found, err := DefaultSearch(mustParse(t, "p99<5ms")).Find(t.Context(),
		func(ctx context.Context, perSecond float64) (load.Measures, string, error) {
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
		"p99<5ms": false, "p99<=5ms": true, "p99 > 4.9ms": true, "p99.9<1s": true, "errors<0.2%": true, "errors<0.001": false,
		"errors>=0.1%": true, "fill>50%": true, "reached>1000": false, "service_p50<800us": true,
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
		"": "neither < nor >", "p99": "neither", "p98<5ms": "no measure \"p98\"", "p99<5": "like 5ms", "p99<-5ms": "like 5ms",
		"errors<2": "not a share", "errors<200%": "not a share", "errors<NaN": "not a share", "reached>x": "not a number",
		"<5ms": "no measure", "foo_p99<5ms": "no measure", "p99<5ms,,": "neither",
	} {
		_, err := ParseConditions("--slo", text)
		var e *hexbid.Error
		if !errors.As(err, &e) || e.Field != "--slo" || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
