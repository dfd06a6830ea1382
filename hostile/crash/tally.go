package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// tally counts what happened and records the broken promises.
type tally struct {
	out io.Writer

	kills, startKills, stops, rotations, searches, answers, edits, movements, erasures, audits, verified,
	remade atomic.Int64

	// Writes of clerks that were acknowledged, undos among them; changes read from the history; keys shown.
	papers, undone, changes, keysShown atomic.Int64

	// Events that caps or filters might have made free, and those of them of which two overlapping calls leave it open.
	judged, eitherWay atomic.Int64

	mu       sync.Mutex // guards the fields below
	outcomes [16]int64
	faults   [faultCount]int64
	printed  int
}

// mostPrinted limits the output of a run in which everything falls.
const mostPrinted = 40

// fall records a broken promise. It is a report.
func (t *tally) fall(f fault, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.faults[f]++
	if t.printed++; t.printed <= mostPrinted {
		fmt.Fprintf(t.out, "FELL %s: %s\n", f, fmt.Sprintf(format, args...))
	}
}

// fault reports a fault of the process itself.
func (t *tally) fault(format string, args ...any) { t.fall(wrong, format, args...) }

func (t *tally) outcome(o pb.EventOutcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if o > 0 && int(o) < len(t.outcomes) {
		t.outcomes[o]++
	}
}

func (t *tally) fell() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.faults != [faultCount]int64{}
}

// line sums up what has happened so far.
func (t *tally) line() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var outcomes []string
	for o, n := range t.outcomes {
		if n > 0 {
			name := strings.ToLower(strings.TrimPrefix(pb.EventOutcome(o).String(), "EVENT_OUTCOME_"))
			outcomes = append(outcomes, fmt.Sprintf("%d %s", n, strings.ReplaceAll(name, "_", " ")))
		}
	}
	return fmt.Sprintf("%d kills (%d while starting), %d orderly ends, %d rotations of keys, %d searches, "+
		"%d answers to events (%s), %d edits of limits, %d viewers erased, %d movements of balances, "+
		"%d campaigns made again, %d events judged by caps and filters (%d either way), %d writes of the market, users, "+
		"clients, keys, places and campaigns (%d undos), %d changes read from the history, %d keys shown, %d audits, "+
		"%d folders verified: "+
		"%d lost, %d doubled, %d exceeded, %d wrong",
		t.kills.Load(), t.startKills.Load(), t.stops.Load(), t.rotations.Load(), t.searches.Load(), t.answers.Load(),
		strings.Join(outcomes, ", "), t.edits.Load(), t.erasures.Load(), t.movements.Load(), t.remade.Load(),
		t.judged.Load(), t.eitherWay.Load(), t.papers.Load(), t.undone.Load(), t.changes.Load(), t.keysShown.Load(),
		t.audits.Load(),
		t.verified.Load(), t.faults[lost], t.faults[doubled], t.faults[exceeded], t.faults[wrong])
}
