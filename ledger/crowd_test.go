package ledger_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/traffic"
)

// who clicks in the hour that is played.
const (
	people      = iota
	clicker     // one viewer who clicks one campaign every twenty seconds
	rotating    // clicks what it was shown, each time as another viewer, in one cell, once a second
	hasty       // clicks 200 ms after the search, as another viewer each time, all over town
	proxy       // a client that reports clicks alone, two a second
	whoClicked  // how many there are
	playedFor   = 3600
	shownPeople = 8 // per cent of what people see and click
)

// crowd plays an hour of people and machines on a ledger, a second at a time.
type crowd struct {
	*bank
	random *rand.Rand
	due    map[int][]played // by second
	clicks [whoClicked]int
	passed [whoClicked]int
	why    [whoClicked]map[traffic.Reason]int
	looks  int // impressions of people
	hidden int // of them, filtered ones
}

type played struct {
	ledger.Event
	who int
}

// show has somebody shown an ad in a second. The client reports an impression a second later, unless it is the proxy,
// and a click after a time.
func (c *crowd) show(second, who int, viewer uint64, cell uint64, clicksAfter time.Duration) {
	e := c.event(hexbid.Impression, hexbid.CPC, yuan)
	e.Award.Campaign = hexbid.UID(100 + c.random.IntN(20))
	if who == clicker {
		e.Award.Campaign = 100
	}
	binary.BigEndian.PutUint64(e.Award.Viewer[:], viewer)
	e.Award.Cell = cell
	if who != proxy {
		c.due[second+1] = append(c.due[second+1], played{e, who})
	} else {
		e.Award.ClientID = "proxy"
	}
	if who == hasty {
		e.Award.IssuedAt = c.Clock.Now().Add(800 * time.Millisecond) // so that a click at the next second is 200 ms old
	}
	if clicksAfter > 0 {
		at := second + max(1, int(math.Ceil(clicksAfter.Seconds())))
		c.due[at] = append(c.due[at], played{as(e, hexbid.Click, "c"), who})
	}
}

// person is shown an ad. Readers are slow and fast: the time to a click is log-normal.
func (c *crowd) person(second int, cell uint64) {
	viewer := 1_000_000*cell + uint64(3000*math.Pow(c.random.Float64(), 1.5)) // some are there far more often than others
	after := time.Duration(0)
	if c.random.IntN(100) < shownPeople {
		after = 2*time.Second + time.Duration(4*math.Exp(0.9*c.random.NormFloat64())*float64(time.Second))
	}
	c.show(second, people, viewer, cell, after)
}

// play lets a second pass.
func (c *crowd) play(second int) {
	for cell := uint64(1); cell <= 60; cell++ { // a heavy tail of rates
		rate := min(8, 0.2*math.Pow(float64(cell)/60, -1.2))
		if cell == 60 && second >= 1200 && second < 2400 {
			rate *= 100 // a festival
		}
		for rate > c.random.Float64() {
			c.person(second, cell)
			rate--
		}
	}
	if second%20 == 0 {
		c.show(second, clicker, 1, 5, 3*time.Second)
	}
	c.show(second, rotating, 1<<40+uint64(second), 1000, 3*time.Second)
	if second%5 == 0 {
		c.show(second, hasty, 1<<41+uint64(second), uint64(1+c.random.IntN(60)), 200*time.Millisecond)
	}
	for i := range 2 {
		c.show(second, proxy, 1<<42+uint64(2*second+i), uint64(2000+c.random.IntN(500)), 3*time.Second)
	}
	c.report(second)
	c.Clock.Pass(time.Second)
}

func (c *crowd) report(second int) {
	var events []ledger.Event
	for _, p := range c.due[second] {
		events = append(events, p.Event)
	}
	for i, a := range c.Report(events...) {
		p := c.due[second][i]
		if p.Kind == hexbid.Impression && p.who == people {
			c.looks++
			if a.Outcome == hexbid.EventFiltered {
				c.hidden++
			}
		}
		if p.Kind == hexbid.Click {
			c.clicks[p.who]++
			if a.Outcome != hexbid.EventFiltered {
				c.passed[p.who]++
			} else {
				c.why[p.who][a.Reason]++
			}
		}
	}
	delete(c.due, second)
}

func playHour(t *testing.T, limits traffic.Limits) *crowd {
	c := &crowd{bank: openBank(t, func(o *ledger.Options) { o.Traffic = limits }), due: map[int][]played{},
		random: rand.New(rand.NewPCG(2, 6))}
	for who := range c.why {
		c.why[who] = map[traffic.Reason]int{}
	}
	var terms []fold.Terms
	for i := range hexbid.UID(20) {
		terms = append(terms, fold.Terms{Campaign: 100 + i, Advertiser: advertiser, DailyBudget: 100_000 * yuan, Zone: "UTC",
			Name: fmt.Sprint("advertisers/a/campaigns/c", i)})
	}
	c.Set(2, terms)
	for second := range playedFor {
		c.play(second)
	}
	return c
}

// TestMachinesAreFilteredAndPeopleAreNot plays an hour with the default limits, and then with each rule off: then the
// machine that the rule finds gets through.
func TestMachinesAreFilteredAndPeopleAreNot(t *testing.T) {
	c := playHour(t, traffic.DefaultLimits())
	names := [whoClicked]string{"people", "one viewer", "one cell", "200 ms", "proxy"}
	for who, name := range names {
		t.Logf("%s: %d of %d clicks passed; the others: %v", name, c.passed[who], c.clicks[who], c.why[who])
	}
	if lost := c.clicks[people] - c.passed[people]; c.clicks[people] < 5000 || 1000*lost > c.clicks[people] {
		t.Errorf("%d of %d clicks of people are filtered", lost, c.clicks[people])
	}
	if t.Logf("%d of %d impressions of people are filtered", c.hidden, c.looks); 1000*c.hidden > c.looks || c.looks == 0 {
		t.Errorf("%d of %d impressions of people are filtered", c.hidden, c.looks)
	}
	for who, most := range map[int]int{clicker: 5, rotating: 11, hasty: 0, proxy: 100} {
		if c.passed[who] > most || c.clicks[who] < 150 {
			t.Errorf("%s: %d of %d clicks passed, of at most %d", names[who], c.passed[who], c.clicks[who], most)
		}
	}
	if testing.Short() {
		return
	}
	for who, off := range map[int]func(*traffic.Limits){
		clicker:  func(l *traffic.Limits) { l.RepeatClicks = 0 },
		rotating: func(l *traffic.Limits) { l.CellClicks = 0 },
		hasty:    func(l *traffic.Limits) { l.TooSoon = 0 },
		proxy:    func(l *traffic.Limits) { l.ImpliedPercent = 0 },
	} {
		limits := traffic.DefaultLimits()
		off(&limits)
		if c := playHour(t, limits); c.passed[who] < c.clicks[who]*9/10 {
			t.Errorf("%s: without its rule %d of %d clicks passed", names[who], c.passed[who], c.clicks[who])
		}
	}
}
