package load

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/hexbid/hexbid"
)

// Latencies counts calls by their latency, in buckets a tenth of a decade wide (some 26 %). Its size is fixed, so a run
// of any length can have one for each of its moments.
type Latencies [latencyBuckets]int

const (
	bucketsADecade = 10
	latencyBuckets = 88 // from a microsecond to ten minutes
)

func (l *Latencies) add(took time.Duration) {
	bucket := 0
	if took > shortest {
		bucket = int(bucketsADecade * math.Log10(float64(took)/float64(shortest)))
	}
	l[min(bucket, latencyBuckets-1)]++
}

// with returns the sum of two.
func (l *Latencies) with(o *Latencies) (sum Latencies) {
	for i := range l {
		sum[i] = l[i] + o[i]
	}
	return sum
}

// BucketStart returns the shortest latency of a bucket, in seconds. The first bucket also counts shorter latencies, and
// the last bucket longer ones.
func BucketStart(bucket int) float64 {
	return shortest.Seconds() * math.Pow(10, float64(bucket)/bucketsADecade)
}

// MarshalText writes the buckets that are not empty, as "30:4 31:20": four calls in bucket 30.
func (l Latencies) MarshalText() ([]byte, error) {
	var text []byte
	for bucket, calls := range l {
		if calls > 0 {
			text = fmt.Appendf(text, "%d:%d ", bucket, calls)
		}
	}
	return bytes.TrimRight(text, " "), nil
}

// UnmarshalText reads the output of MarshalText. Its error names the part that is not a bucket with a count.
func (l *Latencies) UnmarshalText(text []byte) error {
	*l = Latencies{}
	for part := range strings.FieldsSeq(string(text)) {
		number, count, _ := strings.Cut(part, ":")
		bucket, err1 := strconv.Atoi(number)
		calls, err2 := strconv.Atoi(count)
		if err1 != nil || err2 != nil || bucket < 0 || bucket >= latencyBuckets || calls < 0 {
			return fmt.Errorf("latencies: %q is not BUCKET:CALLS with a bucket of 0 to %d", hexbid.Shorten(part),
				latencyBuckets-1)
		}
		l[bucket] = calls
	}
	return nil
}
