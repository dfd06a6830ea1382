package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/simulator/load"
)

// The flags that each way of sending requests ignores.
var (
	ofReplays     = []string{"speed", "zone"}
	ofDrawn       = []string{"where", "viewers"}
	unusedAtTimes = slices.Concat(ofDrawn, []string{"duration", "warm-up", "arrivals", "seed"})
	unusedAtARate = slices.Concat(ofDrawn, ofReplays)
)

// refuseUnused returns an error that names the given flags that would be ignored.
func (c *simulateLoadCommand) refuseUnused(given []string) error {
	unused, because := ofReplays, "they are of a replay: add --requests"
	switch {
	case c.Requests != "" && c.atARate(given):
		unused, because = unusedAtARate, "a replay of --requests at a rate does not use them"
	case c.Requests != "":
		unused, because = unusedAtTimes,
			"a replay of --requests at its own times does not use them: leave them out, or add --rate to send its places at a "+
				"rate"
	}
	var refused []string
	for _, name := range unused {
		if slices.Contains(given, name) && !(name == "seed" && c.ChangesPerSecond > 0) {
			refused = append(refused, "--"+name)
		}
	}
	if len(refused) > 0 {
		return hexbid.Invalidf(strings.Join(refused, ", "), "%s", because)
	}
	return nil
}

// atARate reports whether the places of a file are sent at a rate rather than at the file's times.
func (c *simulateLoadCommand) atARate(given []string) bool {
	return c.Day || slices.Contains(given, "rate")
}

const longestReplay = 366 * 24 * time.Hour

// record reads the file of requests and prints what will be sent.
func (c *simulateLoadCommand) record(given []string, w io.Writer) (*recording, error) {
	if !(c.Speed > 0) {
		return nil, hexbid.Invalidf("--speed", "%v: it must be above 0", c.Speed)
	}
	zone, err := hexbid.TimeZone("--zone", c.Zone)
	if err != nil {
		return nil, err
	}
	file := requestFile{path: c.Requests, timed: !c.atARate(given), zone: zone, slots: c.Slots, limit: c.Limit,
		radiusM: c.RadiusM}
	r, err := file.read(w)
	if err != nil {
		return nil, err
	}
	if file.timed {
		r.start()
		if takes := float64(r.at[len(r.at)-1]) / c.Speed; takes > float64(longestReplay) {
			return nil, hexbid.Invalidf("--speed",
				"%g: the file spans %s, so its replay would take over %s: are its first and last times right?", c.Speed,
				r.at[len(r.at)-1], longestReplay)
		}
	}
	fmt.Fprintln(w, c.saysReplay(r))
	r.hasten(c.Speed)
	return r, nil
}

// saysReplay describes for people what will be sent.
func (c *simulateLoadCommand) saysReplay(r *recording) string {
	n := len(r.requests)
	if len(r.at) == 0 {
		return fmt.Sprintf("%s: %d requests, in the order of the file and from its start again after the last, at %s a "+
			"second for %s", c.Requests, n, c.Rate, c.Duration)
	}
	span := r.at[n-1]
	if span == 0 {
		return fmt.Sprintf("%s: %d requests, all at one instant", c.Requests, n)
	}
	mean := float64(n) / span.Seconds()
	says := fmt.Sprintf("%s: %d requests over %s, %.3g a second on average", c.Requests, n,
		span.Round(time.Millisecond), mean)
	if c.Speed != 1 {
		says += fmt.Sprintf("; %g times as fast %s, %.3g a second", c.Speed,
			time.Duration(float64(span)/c.Speed).Round(time.Millisecond), mean*c.Speed)
	}
	if r.burst() {
		says += "; its times are whole seconds, and those of one second are sent at once"
	}
	return says
}

// burst reports whether requests share instants because the times are whole seconds.
func (r *recording) burst() bool {
	shared := false
	for i, at := range r.at {
		if at%time.Second != 0 {
			return false
		}
		shared = shared || i > 0 && at == r.at[i-1]
	}
	return shared
}

// replay returns the plan of a recording. A curve that is not nil sets the rate.
func (c *simulateLoadCommand) replay(t *target, curve load.Curve, r *recording) planned {
	call := func(ctx context.Context, i int) error { return t.send(ctx, i, r.requests[i%len(r.requests)]) }
	if len(r.at) > 0 {
		c.WarmUp = 0
		return planned{load.Replay(r.at), fmt.Sprintf("replay of %s, %g times as fast", c.Requests, c.Speed), call,
			float64(len(r.at))}
	}
	return planned{c.arrivals(curve), c.saysRate() + ", places of " + c.Requests, call, curve.Calls()}
}
