package server

import "time"

// abuses counts what a connection does that no well-behaved client does. The connection's lock guards it.
type abuses struct {
	noise int64     // bytes read that belong to no message so far
	at    time.Time // when they were counted last
	loud  time.Time // since when they have been too many; zero while they are not
	reset int64     // calls taken back, less what answers make up for
}

const (
	// quietBytesASecond is how much noise is forgiven. Keepalive and windows take some hundred bytes.
	quietBytesASecond = 64 << 10
	// callHeadBytes is what a call may take beside its message: headers, frames, and windows for its answer.
	callHeadBytes = 4 << 10
	// mostArriving bounds what may arrive at once and is taken for messages. It has room for eight uploads.
	mostArriving = 64 << 20
	// answersForgive is how many calls taken back each answer makes up for. Clients that hedge take back half of theirs.
	answersForgive = 4
)

// read counts bytes that have been read, and returns the noise.
func (a *abuses) read(n int64, now time.Time) int64 {
	forgiven := int64(now.Sub(a.at).Seconds() * quietBytesASecond)
	if a.at.IsZero() || forgiven > a.noise {
		forgiven = a.noise
	}
	if forgiven > 0 || a.at.IsZero() {
		a.at = now
	}
	a.noise += n - forgiven
	return a.noise
}

// isLoud counts bytes that have been read, and reports whether there has been too much noise for too long. A large
// message is noise until a goroutine has begun with its call.
func (a *abuses) isLoud(n, permitted int64, now time.Time, limits *Limits) bool {
	switch {
	case a.read(n, now) <= limits.NoiseBytes+permitted:
		a.loud = time.Time{}
	case a.loud.IsZero():
		a.loud = now
	}
	return !a.loud.IsZero() && now.Sub(a.loud) >= limits.NoiseTimeout
}

// credit takes bytes from the noise that have turned out to be a message, with all that belongs to it.
func (a *abuses) credit(n int64) { a.noise = max(0, a.noise-n) }

// permitted returns the bytes that may be parts of the messages that a connection waits for.
func (s *connections) permitted(w *waiting) int64 {
	return min(mostArriving, w.receiving*(s.requestBytes+messageOverheadBytes))
}

// expect takes the bytes from the noise that belong to the headers of a call.
func (c *connection) expect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abuses.credit(callHeadBytes)
}

// ended counts the end of a call: it was taken back before its answer, or answered. It closes a connection that takes
// too many back (CVE-2023-44487).
func (c *connection) ended(takenBack bool) {
	c.mu.Lock()
	if takenBack {
		c.abuses.reset++
	} else {
		c.abuses.reset = max(0, c.abuses.reset-answersForgive)
	}
	beyond := c.abuses.reset > c.of.limits.ResetCalls
	c.mu.Unlock()
	if beyond {
		c.of.expel(c, resetting)
	}
}
