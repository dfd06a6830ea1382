// Package quality estimates the chance of a click once a result is seen, from impressions and clicks. It is pure
// arithmetic: it reads no clock, takes no lock, and an instant comes with each call, in Unix milliseconds.
//
// # The model
//
// The chance of a click on a seen impression is base × factor of host and scene × factor of the distance × share of
// the slot. The base belongs to the campaign, and the factors to the market. The base is estimated by empirical Bayes
// on three levels (Robbins 1956; Gelman and others, "Bayesian Data Analysis", chapter 5): the operator's prior for a
// category, then the program, then the campaign. On each level the belief is a beta distribution, worth some clicks,
// and the next level's evidence is added to it. How many clicks a level's mean is worth follows from how much rates
// differ below it, by the method of moments, with an assumption until enough is known.
//
// A program pools the evidence of all its campaigns at its full weight, deleted ones too. The campaigns' own evidence
// therefore counts twice, once in the program. That is on purpose: a campaign that is made again starts where its
// program is, so it cannot leave a bad record behind.
//
// # What an impression weighs
//
// An impression that was seen a moment ago is no evidence against a click, which may still come. It counts by the share
// of clicks that come within its age, which is learned too (Delays). It also counts by the factor of its host and scene
// and of its distance, and by its slot's share of clicks, so that nobody is thought worse for having been shown below
// others or far away. Accounts are divided by slot and by band of distance, and read by what is known of these at the
// time of reading (mix).
//
// Evidence is halved every HalfLife, because people, creatives and seasons change.
package quality

import (
	"math"
	"time"

	"gonum.org/v1/gonum/stat/distuv"
)

// PPM is one whole in parts per million.
const PPM = 1_000_000

// HalfLife is the time after which evidence counts half.
const HalfLife = 14 * 24 * time.Hour

// halved returns what is left of a weight after some milliseconds.
func halved(halfLife time.Duration, passed int64) float64 {
	return math.Exp2(-float64(max(passed, 0)) / float64(halfLife.Milliseconds()))
}

// Belief is what is thought of a chance: a beta distribution as if after so many impressions with so many clicks.
type Belief struct{ Impressions, Clicks float64 }

// Believe returns the belief of a mean that is worth some clicks.
func Believe(mean, clicks float64) Belief { return Belief{clicks / mean, clicks} }

// With returns the belief after more evidence.
func (b Belief) With(e Evidence) Belief { return Belief{b.Impressions + e.Weight, b.Clicks + e.Clicks} }

// On returns the belief with the doubts about what it was built on: a belief of its prior mean, which it took as worth
// so many clicks. The mean stays. The variance grows by that of the prior mean, for the part that the prior has in the
// mean.
func (b Belief) On(prior Belief, worth float64) Belief {
	part := worth / prior.Mean() / b.Impressions
	less := 1 / (1 + b.Clicks*part*part/prior.Clicks)
	return Belief{b.Impressions * less, b.Clicks * less}
}

// Mean returns the expected chance.
func (b Belief) Mean() float64 { return min(b.Clicks/b.Impressions, 1) }

// Interval returns the bounds within which the chance lies with 95 %, 2.5 % on either side.
func (b Belief) Interval() (low, high float64) {
	const least = 1e-9 // weights are estimates, so clicks may exceed impressions
	beta := distuv.Beta{Alpha: b.Clicks, Beta: max(b.Impressions-b.Clicks, least)}
	return beta.Quantile(0.025), beta.Quantile(0.975)
}

const (
	// triedClicks is the worth of a belief, in clicks, from which on a campaign counts as tried. Its rate is then known
	// within a tenth, and exploring it teaches little.
	triedClicks = 100
	// deviations is how many standard deviations above the mean an explored quality lies.
	deviations = 2
)

// Explored returns the chance to try a campaign with, where a search explores: two standard deviations above the mean,
// at most twice the mean and at most 1. A campaign that is tried enough gets its mean.
func (b Belief) Explored() float64 {
	mean := b.Mean()
	if b.Clicks >= triedClicks {
		return mean
	}
	relative := math.Sqrt((1 - mean) / b.Clicks) // the standard deviation over the mean; one in a large sum is left out
	return min(mean*min(1+deviations*relative, 2), 1)
}

// ppm returns a chance in parts per million, 1 to PPM.
func ppm(chance float64) int64 { return int64(min(max(math.Round(chance*PPM), 1), PPM)) }

// Evidence is what impressions and clicks say: how many full impressions the seen ones weigh, and their clicks.
type Evidence struct{ Weight, Clicks float64 }
