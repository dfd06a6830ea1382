package load

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"
)

// TestALatencyIsInTheBucketThatItsTimeIsIn also checks that a latency beyond either end counts in the first or the last
// bucket.
func TestALatencyIsInTheBucketThatItsTimeIsIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		took := time.Duration(rapid.Int64Range(-1e9, 2e12).Draw(t, "took"))
		var l Latencies
		l.add(took)
		for bucket, calls := range l {
			if calls == 0 {
				continue
			}
			low, high := BucketStart(bucket)*(1-1e-9), BucketStart(bucket+1)*(1+1e-9)
			if s := took.Seconds(); s < low && bucket > 0 || s > high && bucket < latencyBuckets-1 {
				t.Fatalf("%v is in the bucket of %v to %v s", took, low, high)
			}
		}
		text, err := l.MarshalText()
		var back Latencies
		if err != nil || back.UnmarshalText(text) != nil || back != l {
			t.Fatalf("%q: %v", text, err)
		}
	})
	if last := BucketStart(latencyBuckets - 1); last > longest.Seconds() ||
		BucketStart(latencyBuckets) < longest.Seconds()*0.9 {
		t.Errorf("the last bucket starts at %v s", last)
	}
}

func TestWhatIsNoCountOfLatenciesIsRefused(t *testing.T) {
	for _, text := range []string{"88:1", "-1:1", "1", "1:-1", "a:1", "1:1:1", "1:99999999999999999999"} {
		if err := new(Latencies).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

// TestMomentsCountWhatIsUnderWayAndWhatFails also checks moments that were merged.
func TestMomentsCountWhatIsUnderWayAndWhatFails(t *testing.T) {
	r := NewRecorder(0)
	busy := status.Error(codes.ResourceExhausted, "busy")
	odd := status.Error(codes.Code(77), "odd")
	for second := range mostMoments + 1 {
		at := time.Duration(second) * time.Second
		for range 3 {
			r.Plan()
			r.Begin()
		}
		r.Record(at, at, at+time.Millisecond, nil)
		r.Record(at, at, at+time.Millisecond, busy)
		r.Record(at, at, at+time.Millisecond, odd)
		r.EndMoment(at + time.Second)
	}
	moments := r.Report(time.Duration(mostMoments+1) * time.Second).Moments
	if len(moments) > mostMoments {
		t.Fatalf("%d moments", len(moments))
	}
	answered, refused, unknown := 0, 0, 0
	for i := range moments {
		m := &moments[i]
		if m.MostInFlight != 3 && m.Planned > 0 {
			t.Fatalf("moment %d: %d in flight", i, m.MostInFlight)
		}
		for _, calls := range m.Latencies {
			answered += calls
		}
		refused, unknown = refused+m.Codes[codes.ResourceExhausted], unknown+m.Codes[codes.Unknown]
	}
	if answered != mostMoments+1 || refused != mostMoments+1 || unknown != mostMoments+1 {
		t.Errorf("%d answered, %d refused, %d unknown", answered, refused, unknown)
	}
}

func TestCallsThatLastAreInFlightInTheNextMomentToo(t *testing.T) {
	r := NewRecorder(0)
	r.Begin()
	r.EndMoment(time.Second)
	if m := r.EndMoment(2 * time.Second); m.MostInFlight != 1 {
		t.Errorf("%d in flight", m.MostInFlight)
	}
	r.Record(0, 0, 3*time.Second, nil)
	r.Record(0, 0, 3*time.Second, nil) // in virtual time there is no Begin
	r.EndMoment(3 * time.Second)
	if m := r.EndMoment(4 * time.Second); m.MostInFlight != 0 {
		t.Errorf("%d in flight", m.MostInFlight)
	}
}
