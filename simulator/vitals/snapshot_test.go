package vitals

import (
	"math"
	"strings"
	"testing"
)

const exported = `# TYPE hexbid_answered_seconds histogram
hexbid_answered_seconds_bucket{class="searches",le="0.001"} 50
hexbid_answered_seconds_bucket{class="searches",le="0.002"} 90
hexbid_answered_seconds_bucket{class="searches",le="0.004"} 99
hexbid_answered_seconds_bucket{class="searches",le="+Inf"} 100
hexbid_answered_seconds_sum{class="searches"} 0.2
hexbid_answered_seconds_count{class="searches"} 100
hexbid_answered_seconds_bucket{class="reads",le="0.001"} 1000
hexbid_answered_seconds_bucket{class="reads",le="+Inf"} 1000
hexbid_answered_seconds_sum{class="reads"} 1
hexbid_answered_seconds_count{class="reads"} 1000
# TYPE hexbid_calls_total counter
hexbid_calls_total{code="OK",method="SearchNearby"} 100
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 5
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 1e+08
`

func TestASnapshotHasTheTimesOfSearches(t *testing.T) {
	s, err := parseSnapshot(strings.NewReader(exported))
	if err != nil {
		t.Fatal(err)
	}
	if s.CPU != 5 || s.ResidentBytes != 1e8 || s.Calls["OK"] != 100 || s.Answered[math.Inf(1)] != 100 {
		t.Errorf("%+v", s)
	}
	for percent, want := range map[float64]float64{25: 0.0005, 50: 0.001, 70: 0.0015, 99: 0.004, 99.9: 0.004} {
		if got := s.Percentile(percent); math.Abs(got-want) > 1e-12 {
			t.Errorf("the percentile %v is %v, want %v", percent, got, want)
		}
	}
	later, err := parseSnapshot(strings.NewReader(strings.NewReplacer(`"0.004"} 99`, `"0.004"} 109`,
		`searches",le="+Inf"} 100`, `searches",le="+Inf"} 110`, `count{class="searches"} 100`,
		`count{class="searches"} 110`, "seconds_total 5", "seconds_total 7").Replace(exported)))
	if err != nil {
		t.Fatal(err)
	}
	since := later.Since(s)
	if since.CPU != 2 || since.Answered[0.002] != 0 || since.Answered[math.Inf(1)] != 10 {
		t.Errorf("%+v", since)
	}
	if p := since.Percentile(50); p < 0.002 || p > 0.004 {
		t.Errorf("of the later ones half took at most %v", p)
	}
	if p := s.Since(s).Percentile(99); p != 0 {
		t.Errorf("of none 99 %% took at most %v", p)
	}
	if _, err := parseSnapshot(strings.NewReader("# TYPE process_cpu_seconds_total counter\n" +
		"process_cpu_seconds_total 5\n")); err == nil || !strings.Contains(err.Error(), "another version") {
		t.Errorf("without the histogram: %v", err)
	}
}
