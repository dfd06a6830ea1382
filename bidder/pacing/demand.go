package pacing

import "math"

// Demand is learned with evidence of at least leastEvidence awards, and of at most mostEvidence or those planned for
// some steps. So a campaign with many awards follows a spike within a step, and one with few is not led by chance.
const (
	leastEvidence = 1
	mostEvidence  = 20
	memory        = 24  // times Every: four minutes
	steadyMemory  = 360 // times Every: an hour
)

// learn takes in what was won in a share of the day's traffic, by Bayes' rule for a rate with a gamma prior.
func (s *State) learn(in *Input, passed float64) {
	if s.Evidence == 0 {
		s.Demand, s.Evidence = 1, leastEvidence
	}
	if in.Entry > 0 {
		s.Entry = int32(min(in.Entry, PPM))
	}
	s.learnPrices(in)
	if passed <= 0 || s.Award <= 0 {
		return
	}
	full := float64(in.Budget) * passed / float64(s.Award) // awards of a demand of 1
	won := in.Won / float64(s.Award)
	evidence := float64(s.Evidence)
	demand := (evidence + won) / (evidence/float64(s.Demand) + full*in.Told.effort())
	s.Demand = float32(min(max(demand, 1e-3), 1/leastEffort))
	s.learnRush(won, full, float64(in.Told.ParticipationPPM)/PPM)
	remembered := full * min(in.Day.passedBefore(in.At, Every)/passed, 1) * memoryOf(in.Mode)
	s.Evidence = float32(max(min(evidence+won, max(mostEvidence, remembered)), leastEvidence))
}

// memoryOf is how many times Every demand is learned from.
func memoryOf(mode Mode) float64 {
	if mode == Steady {
		return steadyMemory
	}
	return memory
}

// learnRush follows what steps win that win anything. With few awards planned, one more is no rush.
func (s *State) learnRush(won, full, participation float64) {
	if won <= 0 {
		return
	}
	weight, rush := float32(won/(won+10)/4), float32(won/participation/(full+1))
	if s.Rush == 0 {
		weight = 1
	}
	s.Rush += weight * (rush - s.Rush)
}

// mostRush is how many times the planned spend one step may spend.
const mostRush = 16

// part is the participation with which no step spends too much.
func (s *State) part() float64 { return min(mostRush/max(float64(s.Rush), mostRush), 1) }

// learnPrices follows what awards and events cost on average. Some twenty awards count as much as all before.
func (s *State) learnPrices(in *Input) {
	if in.Awards <= 0 || in.Won <= 0 || in.Events <= 0 {
		return
	}
	weight := float32(in.Awards) / float32(in.Awards+20)
	award, event := float32(in.Won/float64(in.Awards)), float32(in.Won/in.Events)
	if s.Award <= 0 {
		weight = 1
	}
	s.Award += weight * (award - s.Award)
	s.Event += weight * (event - s.Event)
}

// How strongly the effort follows the plan.
const (
	reach       = 6 // of the logarithm of an effort, over the tolerance
	steadyReach = 0.2
	mostGain    = 0.3 // for a step's share of the traffic; an elasticity of the spend of up to 6 is stable with it
	mostSlope   = 50
)

// effort returns the effort from now on.
func (s *State) effort(in *Input) float64 {
	budget, left := float64(in.Budget), in.Day.Left(in.At)
	tolerance := s.tolerance(budget)
	behind := (s.Planned - s.Spent) / budget
	if left <= s.early(budget) && budget-s.Spent < float64(s.Event) { // it is done, but for what does not pay for an event
		return min(max(1/float64(s.Demand), leastEffort), 1)
	}
	log := math.Log(s.slope(budget, left)/float64(s.Demand)) + s.gain(in, left)*behind
	if log >= 0 && behind > tolerance { // it cannot do more: plan what is missing over what is left of the day
		s.fallBehind(tolerance * budget)
	}
	return min(max(math.Exp(log), leastEffort), 1)
}

// slope is the planned rate of spend, in budgets a day's traffic. Past the plan's early end it is what the rest takes.
func (s *State) slope(budget, left float64) float64 {
	rest, over := budget-s.Planned, left-s.early(budget)
	if over <= 1e-6 {
		rest, over = budget-s.Spent, left
	}
	return min(max(rest/budget/max(over, 1e-6), 1e-3), mostSlope)
}

// gain is how much the logarithm of the effort changes for a budget of difference to the plan. Nearer the end it is
// higher, since less time is left to make up for a difference.
func (s *State) gain(in *Input, left float64) float64 {
	of := float64(reach)
	if in.Mode == Steady {
		of = steadyReach
	}
	step := in.Day.passedBefore(in.At, s.Pause(in.Budget))
	return min(max(of/s.tolerance(float64(in.Budget)), 2/max(left, 1e-6)), mostGain/max(step, 1e-9))
}
