package vitals

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
)

// answer returns what a server exports at a second of its life.
func answer(second int) string {
	return fmt.Sprintf(`# HELP go_gc_duration_seconds A summary.
# TYPE go_gc_duration_seconds summary
go_gc_duration_seconds{quantile="0"} 1e-05
go_gc_duration_seconds{quantile="1"} 0.01
go_gc_duration_seconds_sum %v
go_gc_duration_seconds_count %d
# TYPE go_memstats_heap_alloc_bytes gauge
go_memstats_heap_alloc_bytes 4e+07
# TYPE hexbid_calls_total counter
hexbid_calls_total{code="OK",method="SearchNearby"} %d
hexbid_calls_total{code="OK",method="GetPlace"} 1
hexbid_calls_total{code="ResourceExhausted",method="SearchNearby"} %d
# TYPE hexbid_refused_total counter
hexbid_refused_total{class="search"} %d
# TYPE hexbid_working gauge
hexbid_working{class="search"} 7
hexbid_working{class="write"} 0
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total %v
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 1e+08
# TYPE something_else histogram
something_else_bucket{le="+Inf"} nonsense that nobody reads
`, 0.002*float64(second), 3*second, 1000*second, 10*second, 10*second, 0.5*float64(second))
}

func parsed(t *testing.T, text string, at time.Duration) reading {
	t.Helper()
	r, err := parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	r.at = at
	return r
}

func TestAStretchHasTheRatesBetweenTwoReadings(t *testing.T) {
	a, b := parsed(t, answer(10), time.Second), parsed(t, answer(14), 3*time.Second)
	s := between(&a, &b)
	near := func(name string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-9*max(1, want) {
			t.Errorf("%s: %v, expected %v", name, got, want)
		}
	}
	near("start", s.Start, 1)
	near("lasts", s.Lasts, 2)
	near("CPU", s.CPU, 1)
	near("resident", s.ResidentBytes, 1e8)
	near("heap", s.HeapBytes, 4e7)
	near("pauses", s.Pauses, 0.004)
	near("collections", s.Collections, 6)
	near("answered", s.Calls["OK"], 2000)
	near("failed", s.Calls["ResourceExhausted"], 20)
	near("refused", s.Refused["search"], 20)
	near("working", s.Working["search"], 7)
}

// TestAServerStartedAnewCountsFromZero: no rate is negative.
func TestAServerStartedAnewCountsFromZero(t *testing.T) {
	a, b := parsed(t, answer(100), 0), parsed(t, answer(2), time.Second)
	if s := between(&a, &b); s.CPU != 1 || s.Calls["OK"] != 2001 || s.Pauses != 0.004 {
		t.Errorf("%+v", s)
	}
}

// TestStretchesCountFromTheStartOfTheRun: a run starts later than its watch.
func TestStretchesCountFromTheStartOfTheRun(t *testing.T) {
	later := since([]Stretch{{Start: 0, Lasts: 1}, {Start: 1, Lasts: 1}, {Start: 2, Lasts: 1}}, 1.25)
	if len(later) != 2 || later[0].Start != -0.25 || later[1].Start != 0.75 {
		t.Errorf("%+v", later)
	}
}

// TestALongWatchIsBounded: stretches get longer, and their means stay.
func TestALongWatchIsBounded(t *testing.T) {
	w := &Watch{last: parsed(t, answer(0), 0)}
	const seconds = 10_000
	for second := 1; second <= seconds; second++ {
		w.see(parsed(t, answer(second), time.Duration(second)*time.Second), nil)
	}
	all := w.found.Stretches
	lasted := 0.0
	for i := range all {
		lasted += all[i].Lasts
		if math.Abs(all[i].CPU-0.5) > 1e-6 || math.Abs(all[i].Calls["OK"]-1000) > 1e-3 {
			t.Fatalf("stretch %d: %+v", i, all[i])
		}
	}
	if len(all) > mostStretches || lasted != seconds {
		t.Errorf("%d stretches of %v s", len(all), lasted)
	}
}

// TestHostileAnswersAreBounded: each answer is refused or cut, within little memory.
func TestHostileAnswersAreBounded(t *testing.T) {
	valid := answer(1)
	for name, c := range map[string]struct {
		body io.Reader
		want string // of the error; "" for no error
	}{
		"no metrics":           {strings.NewReader("<html>hello</html>"), "process_cpu_seconds_total"},
		"empty":                {strings.NewReader(""), "process_cpu_seconds_total"},
		"without an end":       {&endless{line: []byte("a_b 1\n")}, "longer than 4 MiB"},
		"one line":             {&endless{line: []byte("a")}, "too long"},
		"names without number": {&endless{line: []byte("hexbid_calls_total{code=\"a\"} 1\n")}, "over 1000 lines"},
		"not the format":       {strings.NewReader("process_cpu_seconds_total twelve\n"), "text format"},
		"no text":              {strings.NewReader("process_cpu_seconds_total{a=\"\xff\xfe\"} 1\n"), "text format"},
		"halfway":              {strings.NewReader(valid[:strings.Index(valid, "process_resident")+4]), ""},
		"no numbers": {strings.NewReader("process_cpu_seconds_total NaN\nprocess_resident_memory_bytes " +
			"+Inf\ngo_memstats_heap_alloc_bytes -5\nhexbid_calls_total{code=\"OK\"} 1e308\n"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			var m1, m2 runtime.MemStats
			runtime.ReadMemStats(&m1)
			r, err := parse(c.body)
			runtime.ReadMemStats(&m2)
			if took := m2.TotalAlloc - m1.TotalAlloc; took > 16<<20 {
				t.Errorf("it took %d MiB", took>>20)
			}
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Fatalf("%v, expected %q", err, c.want)
			}
			r.at = time.Second
			if _, err := json.Marshal(between(&reading{}, &r)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestNamesAreFew: a server may send any class.
func TestNamesAreFew(t *testing.T) {
	var b strings.Builder
	b.WriteString("process_cpu_seconds_total 1\n")
	for i := range 900 {
		fmt.Fprintf(&b, "hexbid_working{class=\"%d%s\"} 1\n", i, strings.Repeat("x", 200))
	}
	r := parsed(t, b.String(), 0)
	total := 0.0
	for name, v := range r.working {
		total += v
		if len(name) > 100 {
			t.Errorf("a name of %d bytes", len(name))
		}
	}
	if len(r.working) > mostNames+1 || total != 900 {
		t.Errorf("%d names with %v in all", len(r.working), total)
	}
}

// endless repeats a line.
type endless struct {
	line []byte
	at   int
}

// Read implements io.Reader.
func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.line[e.at]
		e.at = (e.at + 1) % len(e.line)
	}
	return len(p), nil
}

func serve(t *testing.T, conduct http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(conduct)
	t.Cleanup(server.Close)
	return server.URL
}

// TestAWatchGoesOnWhereReadingsFail: failed readings are counted and reported, and a slow server delays nobody.
func TestAWatchGoesOnWhereReadingsFail(t *testing.T) {
	var asked atomic.Int64
	url := serve(t, func(w http.ResponseWriter, q *http.Request) {
		switch n := asked.Add(1); {
		case n == 2:
			<-q.Context().Done() // until the watch gives up
		case n == 3:
			http.Error(w, "not now", http.StatusServiceUnavailable)
		default:
			fmt.Fprint(w, answer(int(n)))
		}
	})
	w, err := Start(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(2 * time.Minute); asked.Load() < 5 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	v := w.End(w.started)
	if v.Missed < 2 || v.Said == "" || len(v.Stretches) == 0 {
		t.Errorf("%+v", v)
	}
	for i := range v.Stretches {
		if s := &v.Stretches[i]; s.Lasts <= 0 || s.ResidentBytes != 1e8 {
			t.Errorf("%+v", s)
		}
	}
}

func TestAWrongAddressIsAnErrorAtOnce(t *testing.T) {
	elsewhere := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answer(1)) })
	for name, c := range map[string]struct {
		url, want string
		kind      hexbid.ErrorKind
	}{
		"no address": {"7601", "http://127.0.0.1:7601/metrics", hexbid.Invalid},
		"a file":     {"file:///etc/passwd", "http://127.0.0.1:7601/metrics", hexbid.Invalid},
		"nobody":     {"http://127.0.0.1:1/metrics", "refused", hexbid.Internal},
		"a redirect": {serve(t, func(w http.ResponseWriter, q *http.Request) {
			http.Redirect(w, q, elsewhere, http.StatusFound)
		}), "302", hexbid.Internal},
		"not found": {serve(t, http.NotFound), "404", hexbid.Internal},
		"another one": {serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "up 1\n") }), "hexbid server",
			hexbid.Internal},
	} {
		_, err := Start(context.Background(), c.url)
		if err == nil || !strings.Contains(err.Error(), c.want) || hexbid.KindOf(err) != c.kind {
			t.Errorf("%s: %v (%v)", name, err, hexbid.KindOf(err))
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(answer(1))
	f.Add("process_cpu_seconds_total{a=\"b\",} 1 1\n# TYPE process_cpu_seconds_total summary\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parse(strings.NewReader(text))
		if err != nil {
			return
		}
		r.at = time.Second
		if _, err := json.Marshal(between(&reading{}, &r)); err != nil {
			t.Fatal(err)
		}
	})
}
