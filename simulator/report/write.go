package report

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
)

// Write writes the artifact into a folder, which it makes: run.json, run.csv, run.bench.txt and run.html.
func (r *Run) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("the artifact's folder: %w", err)
	}
	for _, file := range []struct {
		name  string
		write func(io.Writer) error
	}{{"run.json", r.WriteJSON}, {"run.csv", r.WriteCSV}, {"run.bench.txt", r.WriteBenchstat}, {"run.html", r.WritePage}} {
		if err := writeFile(filepath.Join(dir, file.name), file.write); err != nil {
			return fmt.Errorf("%s: %w", file.name, err)
		}
	}
	return nil
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// WriteJSON writes the whole artifact.
func (r *Run) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(r)
}

// WriteCSV writes one row for each moment of a load, or for each try of a search.
func (r *Run) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	var rows [][]string
	if r.Capacity != nil {
		rows = r.Capacity.rows()
	} else if r.Load != nil {
		rows = r.Load.rows()
	}
	if err := out.WriteAll(rows); err != nil {
		return err
	}
	return out.Error()
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

func (l *Load) rows() [][]string {
	rows := [][]string{{"start_s", "lasts_s", "warm_up", "asked_per_s", "reached_per_s", "failed", "dropped", "p50_s",
		"p99_s", "p99.9_s"}}
	for _, m := range l.Moments {
		rows = append(rows, []string{number(m.Start), number(m.Lasts), strconv.FormatBool(m.WarmUp), number(m.Asked),
			number(m.Reached), strconv.Itoa(m.Failed), strconv.Itoa(m.Dropped),
			number(m.P50), number(m.P99), number(m.P999)})
	}
	return rows
}

func (c *Capacity) rows() [][]string {
	rows := [][]string{{"per_second", "phase", "held", "missed", "limited", "decision", "reached_per_s", "p50_s", "p99_s",
		"p99.9_s", "service_p99_s"}}
	for _, t := range c.Tries {
		row := []string{number(t.PerSecond), t.Phase, strconv.FormatBool(t.Held), t.Missed, t.Limited, t.Decision}
		for _, name := range []string{"reached", "p50", "p99", "p99.9", "service_p99"} {
			row = append(row, number(t.Measures[name]))
		}
		rows = append(rows, row)
	}
	return rows
}

// WriteBenchstat writes lines in the form of Go's benchmarks, so that benchstat can compare runs.
func (r *Run) WriteBenchstat(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "goos: %s\ngoarch: %s\npkg: github.com/hexbid/hexbid/simulator\ncpu: %s\n", runtime.GOOS,
		runtime.GOARCH, r.Machine.CPU); err != nil {
		return err
	}
	line := func(name string, m map[string]float64) error {
		calls := max(1, int(m["reached"]))
		_, err := fmt.Fprintf(w, "Benchmark%s \t%d\t%.0f ns/op\t%.0f p50-ns\t%.0f p99-ns\t%.0f service-p99-ns\t%.1f "+
			"calls/s\n", name, calls, 1e9*m["mean"], 1e9*m["p50"], 1e9*m["p99"], 1e9*m["service_p99"], m["reached"])
		return err
	}
	if r.Load != nil {
		return line("Load", r.Load.Measures)
	}
	if r.Capacity == nil {
		return nil
	}
	for _, t := range r.Capacity.Tries {
		if t.Phase == "confirm" {
			if err := line(fmt.Sprintf("Try/rate=%.0f", t.PerSecond), t.Measures); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintf(w, "BenchmarkCapacity \t1\t%.1f low-calls/s\t%.1f high-calls/s\n", r.Capacity.Low,
		r.Capacity.High)
	return err
}
