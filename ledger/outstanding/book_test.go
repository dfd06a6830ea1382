package outstanding

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
)

const start = 1_795_315_000_000 // Unix milliseconds

// clocked is a book whose clock a test moves.
type clocked struct {
	*Book
	unixMillis int64
}

// opened makes a book at the start. The advertiser of all awards here pays ahead.
func opened() *clocked {
	c := &clocked{New(30 * time.Minute), start}
	c.Advance(start)
	c.Follow([]hexbid.UID{100})
	return c
}

func (c *clocked) pass(d time.Duration) {
	c.unixMillis += d.Milliseconds()
	c.Advance(c.unixMillis)
}

// click is an award of 1 yuan a click, one in fifty, and impression one of 0.01 yuan, four in five.
func click(campaign hexbid.UID) *Award {
	return &Award{Campaign: campaign, Advertiser: 100, Pricing: hexbid.CPC, Price: 1_000_000, Chance: 0.02}
}

func impression(campaign hexbid.UID) *Award {
	return &Award{Campaign: campaign, Advertiser: 100, Pricing: hexbid.CPM, Price: 10_000, Chance: 0.8}
}

func TestAnAwardIsWorthItsChanceUntilItsEventComes(t *testing.T) {
	for _, a := range []*Award{click(1), impression(1)} {
		b := opened()
		b.Add(a)
		worth := hexbid.Money(math.Ceil(float64(a.Price) * float64(a.Chance)))
		out := b.Campaign(1)
		if !close2(out.Expected, worth, 0.001) || out.Highest != a.Price || b.Advertiser(100) != out || b.Market() != out {
			t.Errorf("%+v is worth %+v, to its advertiser %+v, to the market %+v", a, out, b.Advertiser(100), b.Market())
		}
		least := out.Expected
		for range 40 {
			b.pass(time.Second)
			now := b.Campaign(1).Expected
			if now > least || now == 0 {
				t.Fatalf("%s is expected after %s", now, least)
			}
			least = now
		}
		if 4*least > worth {
			t.Errorf("after forty seconds %s of %s are expected", least, worth)
		}
		b.Happen(a, start, true)
		if left := b.Campaign(1); left.Expected != 0 || left.Events != 0 {
			t.Errorf("its event has come, and %+v is out", left)
		}
	}
}

// TestSlicesAreWorthWhatTheirAwardsAre compares the book with the formula of the package for each award.
func TestSlicesAreWorthWhatTheirAwardsAre(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	type one struct {
		award Award
		at    int64
	}
	b, awards := opened(), []one{}
	for range 20_000 {
		b.pass(time.Duration(random.ExpFloat64() * 50 * float64(time.Millisecond)))
		a := click(1)
		if random.IntN(2) == 0 {
			a = impression(1)
		}
		b.Add(a)
		awards = append(awards, one{*a, b.unixMillis})
		if i := random.IntN(len(awards)); random.IntN(10) == 0 {
			b.Happen(&awards[i].award, awards[i].at, true)
			awards = append(awards[:i], awards[i+1:]...)
		}
	}
	want := 0.0
	for _, o := range awards {
		d := b.delays[o.award.Pricing]
		factor, _ := b.of(party{1, false, o.award.Pricing}).factor(b.now, d)
		later, chance := d.laterThan(b.now-tickOf(o.at)), min(factor*float64(o.award.Chance), most)
		want += float64(o.award.Price) * chance * later / (1 - chance*(1-later))
	}
	if got := b.Campaign(1).Expected; !close2(got, hexbid.Money(want), 0.1) {
		t.Errorf("%s are expected; award by award %s", got, hexbid.Money(want))
	}
}

func TestACampaignLearnsHowManyEventsComeOfItsAwards(t *testing.T) {
	for _, times := range []float64{0, 0.3, 3} {
		random, b := rand.New(rand.NewPCG(3, 4)), opened()
		for range 20_000 {
			b.pass(100 * time.Millisecond)
			b.Add(click(1))
			if random.Float64() < times*0.02 {
				b.Happen(click(1), b.unixMillis-8000, true)
			}
		}
		factor, _ := b.of(party{1, false, hexbid.CPC}).factor(b.now, b.delays[hexbid.CPC])
		if math.Abs(factor-times) > 0.15*times+0.05 {
			t.Errorf("events come %g times as often as assumed; learned is %g", times, factor)
		}
	}
}

func TestEventsThatNobodyPaysForTeachNoFactor(t *testing.T) {
	b := opened()
	for range 1000 {
		b.pass(time.Second)
		b.Add(click(1))
		b.Happen(click(1), b.unixMillis, false)
	}
	if factor, _ := b.of(party{1, false, hexbid.CPC}).factor(b.now, b.delays[hexbid.CPC]); factor > 0.6 {
		t.Errorf("no event was billable; learned is %g", factor)
	}
}

// TestDelaysAreLearnedFromTheFirstMinute has clicks come far later than is assumed. A plain histogram would know only
// the early ones after three minutes.
func TestDelaysAreLearnedFromTheFirstMinute(t *testing.T) {
	const median = 60.0 // seconds
	random, b := rand.New(rand.NewPCG(5, 6)), opened()
	var clicks line
	for range 1800 {
		b.pass(100 * time.Millisecond)
		for range 60 {
			b.Add(click(1))
			if random.Float64() < 0.02 {
				delay := int64(1000 * median * math.Exp(0.5*random.NormFloat64()))
				clicks.push(planned{at: b.unixMillis + delay, issued: b.unixMillis})
			}
		}
		for e := clicks.due(b.unixMillis); e != nil; e = clicks.due(b.unixMillis) {
			b.Happen(click(1), e.issued, true)
		}
	}
	d := b.delays[hexbid.CPC]
	for seconds, want := range map[float64]float64{30: 0.917, 60: 0.5, 100: 0.153} {
		if got := d.laterThan(tick(seconds * ticksASecond)); math.Abs(got-want) > 0.06 {
			t.Errorf("learned: %.3f of the clicks come after %g s; true is %.3f", got, seconds, want)
		}
	}
}

func TestABinHoldsItsAges(t *testing.T) {
	for age := tick(0); age < 400_000; age++ {
		if b := binOf(age); age < startOf(b) || age >= startOf(b+1) {
			t.Fatalf("age %d is in bin %d, from %d to %d", age, b, startOf(b), startOf(b+1))
		}
	}
}

func TestAssumedDelaysAreThoseThatAreStated(t *testing.T) {
	for _, c := range []struct {
		assumption
		seconds, within float64
	}{{assumedOfClicks, 8, 0.5}, {assumedOfClicks, 58, 0.95}, {assumedOfImpressions, 2, 0.5},
		{assumedOfImpressions, 10, 0.95}} {
		later := newDelays(c.assumption, 30*time.Minute).laterThan(tick(c.seconds * ticksASecond))
		if math.Abs(1-later-c.within) > 0.02 {
			t.Errorf("%.3f are assumed to come within %g s", 1-later, c.seconds)
		}
	}
}

func TestMemoryIsBoundedByCampaignsWithAwardsOut(t *testing.T) {
	b := opened()
	for second := range 7200 { // two hours of one campaign that wins always, and others that win once
		b.pass(time.Second)
		b.Add(click(1))
		b.Add(click(hexbid.UID(1000 + second)))
		if n := len(b.of(party{1, false, hexbid.CPC}).slices); n > 40 {
			t.Fatalf("after %d s the account has %d slices", second, n)
		}
	}
	// An award that nobody clicks on is forgotten when one in ten thousand clicks at most is still to come.
	if n := b.Accounts(); n > 1800 {
		t.Errorf("%d accounts, most of campaigns that won once, long ago", n)
	}
}

func TestTimeThatGoesBackStandsStill(t *testing.T) {
	b := opened()
	b.Add(click(1))
	was := b.Campaign(1)
	b.Advance(start - 3_600_000)
	if is := b.Campaign(1); is != was {
		t.Errorf("%+v was %+v", is, was)
	}
	b.Advance(start + 365*24*3_600_000) // after a long pause nothing is out, and the step is quick
	if out := b.Campaign(1); out.Expected != 0 {
		t.Errorf("after a year %+v is out", out)
	}
}
