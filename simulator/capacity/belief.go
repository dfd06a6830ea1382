package capacity

import "math"

// belief is what the tries so far say about the capacity: a probability for each pair of a capacity and a spread. The
// spread is the range of rates, as a share of the capacity, over which chance decides whether the objective holds.
// Nobody knows the spread beforehand, so the belief learns it with the capacity. When verdicts contradict each other,
// the belief stays wide by itself.
//
// The method comes from hearing tests, which ask the same question: Watson and Pelli, "QUEST: a Bayesian adaptive
// psychometric method", 1983. The spread is learned as in Kontsevich and Tyler, "Bayesian adaptive estimation of
// psychometric slope and threshold", 1999.
type belief struct {
	least   float64     // the lowest capacity considered possible
	step    float64     // between neighbouring capacities, on a logarithmic scale
	spreads []float64   // on a logarithmic scale
	weights [][]float64 // by spread and capacity; they add up to 1
}

const (
	stallChance = 0.03  // probability that a try fails whatever its rate
	luckChance  = 0.003 // probability that a try holds whatever its rate

	stepsInPrecision = 10   // number of capacities within the precision
	spreadsTried     = 6    // from one step to widestSpread, evenly on a logarithmic scale
	widestSpread     = 0.18 // some three tenths to either side
	spreadDecay      = 0.6  // how much less likely a spread is beforehand than the next narrower one

	// The ends enclose this much of the probability, and lie this many spreads farther out, where chance seldom
	// decides.
	probabilityInside = 0.6
	spreadsOutside    = 1.6
)

// newBelief gives every capacity from least to most the same probability, on a logarithmic scale.
func newBelief(least, most, precision float64) *belief {
	b := &belief{least: least, step: math.Log1p(precision) / stepsInPrecision}
	capacities := 1 + int(math.Ceil(math.Log(most/least)/b.step))
	ratio := math.Pow(max(widestSpread/b.step, 1), 1/float64(spreadsTried-1))
	for i := range spreadsTried {
		b.spreads = append(b.spreads, b.step*math.Pow(ratio, float64(i)))
		weights := make([]float64, capacities)
		for c := range weights {
			weights[c] = math.Pow(spreadDecay, float64(i))
		}
		b.weights = append(b.weights, weights)
	}
	b.scale()
	return b
}

// see updates the belief by a verdict on a rate, using Bayes' rule. The probability to hold is a logistic curve around
// the capacity.
func (b *belief) see(rate float64, held bool) {
	at := math.Log(rate / b.least)
	for i, spread := range b.spreads {
		for c := range b.weights[i] {
			chance := luckChance + (1-stallChance-luckChance)/(1+math.Exp((at-b.step*float64(c))/spread))
			if !held {
				chance = 1 - chance
			}
			b.weights[i][c] *= chance
		}
	}
	b.scale()
}

// scale makes the weights add up to 1.
func (b *belief) scale() {
	total := 0.0
	for _, weights := range b.weights {
		for _, w := range weights {
			total += w
		}
	}
	for _, weights := range b.weights {
		for c := range weights {
			weights[c] /= total
		}
	}
}

// quantile returns the rate below which the capacity lies with a probability.
func (b *belief) quantile(probability float64) float64 {
	last := len(b.weights[0]) - 1
	for c := range last {
		for i := range b.weights {
			probability -= b.weights[i][c]
		}
		if probability <= 0 {
			return b.rate(c)
		}
	}
	return b.rate(last)
}

func (b *belief) rate(c int) float64 { return b.least * math.Exp(b.step*float64(c)) }

// spread returns the mean spread.
func (b *belief) spread() (mean float64) {
	for i, weights := range b.weights {
		for _, w := range weights {
			mean += w * b.spreads[i]
		}
	}
	return mean
}

// ends returns the rates to confirm.
func (b *belief) ends() (low, high float64) {
	out := math.Exp(spreadsOutside * b.spread())
	return b.quantile((1-probabilityInside)/2) / out, b.quantile((1+probabilityInside)/2) * out
}
