package vitals

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/hexbid/hexbid"
)

// Limits of an answer. The answer of a hexbid server has some 20 kB, and this package reads a hundred of its lines.
const (
	mostBytes = 4 << 20
	mostLine  = 16 << 10
	mostLines = 1000 // lines that are parsed
	mostNames = 32   // codes and classes; the rest counts as "others"
)

// reading is one answer of a server.
type reading struct {
	at                  time.Duration // since the start of the watch
	cpu                 float64       // seconds
	resident, heap      float64       // bytes
	pauses, collections float64       // seconds; number
	calls               map[string]float64
	working, refused    map[string]float64
}

// source is a server's /metrics.
type source struct {
	url    string
	client *http.Client
}

func newSource(address string) (*source, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, hexbid.Invalidf("--metrics",
			"%q is not the address of a server's metrics: write it like http://127.0.0.1:7601/metrics, or none",
			hexbid.Shorten(address))
	}
	if u.Path == "" {
		u.Path = "/metrics"
	}
	client := &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, MaxResponseHeaderBytes: mostLine},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &source{u.String(), client}, nil
}

// read requests the metrics once.
func (s *source) read(ctx context.Context) (r reading, err error) {
	err = s.get(ctx, func(body io.Reader) error {
		r, err = parse(body)
		return err
	})
	return r, err
}

// get requests the metrics and reads the answer.
func (s *source) get(ctx context.Context, read func(io.Reader) error) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return err
	}
	answer, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", s.url, answer.Status)
	}
	if err := read(answer.Body); err != nil {
		return fmt.Errorf("%s: %w", s.url, err)
	}
	return nil
}

// families are the metrics that are parsed. Others are skipped unparsed.
var families = map[string]bool{
	"process_cpu_seconds_total": true, "process_resident_memory_bytes": true, "go_memstats_heap_alloc_bytes": true,
	"go_gc_duration_seconds": true, "go_gc_duration_seconds_sum": true, "go_gc_duration_seconds_count": true,
	"hexbid_calls_total": true, "hexbid_working": true, "hexbid_refused_total": true,
}

// parse reads an answer in the text format of Prometheus. It refuses an answer that does not come from a hexbid server
// or exceeds a limit.
func parse(body io.Reader) (reading, error) {
	found, err := parseFamilies(body, families)
	if err != nil {
		return reading{}, err
	}
	r := reading{cpu: sum(found["process_cpu_seconds_total"]), resident: sum(found["process_resident_memory_bytes"]),
		heap: sum(found["go_memstats_heap_alloc_bytes"]), calls: by("code", found["hexbid_calls_total"]),
		working: by("class", found["hexbid_working"]), refused: by("class", found["hexbid_refused_total"])}
	if pauses := found["go_gc_duration_seconds"]; pauses != nil {
		for _, m := range pauses.GetMetric() {
			r.pauses += sane(m.GetSummary().GetSampleSum())
			r.collections += sane(float64(m.GetSummary().GetSampleCount()))
		}
	}
	return r, nil
}

// parseFamilies reads some families of an answer.
func parseFamilies(body io.Reader, families map[string]bool) (found map[string]*dto.MetricFamily, err error) {
	text, err := relevant(body, families)
	if err != nil {
		return nil, err
	}
	err = hexbid.Contain(func() error { // the parser might panic on hostile bytes
		parser := expfmt.NewTextParser(model.LegacyValidation)
		found, err = parser.TextToMetricFamilies(bytes.NewReader(text))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("it is not in the text format of Prometheus: %s", hexbid.Shorten(err.Error()))
	}
	if found["process_cpu_seconds_total"] == nil {
		return nil, fmt.Errorf("there is no process_cpu_seconds_total: is it the /metrics of a hexbid server?")
	}
	return found, nil
}

// relevant returns the lines of the families that are parsed.
func relevant(body io.Reader, families map[string]bool) (text []byte, err error) {
	limited := &io.LimitedReader{R: body, N: mostBytes + 1}
	lines := bufio.NewScanner(limited)
	lines.Buffer(nil, mostLine)
	kept := 0
	for lines.Scan() {
		line := lines.Bytes()
		family := familyOf(line)
		if !families[family] && !families[strings.TrimSuffix(family, "_bucket")] {
			continue
		}
		if kept++; kept > mostLines {
			return nil, fmt.Errorf("its answer has over %d lines of the figures that are read", mostLines)
		}
		text = append(append(text, line...), '\n')
	}
	if limited.N == 0 {
		return nil, fmt.Errorf("its answer is longer than %d MiB", mostBytes>>20)
	}
	return text, lines.Err()
}

// familyOf returns the name that a line begins with, or whose type the line declares.
func familyOf(line []byte) string {
	name := bytes.TrimPrefix(line, []byte("# TYPE "))
	if end := bytes.IndexAny(name, " {\t"); end >= 0 {
		name = name[:end]
	}
	return string(name)
}

func value(m *dto.Metric) float64 {
	return sane(m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue())
}

// sane returns 0 for a value that no server could mean, because JSON has neither infinities nor NaN.
func sane(v float64) float64 {
	const most = 1e18
	if !(v >= 0 && v <= most) {
		return 0
	}
	return v
}

func sum(f *dto.MetricFamily) (total float64) {
	for _, m := range f.GetMetric() {
		total += value(m)
	}
	return total
}

// by returns a family's figures by the value of a label.
func by(label string, f *dto.MetricFamily) map[string]float64 {
	totals := map[string]float64{}
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() != label {
				continue
			}
			name := hexbid.Shorten(l.GetValue())
			if _, known := totals[name]; !known && len(totals) >= mostNames {
				name = "others"
			}
			totals[name] += value(m)
		}
	}
	return totals
}
