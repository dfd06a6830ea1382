package exchange

import (
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/fold"
)

// TestADateNeverGoesBack: after a move to a zone where it is yesterday, the day before has no budget of its own.
func TestADateNeverGoesBack(t *testing.T) {
	p := purse{daily: 3, total: fold.NoLimit, dailyBudget: 10, date: 100}
	for date, want := range map[int32]hexbid.Money{99: 3, 100: 3, 101: 10} {
		if left := p.leftOn(date); left != want {
			t.Errorf("on %d: %d left, want %d", date, left, want)
		}
	}
	p.total = 7
	if left := p.leftOn(101); left != 7 {
		t.Errorf("%d left of a total of 7", left)
	}
}

// TestTheCalendarTurnsWithEveryZone over a day on which a clock is set back.
func TestTheCalendarTurnsWithEveryZone(t *testing.T) {
	begin := time.Date(2026, 10, 24, 12, 0, 0, 0, time.UTC) // clocks in Berlin are set back in the night to the 25th
	c := calendar{numbers: map[string]uint16{}}
	berlin, shanghai := c.zone("Europe/Berlin", begin), c.zone("Asia/Shanghai", begin)
	nowhere := c.zone("Nowhere/AtAll", begin)
	turned := map[uint16][]time.Duration{}
	for passed := time.Duration(0); passed < 48*time.Hour; passed += 30 * time.Minute {
		for zone := range c.turn(begin.Add(passed)) {
			turned[zone] = append(turned[zone], passed)
		}
	}
	for zone, want := range map[uint16][2]time.Duration{berlin: {10 * time.Hour, 35 * time.Hour},
		shanghai: {4 * time.Hour, 28 * time.Hour}} {
		if got := turned[zone]; len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
			t.Errorf("%s turned after %v, want %v", c.zones[zone].location, got, want)
		}
	}
	if len(turned[nowhere]) != 0 {
		t.Errorf("a zone that nobody knows turned: %v", turned[nowhere])
	}
}
