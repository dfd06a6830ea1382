package ledger

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
)

// fakeTime is a pair of clocks that a test moves.
type fakeTime struct {
	wall      time.Time
	monotonic time.Duration
}

func newFakeTime() *fakeTime { return &fakeTime{wall: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)} }

func (f *fakeTime) pass(d time.Duration) { f.wall, f.monotonic = f.wall.Add(d), f.monotonic+d }

func (f *fakeTime) options() *Options {
	return &Options{Wall: func() time.Time { return f.wall }, Monotonic: func() time.Duration { return f.monotonic }}
}

func startedClock(t *testing.T, f *fakeTime) *clock {
	t.Helper()
	c, err := startClock(f.options(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestStampsNeverDecreaseHoweverTheWallClockJumps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFakeTime()
		c, err := startClock(f.options(), 0)
		if err != nil {
			t.Fatal(err)
		}
		last := c.now()
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			passed := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "passed"))
			f.pass(passed)
			f.wall = f.wall.Add(time.Duration(rapid.Int64Range(-int64(time.Hour), int64(time.Hour)).Draw(t, "jump")))
			next := c.now()
			least, most := passed-passed/slewPart-time.Microsecond, passed+passed/slewPart+time.Microsecond
			if step := time.Duration(next-last) * time.Microsecond; next < last || step < least || step > most {
				t.Fatalf("%s passed and the stamp moved by %s", passed, step)
			}
			last = next
		}
	})
}

func TestStampsSlewToAWallClockThatWasSetByLittle(t *testing.T) {
	for _, jump := range []time.Duration{9 * time.Second, -9 * time.Second} {
		f := newFakeTime()
		c := startedClock(t, f)
		f.wall = f.wall.Add(jump)
		for range 181 {
			f.pass(time.Second)
			if _, err := c.stamp(); err != nil {
				t.Fatalf("after a jump of %s: %v", jump, err)
			}
		}
		if off := time.UnixMicro(c.now()).Sub(f.wall).Abs(); off > time.Microsecond {
			t.Errorf("three minutes after a jump of %s stamps are %s off", jump, off)
		}
	}
}

func TestAWallClockFarOffStopsStampsUntilItIsRightAgain(t *testing.T) {
	for _, jump := range []time.Duration{11 * time.Second, -11 * time.Second, time.Hour, -time.Hour} {
		f := newFakeTime()
		c := startedClock(t, f)
		f.wall = f.wall.Add(jump)
		for range 600 {
			f.pass(time.Second)
			if _, err := c.stamp(); hexbid.KindOf(err) != hexbid.Unavailable || !strings.Contains(err.Error(), "clock") {
				t.Fatalf("after a jump of %s: %v", jump, err)
			}
		}
		f.wall = f.wall.Add(-jump)
		if _, err := c.stamp(); err != nil {
			t.Errorf("back from a jump of %s: %v", jump, err)
		}
	}
}

func TestALedgerAheadOfTheWallClockOpensOnlyWhenThatIsAllowed(t *testing.T) {
	f := newFakeTime()
	last := f.wall.Add(time.Minute).UnixMicro()
	if _, err := startClock(f.options(), last); hexbid.KindOf(err) != hexbid.Unavailable {
		t.Fatalf("a minute ahead: %v", err)
	}
	o := f.options()
	o.AllowAhead = true
	c, err := startClock(o, last)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 * 60 {
		f.pass(time.Second)
		if stamp, err := c.stamp(); err != nil || stamp < last {
			t.Fatalf("%d, %v", stamp, err)
		}
	}
	if off := time.UnixMicro(c.now()).Sub(f.wall); off.Abs() > time.Millisecond {
		t.Errorf("after twenty minutes stamps are still %s ahead", off)
	}
	f.wall = f.wall.Add(-time.Minute)
	if _, err := c.stamp(); err == nil {
		t.Error("the wall clock is a minute off again, and nobody said so")
	}
}
