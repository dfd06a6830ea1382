package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestALoadHasTheServersOwnFigures: a load has CPU, memory and answers from the server's /metrics, next to the
// generator's figures.
func TestALoadHasTheServersOwnFigures(t *testing.T) {
	s := boot(t, func(c *ServeConfig) { c.MetricsListen = "127.0.0.1:0" })
	dir := t.TempDir()
	args := []string{"load", "--rate", "50", "--duration", "2500ms", "--warm-up", "0s",
		"--call-timeout", "1m", "--out", dir}
	code, out, errs := simulate(testContext(t), s.main.Address(),
		append(args, "--metrics", "http://"+s.main.MetricsAddress())...)
	if code != 0 {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	l := readRun(t, dir).Load
	if l.Vitals == nil || len(l.Vitals.Stretches) == 0 {
		t.Fatalf("vitals: %+v", l.Vitals)
	}
	answered := 0.0
	for _, stretch := range l.Vitals.Stretches {
		answered += stretch.Calls["OK"] * stretch.Lasts
		if stretch.ResidentBytes <= 0 || stretch.HeapBytes <= 0 || stretch.CPU < 0 || stretch.Pauses < 0 {
			t.Errorf("%+v", stretch)
		}
	}
	if most := float64(l.Answers.Answers + 1); answered <= 0 || answered > most*1.001 {
		t.Errorf("the server answered %v of %v", answered, most)
	}
	calls, most := 0, 0
	for _, m := range l.Moments {
		most = max(most, m.MostInFlight)
		for _, n := range m.Latencies {
			calls += n
		}
	}
	if calls != l.Answers.Answers || most < 1 {
		t.Errorf("%d latencies of %d answers, %d in flight", calls, l.Answers.Answers, most)
	}
}

// TestMetricsOfALoad: an address that was given must answer, and the default one may be silent. Hostile metrics do not
// harm the run.
func TestMetricsOfALoad(t *testing.T) {
	s := boot(t, func(*ServeConfig) {})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // accepts connections and never answers
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		line := []byte(strings.Repeat("process_cpu_seconds_total 1\n", 1000))
		for q.Context().Err() == nil {
			if _, err := w.Write(line); err != nil {
				return
			}
		}
	}))
	defer endless.Close()
	load := []string{"load", "--rate", "20", "--duration", "500ms", "--warm-up", "0s", "--call-timeout", "1m"}
	for name, c := range map[string]struct {
		metrics, want string
		code          int
	}{
		"none":       {"none", "", 0},
		"of another": {"auto", "", 0},
		"no address": {"localhost:7601", "--metrics", 1},
		"nobody":     {"http://127.0.0.1:1/metrics", "refused", 1},
		"silent":     {"http://" + l.Addr().String() + "/metrics", "leave out --metrics", 1},
		"endless":    {endless.URL, "over 1000 lines", 1},
	} {
		code, out, errs := simulate(testContext(t), s.main.Address(), append(load, "--metrics", c.metrics)...)
		if code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("%s: exit %d\n%s%s", name, code, out, errs)
		}
	}
}
