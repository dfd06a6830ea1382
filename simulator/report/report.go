// Package report writes the results of a simulator's run as one artifact: JSON of a stable schema, CSV, text for
// benchstat, and one page for a browser that needs no network. It judges a run against conditions and against an older
// run.
package report

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/simulator/capacity"
	"github.com/hexbid/hexbid/simulator/load"
	"github.com/hexbid/hexbid/simulator/traffic"
	"github.com/hexbid/hexbid/simulator/vitals"
)

// Schema names the JSON schema. It may gain fields, but no field changes its meaning.
const Schema = "hexbid.simulate/1"

// Run is the artifact of one run.
type Run struct {
	Schema      string    `json:"schema"`
	Kind        string    `json:"kind"` // "load" or "capacity"
	Command     string    `json:"command"`
	Version     string    `json:"version"`
	Started     time.Time `json:"started"`
	Seconds     float64   `json:"seconds"`
	Seed        uint64    `json:"seed"`
	Server      string    `json:"server"`
	Machine     Machine   `json:"machine"`
	Interrupted bool      `json:"interrupted"` // the run ended early, so the rest covers the time until then
	Load        *Load     `json:"load,omitempty"`
	Capacity    *Capacity `json:"capacity,omitempty"`
	Gates       []Gate    `json:"gates,omitempty"`
	Notes       []string  `json:"notes,omitempty"` // assumptions, and what a reader must know

	compared *Run // the older run that the page shows beside this one
}

// Machine describes the machine that the generator ran on.
type Machine struct {
	CPU            string `json:"cpu"`
	Cores          int    `json:"cores"`
	OS             string `json:"os"`
	Go             string `json:"go"`
	GeneratorCores string `json:"generator_cores,omitempty"` // the cores that the generator is restricted to
	ServerCores    string `json:"server_cores,omitempty"`
}

// Load holds the results of a run at planned rates.
type Load struct {
	Curve       string           `json:"curve"`
	WarmUp      float64          `json:"warm_up_seconds"`
	MaxInFlight int              `json:"max_in_flight"`
	Measures    load.Measures    `json:"measures"` // times in seconds, shares of 1, rates a second
	Limited     string           `json:"limited,omitempty"`
	Failures    []Failure        `json:"failures,omitempty"`
	Spectrum    []Percentile     `json:"spectrum"`
	Moments     []Moment         `json:"moments"`
	Buckets     []float64        `json:"latency_bucket_starts"` // of the moments' latencies, in seconds
	Vitals      *vitals.Vitals   `json:"server_vitals,omitempty"`
	Answers     *traffic.Summary `json:"answers"` // the warm-up included
	Changes     load.Measures    `json:"changes,omitempty"`
	Events      *traffic.Events  `json:"events,omitempty"` // the warm-up included
}

// Failure is a kind of failed call.
type Failure struct {
	Code    string `json:"code"`
	Calls   int    `json:"calls"`
	Message string `json:"message"` // of the first failure
}

// Percentile is a percentile of the response time and of the service time, in seconds.
type Percentile struct {
	Percentile float64 `json:"percentile"`
	Response   float64 `json:"response"`
	Service    float64 `json:"service"`
}

// Moment is a stretch of the run. Its times are in seconds since the start of the run.
type Moment struct {
	Start   float64 `json:"start"`
	Lasts   float64 `json:"lasts"`
	WarmUp  bool    `json:"warm_up,omitempty"`
	Asked   float64 `json:"asked"`   // a second
	Reached float64 `json:"reached"` // a second
	Failed  int     `json:"failed"`
	Dropped int     `json:"dropped"`
	P50     float64 `json:"p50"`
	P99     float64 `json:"p99"`
	P999    float64 `json:"p99.9"`

	Codes        map[string]int `json:"failed_by_code,omitempty"`
	MostInFlight int            `json:"most_in_flight"`
	Latencies    load.Latencies `json:"latencies"` // response times: "BUCKET:CALLS ..."
}

// Capacity holds the results of a search for a capacity.
type Capacity struct {
	Objective string `json:"objective"`
	capacity.Found
	ServerCores   int                   `json:"server_cores"` // cores that the server may use; 0 when unknown
	Loads         []capacity.Load       `json:"closed_loops,omitempty"`
	Law           *capacity.Scalability `json:"scalability,omitempty"`
	RequestBytes  float64               `json:"request_bytes"`
	ResponseBytes float64               `json:"response_bytes"`
	Fill          float64               `json:"fill"`
}

// New returns an empty artifact.
func New(kind, command, version, server string, seed uint64) *Run {
	return &Run{Schema: Schema, Kind: kind, Command: command, Version: version, Server: server, Seed: seed,
		Started: time.Now().UTC().Truncate(time.Second), Machine: Machine{CPU: cpuModel(), Cores: runtime.NumCPU(),
			OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}}
}

// cpuModel returns Linux's name of the processor, or "" on other systems.
func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, found := strings.CutPrefix(lines.Text(), "model name"); found {
			return strings.TrimSpace(strings.TrimLeft(name, "\t :"))
		}
	}
	return ""
}

// NewLoad returns the results of a run.
func NewLoad(curve string, config load.Config, r *load.Report, answers *traffic.Summary) *Load {
	l := &Load{Curve: curve, WarmUp: config.WarmUp.Seconds(), MaxInFlight: config.MaxInFlight, Measures: r.Measures(),
		Limited: r.Limited(), Answers: answers}
	answers.AddTo(l.Measures)
	for _, code := range r.FailedCodes() {
		l.Failures = append(l.Failures, Failure{code.String(), r.Failed[code], r.Said[code]})
	}
	l.Spectrum = spectrum(r.Response, r.Service)
	for i := range r.Moments {
		if r.Moments[i].Lasts > 0 {
			l.Moments = append(l.Moments, newMoment(&r.Moments[i]))
		}
	}
	for bucket := range len(load.Latencies{}) {
		l.Buckets = append(l.Buckets, load.BucketStart(bucket))
	}
	return l
}

func newMoment(m *load.Moment) Moment {
	seconds := m.Lasts.Seconds()
	moment := Moment{Start: m.Start.Seconds(), Lasts: seconds, WarmUp: m.WarmUp, Asked: float64(m.Planned) / seconds,
		Reached: float64(m.Answered) / seconds, Failed: m.Failed, Dropped: m.Dropped, P50: m.P50.Seconds(),
		P99: m.P99.Seconds(), P999: m.P999.Seconds(), MostInFlight: m.MostInFlight, Latencies: m.Latencies}
	for code, calls := range m.Codes {
		if moment.Codes == nil {
			moment.Codes = map[string]int{}
		}
		moment.Codes[code.String()] = calls
	}
	return moment
}

// spectrum returns percentiles that halve the distance to 100 % in four steps, as far as the number of calls allows.
func spectrum(response, service *hdrhistogram.Histogram) (s []Percentile) {
	const step = 0.8409 // the fourth root of a half
	for left := 100.0; left/100*float64(response.TotalCount()) >= 1; left *= step {
		p := 100 - left
		s = append(s, Percentile{p, time.Duration(response.ValueAtPercentile(p)).Seconds(),
			time.Duration(service.ValueAtPercentile(p)).Seconds()})
	}
	return s
}

// Read reads the JSON of an artifact. It returns an Invalid error when the file is not one.
func Read(path string) (*Run, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var r Run
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, hexbid.Invalidf(path, "it is no run of hexbid simulate: %s", err)
	}
	if r.Schema != Schema {
		return nil, hexbid.Invalidf(path, "its schema is %q: this program reads %q", r.Schema, Schema)
	}
	return &r, nil
}

// Verdict sums up the run in one sentence.
func (r *Run) Verdict() string {
	switch {
	case r.Capacity != nil && r.Capacity.High > 0 && r.Capacity.NoVerdict != "":
		return fmt.Sprintf("%s: no verdict, the search got to %.0f to %.0f searches a second: %s.", r.Capacity.Objective,
			r.Capacity.Low, r.Capacity.High, r.Capacity.NoVerdict)
	case r.Capacity != nil && r.Capacity.High > 0:
		return fmt.Sprintf("%s holds at %.0f searches a second and fails at %.0f.", r.Capacity.Objective, r.Capacity.Low,
			r.Capacity.High)
	case r.Capacity != nil && r.Capacity.Low > 0:
		return fmt.Sprintf("%s holds at %.0f searches a second. No verdict on the most: %s.", r.Capacity.Objective,
			r.Capacity.Low, r.Capacity.NoVerdict)
	case r.Capacity != nil:
		return fmt.Sprintf("%s holds at no rate that was tried.", r.Capacity.Objective)
	case r.Load == nil:
		return ""
	}
	rates := fmt.Sprintf("%.0f searches a second asked, %.0f answered.", r.Load.Measures["asked"],
		r.Load.Measures["reached"])
	if r.Load.Limited != "" {
		rates += " No verdict on the server: " + r.Load.Limited + "."
	}
	return rates
}
