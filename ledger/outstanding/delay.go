package outstanding

import (
	"math"
	"math/bits"
	"time"
)

// delays learns how long after their awards events come, over the whole market.
//
// Ages are in bins, four for each doubling. In each bin it counts the events that came at that age, and the events that
// were expected, at whatever age, of the awards that have grown that old. The quotient is the density of the delay at
// that age. It is right from the first minute, when no award is old enough for a late event, where a plain histogram of
// delays would show only early ones.
type delays struct {
	came, grown [bins]float64 // weights are halved every delayHalfLife
	assumed     [bins]float64 // share of events that come in the bin, until others are learned
	later       [bins + 1]float64
	issued      []float32 // events expected of the awards of each tick, in a ring as long as tokens live
	now         tick      // up to here awards have grown
	learned     tick      // the instant of the last decay
}

// Four bins a doubling, up to 24 hours, the longest life of a token.
const bins = 4 * 18

// startOf returns the age at which a bin begins: 0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20 and so on, in ticks.
func startOf(bin int) tick {
	if bin < 4 {
		return tick(bin)
	}
	return tick(4+bin%4) << (bin/4 - 1)
}

// binOf returns the bin of an age.
func binOf(age tick) int {
	if age < 4 {
		return int(max(age, 0))
	}
	doubling := bits.Len32(uint32(age)) - 3
	return min(4*(doubling+1)+int(age>>doubling)-4, bins-1)
}

// assumption is what is assumed of a delay until it is learned: a log-normal distribution.
type assumption struct {
	median time.Duration
	sigma  float64 // of the natural logarithm
}

// Until they are learned, half of the clicks are assumed to come within 8 seconds and 95 % within 58, and half of the
// impressions within 2 seconds and 95 % within 10. People look down a short list and choose, and clients report at
// once.
var (
	assumedOfClicks      = assumption{8 * time.Second, 1.2}
	assumedOfImpressions = assumption{2 * time.Second, 1}
)

// within returns the share of events that come before an age.
func (a assumption) within(age tick) float64 {
	if age <= 0 {
		return 0
	}
	z := math.Log(float64(age)/float64(ticksIn(a.median))) / a.sigma
	return (1 + math.Erf(z/math.Sqrt2)) / 2
}

func newDelays(assumed assumption, life time.Duration) *delays {
	d := &delays{issued: make([]float32, ticksIn(life)+1)}
	all := assumed.within(ticksIn(life))
	for b := range bins {
		from, to := min(startOf(b), ticksIn(life)), min(startOf(b+1), ticksIn(life))
		d.assumed[b] = (assumed.within(to) - assumed.within(from)) / all
	}
	d.conclude()
	return d
}

// issue counts the events expected of awards of an instant. One that the ring does not have is left out.
func (d *delays) issue(at tick, events float32) {
	if at <= d.now && at > d.now-tick(len(d.issued)) {
		d.issued[d.at(at)] += events
	}
}

func (d *delays) at(t tick) int {
	n := len(d.issued)
	return (int(t)%n + n) % n
}

// come counts an event.
func (d *delays) come(age tick) { d.came[binOf(min(age, tick(len(d.issued)-1)))]++ }

// advance lets awards grow older up to an instant. After a pause longer than tokens live, none of before is left.
func (d *delays) advance(now tick) {
	if now-d.now > tick(len(d.issued)) || d.now == 0 {
		clear(d.issued)
		d.now = now
	}
	for d.now < now {
		d.now++
		d.issued[d.at(d.now)] = 0
		for b := range bins {
			middle := (startOf(b) + startOf(b+1) + 1) / 2 // at least 1: awards of this tick are still to come
			if int(middle) >= len(d.issued) {
				break
			}
			d.grown[b] += float64(d.issued[d.at(d.now-middle)])
		}
	}
}

// learn makes the distribution from what was counted. It is called once a second.
func (d *delays) learn(now tick) {
	keep := halved(delayHalfLife, max(now-d.learned, 0))
	d.learned = now
	for b := range bins {
		d.came[b] *= keep
		d.grown[b] *= keep
	}
	d.conclude()
}

func (d *delays) conclude() {
	d.later[bins] = 0
	for b := bins - 1; b >= 0; b-- {
		density := (d.came[b] + priorDelays*d.assumed[b]) / (d.grown[b] + priorDelays)
		d.later[b] = d.later[b+1] + density
	}
	all := d.later[0]
	for b := range d.later {
		d.later[b] /= all
	}
}

// laterThan returns the share of events that come later than an age.
func (d *delays) laterThan(age tick) float64 {
	if age <= 0 {
		return 1
	}
	if int(age) >= len(d.issued) {
		return 0
	}
	b := binOf(age)
	from, to := startOf(b), startOf(b+1)
	part := float64(age-from) / float64(to-from)
	return d.later[b] + part*(d.later[b+1]-d.later[b])
}
