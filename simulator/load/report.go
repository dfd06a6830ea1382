package load

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"google.golang.org/grpc/codes"
)

// Report holds the results of a run. The histograms hold nanoseconds to three digits, for calls that were answered or
// timed out. Calls that failed otherwise are only counted, because a quick refusal is not a quick answer.
type Report struct {
	Took     time.Duration // without the warm-up
	Answered int
	Dropped  int // planned while MaxInFlight calls were in flight
	Failed   map[codes.Code]int
	Said     map[codes.Code]string // the first message of each failure

	Response *hdrhistogram.Histogram // from the planned send to the answer
	Service  *hdrhistogram.Histogram // from the actual send to the answer
	Lag      *hdrhistogram.Histogram // from the planned send to the actual send

	Moments       []Moment // in order, the warm-up included
	Interrupted   bool
	GeneratorBusy float64 // share of its cores that the generator used
}

// Planned returns the number of calls that counted.
func (r *Report) Planned() int { return r.Answered + r.Dropped + r.Errors() }

// Errors returns the number of calls that failed.
func (r *Report) Errors() (n int) {
	for _, failed := range r.Failed {
		n += failed
	}
	return n
}

// AskedPerSecond returns the rate of planned calls.
func (r *Report) AskedPerSecond() float64 { return perSecond(r.Planned(), r.Took) }

// ReachedPerSecond returns the rate of answers.
func (r *Report) ReachedPerSecond() float64 { return perSecond(r.Answered, r.Took) }

func perSecond(n int, took time.Duration) float64 {
	if took <= 0 {
		return 0
	}
	return float64(n) / took.Seconds()
}

// Limits within which the generator does not distort a measurement.
const (
	harmlessLag  = time.Millisecond
	mostLagShare = 0.5 // of the response time's p99

	// MostGeneratorBusy is the largest share of its cores that a generator may use.
	MostGeneratorBusy = 0.85
)

// Limited says why the generator, rather than the server, may have determined the result. It returns "" when the run
// can be judged.
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

// String returns the report on one line.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%.0f/s answered, p50 %s, p99 %s, p99.9 %s from the plan", r.ReachedPerSecond(), At(r.Response, 50),
		At(r.Response, 99), At(r.Response, 99.9))
	if r.Dropped > 0 {
		fmt.Fprintf(&b, ", %d dropped", r.Dropped)
	}
	for _, code := range r.FailedCodes() {
		fmt.Fprintf(&b, ", %d %s", r.Failed[code], code)
	}
	return b.String()
}

// FailedCodes returns the codes of failed calls in ascending order.
func (r *Report) FailedCodes() (failed []codes.Code) {
	for code := range r.Failed {
		failed = append(failed, code)
	}
	slices.Sort(failed)
	return failed
}

// At returns a percentile of a histogram.
func At(h *hdrhistogram.Histogram, percentile float64) time.Duration {
	return time.Duration(h.ValueAtPercentile(percentile)).Round(time.Microsecond)
}
