package pacing

import (
	"math"
	"time"

	"github.com/hexbid/hexbid"
)

// State is what the controller remembers of a campaign between two steps: 72 bytes. The zero State knows nothing.
type State struct {
	At      int64   // Unix milliseconds of the last step; 0 before the first
	Planned float64 // micros, of the date until At
	Spent   float64 // micros on the date until At: what was charged and what awards still out will cost, smoothed

	Demand   float32 // what full effort would spend, in budgets a day's traffic
	Evidence float32 // awards that Demand was learned from
	Award    float32 // micros that an award is expected to cost, on average
	Event    float32 // micros that a click, or an impression, costs on average
	Entry    int32   // multiplier that meets the median reserve, PPM; 0 for none
	Date     int32   // local, days since 1970
	Rush     float32 // what is won while anything is, at full participation, over what is planned

	Target uint32       // micros a click that Credit counts by
	Credit hexbid.Money // what clicks cost less than Target, in all

	Missed float32 // micros that the plan with which the day began is above Planned: nobody can keep up with them
}

// Input is what happened to a campaign since its last step, and how it stands.
type Input struct {
	At   int64 // Unix milliseconds
	From int64 // of the first award since the last step; 0 for a tenth of a second ago. Only a step that begins uses it
	Date int32 // local, days since 1970
	Day  *Day  // of Date
	Mode Mode

	Budget  hexbid.Money // of Date, as far as the total budget allows
	Charged hexbid.Money // on Date
	Out     hexbid.Money // expected cost of awards that are still out

	Told   Output  // in force since the last step
	Awards int     // won since the last step
	Won    float64 // micros that these are expected to cost
	Events float64 // clicks, or impressions, that are expected of them
	Entry  int64   // multiplier that meets the median reserve faced in the last hour, PPM; 0 when unknown
	Blind  bool    // it could win nothing for part of the time: paused, not running, or no search in the whole market
	Short  bool    // what is left lowers its bid below what it was told, so what it wins does not show its demand

	Cost Cost // of a campaign with a target cost; otherwise zero
}

// Step goes on to the input's instant and returns what to tell searches from then on.
func (s *State) Step(in *Input) Output {
	if in.Mode == ASAP && in.Cost.Target == 0 || in.Budget <= 0 {
		s.skip(in)
		return Full
	}
	passed := s.advance(in)
	if in.Short {
		passed = 0
	}
	s.learn(in, passed)
	most := s.mostForCost(&in.Cost)
	if in.Mode == ASAP {
		return split{least: leastMultiplier, part: 1}.of(most)
	}
	effort := s.effort(in)
	switch {
	case effort >= most:
		return split{least: leastMultiplier, part: 1}.of(most)
	case in.Mode == Throttle:
		return split{least: 1, part: 1}.of(effort)
	}
	return split{least: min(max(float64(s.Entry)/PPM, leastMultiplier), most), most: most, part: s.part()}.of(effort)
}

// skip forgets the day's plan: a later step begins a new one with what is left by then.
func (s *State) skip(in *Input) { s.At, s.Date, s.Missed = 0, in.Date, 0 }

// DayPlan returns what was to be spent until the last step, by the plan with which the day began, in micros. A campaign
// that cannot keep up with it is controlled by Planned, which plans what is missing over what is left of the day.
func (s *State) DayPlan() hexbid.Money { return hexbid.Money(s.Planned + float64(s.Missed)) }

// advance moves the plan and the spend to the input's instant. It returns the share of the day's traffic since the last
// step, and 0 when nothing can be learned of it.
func (s *State) advance(in *Input) (passed float64) {
	if s.At == 0 || s.Date != in.Date {
		return s.begin(in)
	}
	budget, actual := float64(in.Budget), float64(in.Charged+in.Out)
	before, now := in.Day.Left(s.At), in.Day.Left(in.At)
	passed = max(before-now, 0)
	s.At = in.At
	if in.Blind {
		s.Spent = actual
		return 0
	}
	s.plan(budget, rest(before, now, s.early(budget)))
	s.Spent += in.Won
	s.Spent += (actual - s.Spent) * (1 - math.Exp(-passed/s.smoothing(budget, now)))
	return passed
}

// begin begins a date, or goes on in the middle of one of which nothing is known. What is spent by then is planned.
func (s *State) begin(in *Input) (passed float64) {
	isNew := s.At != 0 && s.Date < in.Date
	from := s.At
	s.At, s.Date, s.Missed = in.At, in.Date, 0
	s.Spent = float64(in.Charged + in.Out)
	if !isNew {
		s.Planned = s.Spent
		return in.Day.passedBefore(in.At, in.since())
	}
	if in.Blind {
		s.Planned = s.Spent
		return 0
	}
	passed = max(in.Day.Left(from)-in.Day.Left(in.At), 0)
	budget := float64(in.Budget)
	s.Planned = 0
	s.plan(budget, rest(1, in.Day.Left(in.At), s.early(budget)))
	return passed
}

// since returns how long ago the first award was of a campaign of which nothing was known.
func (in *Input) since() time.Duration {
	const least = Every / 100
	if in.From == 0 {
		return least
	}
	return max(time.Duration(in.At-in.From)*time.Millisecond, least)
}

// rest returns the part of a plan's rest that is left when the day goes from one share that is left to another. The
// plan ends early by a share, so that the last events of the budget have time to come.
func rest(before, now, early float64) float64 {
	before, now = max(before-early, 0), max(now-early, 0)
	if now <= 0 {
		return 0
	}
	return now / before
}

// plan moves the plan on, so that a part of its rest is left. Both plans come to the whole budget in the end.
func (s *State) plan(budget, left float64) {
	s.Planned = min(budget-(budget-s.Planned)*left, budget)
	s.Missed *= float32(left)
}

// fallBehind plans anew what is missing, but for a tolerance.
func (s *State) fallBehind(tolerance float64) {
	missed := s.Planned - s.Spent - tolerance
	s.Planned -= missed
	s.Missed += float32(missed)
}

// events is the number of events that a budget buys.
func (s *State) events(budget float64) float64 {
	if s.Event <= 0 {
		return 1
	}
	return max(budget/float64(s.Event), 1)
}

// Tolerance returns how far a day's spend may be from its plan, as a share of the budget: two hundredths, and more
// for a day of few events, which come by chance. A campaign that cannot keep up is that far behind: what it misses is
// planned anew over what is left of the day.
func (s *State) Tolerance(budget hexbid.Money) float64 { return s.tolerance(float64(budget)) }

// tolerance is how far spend may be from plan, as a share of the budget.
func (s *State) tolerance(budget float64) float64 {
	return min(max(0.02, 3/math.Sqrt(s.events(budget))), 1)
}

// How often a campaign needs to be controlled follows from how near its plan it can be held. A step corrects what
// chance has done since the last one, and with few events chance does much more than a few minutes of a wrong bid. A
// market of a million campaigns with a hundred clicks a day each therefore needs some seven thousand steps a second
// instead of a hundred thousand.
const (
	MostPause   = 5 * time.Minute // between two steps
	finest      = 0.02            // the tolerance with which a campaign is stepped after Every
	enoughShare = 8               // of a tolerance
	grainShare  = 4
	leastGrain  = 0.01
	mostGrain   = 0.1
)

// Pause returns how long a campaign may go on without a step, unless it comes to Enough before.
func (s *State) Pause(budget hexbid.Money) time.Duration {
	return min(time.Duration(s.Tolerance(budget)/finest*float64(Every)), MostPause)
}

// Due returns the instant of the next step after that of an input, in Unix milliseconds: after the pause, or when the
// day ends. At its end an output may be far above what the next day begins with.
func (s *State) Due(in *Input) int64 {
	due := in.At + s.Pause(in.Budget).Milliseconds()
	if ends := in.Day.Ends(); in.At < ends && ends < due {
		return max(ends, in.At+Every.Milliseconds())
	}
	return due
}

// Enough returns what a campaign may win or be charged between two steps, in micros. Beyond it the next step waits for
// Every alone.
func (s *State) Enough(budget hexbid.Money) float64 {
	return s.Tolerance(budget) / enoughShare * float64(budget)
}

// Grain returns the least change of an output that searches should be told, as a share: one per cent for a day of many
// events. With few, a finer change would be lost in chance.
func (s *State) Grain(budget hexbid.Money) float64 {
	return min(max(s.Tolerance(budget)/grainShare, leastGrain), mostGrain)
}

// early is the share of the day's traffic by which a plan ends early: the more the fewer events there are, since those
// that are missing at the end are then a larger part.
func (s *State) early(budget float64) float64 {
	return min(max(0.5/math.Sqrt(s.events(budget)), 0.002), 0.05)
}

// smoothing is the share of the day's traffic over which the spend follows what was charged. Until then it follows
// what awards are expected to cost. With few events each is a large part of the budget, and must not turn the campaign
// off for hours.
func (s *State) smoothing(budget, left float64) float64 {
	return min(max(2/math.Sqrt(s.events(budget)), 0.05), 0.2, left/3+1e-6)
}
