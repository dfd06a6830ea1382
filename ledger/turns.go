package ledger

import (
	"sync/atomic"
	"time"
)

// Work is what one turn of the ledger's owner or of its writer does.
type Work uint8

// The kinds of work. Whoever reports an event waits for turns of the owner, and then for turns of the writer.
const (
	Judging       Work = iota // of the owner: a request, with the records that it makes
	Ticking                   // of the owner: what time brings, such as the end of an hour
	Settling                  // of the owner: a slice of the rows of totals
	Checkpointing             // of the owner: a slice of the rows of state
	Telling                   // of the owner: what watchers will learn of a batch
	Writing                   // of the writer: a batch, until it is synced
	Answering                 // of the writer: the callers of a batch, watchers and views
	WorkCount
)

// String names the work, as metrics do.
func (w Work) String() string {
	return [WorkCount]string{"judging", "ticking", "settling", "checkpointing", "telling", "writing", "answering"}[w]
}

// TurnBuckets is how many buckets of durations Turns has. Bucket i counts the turns that took up to TurnUpTo(i), and
// not up to TurnUpTo(i-1); the last one counts the longer ones too.
const TurnBuckets = 16

// TurnUpTo returns the upper end of a bucket: 100 µs, twice as much for each further one.
func TurnUpTo(bucket int) time.Duration { return 100 * time.Microsecond << bucket }

// Turns counts turns of one kind of work.
type Turns struct {
	Took    time.Duration // of all of them together
	Longest time.Duration
	Counts  [TurnBuckets]uint64
}

// turns counts turns. Each kind of work is done by one goroutine; any may read.
type turns [WorkCount]struct {
	took, longest atomic.Int64
	counts        [TurnBuckets]atomic.Uint64
}

// note counts a turn that began at an instant.
func (t *turns) note(w Work, began time.Time) {
	took := time.Since(began)
	of := &t[w]
	of.took.Add(int64(took))
	if int64(took) > of.longest.Load() {
		of.longest.Store(int64(took))
	}
	bucket := 0
	for bucket < TurnBuckets-1 && took > TurnUpTo(bucket) {
		bucket++
	}
	of.counts[bucket].Add(1)
}

// Turns returns how long turns of a kind of work took since the ledger was opened.
func (l *Ledger) Turns(w Work) Turns {
	of := &l.turns[w]
	t := Turns{Took: time.Duration(of.took.Load()), Longest: time.Duration(of.longest.Load())}
	for i := range t.Counts {
		t.Counts[i] = of.counts[i].Load()
	}
	return t
}
