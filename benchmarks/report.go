package benchmarks

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"text/template"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

// Once is the spread of a figure measured once.
func Once(value float64) Spread { return Spread{value, value, value} }

// spreadKey is the key of a raw file that holds each figure's lowest and highest round.
const spreadKey = "spread"

// Keep adds figures to a raw file. It writes the medians by name, their spreads, and the machine, the command and the
// date of the measurement.
func Keep(name, command string, figures map[string]Spread) error {
	path := rawFile(name)
	kept, err := read(path)
	if err != nil {
		return err
	}
	maps.Copy(kept, figures)
	flat, spread := map[string]any{}, map[string][2]float64{}
	for name, f := range kept {
		flat[name], spread[name] = f.Median, [2]float64{f.Low, f.High}
	}
	flat[spreadKey], flat["machine"], flat["command"], flat["date"] = spread, machine(), command,
		time.Now().UTC().Format("2006-01-02")
	raw, err := json.MarshalIndent(flat, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o644)
}

// Forget removes a raw file, before all of it is measured again.
func Forget(name string) error {
	if err := os.Remove(rawFile(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func rawFile(name string) string { return filepath.Join("results", name+".json") }

// read returns the figures that Keep wrote, none if there is no file.
func read(path string) (map[string]Spread, error) {
	figures := map[string]Spread{}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return figures, nil
	}
	if err != nil {
		return nil, err
	}
	var flat map[string]any
	var spread struct {
		Spread map[string][2]float64 `json:"spread"`
	}
	if err := errors.Join(json.Unmarshal(raw, &flat), json.Unmarshal(raw, &spread)); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for name, ends := range spread.Spread {
		if median, ok := flat[name].(float64); ok {
			figures[name] = Spread{median, ends[0], ends[1]}
		}
	}
	return figures, nil
}

//go:embed RESULTS.md.tmpl
var resultsTemplate string

// WriteReport rewrites RESULTS.md and its picture from the raw files.
func WriteReport() error {
	figures := map[string]Spread{}
	for _, name := range []string{"quick", "full"} {
		some, err := read(rawFile(name))
		if err != nil {
			return err
		}
		maps.Copy(figures, some)
	}
	t, err := template.New("results").Funcs(template.FuncMap{
		"us": func(name string) string { return scaled(figures, name, 1000, "%.1f") },
		"n":  func(name string) string { return scaled(figures, name, 1, "%.0f") },
		"x":  func(name string) string { return scaled(figures, name, 1, "%.2f") },
		"gb": func(name string) string { return scaled(figures, name, 1e9, "%.1f") },
		"growth": func(of, than string) string {
			a, b := figures[of], figures[than]
			if a.Median == 0 || b.Median == 0 {
				return "–"
			}
			return fmt.Sprintf("%.2f", a.Median/b.Median)
		},
	}).Parse(resultsTemplate)
	if err != nil {
		return err
	}
	var page bytes.Buffer
	if err := t.Execute(&page, map[string]string{"machine": machine(),
		"date": time.Now().UTC().Format("2006-01-02")}); err != nil {
		return err
	}
	return errors.Join(os.WriteFile("RESULTS.md", page.Bytes(), 0o644), draw(figures))
}

// scaled writes a figure with its spread, or a dash if it was not measured.
func scaled(figures map[string]Spread, name string, by float64, format string) string {
	s, ok := figures[name]
	if !ok {
		return "–"
	}
	if s.Low == s.High {
		return fmt.Sprintf(format, s.Median/by)
	}
	return fmt.Sprintf(format+" ("+format+"–"+format+")", s.Median/by, s.Low/by, s.High/by)
}

// draw plots the latency of an auction against the number of campaigns.
func draw(figures map[string]Spread) error {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = "An auction of ten slots, one core", "campaigns", "µs"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.Y.Min, p.Legend.Top, p.Legend.Left = 0, true, true
	var lines []any
	for _, quantile := range []string{"p50", "p99"} {
		var at plotter.XYs
		for _, size := range []struct {
			suffix    string
			campaigns float64
		}{{"10k", 1e4}, {"100k", 1e5}, {"1m", 1e6}, {"7m", 7e6}} {
			if f, ok := figures["engine_"+quantile+"_ns_"+size.suffix]; ok {
				at = append(at, plotter.XY{X: size.campaigns, Y: f.Median / 1000})
			}
		}
		lines = append(lines, quantile, at)
	}
	if err := plotutil.AddLinePoints(p, lines...); err != nil {
		return fmt.Errorf("drawing: %w", err)
	}
	return p.Save(16*vg.Centimeter, 9*vg.Centimeter, "latency.svg")
}

// machine describes the machine that took the measurements.
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
