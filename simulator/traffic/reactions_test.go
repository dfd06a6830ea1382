package traffic

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// answerOf is an answer with sponsored results of catering.
func answerOf(slots int) *pb.SearchNearbyResponse {
	answer := &pb.SearchNearbyResponse{}
	for slot := range int32(slots) {
		answer.Sponsored = append(answer.Sponsored, &pb.SponsoredResult{Slot: slot + 1, Token: fmt.Sprint("token", slot+1),
			Program: &pb.ProgramCard{Category: pb.Category_CATEGORY_CATERING}})
	}
	return answer
}

func TestPeopleSeeByPositionAndClickOnWhatTheySee(t *testing.T) {
	r := Reactions{Seed: 1, ClickRate: 0.1, ClickAfter: DefaultClickAfter}
	const n = 40_000
	seen, clicked := map[string]float64{}, map[string]float64{}
	for i := range n {
		all := r.To(i, answerOf(3))
		if !reflect.DeepEqual(all, r.To(i, answerOf(3))) {
			t.Fatalf("reactions to answer %d differ", i)
		}
		at := map[string]time.Duration{}
		for _, one := range all {
			token := one.Event.GetToken()
			if one.Event.GetKind() == pb.EventKind_EVENT_KIND_IMPRESSION {
				seen[token]++
				at[token] = one.After
				continue
			}
			clicked[token]++
			if looked, saw := at[token]; !saw || one.After <= looked || one.After > 2*mostDelay {
				t.Fatalf("clicked after %s, seen after %s: %t", one.After, looked, saw)
			}
		}
	}
	for slot, share := range []float64{1, 0.72, 0.56} {
		token := fmt.Sprint("token", slot+1)
		if share < 1 && !near(seen[token], n, share) || share == 1 && seen[token] != n ||
			!near(clicked[token], n, share*0.1) {
			t.Errorf("slot %d: seen %.0f times and clicked %.0f times of %d", slot+1, seen[token], clicked[token], n)
		}
	}
}

// desk answers reports, and fails the first of them.
type desk struct {
	mu      sync.Mutex
	fails   []codes.Code
	reports [][]*pb.Event
}

func (d *desk) record(_ context.Context, r *pb.RecordEventsRequest) (*pb.RecordEventsResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reports = append(d.reports, r.GetEvents())
	if len(d.fails) > 0 {
		code := d.fails[0]
		d.fails = d.fails[1:]
		return nil, status.Error(code, "it fails")
	}
	answer := &pb.RecordEventsResponse{}
	for range r.GetEvents() {
		answer.Results = append(answer.Results, &pb.EventResult{Outcome: pb.EventOutcome_EVENT_OUTCOME_CHARGED,
			ChargedMicros: 5})
	}
	return answer, nil
}

// reporting runs a reporter until its counts are as wanted, and returns them.
func reporting(t *testing.T, d *desk, reactions []Reaction, enough func(*Events) bool) *Events {
	t.Helper()
	r := NewReporter(d.record)
	r.Add(reactions, time.Now())
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.Run(ctx)
	}()
	for !enough(r.Events()) && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	stop()
	<-ended
	return r.Events()
}

func reactionsAfter(delays ...time.Duration) (all []Reaction) {
	for i, after := range delays {
		all = append(all, Reaction{after, &pb.Event{Token: "t", EventId: fmt.Sprint(i)}})
	}
	return all
}

func TestEventsAreReportedOnceTheyAreDue(t *testing.T) {
	d := &desk{}
	e := reporting(t, d, reactionsAfter(30*time.Millisecond, time.Hour, 0),
		func(e *Events) bool { return e.Answered == 2 })
	if e.Planned != 3 || e.Left != 1 || e.Charged != 10 || e.Outcomes["charged"] != 2 || e.Failed+e.Dropped != 0 ||
		e.Ack["max"] < 0 {
		t.Errorf("%+v", e)
	}
	var ids []string
	for _, report := range d.reports {
		for _, event := range report {
			ids = append(ids, event.GetEventId())
		}
	}
	if !reflect.DeepEqual(ids, []string{"2", "0"}) {
		t.Errorf("reported %v", ids)
	}
}

func TestAReportWithoutAnAnswerIsSentAgain(t *testing.T) {
	d := &desk{fails: []codes.Code{codes.Unavailable, codes.ResourceExhausted}}
	e := reporting(t, d, reactionsAfter(0), func(e *Events) bool { return e.Answered == 1 })
	if len(d.reports) != 3 || d.reports[0][0].GetEventId() != d.reports[2][0].GetEventId() || e.Failed != 0 {
		t.Errorf("%d reports, %+v", len(d.reports), e)
	}
	d = &desk{fails: []codes.Code{codes.InvalidArgument}}
	e = reporting(t, d, reactionsAfter(0), func(e *Events) bool { return e.Failed == 1 })
	if len(d.reports) != 1 || e.Failure == "" {
		t.Errorf("%d reports of what cannot be right, %+v", len(d.reports), e)
	}
}
