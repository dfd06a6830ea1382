package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hexbid/hexbid/simulator/report"
)

// runSimulate runs a command of the simulator that calls no server.
func runSimulate(t *testing.T, args ...string) (code int, errs string) {
	t.Helper()
	var out, stderr bytes.Buffer
	code = Run(t.Context(), append([]string{"simulate"}, args...), Env{Stdout: &out, Stderr: &stderr, Version: "test"})
	return code, stderr.String()
}

// aRunOf writes a run of a kind to a file.
func aRunOf(t *testing.T, kind, schema string) string {
	t.Helper()
	r := report.New(kind, "hexbid simulate "+kind, "test", "127.0.0.1:1", 1)
	r.Schema = schema
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "run.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const measuredRun = "../docs/capacity/run.json"

func TestAPageIsWrittenAgainBesideAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.html")
	if code, errs := runSimulate(t, "page", measuredRun, "--compare", measuredRun, "--out", path); code != 0 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"holds at 6575", "× 1, was 6575", "p99, before", "The objective p99"} {
		if !strings.Contains(string(text), words) {
			t.Errorf("the page does not say %q", words)
		}
	}
}

// TestWhatCannotBeShownBesideARunIsRefused: the refusal comes before anything is measured.
func TestWhatCannotBeShownBesideARunIsRefused(t *testing.T) {
	load, older := aRunOf(t, "load", report.Schema), aRunOf(t, "capacity", "hexbid.simulate/0")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"page", measuredRun, "--compare", load}, `--compare: ` + load +
			` is a run of "load", this is one of "capacity"`},
		{[]string{"page", measuredRun, "--compare", older}, `its schema is "hexbid.simulate/0"`},
		{[]string{"page", "missing.json"}, "missing.json"},
		{[]string{"load", "--compare", measuredRun}, `this is one of "load"`},
		{[]string{"capacity", "--slo", "p99<5ms", "--compare", load}, `this is one of "capacity"`},
		{[]string{"load", "--baseline", measuredRun}, `--baseline: ` + measuredRun + ` is a run of "capacity"`},
	} {
		if code, errs := runSimulate(t, c.args...); code != 1 || !strings.Contains(errs, c.want) {
			t.Errorf("%q: exit %d, %s", c.args, code, errs)
		}
	}
}

func TestAPlanLeavesAPage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "plan")
	if code, errs := runSimulate(t, "plan", "--capacity", measuredRun, "--node-price", "310", "--out", dir); code != 0 ||
		!strings.Contains(errs, "plan.html") {
		t.Fatalf("exit %d: %s", code, errs)
	}
	page, err := os.ReadFile(filepath.Join(dir, "plan.html"))
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"7 nodes in 3 regions carry 12,675 searches a second",
		"What changes the number of nodes most", "Cost of a month", "--daily-users", "450,000,000", "The largest region"} {
		if !strings.Contains(string(page), words) {
			t.Errorf("the page does not say %q", words)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "plan.json"))
	if err != nil {
		t.Fatal(err)
	}
	var back struct{ Sensitivities, Regions, Figures []any }
	if err := json.Unmarshal(text, &back); err != nil || len(back.Sensitivities) != 4 || len(back.Regions) != 3 ||
		len(back.Figures) < 15 {
		t.Errorf("%v: %d sensitivities, %d regions, %d figures", err, len(back.Sensitivities), len(back.Regions),
			len(back.Figures))
	}
}

func TestOnlyTheUsualServersMetricsAreLookedFor(t *testing.T) {
	for address, want := range map[string]bool{"127.0.0.1:7600": true, "localhost:7600": true, "[::1]:7600": true,
		"127.0.0.1:7700": false, "10.0.0.1:7600": false, "hexbid.example:7600": false, "nonsense": false} {
		if got := isUsual(address); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}
