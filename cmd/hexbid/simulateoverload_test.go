package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/hexbid/hexbid/simulator/overload"
)

// TestOverloadIsMeasuredAtARealServer offers little, and does not judge what came of it.
func TestOverloadIsMeasuredAtARealServer(t *testing.T) {
	t.Parallel()
	s := boot(t, func(c *ServeConfig) {
		c.Demo, c.MetricsListen, c.MaxWait = true, "127.0.0.1:0", 2*time.Millisecond
	})
	args := []string{"overload", "--metrics", "http://" + s.main.MetricsAddress(), "--rate", "40", "--times", "2,3",
		"--duration", "500ms", "--warm-up", "200ms", "--rest", "500ms", "--call-timeout", "1m", "--connections", "2"}
	code, out, errs := simulate(testContext(t), s.main.Address(), append(args, "-o", "json", "--enlarge")...)
	var r overload.Result
	if err := json.Unmarshal([]byte(out), &r); (code != 0 && code != 2) || err != nil {
		t.Fatalf("exit %d, %v\n%s%s", code, err, out, errs)
	}
	if r.Capacity != 40 || len(r.Rounds) != 3 || len(r.Verdicts)+4*len(r.NotJudged) < 4 {
		t.Errorf("%+v", r)
	}
	for i, times := range []float64{1, 2, 3} {
		o := &r.Rounds[i]
		if o.Times != times || o.Offered < 20*times || o.ResidentBytes == 0 || o.Goodput+o.Refused+o.Failed == 0 {
			t.Errorf("%+v", o)
		}
	}
	code, out, errs = simulate(testContext(t), s.main.Address(), append(args, "--refusal-cost", "0.25")...)
	if (code != 0 && code != 2) || !strings.Contains(out, "a refusal costs 0.25 of an answer (as given)") ||
		!strings.Contains(out, "GOODPUT") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}

func TestOverloadRefusesFlagsThatCannotWork(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		says string
	}{{[]string{"--times", "0.5"}, "--times"}, {[]string{"--rate=-1"}, "--rate"}, {[]string{"--duration", "1ms"},
		"--duration"}, {[]string{"--refusal-cost", "2"}, "--refusal-cost"}, {[]string{"--metrics", "none"}, "--metrics"}} {
		code, _, errs := simulate(testContext(t), "127.0.0.1:1", append([]string{"overload"}, c.args...)...)
		if code != 1 || !strings.Contains(errs, c.says) {
			t.Errorf("%v: exit %d, %s", c.args, code, errs)
		}
	}
}
