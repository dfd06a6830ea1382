package main

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid/hostile/victim"
)

// tally counts the calls and their outcomes, and records the falls.
type tally struct {
	attacks, kills, damages, notStarted, lost     atomic.Int64
	calls, refused, late, wrong, internal, beside atomic.Int64
	rowsStored, rowsRefused                       atomic.Int64 // rows of bombs
	peakMB, peakGoroutines                        atomic.Int64

	mu      sync.Mutex // guards attack and falls
	attack  string
	slowest time.Duration // longest call of a bystander during the attack; printed, not judged
	falls   map[string]int
}

// begin names the attack to which later falls belong.
func (t *tally) begin(attack string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.attack, t.slowest = attack, 0
}

// waited notes how long a bystander waited for an answer.
func (t *tally) waited(took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.slowest = max(t.slowest, took)
}

// fall records a violation. It prints equal ones once.
func (t *tally) fall(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.falls == nil {
		t.falls = map[string]int{}
	}
	what := t.attack + ": " + fmt.Sprintf(format, args...)
	if t.falls[what]++; t.falls[what] == 1 && len(t.falls) <= mostFallsPrinted {
		fmt.Println("FELL", what)
	}
}

// mostFallsPrinted limits the output of a round in which everything falls.
const mostFallsPrinted = 60

func (t *tally) fell() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.falls) > 0
}

// called counts an attacker's call and judges its outcome. The service may refuse the call, reject its input, or close
// its connection. It must not fail internally.
func (t *tally) called(method string, err error) {
	t.calls.Add(1)
	switch status.Code(err) {
	case codes.ResourceExhausted:
		t.refused.Add(1)
	case codes.DeadlineExceeded:
		t.late.Add(1)
	case codes.Internal, codes.Unknown, codes.DataLoss:
		if !victim.CutOff(err) {
			t.internal.Add(1)
			t.fall("%s: %.300s", method, err)
		}
	}
}

// row counts a row of a bomb.
func (t *tally) row(stored bool) {
	if stored {
		t.rowsStored.Add(1)
	} else {
		t.rowsRefused.Add(1)
	}
}

// newServer returns the program with a data folder in dir. Its faults are falls of the tally.
func newServer(o options, t *tally, dir string) (*victim.Server, error) {
	return victim.New(victim.Options{Binary: o.binary, Data: filepath.Join(dir, "data"), Credentials: o.credentials,
		MemoryCapMB: o.memoryCapMB, Fault: t.fall, Peak: func(residentMB int64) { raise(&t.peakMB, residentMB) }})
}

func raise(most *atomic.Int64, to int64) {
	for {
		present := most.Load()
		if to <= present || most.CompareAndSwap(present, to) {
			return
		}
	}
}

// counts are the counts of a tally at one instant.
type counts struct {
	calls, refused, late, beside, rowsStored, rowsRefused int64
	slowest                                               time.Duration
}

func (t *tally) counts() counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	return counts{t.calls.Load(), t.refused.Load(), t.late.Load(), t.beside.Load(), t.rowsStored.Load(),
		t.rowsRefused.Load(), t.slowest}
}

func (c counts) since(before counts) string {
	text := fmt.Sprintf("%d calls, %d refused, %d late; %d beside within %.2f s", c.calls-before.calls,
		c.refused-before.refused, c.late-before.late, c.beside-before.beside, c.slowest.Seconds())
	if stored, refused := c.rowsStored-before.rowsStored, c.rowsRefused-before.rowsRefused; stored+refused > 0 {
		text += fmt.Sprintf(", rows: %d stored, %d refused", stored, refused)
	}
	return text
}

// lastLine sums up a round.
func (t *tally) lastLine() string {
	t.mu.Lock()
	fell := len(t.falls)
	t.mu.Unlock()
	return fmt.Sprintf("hostile: %d attacks, %s calls, %s refused, %s past their deadline, %s bystanders' calls, %d "+
		"wrong answers, %d internal errors, %d kills, %d damages of which %d refused to start, %d lost, "+
		"peak %d MiB and %s goroutines, %d fell",
		t.attacks.Load(), grouped(t.calls.Load()), grouped(t.refused.Load()), grouped(t.late.Load()),
		grouped(t.beside.Load()), t.wrong.Load(), t.internal.Load(), t.kills.Load(), t.damages.Load(),
		t.notStarted.Load(), t.lost.Load(), t.peakMB.Load(), grouped(t.peakGoroutines.Load()),
		fell)
}

// grouped writes a count with commas between thousands.
func grouped(n int64) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
