package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/simulator/capacity"
	"github.com/hexbid/hexbid/simulator/load"
	"github.com/hexbid/hexbid/simulator/traffic"
)

// aLoad returns a run of two seconds at 1,000 a second. Answers take one to two milliseconds, and one in a hundred is
// refused.
func aLoad(t *testing.T) *Run {
	t.Helper()
	recorder, tally := load.NewRecorder(0), traffic.NewTally()
	crowd, err := traffic.NewCrowd(traffic.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		planned := time.Duration(i) * time.Millisecond
		if i == 1000 {
			recorder.EndMoment(planned)
		}
		recorder.Plan()
		var failed error
		if i%100 == 99 {
			failed = status.Error(codes.ResourceExhausted, "too <busy>")
		} else {
			tally.Add(crowd.Request(i), &pb.SearchNearbyResponse{Sponsored: []*pb.SponsoredResult{{PriceMicros: 1_500_000,
				PricingModel: pb.PricingModel_PRICING_MODEL_CPC}}})
		}
		recorder.Record(planned, planned+100*time.Microsecond, planned+time.Millisecond+time.Duration(i)*500, failed)
	}
	r := New("load", "hexbid simulate load --fail-if 'p99>5ms'", "test", "127.0.0.1:1", 1)
	r.Load = NewLoad("1000 a second for 2s", load.DefaultConfig(), recorder.Report(2*time.Second), tally.Summary())
	return r
}

func aCapacity() *Run {
	r := New("capacity", "hexbid simulate capacity --slo 'p99<5ms'", "test", "127.0.0.1:1", 1)
	law := capacity.Scalability{Lambda: 900, Sigma: 0.05, Kappa: 0.001, R2: 0.99}
	r.Capacity = &Capacity{Objective: "p99<5ms", ServerCores: 2, Law: &law,
		Loads: []capacity.Load{{Callers: 1, PerSecond: 900}, {Callers: 8, PerSecond: 5000}}}
	r.Capacity.Low, r.Capacity.High = 1000, 1100
	for _, rate := range []float64{500, 1000, 1000, 1100} {
		m := load.Measures{"p50": 0.001, "p99": rate / 250_000, "p99.9": rate / 200_000, "service_p99": 0.003, "mean": 0.001,
			"reached": rate}
		r.Capacity.Tries = append(r.Capacity.Tries,
			capacity.Try{PerSecond: rate, Phase: "confirm", Held: rate < 1100, Measures: m})
	}
	return r
}

func TestTheArtifactComesBackAsItWasWritten(t *testing.T) {
	for _, r := range []*Run{aLoad(t), aCapacity()} {
		dir := filepath.Join(t.TempDir(), "deep", "folder")
		if err := r.Write(dir); err != nil {
			t.Fatal(err)
		}
		back, err := Read(filepath.Join(dir, "run.json"))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(back.measures(), r.measures()) || back.Verdict() != r.Verdict() ||
			!back.Started.Equal(r.Started) {
			t.Errorf("%+v came back as %+v", r, back)
		}
	}
}

// TestTheSchemaIsStable holds the names that programs read. Add names, and change none.
func TestTheSchemaIsStable(t *testing.T) {
	want := map[string][]string{
		"load": {"command", "kind", "load", "load.answers", "load.answers.answers", "load.answers.cpc_price_sum_micros",
			"load.answers.cpc_results", "load.answers.cpm_price_sum_micros", "load.answers.cpm_results",
			"load.answers.filled", "load.answers.map", "load.answers.map_resolution", "load.answers.nearby",
			"load.answers.request_bytes", "load.answers.response_bytes", "load.answers.skipped", "load.answers.slots",
			"load.curve", "load.failures", "load.max_in_flight", "load.measures", "load.moments", "load.spectrum",
			"load.warm_up_seconds"},
		"capacity": {"capacity", "capacity.closed_loops", "capacity.fill", "capacity.high_per_second",
			"capacity.low_per_second", "capacity.objective", "capacity.request_bytes", "capacity.response_bytes",
			"capacity.scalability", "capacity.scalability.kappa", "capacity.scalability.lambda", "capacity.scalability.r2",
			"capacity.scalability.sigma", "capacity.server_cores", "capacity.tries"},
		"": {"interrupted", "machine", "machine.cores", "machine.cpu", "machine.go", "machine.os", "schema", "seconds",
			"seed", "server", "started", "version"},
	}
	for _, r := range []*Run{aLoad(t), aCapacity()} {
		var text bytes.Buffer
		if err := r.WriteJSON(&text); err != nil {
			t.Fatal(err)
		}
		var tree map[string]any
		if err := json.Unmarshal(text.Bytes(), &tree); err != nil {
			t.Fatal(err)
		}
		got := paths("", tree)
		for _, name := range append(want[""], want[r.Kind]...) {
			if !slices.Contains(got, name) {
				t.Errorf("a run of %s has no %q", r.Kind, name)
			}
		}
	}
}

// paths lists the paths of a tree of objects. Figures in "measures" keep their own names.
func paths(prefix string, tree map[string]any) (all []string) {
	for name, value := range tree {
		all = append(all, prefix+name)
		if inner, is := value.(map[string]any); is {
			all = append(all, paths(prefix+name+".", inner)...)
		}
	}
	return all
}

func TestTextForProgramsHasItsRows(t *testing.T) {
	line := regexp.MustCompile(`^Benchmark\S+ \t\d+(\t[-0-9.e+]+ \S+)+$`) // as package testing writes benchmarks
	for _, r := range []*Run{aLoad(t), aCapacity()} {
		var rows, bench bytes.Buffer
		if err := errors.Join(r.WriteCSV(&rows), r.WriteBenchstat(&bench)); err != nil {
			t.Fatal(err)
		}
		table, err := csv.NewReader(&rows).ReadAll()
		if want := map[string]int{"load": 1 + 2, "capacity": 1 + 4}[r.Kind]; err != nil || len(table) != want {
			t.Errorf("%d rows of CSV, expected %d, %v", len(table), want, err)
		}
		lines := strings.Split(strings.TrimSpace(bench.String()), "\n")
		for _, text := range lines[4:] {
			if !line.MatchString(text) {
				t.Errorf("benchstat does not read %q", text)
			}
		}
		if want := map[string]int{"load": 4 + 1, "capacity": 4 + 5}[r.Kind]; len(lines) != want {
			t.Errorf("%d lines, expected %d:\n%s", len(lines), want, bench.String())
		}
	}
}

func TestThePageNeedsNoNetworkAndEscapesWhatServersSay(t *testing.T) {
	for _, r := range []*Run{aLoad(t), aCapacity()} {
		var text bytes.Buffer
		if err := r.WritePage(&text); err != nil {
			t.Fatal(err)
		}
		own := strings.Replace(text.String(), echarts, "", 1)
		if len(own) == text.Len() {
			t.Error("the library is not in the page as it is")
		}
		if found := regexp.MustCompile(`(?i)(src|href|@import|url\()\s*=?\s*["'(]?\s*(https?:)?//`).FindString(own); found != "" {
			t.Errorf("the page reaches out: %s", found)
		}
		if strings.Contains(own, "too <busy>") || strings.Contains(own, "ZgotmplZ") {
			t.Error("a message is not escaped, or a value was refused")
		}
		if r.Kind == "load" && (!strings.Contains(own, "too &lt;busy&gt;") || strings.Count(own, "<polygon") < 300) {
			t.Errorf("%d hexagons", strings.Count(own, "<polygon"))
		}
	}
}

func gate(t *testing.T, r *Run, conditions string) Gate {
	t.Helper()
	parsed, err := capacity.ParseConditions("--fail-if", conditions)
	if err != nil {
		t.Fatal(err)
	}
	r.Gates = nil
	r.FailIf(parsed)
	return r.Gates[len(r.Gates)-1]
}

func TestGatesFailWhereTheConditionHoldsOrCannotBeJudged(t *testing.T) {
	r := aLoad(t)
	for conditions, want := range map[string]bool{"p99>5ms": true, "p99>1ms": false, "errors>0.5%": false,
		"errors>2%": true, "price>1": false, "server_p99>1s": true, "skipped>0.1": true, "max>1h": true} {
		if g := gate(t, r, conditions); g.OK != want {
			t.Errorf("%s: %+v", conditions, g)
		}
	}
	delete(r.Load.Measures, "p99")
	if g := gate(t, r, "p99>1h"); g.OK || !strings.Contains(g.Because, "not measured") || r.Passed() {
		t.Errorf("a missing measure: %+v", g)
	}
	r = aLoad(t)
	r.Load.Limited = "the generator took 99 % of its cores"
	if g := gate(t, r, "p99>1h"); g.OK || !strings.Contains(g.Because, "99 %") {
		t.Errorf("a busy generator: %+v", g)
	}
	r = aLoad(t)
	r.Interrupted = true
	if g := gate(t, r, "p99>1h"); g.OK || !strings.Contains(g.Because, "interrupted") {
		t.Errorf("an interrupted run: %+v", g)
	}
	if g := gate(t, aCapacity(), "p99>5ms"); !g.OK {
		t.Errorf("at the lower end p99 is 4 ms: %+v", g)
	}
	if g := gate(t, New("load", "", "", "", 0), "p99>5ms"); g.OK {
		t.Errorf("a run without measures: %+v", g)
	}
}

func TestABaselineIsWorseThanNoneOfTheMeasures(t *testing.T) {
	for name, test := range map[string]struct {
		change func(m load.Measures)
		passes bool
	}{
		"equal":           {func(load.Measures) {}, true},
		"faster":          {func(m load.Measures) { m["p99"] /= 2; m["reached"] *= 2 }, true},
		"a little":        {func(m load.Measures) { m["p99"] *= 1.05 }, true},
		"slower":          {func(m load.Measures) { m["p99"] *= 1.2 }, false},
		"fewer":           {func(m load.Measures) { m["reached"] *= 0.8 }, false},
		"more errors":     {func(m load.Measures) { m["errors"] += 0.01 }, false},
		"a few errors":    {func(m load.Measures) { m["errors"] += 0.0005 }, true},
		"no measure":      {func(m load.Measures) { delete(m, "p50") }, false},
		"none in the old": {nil, false},
	} {
		old, now := aLoad(t), aLoad(t)
		if test.change != nil {
			test.change(now.Load.Measures)
		} else {
			delete(old.Load.Measures, "service_p99")
		}
		if err := now.Baseline(old, 0.1); err != nil {
			t.Fatal(err)
		}
		if now.Passed() != test.passes {
			t.Errorf("%s: %+v", name, now.Gates)
		}
	}
	for change, passes := range map[float64]bool{1: true, 0.95: true, 0.8: false, 2: true} {
		now := aCapacity()
		now.Capacity.Low *= change
		if err := now.Baseline(aCapacity(), 0.1); err != nil || now.Passed() != passes {
			t.Errorf("a capacity of %g: %+v, %v", change, now.Gates, err)
		}
	}
	if err := aLoad(t).Baseline(aCapacity(), 0.1); err == nil {
		t.Error("a load was compared with a capacity")
	}
}

func TestWhatIsNoRunIsRefused(t *testing.T) {
	for i, text := range []string{"", "{", `{"schema":"other/1"}`, "[]"} {
		path := filepath.Join(t.TempDir(), fmt.Sprint(i))
		if err := writeText(path, text); err != nil {
			t.Fatal(err)
		}
		_, err := Read(path)
		var e *hexbid.Error
		if !errors.As(err, &e) || e.Kind != hexbid.Invalid {
			t.Errorf("%q: %v", text, err)
		}
	}
}
