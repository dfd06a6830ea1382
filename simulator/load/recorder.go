package load

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Recorder counts and times the calls of a run.
type Recorder struct {
	warmUp time.Duration

	mu     sync.Mutex // guards the rest
	report Report
	now    Moment                  // the moment under way
	times  *hdrhistogram.Histogram // response times in the moment under way

	inFlight int // calls under way
}

// Moment is a stretch of a run. It counts the calls that were planned in it, and the calls that ended in it.
type Moment struct {
	Start, Lasts   time.Duration // since the start of the run
	WarmUp         bool
	Planned        int
	Answered       int
	Failed         int
	Dropped        int
	Codes          map[codes.Code]int // of the failed calls
	MostInFlight   int                // calls under way at once
	P50, P99, P999 time.Duration      // response times
	Latencies      Latencies          // response times
}

// mostMoments is the most moments that a report has. A recorder with more merges neighbouring ones.
const mostMoments = 1200

// The range of the histograms. A time outside it counts as the nearest end.
const (
	shortest = time.Microsecond
	longest  = 10 * time.Minute
	digits   = 3
)

// NewHistogram returns a histogram for one microsecond to ten minutes. It takes 200 kB however many values it holds.
func NewHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(int64(shortest), int64(longest), digits)
}

// NewRecorder returns an empty recorder. Calls planned in the warm-up count in moments only.
func NewRecorder(warmUp time.Duration) *Recorder {
	return &Recorder{warmUp: warmUp, times: NewHistogram(), now: Moment{WarmUp: warmUp > 0},
		report: Report{Failed: map[codes.Code]int{}, Said: map[codes.Code]string{}, Response: NewHistogram(),
			Service: NewHistogram(), Lag: NewHistogram()}}
}

// Plan counts a call that is due, whether or not it is then made.
func (r *Recorder) Plan() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now.Planned++
}

// Begin counts a call that is made. The call is in flight until Record.
func (r *Recorder) Begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inFlight++
	r.now.MostInFlight = max(r.now.MostInFlight, r.inFlight)
}

// Record adds a call that has ended. Its three instants count from the start of the run.
func (r *Recorder) Record(planned, sent, done time.Duration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	code := status.Code(err)
	waited := code == codes.OK || code == codes.DeadlineExceeded
	r.inFlight = max(0, r.inFlight-1) // in virtual time Record is called without Begin
	r.now.count(code)
	if waited {
		record(r.times, done-planned)
		r.now.Latencies.add(done - planned)
	}
	if planned < r.warmUp {
		return
	}
	if code == codes.OK {
		r.report.Answered++
	} else {
		if r.report.Failed[code]++; r.report.Failed[code] == 1 {
			r.report.Said[code] = status.Convert(err).Message()
		}
	}
	if waited {
		record(r.report.Response, done-planned)
		record(r.report.Service, done-sent)
		record(r.report.Lag, sent-planned)
	}
}

// count counts a call that ended.
func (m *Moment) count(code codes.Code) {
	if code == codes.OK {
		m.Answered++
		return
	}
	if m.Codes == nil {
		m.Codes = map[codes.Code]int{}
	}
	if code > codes.Unauthenticated {
		code = codes.Unknown // a server may answer with any number
	}
	m.Failed++
	m.Codes[code]++
}

// Drop counts a call that was not made.
func (r *Recorder) Drop(planned time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now.Dropped++
	if planned >= r.warmUp {
		r.report.Dropped++
	}
}

// EndMoment ends the moment under way and starts the next one.
func (r *Recorder) EndMoment(at time.Duration) Moment {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.now
	m.Lasts = at - m.Start
	m.P50, m.P99, m.P999 = At(r.times, 50), At(r.times, 99), At(r.times, 99.9)
	if len(r.report.Moments) == mostMoments {
		r.report.Moments = halved(r.report.Moments)
	}
	r.report.Moments = append(r.report.Moments, m)
	r.now = Moment{Start: at, WarmUp: at < r.warmUp, MostInFlight: r.inFlight}
	r.times.Reset()
	return m
}

// halved merges the moments in pairs.
func halved(moments []Moment) []Moment {
	half := moments[:0]
	for i := 0; i+1 < len(moments); i += 2 {
		half = append(half, moments[i].with(moments[i+1]))
	}
	return half
}

// with merges a moment with the next one. Percentiles cannot be added, so it takes the worse of the two.
func (m Moment) with(next Moment) Moment {
	both := Moment{Start: m.Start, Lasts: m.Lasts + next.Lasts, WarmUp: m.WarmUp, Planned: m.Planned + next.Planned,
		Answered: m.Answered + next.Answered, Failed: m.Failed + next.Failed, Dropped: m.Dropped + next.Dropped,
		MostInFlight: max(m.MostInFlight, next.MostInFlight), P50: max(m.P50, next.P50), P99: max(m.P99, next.P99),
		P999: max(m.P999, next.P999), Latencies: m.Latencies.with(&next.Latencies)}
	for _, part := range []map[codes.Code]int{m.Codes, next.Codes} {
		for code, calls := range part {
			if both.Codes == nil {
				both.Codes = map[codes.Code]int{}
			}
			both.Codes[code] += calls
		}
	}
	return both
}

// shortestMoment is the shortest last moment that stands alone. The rate of a shorter one says little.
const shortestMoment = 500 * time.Millisecond

// Report ends the recording. The whole run, with its warm-up, took the given time.
func (r *Recorder) Report(took time.Duration) *Report {
	last := r.EndMoment(took)
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.report.Moments); last.Lasts < shortestMoment && n > 1 {
		r.report.Moments = append(r.report.Moments[:n-2], r.report.Moments[n-2].with(last))
	}
	r.report.Took = took - min(took, r.warmUp)
	return &r.report
}

func record(h *hdrhistogram.Histogram, took time.Duration) {
	_ = h.RecordValue(int64(min(max(took, 0), longest))) // in range, so it never fails
}
