package report

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/simulator/capacity"
	"github.com/hexbid/hexbid/simulator/load"
	"github.com/hexbid/hexbid/simulator/plan"
	"github.com/hexbid/hexbid/simulator/traffic"
	"github.com/hexbid/hexbid/simulator/vitals"
)

// aComparedLoad returns a run with the server's own figures, and with a baseline of half its latency.
func aComparedLoad(t *testing.T) *Run {
	t.Helper()
	now, old := aLoad(t), aLoad(t)
	for _, r := range []*Run{now, old} {
		r.Load.Vitals = &vitals.Vitals{URL: "http://127.0.0.1:7601/metrics"}
		for s := range 2 {
			r.Load.Vitals.Stretches = append(r.Load.Vitals.Stretches,
				vitals.Stretch{Start: float64(s), Lasts: 1, CPU: 0.5 + float64(s), ResidentBytes: 2e8, HeapBytes: 1e8,
					Pauses: 0.0002, Collections: 3, Calls: map[string]float64{"OK": 990, "ResourceExhausted": 10},
					Working: map[string]float64{"search": 2 + float64(s), "write": 0}, Refused: map[string]float64{"search": 10}})
		}
	}
	for i := range old.Load.Moments {
		old.Load.Moments[i].P99 /= 2
	}
	if err := now.CompareWith(old); err != nil {
		t.Fatal(err)
	}
	return now
}

func aComparedCapacity(t *testing.T) *Run {
	t.Helper()
	now, old := aCapacity(), aCapacity()
	old.Capacity.Low, old.Capacity.High = 700, 800
	if err := now.CompareWith(old); err != nil {
		t.Fatal(err)
	}
	return now
}

func aPlan(t *testing.T, prices bool) *plan.Plan {
	t.Helper()
	in := plan.Inputs{PerSecond: 6575, MeasuredCores: 1, ResponseBytes: 4200, RequestBytes: 70, DailyUsers: 450e6,
		NearbyShare: 0.1, SearchesAUser: 4, PeakHourShare: 0.078, PeakWithinHour: 1.3, FestivalPeak: 2.5, Campaigns: 1e6,
		Programs: 7e6, PlacesEach: 1, SlotsFilled: 2, SeenShare: 0.7, ClickShare: 0.02, EventBytes: 400, KeepDays: 90,
		Regions: 3, LargestShare: 0.45, SpareNodes: 1, Headroom: 0.3, BytesACampaign: 490, BytesAProgram: 900,
		CollectorFactor: 2, CacheMB: 512, DiskACampaign: 250, DiskAProgram: 250, DiskFactor: 3}
	if prices {
		in.NodePrice, in.DiskPriceGB, in.NetworkPriceGB = 310, 0.1, 0.08
	}
	p, err := plan.Make(in)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func plainly(v float64) string { return strconv.FormatFloat(v, 'g', 5, 64) }

func aPlanPage(t *testing.T, prices bool) func(io.Writer) error {
	t.Helper()
	p := aPlan(t, prices)
	return func(w io.Writer) error { return WritePlanPage(w, p, "hexbid simulate plan", plainly) }
}

func pictureOf(t *testing.T, all []*picture, id string) *picture {
	t.Helper()
	for _, p := range all {
		if p.ID == id {
			return p
		}
	}
	t.Fatalf("there is no picture %q", id)
	return nil
}

// TestTheHeatMapCountsEveryCall: the rates of the cells times their seconds add up to the calls.
func TestTheHeatMapCountsEveryCall(t *testing.T) {
	r := aLoad(t)
	calls := 0.0
	for _, c := range pictureOf(t, r.pictures(), "heat").Heat {
		if c[0] >= c[1] || c[2] >= c[3] {
			t.Errorf("an empty cell: %v", c)
		}
		calls += c[4] * (c[1] - c[0])
	}
	if math.Abs(calls-1980) > 0.5 { // one of every hundred of the 2,000 was refused
		t.Errorf("%v calls", calls)
	}
}

// TestALongRunsHeatMapIsNoWider: a heat map has no more columns than a screen has pixels for.
func TestALongRunsHeatMapIsNoWider(t *testing.T) {
	r := aLoad(t)
	one := r.Load.Moments[0]
	r.Load.Moments = nil
	for i := range 1200 {
		one.Start = float64(i)
		r.Load.Moments = append(r.Load.Moments, one)
	}
	starts := map[float64]bool{}
	for _, c := range r.Load.heatPicture().Heat {
		starts[c[0]] = true
	}
	if len(starts) != mostColumns {
		t.Errorf("%d columns", len(starts))
	}
}

func TestLatenciesComeBackFromJSON(t *testing.T) {
	r := aLoad(t)
	path := filepath.Join(t.TempDir(), "run.json")
	var text bytes.Buffer
	if err := r.WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	if err := writeText(path, text.String()); err != nil {
		t.Fatal(err)
	}
	back, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back.Load.Moments, r.Load.Moments) {
		t.Errorf("%+v came back as %+v", r.Load.Moments, back.Load.Moments)
	}
	broken := strings.Replace(text.String(), `"latencies": "`, `"latencies": "99:1 `, 1)
	if err := writeText(path, broken); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); hexbid.KindOf(err) != hexbid.Invalid || !strings.Contains(err.Error(), "99:1") {
		t.Errorf("a bucket beyond the last: %v", err)
	}
}

func TestFailuresAreDrawnByCode(t *testing.T) {
	p := pictureOf(t, aLoad(t).pictures(), "failures")
	var names []string
	for _, c := range p.Curves {
		names = append(names, c.Name)
	}
	if !slices.Equal(names, []string{"dropped", "ResourceExhausted"}) || p.Curves[1].Points[0].At[1] != 10 {
		t.Errorf("%q, %+v", names, p.Curves)
	}
}

// TestACapacityIsDrawnWithItsObjectiveAndInterval: each try has its number and says why it was made.
func TestACapacityIsDrawnWithItsObjectiveAndInterval(t *testing.T) {
	r := aCapacity()
	r.Capacity.Tries[3].Missed, r.Capacity.Tries[3].Decision = "p99<5ms: p99 is 4.4 ms", "the upper end: 1 of 3"
	r.Capacity.Tries = append(r.Capacity.Tries, capacity.Try{PerSecond: 2000, Limited: "the generator sent late",
		Measures: r.Capacity.Tries[0].Measures})
	p := pictureOf(t, r.pictures(), "objective p99<5ms")
	if len(p.Lines) != 1 || p.Lines[0].At != 0.005 || p.Lines[0].Axis != "y" {
		t.Errorf("lines %+v", p.Lines)
	}
	if len(p.Bands) != 1 || p.Bands[0].From != 1000 || p.Bands[0].To != 1100 || p.Bands[0].Axis != "x" {
		t.Errorf("bands %+v", p.Bands)
	}
	found := map[string]string{}
	says := ""
	for _, c := range p.Curves {
		for _, point := range c.Points {
			found[point.Label] = c.Name
			says += point.Says
		}
	}
	if want := map[string]string{"1": "held", "2": "held", "3": "held", "4": "missed",
		"5": "no verdict"}; !reflect.DeepEqual(found, want) {
		t.Errorf("verdicts by number: %v", found)
	}
	for _, words := range []string{"p99 is 4.4 ms", "the upper end: 1 of 3", "sent late"} {
		if !strings.Contains(says, words) {
			t.Errorf("nothing says %q", words)
		}
	}
	r.Capacity.High = 0
	if p := pictureOf(t, r.pictures(), "objective p99<5ms"); len(p.Bands) != 0 || len(p.Lines) != 2 {
		t.Errorf("without an upper end: %+v %+v", p.Bands, p.Lines)
	}
}

// TestABaselineIsInEachPicture: every curve has a fainter one of the same name.
func TestABaselineIsInEachPicture(t *testing.T) {
	for _, r := range []*Run{aComparedLoad(t), aComparedCapacity(t)} {
		for _, p := range overlaid(r.pictures(), r.compared.pictures()) {
			names := map[string]bool{}
			for _, c := range p.Curves {
				names[c.Name] = true
				if c.Faint != strings.HasSuffix(c.Name, before) {
					t.Errorf("%s: %q is faint: %v", p.ID, c.Name, c.Faint)
				}
			}
			for name := range names {
				if !strings.HasSuffix(name, before) && !names[name+before] {
					t.Errorf("%s: %q has no baseline", p.ID, name)
				}
			}
			if len(names) < 2 {
				t.Errorf("%s: %v", p.ID, names)
			}
		}
	}
}

func TestTilesSayTheRatioToTheBaseline(t *testing.T) {
	r := aComparedCapacity(t)
	var text bytes.Buffer
	if err := r.WritePage(&text); err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"× 1.43, was 700", `class="was better"`} {
		if !strings.Contains(text.String(), words) {
			t.Errorf("the page does not say %q", words)
		}
	}
	if err := r.CompareWith(aLoad(t)); hexbid.KindOf(err) != hexbid.Invalid {
		t.Errorf("a run of another kind: %v", err)
	}
}

// TestWhatCannotBeJudgedIsNeitherBetterNorWorse: the ratio to a run whose generator was late has no colour.
func TestWhatCannotBeJudgedIsNeitherBetterNorWorse(t *testing.T) {
	now, old := aLoad(t), aLoad(t)
	old.Load.Measures["p99"], old.Load.Measures["errors"] = 2*now.Load.Measures["p99"], 0.5
	old.Load.Limited = "the generator sent late"
	if err := now.CompareWith(old); err != nil {
		t.Fatal(err)
	}
	for _, tile := range tiles(now.figures(), old.figures(), now.tileNames(), now.comparable) {
		want := map[string]string{"p99": "", "errors": "better"}
		if class, known := want[tile.Name]; known && tile.Was.Class != class {
			t.Errorf("%s: %+v", tile.Name, tile.Was)
		}
	}
}

// TestARunOfAnOlderProgramHasNoHeatMap: older programs did not record latencies.
func TestARunOfAnOlderProgramHasNoHeatMap(t *testing.T) {
	r := aLoad(t)
	for i := range r.Load.Moments {
		r.Load.Moments[i].Latencies = load.Latencies{}
	}
	for _, p := range r.pictures() {
		if p.ID == "heat" {
			t.Error("there is an empty heat map")
		}
	}
}

func TestAPageWithoutVitalsSaysHowToGetThem(t *testing.T) {
	all := aLoad(t).pictures()
	if last := all[len(all)-1]; !strings.Contains(last.Advice, "--metrics") {
		t.Errorf("%+v", last)
	}
}

// TestPicturesAreNumbers: every number in a picture is one that JSON can hold, whatever the run.
func TestPicturesAreNumbers(t *testing.T) {
	empty := New("load", "", "", "", 1)
	empty.Load = &Load{}
	none := New("capacity", "", "", "", 1)
	none.Capacity = &Capacity{Objective: "p99<5ms,errors<1%"}
	for _, r := range []*Run{empty, none} {
		if _, err := json.Marshal(r.pictures()); err != nil {
			t.Error(err)
		}
		if err := r.WritePage(io.Discard); err != nil {
			t.Error(err)
		}
	}
}

// TestAPlanHasTheBusiestHourOfADay: a plan's share of the busiest hour equals that of the simulated day.
func TestAPlanHasTheBusiestHourOfADay(t *testing.T) {
	total, busiest := 0.0, 0.0
	for _, share := range traffic.Hours {
		total, busiest = total+share, max(busiest, share)
	}
	f, ok := reflect.TypeFor[plan.Inputs]().FieldByName("PeakHourShare")
	if want := strconv.FormatFloat(busiest/100, 'g', 6, 64); !ok || math.Abs(total-100) > 1e-9 ||
		f.Tag.Get("default") != want {
		t.Errorf("the hours are %v %% of a day, the busiest %s of it; a plan takes %q", total, want, f.Tag.Get("default"))
	}
}
