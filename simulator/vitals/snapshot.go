package vitals

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	dto "github.com/prometheus/client_model/go"
)

// Snapshot is what a server has done since it started, and what it holds.
type Snapshot struct {
	CPU           float64 // seconds
	ResidentBytes float64
	Calls         map[string]float64 // by code
	// Answered are the times of searches that were answered, from the arrival of their headers: for each upper bound in
	// seconds, how many took at most so long.
	Answered map[float64]float64
}

// answeredSeconds is the histogram that Answered comes from, in the class of searches.
const answeredSeconds, searches = "hexbid_answered_seconds", "searches"

// snapshotFamilies are the metrics that a snapshot needs.
var snapshotFamilies = map[string]bool{"process_cpu_seconds_total": true, "process_resident_memory_bytes": true,
	"hexbid_calls_total": true, answeredSeconds: true, answeredSeconds + "_sum": true, answeredSeconds + "_count": true}

// Reader reads a server's figures at the moments that its user chooses.
type Reader struct{ source *source }

// NewReader returns a reader of a server's /metrics. Its error says what is wrong with the address.
func NewReader(url string) (*Reader, error) {
	s, err := newSource(url)
	return &Reader{s}, err
}

// Close releases the reader's connections.
func (r *Reader) Close() { r.source.client.CloseIdleConnections() }

// Read asks the server once.
func (r *Reader) Read(ctx context.Context) (s Snapshot, err error) {
	err = r.source.get(ctx, func(body io.Reader) error {
		s, err = parseSnapshot(body)
		return err
	})
	return s, err
}

func parseSnapshot(body io.Reader) (Snapshot, error) {
	found, err := parseFamilies(body, snapshotFamilies)
	if err != nil {
		return Snapshot{}, err
	}
	s := Snapshot{CPU: sum(found["process_cpu_seconds_total"]), ResidentBytes: sum(found["process_resident_memory_bytes"]),
		Calls: by("code", found["hexbid_calls_total"]), Answered: map[float64]float64{}}
	for _, m := range found[answeredSeconds].GetMetric() {
		if isOf(m, "class", searches) {
			addBuckets(s.Answered, m.GetHistogram())
		}
	}
	if len(s.Answered) == 0 {
		return Snapshot{}, fmt.Errorf("there is no %s of searches: is the server of another version?", answeredSeconds)
	}
	return s, nil
}

func isOf(m *dto.Metric, label, value string) bool {
	return slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool {
		return l.GetName() == label && l.GetValue() == value
	})
}

func addBuckets(to map[float64]float64, h *dto.Histogram) {
	for _, b := range h.GetBucket() {
		to[b.GetUpperBound()] += sane(float64(b.GetCumulativeCount()))
	}
	to[math.Inf(1)] = max(to[math.Inf(1)], sane(float64(h.GetSampleCount())))
}

// Since returns what a server did between an earlier snapshot and this one, with the present memory.
func (s Snapshot) Since(before Snapshot) Snapshot {
	since := Snapshot{CPU: s.CPU - before.CPU, ResidentBytes: s.ResidentBytes, Calls: map[string]float64{},
		Answered: map[float64]float64{}}
	for code, n := range s.Calls {
		since.Calls[code] = n - before.Calls[code]
	}
	for bound, n := range s.Answered {
		since.Answered[bound] = n - before.Answered[bound]
	}
	return since
}

// Percentile returns the time within which a share of the searches was answered, by a line through the bucket that it
// falls in. It returns 0 when none was answered, and the last finite bound when it falls beyond.
func (s Snapshot) Percentile(percent float64) float64 {
	wanted := s.Answered[math.Inf(1)] * percent / 100
	if wanted == 0 {
		return 0
	}
	low, below := 0.0, 0.0
	for _, high := range slices.Sorted(maps.Keys(s.Answered)) {
		upTo := s.Answered[high]
		switch {
		case upTo >= wanted && math.IsInf(high, 1):
			return low
		case upTo >= wanted && upTo > below:
			return low + (high-low)*(wanted-below)/(upTo-below)
		}
		low, below = high, upTo
	}
	return 0
}
