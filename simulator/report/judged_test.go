package report

import (
	"strings"
	"testing"
)

// TestWhatLateSendingCannotSpoilIsJudged: a generator that sends late lengthens response times and changes nothing
// else.
func TestWhatLateSendingCannotSpoilIsJudged(t *testing.T) {
	for conditions, want := range map[string]struct{ ok, judged bool }{
		"errors>0.5%": {false, true}, "errors>2%": {true, true}, "fill>99.9%": {true, true}, "price>1": {false, true},
		"skipped>1%": {true, true}, "lag_p99>1h": {true, true}, "server_p99>1s": {true, true}, "service_p99>1h": {true, true},
		"service_p99>1us": {false, true}, "generator_busy>99%": {true, true}, "p99>1h": {false, false},
		"max>1h": {false, false}, "dropped>1%": {false, false}, "answered<50%": {false, false}, "reached<1": {false, false},
		"asked<1": {false, false},
	} {
		r := aLoad(t)
		r.Load.Limited = "the generator sent late"
		if conditions == "server_p99>1s" {
			r.Load.Measures["server_p99"] = 0.001
		}
		g := gate(t, r, conditions)
		if unjudged := strings.Contains(g.Because, "sent late"); g.OK != want.ok || unjudged == want.judged {
			t.Errorf("%s: %+v", conditions, g)
		}
		r.Interrupted = true
		if g := gate(t, r, conditions); g.OK || !strings.Contains(g.Because, "interrupted") {
			t.Errorf("%s of an interrupted run: %+v", conditions, g)
		}
	}
}

// TestABusyGeneratorSpoilsServiceTimes: a busy generator reads answers late.
func TestABusyGeneratorSpoilsServiceTimes(t *testing.T) {
	r := aLoad(t)
	r.Load.Limited, r.Load.Measures["generator_busy"] = "the generator took 99 % of its cores", 0.99
	if g := gate(t, r, "service_p99>1h"); g.OK || !strings.Contains(g.Because, "99 %") {
		t.Errorf("%+v", g)
	}
	if g := gate(t, r, "errors>2%"); !g.OK {
		t.Errorf("%+v", g)
	}
}

// TestABaselineIsComparedWhereLateSendingSpoilsNothing checks the same for an older run.
func TestABaselineIsComparedWhereLateSendingSpoilsNothing(t *testing.T) {
	now := aLoad(t)
	now.Load.Limited = "the generator sent late"
	if err := now.Baseline(aLoad(t), 0.1); err != nil {
		t.Fatal(err)
	}
	for _, g := range now.Gates {
		name, _, _ := strings.Cut(g.Name, " ")
		if want := name == "errors" || name == "service_p99"; g.OK != want {
			t.Errorf("%+v", g)
		}
	}
}

func TestARunWithoutAVerdictSaysSo(t *testing.T) {
	r := aCapacity()
	r.Capacity.NoVerdict = "no interval stood after 40 tries"
	if v := r.Verdict(); strings.Contains(v, "holds") || !strings.Contains(v, "no verdict") ||
		!strings.Contains(v, "40 tries") {
		t.Error(v)
	}
}
