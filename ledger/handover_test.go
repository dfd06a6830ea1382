package ledger

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/journal"
)

// gated is a journal that commits records only when its gate is open.
type gated struct {
	journal.Journal
	reached atomic.Int32
	gate    chan struct{}
}

func (g *gated) Commit(ctx context.Context, b *journal.Batch) error {
	if len(b.Records) > 0 {
		g.reached.Add(1)
		<-g.gate
	}
	return g.Journal.Commit(ctx, b)
}

// TestAFreeWriterGetsItsBatchBeforeMoreRequestsAreTaken has three requests wait in the queue while a commit is under
// way. The first ends after the commit has. Its batch must go to the writer then, without the other two.
func TestAFreeWriterGetsItsBatchBeforeMoreRequestsAreTaken(t *testing.T) {
	ctx := context.Background()
	g := &gated{Journal: journal.NewMemory(), gate: make(chan struct{}, 1)}
	g.gate <- struct{}{} // for the first epoch
	l, err := Open(ctx, Options{Journal: g, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	record := func(o *owner) error {
		uid := hexbid.UID(o.books.Last().Sequence + 1)
		return o.setTerms(0, nil, []fold.AdvertiserTerms{{Advertiser: uid, Name: "advertisers/a"}})
	}
	queued, together := make(chan struct{}), 0
	requests := []*request{newRequest(record), newRequest(func(o *owner) error {
		<-queued
		for deadline := time.Now().Add(time.Minute); len(l.written) == 0 && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		return record(o)
	}), newRequest(func(o *owner) error {
		together = len(o.batch.requests)
		return record(o)
	}), newRequest(record)}
	l.queue <- requests[0]
	for g.reached.Load() < 2 { // after the first epoch
		time.Sleep(time.Millisecond)
	}
	l.queue <- requests[1]
	for requests[1].state.Load() != taken { // the owner is in its work
		time.Sleep(time.Millisecond)
	}
	for _, r := range requests[2:] {
		l.queue <- r
	}
	close(g.gate)
	close(queued)
	for _, r := range requests {
		if <-r.done; r.err != nil {
			t.Fatal(r.err)
		}
	}
	if together != 1 {
		t.Errorf("the batch waited for %d more requests while the writer was free", together-1)
	}
}
