package traffic

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/tidwall/btree"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/simulator/load"
)

// Reporter reports people's reactions when they are due, in batches, and counts what becomes of them. A batch that gets
// no answer is sent again with the same event ids.
type Reporter struct {
	record func(context.Context, *pb.RecordEventsRequest) (*pb.RecordEventsResponse, error)

	mu       sync.Mutex // guards the fields below
	due      *btree.BTreeG[scheduled]
	events   Events
	acks     *hdrhistogram.Histogram
	inFlight int // batches
}

// scheduled is an event at its instant. The number tells events of one instant apart.
type scheduled struct {
	at     time.Time
	number int
	event  *pb.Event
}

// Events counts the events of a run.
type Events struct {
	Planned  int            `json:"planned"`
	Dropped  int            `json:"dropped"`           // planned while mostScheduled others waited
	Answered int            `json:"answered"`          // with one of the outcomes
	Failed   int            `json:"failed"`            // without an answer in all tries
	Failure  string         `json:"failure,omitempty"` // of the first that failed
	Left     int            `json:"left"`              // neither due nor sent when the run ended
	Outcomes map[string]int `json:"outcomes"`
	Charged  hexbid.Money   `json:"charged_micros"`
	Ack      load.Measures  `json:"ack"` // times from sending a batch until its events are on disk, in seconds
}

const (
	mostScheduled = 1_000_000
	sendEvery     = 20 * time.Millisecond
	mostReports   = 16 // batches that wait for their answers at once
	mostTries     = 5
	firstPause    = 50 * time.Millisecond // before another try; then twice as long each time
	reportTimeout = 10 * time.Second
)

// NewReporter makes a reporter. record must report under the name of the client that searched.
func NewReporter(record func(context.Context, *pb.RecordEventsRequest) (*pb.RecordEventsResponse, error)) *Reporter {
	earlier := func(a, b scheduled) bool { return a.at.Before(b.at) || a.at.Equal(b.at) && a.number < b.number }
	return &Reporter{record: record, due: btree.NewBTreeGOptions(earlier, btree.Options{NoLocks: true}),
		events: Events{Outcomes: map[string]int{}}, acks: load.NewHistogram()}
}

// Add schedules reactions to an answer that came at an instant.
func (r *Reporter) Add(reactions []Reaction, answered time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, reaction := range reactions {
		if r.events.Planned++; r.due.Len() >= mostScheduled {
			r.events.Dropped++
			continue
		}
		r.due.Set(scheduled{answered.Add(reaction.After), r.events.Planned, reaction.Event})
	}
}

// Run reports events until the context ends. It returns when every batch on its way has its answer.
func (r *Reporter) Run(ctx context.Context) {
	ticker := time.NewTicker(sendEvery)
	defer ticker.Stop()
	var reports sync.WaitGroup
	defer reports.Wait()
	for {
		select {
		case now := <-ticker.C:
			for batch := r.take(now); batch != nil; batch = r.take(now) {
				reports.Go(func() { r.report(context.WithoutCancel(ctx), batch) })
			}
		case <-ctx.Done():
			return
		}
	}
}

// take returns the next batch that is due, nil for none and while enough others wait for their answers.
func (r *Reporter) take(now time.Time) (batch []*pb.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inFlight >= mostReports {
		return nil
	}
	for len(batch) < hexbid.MaxEvents {
		first, there := r.due.Min()
		if !there || first.at.After(now) {
			break
		}
		r.due.PopMin()
		batch = append(batch, first.event)
	}
	if batch != nil {
		r.inFlight++
	}
	return batch
}

// report sends a batch until it is answered.
func (r *Reporter) report(ctx context.Context, batch []*pb.Event) {
	answer, took, err := r.try(ctx, batch)
	for tries := 1; err != nil && isWorthAnotherTry(err) && tries < mostTries; tries++ {
		time.Sleep(firstPause << tries)
		answer, took, err = r.try(ctx, batch)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inFlight--
	if err != nil {
		if r.events.Failed += len(batch); r.events.Failure == "" {
			r.events.Failure = err.Error()
		}
		return
	}
	_ = r.acks.RecordValue(int64(took)) // at most reportTimeout, so in range
	for _, result := range answer.GetResults() {
		outcome := strings.ToLower(strings.TrimPrefix(result.GetOutcome().String(), "EVENT_OUTCOME_"))
		r.events.Answered++
		r.events.Outcomes[outcome]++
		r.events.Charged += hexbid.Money(result.GetChargedMicros())
	}
}

func (r *Reporter) try(ctx context.Context, batch []*pb.Event) (*pb.RecordEventsResponse, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	sent := time.Now()
	answer, err := r.record(ctx, &pb.RecordEventsRequest{Events: batch})
	return answer, time.Since(sent), err
}

// isWorthAnotherTry reports whether the same events may be recorded at another try.
func isWorthAnotherTry(err error) bool {
	switch status.Code(err) {
	case codes.ResourceExhausted, codes.Unavailable, codes.DeadlineExceeded, codes.Internal:
		return true
	}
	return false
}

// Events returns the counts. Call it after Run.
func (r *Reporter) Events() *Events {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.events
	e.Left, e.Ack = r.due.Len(), load.Measures{}
	e.Ack.AddTimes("", r.acks)
	return &e
}
