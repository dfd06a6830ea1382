package quality

import (
	"math"
	"time"
)

// Delays learns how long after its recorded impression a click is recorded, over the whole market. It is a histogram of
// a sample in which both instants are known. Until it has learned, 30 seconds are assumed on average.
type Delays struct {
	came   [delayBins]float64 // clicks by delay; their weights are halved every delayHalfLife
	at     int64              // the instant of the last halving
	life   int64              // of tokens: later clicks are not recorded
	within [delayBins + 1]float64
}

const (
	delayBins     = 4 * 17 // four for each doubling of the seconds plus one, up to a day and a half
	delayHalfLife = 24 * time.Hour
	assumedMean   = 30 * time.Second
	assumedClicks = 50 // the worth of what is assumed
)

// NewDelays returns the assumed delays for tokens that admit clicks for so long.
func NewDelays(life time.Duration) *Delays {
	d := &Delays{life: life.Milliseconds()}
	d.learn()
	return d
}

// binOf returns where an age lies among the bins: the bin and the part of it that is below.
func binOf(age int64) (bin int, part float64) {
	at := min(4*math.Log2(1+max(float64(age), 0)/1000), delayBins-1)
	return int(at), at - math.Floor(at)
}

// startOf returns the age at which a bin begins, in milliseconds.
func startOf(bin int) float64 { return 1000 * (math.Exp2(float64(bin)/4) - 1) }

// Came counts a click that was recorded so many milliseconds after its impression.
func (d *Delays) Came(at, delay int64) {
	d.age(at)
	bin, _ := binOf(delay)
	d.came[bin]++
	d.learn()
}

func (d *Delays) age(at int64) {
	keep := halved(delayHalfLife, at-d.at)
	d.at = max(at, d.at)
	for i := range d.came {
		d.came[i] *= keep
	}
}

// learn adds up the shares of clicks.
func (d *Delays) learn() {
	assumed := func(age float64) float64 { return -math.Expm1(-age / float64(assumedMean.Milliseconds())) }
	for i := range d.came {
		d.within[i+1] = d.within[i] + d.came[i] + assumedClicks*(assumed(startOf(i+1))-assumed(startOf(i)))
	}
	last, part := binOf(d.life)
	all := d.within[last] + part*(d.within[last+1]-d.within[last])
	for i := range d.within {
		d.within[i] = min(d.within[i]/all, 1)
	}
}

// Within returns the share of clicks that are recorded within an age of the impression, in milliseconds.
func (d *Delays) Within(age int64) float64 {
	if age >= d.life {
		return 1
	}
	bin, part := binOf(age)
	return d.within[bin] + part*(d.within[bin+1]-d.within[bin])
}

// Sample remembers when some impressions were recorded, so that the delays of their clicks are known. Whether an
// impression is in the sample follows from its token, so it does not depend on the click.
type Sample struct {
	places []sampled
	life   int64
}

type sampled struct {
	token uint64
	at    int64
}

// sampledAtOnce is how many impressions a sample remembers: a megabyte.
const sampledAtOnce = 1 << 16

// NewSample returns an empty sample for tokens that admit clicks for so long.
func NewSample(life time.Duration) *Sample {
	return &Sample{make([]sampled, sampledAtOnce), life.Milliseconds()}
}

// Seen remembers an impression by a hash of its token, if its place is free: one that is older than a token's life
// makes room.
func (s *Sample) Seen(token uint64, at int64) {
	if p := &s.places[token%sampledAtOnce]; p.at == 0 || at-p.at > s.life {
		*p = sampled{token, at}
	}
}

// Clicked returns how long after its impression a click comes, if its impression is in the sample.
func (s *Sample) Clicked(token uint64, at int64) (delay int64, known bool) {
	p := &s.places[token%sampledAtOnce]
	return at - p.at, p.token == token && p.at != 0
}
