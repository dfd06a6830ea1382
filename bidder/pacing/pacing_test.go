package pacing

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
)

const wholeDay = 24 * time.Hour

// followsPlan fails unless the spend kept within the tolerance of the plan at the end of each hour, and unless the last
// day's budget is used: 98 per cent of it, or all but one event of the highest price.
func (m *market) followsPlan() {
	m.Helper()
	m.followsPlanSoFar()
	if left := m.budget - m.charged; m.used() < 0.98 && left > m.bid {
		m.Errorf("%s of %s is left, a click costs %s at most", left, m.budget, m.bid)
	}
}

func (m *market) followsPlanSoFar() {
	m.Helper()
	clicks := float64(m.today)
	worst, tolerance := m.worst(), 0.02
	if clicks < 10_000 {
		tolerance = max(0.02, 3/math.Sqrt(clicks))
	}
	m.Logf("%.0f clicks: at most %.2f %% of the budget from plan at any hour (%.2f %% allowed), %.2f %% used", clicks,
		100*worst, 100*tolerance, 100*m.used())
	if worst > tolerance {
		m.Errorf("spend is %.4f of the budget from plan at the end of an hour: %.4f is allowed", worst, tolerance)
	}
}

func (m *market) used() float64 { return float64(m.charged) / float64(m.budget) }

// worst is the largest distance of spend from plan at the end of an hour but midnight, when another day has begun.
func (m *market) worst() (worst float64) {
	for _, h := range m.hours {
		if h.at.In(m.zone).Hour() != 0 {
			worst = max(worst, math.Abs(h.spent-m.planAt(&h)))
		}
	}
	return worst
}

// planAt is the curve of the whole day. A plan that begins anew in the middle of the day is the controller's own.
func (m *market) planAt(h *hour) float64 {
	if m.replanned {
		return h.planned
	}
	return 1 - m.day(dateOf(h.at.In(m.zone))).Left(h.at.UnixMilli())
}

// endOf returns how a day stood at the end of an hour by the campaign's clock.
func (m *market) endOf(of int) *hour {
	m.Helper()
	for i := range m.hours {
		if h := &m.hours[i]; h.at.In(m.zone).Hour() == (of+1)%24 {
			return h
		}
	}
	m.Fatalf("the end of %d:00 was not noted", of)
	return nil
}

// multiplier returns mean and deviation of the multiplier at the ends of some hours.
func (m *market) multiplier(from, to int) (mean, deviation float64) {
	for _, h := range m.hours[from:to] {
		mean += h.multiplier / float64(to-from)
	}
	for _, h := range m.hours[from:to] {
		deviation += (h.multiplier - mean) * (h.multiplier - mean) / float64(to-from)
	}
	return mean, math.Sqrt(deviation)
}

// fluid is the market whose solution is known: values and rival prices are uniform on [0, 1], one slot, second price.
// With a multiplier of m an auction costs m²/6 on average, and m/2 of the auctions are won. A budget of 1/24 an auction
// therefore holds m at a half.
func fluid(t testing.TB, seed uint64, auctions float64) *market {
	m := newMarket(t, seed)
	m.values = func(r *rand.Rand) float64 { return r.Float64() }
	m.quality, m.aDay = PPM, auctions
	m.budget = hexbid.Money(auctions) * m.bid / 24
	return m
}

func TestTheMultiplierIsThatOfTheFluidLimit(t *testing.T) {
	for _, mode := range []Mode{Even, Steady} {
		m := fluid(t, 1, 240_000)
		m.mode = mode
		m.run(m.now.Add(wholeDay)).followsPlan()
		mean, deviation := m.multiplier(2, 22)
		t.Logf("mode %d: multiplier %.3f ± %.3f, %d clicks", mode, mean, deviation, m.clicks)
		if math.Abs(mean-0.5) > 0.02 {
			t.Errorf("the multiplier is %.3f on average, the fluid limit has 0.5", mean)
		}
		if most := map[Mode]float64{Even: 0.07, Steady: 0.02}[mode]; deviation > most {
			t.Errorf("the multiplier of mode %d moves by %.3f", mode, deviation)
		}
	}
}

func TestThrottlingTakesPartInAQuarterOfTheFluidLimitsAuctions(t *testing.T) {
	m := fluid(t, 1, 240_000)
	m.mode = Throttle
	m.run(m.now.Add(wholeDay)).followsPlan()
	share := m.joined / m.matched
	t.Logf("took part in %.3f of the auctions, %d clicks", share, m.clicks)
	if math.Abs(share-0.25) > 0.01 {
		t.Errorf("it took part in %.3f of the auctions, the fluid limit has 0.25", share)
	}
	if m.told.MultiplierPPM != PPM {
		t.Errorf("throttling has lowered the multiplier to %d", m.told.MultiplierPPM)
	}
	even := fluid(t, 1, 240_000).run(m.now)
	if even.clicks < m.clicks*19/10 { // 1/4 of auctions are won by bidding half, 1/8 by a quarter of participation
		t.Errorf("pacing by the multiplier bought %d clicks, throttling %d", even.clicks, m.clicks)
	}
}

func TestWithoutPacingTheFluidLimitIsDryAtAQuarterOfTheDay(t *testing.T) {
	m := fluid(t, 1, 240_000)
	m.unpaced = true
	m.run(m.now.Add(wholeDay))
	if passed := 1 - m.day(m.date).Left(m.dry.UnixMilli()); math.Abs(passed-0.25) > 0.01 {
		t.Errorf("dry after %.3f of the day's traffic", passed)
	}
}

// TestBudgetsOfTenAndOfTenMillionClicksFollowTheirPlan has rivals of all prices, for whom a lower bid buys more clicks;
// rivals who all bid nearly the same, so that a bid decides nearly all; and none but the reserve.
func TestBudgetsOfTenAndOfTenMillionClicksFollowTheirPlan(t *testing.T) {
	for name, setup := range map[string]func(*market){
		"many": func(*market) {},
		"alike": func(m *market) {
			m.rivals = func(r *rand.Rand) int64 { return int64((490_000 + 20_000*r.Float64()) * float64(m.quality)) }
		},
		"none": func(m *market) {
			m.rivals = func(*rand.Rand) int64 { return 0 }
			m.reserve = func(*rand.Rand) int64 { return 500_000 * m.quality }
		},
	} {
		for _, clicks := range []float64{10, 100, 1000, 10_000, 10_000_000} {
			for _, demand := range []float64{8, 1000} {
				t.Run(fmt.Sprintf("%.0f clicks of %.0f times as many with rivals %s", clicks, demand, name), func(t *testing.T) {
					m := newMarket(t, uint64(clicks+demand))
					setup(m)
					m.buys(clicks, 500_000)
					m.aDay = demand * clicks / 0.02
					m.run(m.now.Add(wholeDay)).followsPlan()
				})
			}
		}
	}
}

// TestTenClickBudgetsAreUsed looks at many small campaigns, because chance decides what becomes of one.
func TestTenClickBudgetsAreUsed(t *testing.T) {
	far, used, of := 0, 0.0, 40
	for seed := range of {
		m := newMarket(t, uint64(seed))
		m.buys(10, 500_000)
		m.aDay = 30 * 10 / 0.02
		m.run(m.now.Add(wholeDay))
		used += m.used() / float64(of)
		if m.worst() > 0.95 || m.budget-m.charged > m.bid {
			far++
		}
		if half := m.endOf(12).spent; half > 0.9 {
			t.Errorf("seed %d: %.2f of the budget is spent at 13:00", seed, half)
		}
	}
	t.Logf("%d of %d campaigns keep more than one event, on average they use %.3f", far, of, used)
	if far > of/20 {
		t.Errorf("%d of %d campaigns keep more than one event", far, of)
	}
}

// traffics are ways in which people come that the plan does not know.
func TestSpendFollowsThePlanWhenPeopleDoNot(t *testing.T) {
	for name, change := range map[string]func(*market){
		"another day":         func(m *market) { m.traffic = lumpy() },
		"tenfold for 20min":   func(m *market) { m.surge = between(11, 11.33, 10) },
		"fiftyfold for 20min": func(m *market) { m.surge = between(11, 11.33, 50) },
		"a third for 3h":      func(m *market) { m.surge = between(14, 17, 1.0/3) },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMarket(t, 3)
			m.buys(10_000, 500_000)
			m.aDay = 20 * 10_000 / 0.02
			change(m)
			m.run(m.now.Add(wholeDay)).followsPlan()
		})
	}
}

// between multiplies the traffic between two hours of the first day.
func between(from, to, by float64) func(time.Time) float64 {
	return func(at time.Time) float64 {
		local := at.In(shanghai)
		if h := float64(local.Hour()) + float64(local.Minute())/60; from <= h && h < to {
			return by
		}
		return 1
	}
}

func TestWithoutRivalsTheMultiplierStaysAtTheEntryValue(t *testing.T) {
	m := newMarket(t, 1)
	m.rivals = func(*rand.Rand) int64 { return 0 }
	m.reserve = func(*rand.Rand) int64 { return 300_000 * m.quality }
	m.buys(10_000, 300_000)
	m.aDay = 5 * 10_000 / 0.02
	m.run(m.now.Add(wholeDay)).followsPlan()
	mean, deviation := m.multiplier(1, 22)
	if math.Abs(mean-0.3) > 1e-9 || deviation > 1e-9 {
		t.Errorf("the multiplier is %.6f ± %.6f, the reserve needs 0.3", mean, deviation)
	}
	if share := m.joined / m.matched; math.Abs(share-0.2) > 0.01 {
		t.Errorf("it took part in %.3f of the searches, a fifth is enough", share)
	}
}

func TestALateStartUsesTheWholeBudgetOverTheRestOfTheDay(t *testing.T) {
	m := newMarket(t, 1)
	m.replanned = true
	m.now = m.now.Add(13 * time.Hour)
	m.buys(10_000, 500_000)
	m.aDay = 50 * 10_000 / 0.02
	m.run(m.now.Add(11 * time.Hour)).followsPlan()
	left := func(at time.Time) float64 { return m.day(m.date).Left(at.UnixMilli()) }
	seven := m.endOf(18)
	if got, want := seven.spent, 1-left(seven.at)/left(seven.at.Add(-6*time.Hour)); math.Abs(got-want) > 0.03 {
		t.Errorf("%.3f is spent at 19:00, of the rest of the day %.3f has passed", got, want)
	}
}

func TestABudgetEditIsSpreadOverTheRestOfTheDay(t *testing.T) {
	for _, by := range []float64{0.6, 3} {
		m := newMarket(t, 1)
		m.buys(10_000, 500_000)
		m.aDay = 50 * 10_000 / 0.02
		m.run(m.now.Add(12 * time.Hour))
		spent := m.charged
		m.replanned = true
		m.budget = hexbid.Money(by * float64(m.budget))
		m.hours = nil
		m.run(m.now.Add(12 * time.Hour)).followsPlan()
		half := m.endOf(16)
		noon := m.now.Add(-12 * time.Hour).UnixMilli()
		passed := 1 - m.day(m.date).Left(half.at.UnixMilli())/m.day(m.date).Left(noon)
		want := (float64(spent) + passed*float64(m.budget-spent)) / float64(m.budget)
		if math.Abs(half.spent-want) > 0.03 {
			t.Errorf("a budget edited to %.1f times has %.3f spent at 17:00, want %.3f", by, half.spent, want)
		}
	}
}

// TestADayThatFallsBehindKeepsItsPlan: until the evening half as many people search as the budget needs, and then so
// many that it catches up. The plan of the day goes on as if nothing were; the controller's follows the spend.
func TestADayThatFallsBehindKeepsItsPlan(t *testing.T) {
	m := newMarket(t, 1)
	m.buys(10_000, 500_000)
	m.aDay = 10_000 / 0.02 / 4
	m.surge = between(18, 24, 40)
	planned := func() float64 { return 1 - m.day(m.date).Left(m.now.UnixMilli()) }
	for range 18 {
		m.run(m.now.Add(time.Hour))
		plan, control := float64(m.state.DayPlan())/float64(m.budget), m.state.Planned/float64(m.budget)
		if math.Abs(plan-planned()) > 0.01 {
			t.Errorf("%s: the day's plan is %.3f, of the day %.3f has passed", m.now.Format("15:04"), plan, planned())
		}
		if spent := m.state.Spent / float64(m.budget); control > spent+0.035 { // a tolerance of 0.03
			t.Errorf("%s: %.3f is spent, and the controller wants %.3f by now", m.now.Format("15:04"), spent, control)
		}
	}
	if behind := float64(m.state.DayPlan())/float64(m.budget) - m.used(); behind < 0.3 {
		t.Errorf("in the evening it is %.3f behind only", behind)
	}
	m.run(m.now.Add(6*time.Hour - time.Minute))
	if plan := m.state.DayPlan(); m.used() < 0.98 || math.Abs(float64(plan)/m.state.Planned-1) > 0.01 {
		t.Errorf("in the end %.3f is used; the plans are %s and %.0f", m.used(), plan, m.state.Planned)
	}
	m.run(m.now.Add(time.Hour))
	if m.state.Missed > 0.05*float32(m.budget) {
		t.Errorf("the next day begins with %.0f missed", m.state.Missed)
	}
}

func TestMidnightHasNoBurst(t *testing.T) {
	for _, clicks := range []float64{300, 10_000} {
		m := newMarket(t, 1)
		m.buys(clicks, 500_000)
		m.aDay = 200 * clicks / 0.02
		m.midnight()
	}
}

// midnight goes over the end of a day.
func (m *market) midnight() {
	t := m.TB
	t.Helper()
	m.run(m.now.Add(wholeDay - time.Minute))
	effort, evening := m.endOf(20).multiplier*m.endOf(20).part, m.date
	for range 66 { // eleven minutes
		m.tick()
		if now := m.told.effort(); now > 3*effort && dateOf(m.now.In(m.zone)) > evening {
			t.Fatalf("%s after midnight the effort is %.4f, %.4f in the evening", m.now.In(m.zone).Format("15:04:05"), now,
				effort)
		}
	}
	if m.used() > 0.02 {
		t.Errorf("%.3f of a budget is spent in ten minutes", m.used())
	}
	m.run(m.now.Add(wholeDay - 10*time.Minute - time.Second)).followsPlan()
}

func TestARestartGoesOnAsIfNothingWere(t *testing.T) {
	m := newMarket(t, 1)
	m.buys(10_000, 500_000)
	m.aDay = 200 * 10_000 / 0.02
	m.run(m.now.Add(11*time.Hour + 30*time.Minute))
	m.followsPlanSoFar()
	m.replanned = true
	again, ok := DecodeState(m.state.Encode(), m.now)
	if !ok || again != m.state {
		t.Fatalf("kept %+v, got %+v", m.state, again)
	}
	m.state, m.reserves = again, Reserves{}
	before, down := m.charged, 40*time.Minute
	m.now = m.now.Add(down) // nothing comes while it is down
	m.step = func(s *State, in *Input) Output {
		in.Blind, m.step = true, nil
		return s.Step(in)
	}
	m.run(m.now.Add(20 * time.Second))
	if burst := float64(m.charged-before) / float64(m.budget); burst > 0.01 {
		t.Errorf("%.3f of the budget is spent in the first seconds", burst)
	}
	m.run(time.Date(2026, 11, 29, 0, 0, 0, 0, m.zone)).followsPlan()
}

func TestAnOutageOfTheWholeMarketTeachesNothing(t *testing.T) {
	m := newMarket(t, 1)
	m.buys(10_000, 500_000)
	m.aDay = 500 * 10_000 / 0.02
	m.surge, m.replanned = between(11, 13, 0), true
	m.step = func(s *State, in *Input) Output {
		in.Blind = m.surge(m.now.Add(-Every)) == 0
		return s.Step(in)
	}
	m.run(m.now.Add(wholeDay)).followsPlan()
}

func TestDaysOfDaylightSaving(t *testing.T) {
	berlin := must(time.LoadLocation("Europe/Berlin"))
	for date, hours := range map[string]int{"2026-03-29": 23, "2026-10-25": 25, "2026-10-26": 24} {
		midnight, _ := time.ParseInLocation(time.DateOnly, date, berlin)
		m := newMarket(t, 5)
		m.zone, m.now, m.date = berlin, midnight, dateOf(midnight)
		m.service = Service{Zone: berlin}
		d := m.day(m.date)
		if got := time.Duration(d.Ends()-d.Begins()) * time.Millisecond; got != time.Duration(hours)*time.Hour {
			t.Errorf("%s has %s", date, got)
		}
		m.buys(10_000, 500_000)
		m.aDay = 20 * 10_000 / 0.02
		m.run(midnight.Add(time.Duration(hours) * time.Hour)).followsPlan()
	}
}

func TestSchedulesWithGapsAndTheEndOfAFlight(t *testing.T) {
	m := newMarket(t, 6)
	m.service = Service{Zone: m.zone, End: time.Date(2026, 11, 28, 20, 7, 0, 0, m.zone),
		InHours: func(at time.Time) bool {
			h := at.In(m.zone).Hour()
			return h >= 9 && h < 12 || h >= 17
		}}
	m.buys(10_000, 500_000)
	m.aDay = 100 * 10_000 / 0.02
	m.run(m.now.Add(wholeDay)).followsPlan()
	if noon, five := m.endOf(11).spent, m.endOf(16).spent; five-noon > 0.005 || noon < 0.1 {
		t.Errorf("%.3f is spent at noon and %.3f at 17:00, between them it does not serve", noon, five)
	}
	d := m.day(m.date)
	if left := d.Left(time.Date(2026, 11, 28, 12, 0, 0, 0, m.zone).UnixMilli()); left != d.Left(
		time.Date(2026, 11, 28, 17, 0, 0, 0, m.zone).UnixMilli()) {
		t.Errorf("the plan moves in the gap")
	}
	if d.Left(m.service.End.UnixMilli()) != 0 || d.Left(m.service.End.UnixMilli()-60_000) <= 0 {
		t.Errorf("the plan does not end with the flight")
	}
}

func TestADayWithoutServiceHasNothingLeft(t *testing.T) {
	d := NewDay(new(Curve).Shape(), 20_000, &Service{Zone: shanghai, InHours: func(time.Time) bool { return false }})
	if d.Left(20_000*86_400_000) != 0 || d.Begins() != 0 || d.Ends() != 0 {
		t.Errorf("%+v", d)
	}
	var s State
	in := Input{At: 20_000 * 86_400_000, Date: 20_000, Day: d, Budget: 1_000_000, Told: Full}
	for range 3 {
		if out := s.Step(&in); out.effort() < leastEffort || math.IsNaN(s.Spent+s.Planned) {
			t.Fatalf("%+v of %+v", out, s)
		}
		in.At += Every.Milliseconds()
	}
}

func TestTheAverageCostComesNearItsTargetFromBelow(t *testing.T) {
	for _, mode := range []Mode{ASAP, Even} {
		for clicks, seeds := range map[float64]uint64{100: 6, 1000: 3, 100_000: 1} {
			for seed := range seeds {
				m := newMarket(t, seed)
				m.mode, m.target = mode, 300_000
				m.buys(clicks*2, 300_000) // the goal holds it back, not the budget
				m.aDay = 2 * clicks / 0.02
				for m.now.Before(time.Date(2026, 11, 30, 0, 0, 0, 0, m.zone)) {
					m.tick()
					if m.clicks >= 100 && m.average() > 1.01*float64(m.target) {
						t.Fatalf("mode %d, %.0f clicks, seed %d: %.0f a click after %d clicks", mode, clicks, seed, m.average(),
							m.clicks)
					}
				}
				t.Logf("mode %d, seed %d: %.0f a click over %d clicks, at most 300000", mode, seed, m.average(), m.clicks)
				if m.average() < 0.9*float64(m.target) {
					t.Errorf("%.0f a click after %d clicks: more were to be had", m.average(), m.clicks)
				}
			}
		}
	}
}

func (m *market) average() float64 { return float64(m.everPaid) / float64(max(m.clicks, 1)) }

// TestPricesFarApartKeepTheTarget has most clicks cost a tenth of the bid and others nine tenths, so that chance
// decides what a hundred clicks cost.
func TestPricesFarApartKeepTheTarget(t *testing.T) {
	for seed := range uint64(30) {
		m := newMarket(t, seed)
		m.mode, m.target = ASAP, 300_000
		m.buys(100_000, 300_000)
		m.aDay = 20_000 / 0.02
		m.rivals = func(r *rand.Rand) int64 {
			if r.Float64() < 0.6 {
				return 100_000 * m.quality
			}
			return 900_000 * m.quality
		}
		for m.clicks < 2000 {
			if m.tick(); m.clicks >= 100 && m.average() > 1.01*float64(m.target) {
				t.Fatalf("seed %d: %.0f a click after %d clicks", seed, m.average(), m.clicks)
			}
		}
		if m.average() < 0.9*float64(m.target) {
			t.Errorf("seed %d: %.0f a click after %d clicks: more were to be had", seed, m.average(), m.clicks)
		}
	}
}

func TestATargetThatPricesComeToExceedIsKept(t *testing.T) {
	m := newMarket(t, 1)
	m.target, m.mode = 300_000, ASAP
	m.buys(20_000, 300_000)
	m.aDay = 10_000 / 0.02
	dear := func(least float64) func(r *rand.Rand) int64 {
		return func(r *rand.Rand) int64 { return int64((least + (1-least)*r.Float64()) * 1e6 * 20_000) }
	}
	m.rivals = dear(0)
	m.run(m.now.Add(12 * time.Hour))
	paid, clicks := m.everPaid, m.clicks
	m.rivals = dear(0.25) // from noon on none costs less than a quarter of the bid
	m.run(m.now.Add(12 * time.Hour))
	if m.average() > 1.01*float64(m.target) {
		t.Errorf("%.0f a click", m.average())
	}
	late := float64(m.everPaid-paid) / float64(max(m.clicks-clicks, 1))
	if late > 1.05*float64(m.target) {
		t.Errorf("the credit of the morning paid %.0f a click in the afternoon, for %d", late, m.clicks-clicks)
	}
}

func TestTheGoalBelowTheBudgetStillPaces(t *testing.T) {
	m := newMarket(t, 1)
	m.target = 400_000
	m.buys(10_000, 200_000)
	m.aDay = 20 * 10_000 / 0.02
	m.run(m.now.Add(wholeDay)).followsPlan()
	if m.average() > 1.01*float64(m.target) {
		t.Errorf("%.0f a click", m.average())
	}
}

func TestMostClicksBuysMoreThanTheFullBid(t *testing.T) {
	steady, full := fluid(t, 2, 100_000), fluid(t, 2, 100_000)
	steady.mode, full.unpaced = Steady, true
	steady.run(steady.now.Add(wholeDay))
	full.run(full.now.Add(wholeDay))
	if steady.clicks < full.clicks*19/10 { // half of the fluid limit's clicks are to be had by the half bid alone
		t.Errorf("%d clicks with most clicks, %d with the full bid", steady.clicks, full.clicks)
	}
}

func TestASoonAsPossibleHoldsNothingBack(t *testing.T) {
	m := fluid(t, 1, 50_000)
	m.mode = ASAP
	m.run(m.now.Add(3 * time.Hour))
	if m.told != Full {
		t.Errorf("%+v", m.told)
	}
}

// TestADayOfFewEventsTakesFewSteps counts steps of days that TestBudgetsOfTenAndOfTenMillionClicksFollowTheirPlan
// proves to be near their plans.
func TestADayOfFewEventsTakesFewSteps(t *testing.T) {
	for clicks, most := range map[float64]int{10: 800, 100: 1700, 1000: 3400, 100_000: 8650} {
		m := newMarket(t, 1)
		m.buys(clicks, 500_000)
		m.aDay = 30 * clicks / 0.02
		m.run(m.now.Add(wholeDay)).followsPlan()
		if m.steps > most {
			t.Errorf("a day of %.0f clicks takes %d steps, want at most %d", clicks, m.steps, most)
		}
		t.Logf("%.0f clicks: %d steps", clicks, m.steps)
	}
}

// TestACampaignThatWaitedForItsFirstStepIsNotTakenForARush wins the same in a minute before its first step as in a
// tenth of a second.
func TestACampaignThatWaitedForItsFirstStepIsNotTakenForARush(t *testing.T) {
	m := newMarket(t, 1)
	at := m.now.Add(12 * time.Hour).UnixMilli()
	first := func(from int64) float64 {
		var s State
		in := Input{At: at, From: from, Date: m.date, Day: m.day(m.date), Budget: 100_000_000, Told: Full, Awards: 7,
			Won: 7 * 20_000, Events: 7 * 0.02}
		return s.Step(&in).effort()
	}
	if waited, rush := first(at-60_000), first(at-100); waited != 1 || rush > 0.25 {
		t.Errorf("seven awards in a minute give the effort %.3f, and in a tenth of a second %.3f", waited, rush)
	}
	if first(0) != first(at-100) {
		t.Error("without an instant of the first award it should be a tenth of a second ago")
	}
}
