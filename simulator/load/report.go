package load

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"google.golang.org/grpc/codes"
)

// Report is what a run measured. The histograms hold nanoseconds to three
// digits, of calls that were answered or ran out of time; calls that were
// refused otherwise are counted alone, for a quick refusal is no quick answer.
type Report struct {
	Took     time.Duration // without the warm-up
	Answered int
	Dropped  int // planned beyond the bound in flight
	Failed   map[codes.Code]int
	Said     map[codes.Code]string // the first message of each failure

	Response *hdrhistogram.Histogram // from the planned send to the answer
	Service  *hdrhistogram.Histogram // from the actual send to the answer
	Lag      *hdrhistogram.Histogram // from the planned send to the actual

	Moments       []Moment // in order, the warm-up included
	Interrupted   bool
	GeneratorBusy float64 // share that this process took of the cores it may use
}

// Planned is the number of calls that counted.
func (r *Report) Planned() int { return r.Answered + r.Dropped + r.Errors() }

// Errors is the number of calls that failed.
func (r *Report) Errors() (n int) {
	for _, failed := range r.Failed {
		n += failed
	}
	return n
}

// AskedPerSecond is the rate of calls planned.
func (r *Report) AskedPerSecond() float64 { return perSecond(r.Planned(), r.Took) }

// ReachedPerSecond is the rate of answers.
func (r *Report) ReachedPerSecond() float64 { return perSecond(r.Answered, r.Took) }

func perSecond(n int, took time.Duration) float64 {
	if took <= 0 {
		return 0
	}
	return float64(n) / took.Seconds()
}

// Bounds of what may be the generator's own in a measurement.
const (
	harmlessLag  = time.Millisecond
	mostLagShare = 0.5 // of the response time's p99

	// MostGeneratorBusy is the share of its cores that a generator may take.
	MostGeneratorBusy = 0.85
)

// Limited says why the generator, not the server, may have set what was
// measured; it is empty where the run can be judged.
func (r *Report) Limited() string {
	lag, response := At(r.Lag, 99), At(r.Response, 99)
	switch {
	case r.Planned() == 0:
		return "no call was made after the warm-up"
	case r.GeneratorBusy > MostGeneratorBusy:
		return fmt.Sprintf("the generator took %.0f %% of its cores", 100*r.GeneratorBusy)
	case lag > harmlessLag && float64(lag) > mostLagShare*float64(response):
		return fmt.Sprintf("the generator sent late: its lag has a p99 of %s where the response time has %s", lag, response)
	}
	return ""
}

// String is the report on one line.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%.0f/s answered, p50 %s, p99 %s, p99.9 %s from the plan", r.ReachedPerSecond(), At(r.Response, 50), At(r.Response, 99), At(r.Response, 99.9))
	if r.Dropped > 0 {
		fmt.Fprintf(&b, ", %d dropped", r.Dropped)
	}
	for _, code := range r.FailedCodes() {
		fmt.Fprintf(&b, ", %d %s", r.Failed[code], code)
	}
	return b.String()
}

// FailedCodes are the codes of calls that failed, in their order.
func (r *Report) FailedCodes() (failed []codes.Code) {
	for code := range r.Failed {
		failed = append(failed, code)
	}
	slices.Sort(failed)
	return failed
}

// At is a percentile of a histogram.
func At(h *hdrhistogram.Histogram, percentile float64) time.Duration {
	return time.Duration(h.ValueAtPercentile(percentile)).Round(time.Microsecond)
}
