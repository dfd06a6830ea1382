package pacing

import (
	"slices"
	"time"
)

// Reserves remembers what multipliers would have met the reserves that a campaign faced: one of each four minutes of
// the last hour, drawn at random from its awards. Nothing is rounded, because a multiplier just below a reserve wins
// nothing. It has 64 bytes, as a million campaigns may have one each.
type Reserves struct {
	latest int32 // of the numbers of four minutes, since 1970
	slots  [slots]reserve
}

// reserve is a multiplier in the lower 20 bits, and how many awards it was drawn from in the others; 0 for none.
type reserve uint32

const (
	slots    = 15
	slotFor  = int64(time.Hour/time.Millisecond) / slots
	ppmBits  = 20
	mostSeen = 1<<(32-ppmBits) - 1 // beyond it later awards of the four minutes count a little more
)

// Add takes an award at an instant in Unix milliseconds, whose reserve a multiplier meets. draw is a random number.
func (r *Reserves) Add(at int64, multiplierPPM int64, draw uint64) {
	number := int32(at / slotFor)
	if number > r.latest {
		for n := max(r.latest+1, number-slots+1); n <= number; n++ {
			r.slots[n%slots] = 0
		}
		r.latest = number
	}
	if number <= r.latest-slots {
		return
	}
	s := &r.slots[number%slots]
	seen := min(*s>>ppmBits+1, mostSeen)
	drawn := *s & (1<<ppmBits - 1)
	if draw%uint64(seen) == 0 {
		drawn = reserve(min(max(multiplierPPM, 0), PPM))
	}
	*s = seen<<ppmBits | drawn
}

// Median returns the median multiplier of the last hour, the higher one of two. It is 0 when there was no award.
func (r *Reserves) Median(at int64) int64 {
	var them [slots]reserve
	n := 0
	for number := max(int32(at/slotFor), r.latest) - slots + 1; number <= r.latest; number++ {
		if s := r.slots[number%slots]; s != 0 {
			them[n], n = s&(1<<ppmBits-1), n+1
		}
	}
	if n == 0 {
		return 0
	}
	slices.Sort(them[:n])
	return int64(them[n/2])
}
