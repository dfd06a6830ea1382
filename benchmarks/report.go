package benchmarks

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"text/template"
	"time"
)

// Once is the spread of a figure measured once.
func Once(value float64) Spread { return Spread{value, value, value} }

//go:embed RESULTS.md.tmpl
var resultsTemplate string

// Write writes the figures as results/quick.json, medians by name with their
// spreads beside them, and rewrites RESULTS.md from them.
func Write(dir string, figures map[string]Spread) error {
	flat := map[string]any{}
	spread := map[string][2]float64{}
	for name, f := range figures {
		flat[name], spread[name] = f.Median, [2]float64{f.Low, f.High}
	}
	flat["spread"], flat["machine"], flat["command"], flat["date"] = spread, machine(), "make bench-quick", time.Now().UTC().Format("2006-01-02")
	raw, err := json.MarshalIndent(flat, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "results", "quick.json"), append(raw, '\n'), 0o644); err != nil {
		return err
	}
	var page bytes.Buffer
	functions := template.FuncMap{"us": func(name string) string { return scaled(figures[name], 1000, "%.1f") },
		"n": func(name string) string { return scaled(figures[name], 1, "%.0f") }, "x": func(name string) string { return scaled(figures[name], 1, "%.2f") }}
	t, err := template.New("results").Funcs(functions).Parse(resultsTemplate)
	if err != nil {
		return err
	}
	if err := t.Execute(&page, flat); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "RESULTS.md"), page.Bytes(), 0o644)
}

func scaled(s Spread, by float64, format string) string {
	return fmt.Sprintf(format+" ("+format+"–"+format+")", s.Median/by, s.Low/by, s.High/by)
}

// machine is what the figures were measured on.
func machine() string {
	model := "unknown processor"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for _, line := range strings.Split(string(info), "\n") {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d shared cores, %s %s", model, runtime.NumCPU(), runtime.GOOS, runtime.Version())
}
