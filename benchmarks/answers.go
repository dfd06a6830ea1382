package benchmarks

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	rawpebble "github.com/cockroachdb/pebble/v2"

	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/token"
)

// answersFor is how long calls are offered for, at half of the rate that the ledger reached.
const answersFor = 3 * time.Second

// measureAnswers measures the time to an answer at half of the rate in figures. Pebble itself then gets as many bytes
// at the same instants, and writes all calls that wait with one sync: the disk and the machine give no less.
func measureAnswers(l *ledger.Ledger, t *tape, db *rawpebble.DB, figures Figures, progress func(string)) error {
	raw := rawCalls(t.batches)
	t.off, t.batches = true, nil // what the tape holds is not the ledger's memory
	tokens := clicker{issuer: token.Issuer{2}}
	pace := offered{perSecond: figures["events_per_s"] / 2 / eventsACall}
	calls, before := tokens.calls(pace.calls()), turnsOf(l)
	err := pace.measure("events_ack", figures, func(i int) error { return charge(l, calls[i]) })
	for work := range ledger.WorkCount {
		progress(turnsOf(l)[work].since(&before[work]).line(work))
	}
	if err != nil {
		return err
	}
	queue, ended := make(chan rawCall, len(calls)), make(chan error, 1)
	go func() { ended <- writeTogether(db, queue) }()
	err = pace.measure("pebble_ack", figures, func(i int) error {
		done := make(chan struct{})
		queue <- rawCall{&raw[i%len(raw)], byte(i / len(raw)), done}
		<-done
		return nil
	})
	close(queue)
	return errors.Join(err, <-ended)
}

// offered is an open loop: calls at planned instants.
type offered struct{ perSecond float64 }

func (o offered) calls() int { return int(o.perSecond * answersFor.Seconds()) }

// measure makes the calls, and adds the median and the 99th percentile of the milliseconds from a call's instant to its
// answer.
func (o offered) measure(name string, figures Figures, call func(i int) error) error {
	took := make([]time.Duration, o.calls())
	failed := make([]error, len(took))
	gap := time.Duration(float64(time.Second) / o.perSecond)
	var all sync.WaitGroup
	started := time.Now()
	for i := range took {
		planned := started.Add(time.Duration(i) * gap)
		time.Sleep(time.Until(planned))
		all.Go(func() {
			failed[i] = call(i)
			took[i] = time.Since(planned)
		})
	}
	all.Wait()
	p50, p99 := quantiles(took)
	figures[name+"_p50_ms"], figures[name+"_p99_ms"] = p50/1e6, p99/1e6
	return errors.Join(failed...)
}

// rawCall is what Pebble writes for a call. Rounds over the same rows go to keys of their own.
type rawCall struct {
	rows  *journal.Batch
	round byte
	done  chan struct{}
}

// rawCalls cuts batches of the ledger into the parts that calls made.
func rawCalls(batches []journal.Batch) (calls []journal.Batch) {
	for i := range batches {
		b := &batches[i]
		n := max(1, len(b.Records)/eventsACall)
		for k := range n {
			part := journal.Batch{After: b.After + uint64(k*len(b.Records)/n),
				Records: b.Records[k*len(b.Records)/n : (k+1)*len(b.Records)/n],
				Rows:    b.Rows[k*len(b.Rows)/n : (k+1)*len(b.Rows)/n]}
			calls = append(calls, part)
		}
	}
	return calls
}

// writeTogether writes calls until there are no more, all that wait with one sync. It answers them even if a write
// fails.
func writeTogether(db *rawpebble.DB, queue <-chan rawCall) (failed error) {
	for first := range queue {
		together := []rawCall{first}
		for len(queue) > 0 {
			together = append(together, <-queue)
		}
		batch := db.NewBatch()
		for _, c := range together {
			failed = errors.Join(failed, putRaw(batch, c.rows, c.round))
		}
		failed = errors.Join(failed, batch.Commit(rawpebble.Sync))
		for _, c := range together {
			close(c.done)
		}
	}
	return failed
}

// turnsSince are turns of one kind of work.
type turnsSince ledger.Turns

func turnsOf(l *ledger.Ledger) (all [ledger.WorkCount]turnsSince) {
	for work := range ledger.WorkCount {
		all[work] = turnsSince(l.Turns(work))
	}
	return all
}

// since returns the turns after some earlier moment. Longest stays that of all.
func (t turnsSince) since(before *turnsSince) turnsSince {
	t.Took -= before.Took
	for i := range t.Counts {
		t.Counts[i] -= before.Counts[i]
	}
	return t
}

// line says how many turns took up to how long.
func (t turnsSince) line(work ledger.Work) string {
	var counts []string
	for i, n := range t.Counts {
		if n > 0 {
			counts = append(counts, fmt.Sprintf("%d up to %s", n, ledger.TurnUpTo(i)))
		}
	}
	return fmt.Sprintf("events: %s took %s: %s", work, t.Took.Round(time.Millisecond), strings.Join(counts, ", "))
}
