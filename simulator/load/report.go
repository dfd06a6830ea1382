package load

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Report is what a run measured. The histograms hold nanoseconds to three
// digits, of calls that were answered or ran out of time; calls that were
// refused otherwise are counted alone, for a quick refusal is no quick answer.
type Report struct {
	Took     time.Duration // without the warm-up
	Answered int
	Dropped  int // planned beyond the bound in flight
	Failed   map[codes.Code]int

	Response *hdrhistogram.Histogram // from the planned send to the answer
	Service  *hdrhistogram.Histogram // from the actual send to the answer
	Lag      *hdrhistogram.Histogram // from the planned send to the actual

	Interrupted   bool
	GeneratorBusy float64 // share of all cores that this process took
}

// Planned is the number of calls that counted.
func (r *Report) Planned() int {
	n := r.Answered + r.Dropped
	for _, failed := range r.Failed {
		n += failed
	}
	return n
}

// ReachedPerSecond is the rate of answers.
func (r *Report) ReachedPerSecond() float64 { return float64(r.Answered) / r.Took.Seconds() }

// String is the report on one line.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%.0f/s answered, p50 %s, p99 %s, p99.9 %s from the plan", r.ReachedPerSecond(), At(r.Response, 50), At(r.Response, 99), At(r.Response, 99.9))
	if r.Dropped > 0 {
		fmt.Fprintf(&b, ", %d dropped", r.Dropped)
	}
	for code, n := range r.Failed {
		fmt.Fprintf(&b, ", %d %s", n, code)
	}
	return b.String()
}

// At is a percentile of a histogram.
func At(h *hdrhistogram.Histogram, percentile float64) time.Duration {
	return time.Duration(h.ValueAtPercentile(percentile)).Round(time.Microsecond)
}

// Recorder gathers the calls of a run.
type Recorder struct {
	mu     sync.Mutex // guards report
	report Report
}

// The histograms' range: what is beyond counts as its end.
const (
	shortest = time.Microsecond
	longest  = 10 * time.Minute
	digits   = 3
)

// NewHistogram makes a histogram of a microsecond to ten minutes, of 200 kB
// whatever it holds.
func NewHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(int64(shortest), int64(longest), digits)
}

// NewRecorder starts with nothing.
func NewRecorder() *Recorder {
	return &Recorder{report: Report{Failed: map[codes.Code]int{}, Response: NewHistogram(), Service: NewHistogram(), Lag: NewHistogram()}}
}

// Record adds a call by its instants since the start of a run.
func (r *Recorder) Record(planned, sent, done time.Duration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	code := status.Code(err)
	if code == codes.OK {
		r.report.Answered++
	} else {
		r.report.Failed[code]++
	}
	if code == codes.OK || code == codes.DeadlineExceeded {
		record(r.report.Response, done-planned)
		record(r.report.Service, done-sent)
		record(r.report.Lag, sent-planned)
	}
}

// Drop counts a call that was not made.
func (r *Recorder) Drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Dropped++
}

// Report ends the recording, which took so long.
func (r *Recorder) Report(took time.Duration) *Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Took = took
	return &r.report
}

func record(h *hdrhistogram.Histogram, took time.Duration) {
	_ = h.RecordValue(int64(min(max(took, 0), longest))) // never out of range
}
