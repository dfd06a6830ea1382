package ledger

import (
	"sync"
	"time"

	"github.com/hexbid/hexbid"
)

// mostClockError is how far stamps may be from the wall clock. Beyond it nothing is acknowledged: charges would count
// on wrong days, and tokens would expire at wrong times.
const mostClockError = 10 * time.Second

// slewPart is how fast stamps close in on the wall clock: by at most one part in slewPart of the time that passes. A
// step of ten seconds is made up for in 200.
const slewPart = 20

// clock makes stamps: instants that never decrease. They advance with the monotonic clock, which nobody sets, and slew
// to the wall clock, which somebody may set at any time. So a step of the wall clock neither repeats a day nor skips
// one.
type clock struct {
	wall      func() time.Time
	monotonic func() time.Duration

	mu      sync.Mutex // guards the fields below
	last    int64      // the last stamp, microseconds since 1970
	read    time.Duration
	rest    time.Duration // what slewing owes below a microsecond
	allowed time.Duration // the error that is still allowed; above mostClockError after a start with AllowAhead
	off     time.Duration // the stamp less the wall clock, at the last reading
}

// startClock starts a clock that gives no stamp below last. It fails if last is ahead of the wall clock by more than
// mostClockError, unless that is allowed.
func startClock(o *Options, last int64) (*clock, error) {
	c := &clock{wall: o.Wall, monotonic: o.Monotonic, allowed: mostClockError}
	now := o.Wall()
	c.last, c.read = max(last, now.UnixMicro()), o.Monotonic()
	c.off = time.UnixMicro(c.last).Sub(now)
	if c.off <= mostClockError {
		return c, nil
	}
	if !o.AllowAhead {
		return nil, hexbid.Errorf(hexbid.Unavailable, "clock", "the ledger's last record is of %s, which is %s ahead of "+
			"this machine's clock: set the clock right, or allow a ledger ahead of it; its days then last longer until "+
			"the clock has caught up", time.UnixMicro(last).UTC().Format(time.RFC3339), c.off.Round(time.Second))
	}
	c.allowed = c.off + mostClockError
	return c, nil
}

// stamp returns the present stamp. It fails while stamps and the wall clock are too far apart.
func (c *clock) stamp() (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	if c.off > c.allowed || c.off < -c.allowed {
		return c.last, c.wrong()
	}
	return c.last, nil
}

// now returns the present stamp, however far the wall clock is.
func (c *clock) now() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance()
	return c.last
}

// advance moves the stamp on by the time that has passed, and towards the wall clock by at most a slewPart of it. While
// the wall clock is too far away it is taken for wrong, and stamps do not follow it.
func (c *clock) advance() {
	monotonic, wall := c.monotonic(), c.wall()
	passed := max(monotonic-c.read, 0)
	c.read = max(monotonic, c.read)
	next := time.UnixMicro(c.last).Add(passed + c.rest)
	c.off = next.Sub(wall)
	if c.off <= c.allowed && c.off >= -c.allowed {
		slew := min(max(-c.off, -passed/slewPart), passed/slewPart)
		next = next.Add(slew)
		c.off += slew
		if c.allowed > mostClockError {
			c.allowed = max(mostClockError, min(c.allowed, c.off+mostClockError))
		}
	}
	stamp := next.UnixMicro()
	c.rest = next.Sub(time.UnixMicro(stamp))
	c.last = max(c.last, stamp)
}

func (c *clock) wrong() error {
	where := "behind"
	if c.off < 0 {
		where = "ahead of"
	}
	return hexbid.Errorf(hexbid.Unavailable, "clock", "this machine's clock is %s %s the ledger's time, of which at most "+
		"%s is allowed: set the clock right; if it is right already, restart the server",
		c.off.Abs().Round(time.Millisecond), where, c.allowed.Round(time.Second))
}
