package main

import (
	"fmt"
	"time"
)

// rules are the rules of invalid traffic in an era, and of who may call. The zero rules filter nothing.
type rules struct {
	tooSoon      time.Duration // a click sooner after its search is filtered
	repeats      int           // clicks of a viewer on a campaign that are not filtered
	withoutShown bool          // clicks without an impression may be filtered, by the share of them that the client has
	credentials  bool          // callers must have credentials
}

// repeatWindow is longer than any era.
const repeatWindow = 24 * time.Hour

// rulesOf returns the rules of the nth era, counted from 0. Every other era filters nothing, and the server of every
// third demands credentials.
func rulesOf(n int) rules {
	r := rules{credentials: n%3 == 1}
	if n%2 == 0 {
		r.tooSoon, r.repeats, r.withoutShown = 400*time.Millisecond, 2, n%4 == 2
	}
	return r
}

// args are the flags of the server. Those that the package victim gives switch everything off.
func (r rules) args() []string {
	args := []string{fmt.Sprint("--filter-too-soon=", r.tooSoon), fmt.Sprint("--filter-repeat-clicks=", r.repeats),
		fmt.Sprint("--filter-repeat-window=", repeatWindow)}
	if r.withoutShown {
		args = append(args, "--filter-implied-percent=10", "--filter-implied-clicks=10")
	}
	return args
}

// clockSlack is how far the ledger's clock may be from the auditor's. Both follow the machine's.
const clockSlack = 50 * time.Millisecond

// isTooSoon tells whether a click came too soon after its search.
func (r rules) isTooSoon(e *event) expectation {
	if r.tooSoon == 0 {
		return no
	}
	soonest, latest := e.sent.Sub(e.award.offered), e.answered.Sub(e.award.searched)
	return expect(latest < r.tooSoon-clockSlack, soonest < r.tooSoon+clockSlack)
}

// filters tells whether a click should be filtered, given the viewer's clicks on the campaign that were not.
func (a *auditor) filters(e *event, earlier []counted, shown bool) expectation {
	found := a.rules.isTooSoon(e)
	if a.rules.repeats > 0 && e.award.viewer != "" {
		least, most := a.howMany(earlier, repeatWindow, e)
		found = max(found, expect(least >= a.rules.repeats, most >= a.rules.repeats))
	}
	if a.rules.withoutShown && !shown {
		found = max(found, either)
	}
	return found
}
