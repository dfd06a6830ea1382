package pacing

import (
	"math"
	"slices"
	"time"
)

// Reserves remembers what multipliers would have met the reserves that a campaign faced: one of each four minutes of
// the last hour, drawn at random from its awards. Nothing is rounded, because a multiplier just below a reserve wins
// nothing.
type Reserves struct {
	slots [slots]reserve
}

type reserve struct {
	number int32  // of its four minutes, since 1970
	seen   uint32 // awards of the four minutes
	ppm    int32
}

const (
	slots   = 15
	slotFor = int64(time.Hour/time.Millisecond) / slots
)

// Add takes an award at an instant in Unix milliseconds, whose reserve a multiplier meets. draw is a random number.
func (r *Reserves) Add(at int64, multiplierPPM int64, draw uint64) {
	number := int32(at / slotFor)
	s := &r.slots[number%slots]
	if s.number != number {
		*s = reserve{number: number}
	}
	if s.seen < math.MaxUint32 {
		s.seen++
	}
	if draw%uint64(s.seen) == 0 {
		s.ppm = int32(min(max(multiplierPPM, 0), PPM))
	}
}

// Median returns the median multiplier of the last hour, the higher one of two. It is 0 when there was no award.
func (r *Reserves) Median(at int64) int64 {
	number := int32(at / slotFor)
	var them [slots]int32
	n := 0
	for i := range r.slots {
		if s := &r.slots[i]; s.seen > 0 && s.number > number-slots {
			them[n], n = s.ppm, n+1
		}
	}
	if n == 0 {
		return 0
	}
	slices.Sort(them[:n])
	return int64(them[n/2])
}
