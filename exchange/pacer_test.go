package exchange

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/bidder/pacing"
	"github.com/hexbid/hexbid/store"
)

// street is a market in virtual time with people who search and click.
type street struct {
	*till
	random *rand.Rand
	clicks []planned
	rate   float64 // searches a second
}

type planned struct {
	at    time.Duration
	token string
}

func openStreet(t testing.TB, change func(*Config), campaigns ...*hexbid.Campaign) *street {
	ids := rand.New(rand.NewPCG(5, 6)) // which searches a campaign takes part in follows from their ids
	m := openTill(t, func(c *Config) {
		c.Manual = true
		c.RequestID = func() string { return fmt.Sprintf("%016x", ids.Uint64()) }
		for i := range c.Market.PriorPPM {
			c.Market.PriorPPM[i] = 200_000 // so that few searches make many clicks
		}
		if change != nil {
			change(c)
		}
	})
	all := []hexbid.Resource{place("l", hub)}
	for _, c := range campaigns {
		all = append(all, c)
	}
	fill(t, m.Exchange, all...)
	return &street{till: m, random: rand.New(rand.NewPCG(3, 4)), rate: 0.2}
}

// live goes on by a time, in steps of two seconds.
func (s *street) goOn(d time.Duration) {
	s.Helper()
	for end := s.since() + d; s.since() < end; {
		for n := s.rate * 2; n > 0; n-- {
			if s.random.Float64() < n {
				s.look()
			}
		}
		s.pass(2 * time.Second)
		s.report()
		s.step()
	}
}

// look is one search.
func (s *street) look() { s.react(s.awards()) }

// react draws clicks: a fifth of those who see a result click on it within a minute.
func (s *street) react(results []Sponsored) {
	for _, won := range results {
		if s.random.Float64() < 0.2 {
			s.clicks = append(s.clicks, planned{s.since() + time.Duration(s.random.Int64N(int64(time.Minute))), won.Token})
		}
	}
}

func (s *street) report() {
	s.Helper()
	s.clicks = slices.DeleteFunc(s.clicks, func(p planned) bool {
		if p.at > s.since() {
			return false
		}
		s.events++
		if _, err := s.RecordEvents(ctx, &hexbid.EventReport{ClientID: "app", Events: []hexbid.Event{{Kind: hexbid.Click,
			Token: p.token, ID: fmt.Sprint("event ", s.events)}}}); err != nil {
			s.Fatal(err)
		}
		return true
	})
}

func (s *street) pacer() *pacer { return s.Exchange.pacer }

// pacedOf returns what pacing remembers of a campaign, nil for nothing.
func (s *street) pacedOf(name string) *paced {
	s.Helper()
	return s.pacer().entryOf(s.uid(name))
}

func (p *pacer) entryOf(uid hexbid.UID) *paced {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n, known := p.book.numbers[uid]; known {
		return p.book.paced.at(n)
	}
	return nil
}

func (s *street) state(name string) bidder.LiveState { return s.live(name) }

func (s *street) uid(name string) hexbid.UID {
	s.Helper()
	record, err := s.store.Get(ctx, name)
	if err != nil {
		s.Fatal(err)
	}
	return record.Meta().UID
}

// spent is the share of its day's budget that a campaign was charged.
func (s *street) spent(name string) float64 {
	st := s.standing(s.uid(name))
	if st.Date != st.LocalDate {
		return 0
	}
	return float64(st.Today.Charged) / float64(st.DailyBudget)
}

func even(id string) *hexbid.Campaign {
	c := campaign(id)
	c.Pacing, c.Bid = hexbid.PaceEven, 500_000
	return c
}

// reserved has a reserve that half of the bid of even meets, so that a click costs 0.25.
func reserved(c *Config) {
	c.Market.Reserves = []hexbid.Reserve{{PerThousand: 50_000_000}}
}

func TestACampaignSpendsItsBudgetOverTheRestOfItsDay(t *testing.T) {
	c := even("c")
	c.DailyBudget = 50_000_000 // two hundred clicks, from 12:07 on
	s := openStreet(t, reserved, c)
	shape := new(pacing.Curve).Shape()
	day := pacing.NewDay(shape, dateAt(time.UTC, s.now().Add(8*time.Hour)), &pacing.Service{Zone: shanghaiZone(t)})
	began := day.Left(s.now().UnixMilli())
	for hour := range 11 {
		s.goOn(time.Hour)
		want := 1 - day.Left(s.now().UnixMilli())/began
		t.Logf("%s: %.3f is spent, %.3f of the day's traffic has passed; %+v", s.now().Add(8*time.Hour).Format("15:04"),
			s.spent(c.Name), want, s.state(c.Name))
		if got := s.spent(c.Name); math.Abs(got-want) > 3/math.Sqrt(200) {
			t.Errorf("%.3f is spent, of the day's traffic %.3f has passed", got, want)
		}
		day, there := s.pacer().progressOf(s.uid(c.Name))
		if off := float64(day.planned)/float64(c.DailyBudget) - want; !there || day.budget != c.DailyBudget ||
			math.Abs(off) > 0.05 {
			t.Errorf("its progress is %+v, %.3f of the day's traffic has passed", day, want)
		}
		if live := s.state(c.Name); hour < 9 && (live.PacingPPM != 500_000 || live.ParticipationPPM >= auction.PPM/2) {
			t.Errorf("without rivals it should bid what meets the reserve, and take part in few searches: %+v", live)
		}
	}
	s.goOn(52 * time.Minute)
	if got := s.spent(c.Name); got < 0.98 {
		t.Errorf("%.3f of the budget is used", got)
	}
	before := s.state(c.Name)
	s.goOn(10 * time.Minute) // over midnight
	after := s.state(c.Name)
	if got := s.spent(c.Name); got > 0.05 {
		t.Errorf("%.3f of the new budget is spent at once", got)
	}
	if after.BudgetSpent || after.ParticipationPPM > 20*max(before.ParticipationPPM, 10_000) {
		t.Errorf("a new day begins with %+v after %+v", after, before)
	}
}

func shanghaiZone(t testing.TB) *time.Location {
	zone, err := hexbid.TimeZone("zone", hexbid.DefaultTimeZone)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestPacingGoesOnAfterARestart(t *testing.T) {
	c := even("c")
	c.DailyBudget = 20_000_000
	s := openStreet(t, reserved, c)
	s.goOn(time.Hour)
	before, steps := s.state(c.Name), s.pacedOf(c.Name).state
	if before.ParticipationPPM == auction.PPM {
		t.Fatalf("nothing is paced: %+v", before)
	}
	s.till.stop()
	s.pass(time.Minute)
	s.till.start()
	if after := s.state(c.Name); math.Abs(float64(after.ParticipationPPM-before.ParticipationPPM)) >
		0.2*float64(before.ParticipationPPM) || after.PacingPPM != before.PacingPPM {
		t.Errorf("before the first search it is %+v, before the stop it was %+v", after, before)
	}
	again := s.pacedOf(c.Name).state
	if again.Date != steps.Date || math.Abs(again.Planned-steps.Planned) > 0.02*20e6 {
		t.Errorf("the plan was %+v, and is %+v", steps, again)
	}
	spent := s.spent(c.Name)
	s.goOn(10 * time.Minute)
	if burst := s.spent(c.Name) - spent; burst > 0.1 {
		t.Errorf("%.3f of the budget is spent within ten minutes of the restart", burst)
	}
}

func TestACampaignIsControlledAsOftenAsItsEventsCallForAndCostsNothingAtRest(t *testing.T) {
	for _, c := range []struct {
		budget      hexbid.Money
		least, most int // steps in half an hour
	}{
		{5_000_000, 5, 15},        // twenty clicks: the longest pause, and steps when much is won at once
		{50_000_000, 12, 60},      // two hundred
		{8_000_000_000, 178, 181}, // thirty thousand: every ten seconds
	} {
		busy, idle := even("busy"), even("idle")
		busy.DailyBudget = c.budget
		idle.Area = hexbid.Area{Circles: []hexbid.Circle{{Center: hexbid.Point{Lat: 31, Lng: 121}, RadiusM: 1000}}}
		s := openStreet(t, reserved, busy, idle)
		s.rate = 5
		s.goOn(2 * time.Second)
		p := s.pacer()
		if p.steps == 0 {
			t.Fatal("a campaign that won is not controlled at once")
		}
		s.goOn(10 * time.Minute)
		began := p.steps
		s.goOn(30 * time.Minute)
		if n := p.steps - began; n < c.least || n > c.most {
			t.Errorf("a budget of %s takes %d steps in half an hour, want %d to %d", c.budget, n, c.least, c.most)
		}
		if s.pacedOf(idle.Name) != nil {
			t.Error("a campaign that saw nothing is looked at")
		}
		before := s.state(busy.Name)
		s.rate = 0
		s.goOn(time.Hour)
		if live := s.state(busy.Name); live.ParticipationPPM > 10*before.ParticipationPPM {
			t.Errorf("nobody has searched in the whole market for an hour, and %+v becomes %+v", before, live)
		}
		s.till.stop()
	}
}

func TestCampaignsOfARestartAreControlledAtTicksOfTheirOwn(t *testing.T) {
	at := map[int64]int{}
	for uid := range hexbid.UID(10_000) {
		at[slotOf(uid)]++
	}
	if len(at) != int(everyTicks) {
		t.Errorf("ten thousand campaigns have %d ticks of %d", len(at), everyTicks)
	}
	for tick, n := range at {
		if n > 150 {
			t.Errorf("%d of ten thousand campaigns are controlled at tick %d of %d", n, tick, everyTicks)
		}
	}
}

// TestACampaignThatIsHeldBackFindsItsWayUpAgain when the people that it serves stay away, while others go on.
func TestACampaignThatIsHeldBackFindsItsWayUpAgain(t *testing.T) {
	c := even("c")
	c.DailyBudget = 5_000_000
	c.Audience.Hosts = []hexbid.Host{hexbid.WeChat}
	s := openStreet(t, reserved, c)
	s.goOn(20 * time.Minute)
	held := s.state(c.Name)
	if held.ParticipationPPM == auction.PPM {
		t.Fatalf("nothing holds it back: %+v", held)
	}
	s.rate = 0
	isFull := func() bool {
		live := s.state(c.Name)
		return live.ParticipationPPM == auction.PPM && live.PacingPPM == auction.PPM
	}
	for hours := 0; !isFull() && hours < 9; hours++ {
		s.othersSearch(time.Hour)
	}
	if !isFull() {
		t.Fatalf("after hours without an award it is still %+v", s.state(c.Name))
	}
	steps := s.pacer().steps
	s.othersSearch(10 * time.Minute)
	if n := s.pacer().steps - steps; n > 1 {
		t.Errorf("it rests, and is stepped %d times", n)
	}
}

// othersSearch goes on with searches that no campaign serves.
func (s *street) othersSearch(d time.Duration) {
	s.Helper()
	for range d / (10 * time.Second) {
		if _, err := s.Search(ctx, at(hexbid.Point{Lat: 39.9, Lng: 116.4}), time.Now()); err != nil {
			s.Fatal(err)
		}
		s.goOn(10 * time.Second)
	}
}

func TestAnEditedGoalIsFollowed(t *testing.T) {
	c, rival := even("c"), even("rival")
	c.DailyBudget, c.Goal, c.TargetCost = 500_000_000, hexbid.GoalTargetCost, 300_000
	rival.Pacing = hexbid.PaceASAP
	s := openStreet(t, nil, c)
	s.goOn(10 * time.Second)
	if got := s.state(c.Name).PacingPPM; got != 600_000 {
		t.Errorf("a bid of 0.50 begins at %d for a target of 0.30", got)
	}
	edited := *c
	edited.Goal, edited.TargetCost, edited.Pacing = hexbid.GoalBid, 0, hexbid.PaceASAP
	for _, o := range s.Import(ctx, []hexbid.Resource{&edited}, false) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	s.goOn(30 * time.Second)
	if got := s.state(c.Name); got.PacingPPM != auction.PPM || got.ParticipationPPM != auction.PPM {
		t.Errorf("as soon as possible it still has %+v", got)
	}
}

func TestWhatLowersIsHandedInFirst(t *testing.T) {
	p := &pacer{book: newPaceBook()}
	of := func(m int64) packedOutput { return pack(pacing.Output{MultiplierPPM: m, ParticipationPPM: pacing.PPM}) }
	for uid, want := range map[hexbid.UID]int64{1: 500_000, 2: 900_000, 3: 100_000, 4: 501_000} {
		n, _ := p.book.see(uid)
		*p.book.paced.at(n) = paced{uid: uid, want: of(want), told: of(500_000), wanting: true}
		p.wanting = append(p.wanting, n)
	}
	p.gone = []hexbid.UID{9}
	first, second, third := p.updates(1), p.updates(1), p.updates(5)
	if len(first) != 1 || first[0].Campaign != 3 || len(second) != 1 || second[0].Campaign != 2 || len(third) != 1 ||
		!third[0].Withdrawn || third[0].Campaign != 9 {
		t.Errorf("handed in %+v, then %+v, then %+v", first, second, third)
	}
	if len(p.wanting)+len(p.gone) > 0 || len(p.updates(5)) > 0 {
		t.Error("something is left")
	}
}

func TestRowsOfPacingThatCannotBeReadAreRefused(t *testing.T) {
	good := &paced{told: pack(pacing.Output{MultiplierPPM: 400_000, ParticipationPPM: pacing.PPM, AtEntry: true}),
		state: pacing.State{At: now.UnixMilli(), Planned: 5, Spent: 6, Demand: 2, Evidence: 3, Date: 20_000}}
	p := &pacer{book: newPaceBook(), traffic: newTraffic(time.UTC)}
	if err := p.restore(now, pacedKey(7), good.encode()); err != nil || p.entryOf(7).told != good.told ||
		p.entryOf(7).state != good.state || p.entryOf(7).uid != 7 {
		t.Fatalf("%v, %+v", err, p.entryOf(7))
	}
	value := good.encode()
	longer, zero := append(slices.Clone(value), 0), slices.Concat(make([]byte, 8), value[8:])
	for _, bad := range [][]byte{nil, value[:20], longer, zero} {
		if p.restore(now, pacedKey(8), bad) == nil {
			t.Errorf("%x is read", bad)
		}
	}
	if p.restore(now, []byte("px"), value) == nil || p.restore(now, []byte{'p', rowCurve}, value) == nil {
		t.Error("a row of another key is read")
	}
}

func TestOutputsOfDeletedCampaignsAreWithdrawn(t *testing.T) {
	c := even("c")
	c.DailyBudget = 5_000_000
	s := openStreet(t, reserved, c)
	s.goOn(time.Minute)
	uid := s.uid(c.Name)
	if err := s.Delete(ctx, c.Name, store.AnyVersion, false); err != nil {
		t.Fatal(err)
	}
	s.goOn(30 * time.Second)
	p := s.pacer()
	if p.entryOf(uid) != nil || len(p.gone) > 0 {
		t.Errorf("the pacer still has %+v", p.entryOf(uid))
	}
}
