package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid/hostile/victim"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// Numbers of clients of each kind that call at once.
const (
	searchers = 2
	reporters = 4
	editors   = 10
	cappers   = 1
	erasers   = 1
	movers    = 1
	remakers  = 1
)

// crowd is everybody who calls the server in one of its lives.
type crowd struct {
	auditor   *auditor
	office    *office
	desk      *desk
	search    pb.SearchServiceClient
	events    pb.EventServiceClient
	campaigns pb.CampaignServiceClient
	ledger    pb.LedgerServiceClient
	answered  chan struct{} // has something once an event has been answered
}

func newCrowd(a *auditor, o *office, conn *grpc.ClientConn) *crowd {
	return &crowd{auditor: a, office: o, desk: newDesk(conn), search: pb.NewSearchServiceClient(conn),
		events: pb.NewEventServiceClient(conn), campaigns: pb.NewCampaignServiceClient(conn),
		ledger: pb.NewLedgerServiceClient(conn), answered: make(chan struct{}, 1)}
}

// searchClient is the client that tokens are given to.
const searchClient = "crash"

// asClient returns a context whose calls are that client's.
func asClient(ctx context.Context) context.Context { return victim.AsClient(ctx, searchClient) }

// call calls until the process ends, and returns when all clients have noticed.
func (c *crowd) call(ctx context.Context, random *rand.Rand) {
	var group sync.WaitGroup
	repeat := func(n int, step func(context.Context, *rand.Rand) error) {
		for range n {
			own := rand.New(rand.NewPCG(random.Uint64(), random.Uint64()))
			group.Go(func() { c.repeat(ctx, own, step) })
		}
	}
	repeat(searchers, c.searchOnce)
	repeat(reporters, c.reportSome)
	repeat(editors, c.editOne)
	repeat(cappers, c.capOne)
	repeat(erasers, c.eraseOnce)
	repeat(movers, c.moveOnce)
	repeat(remakers, c.remakeOnce)
	for clerk := range clerkCount {
		repeat(1, func(ctx context.Context, random *rand.Rand) error {
			time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
			return endOf(c.office.writeOne(ctx, c.desk, clerk, random))
		})
	}
	group.Wait()
}

// repeat makes one step after another until the process ends.
func (c *crowd) repeat(ctx context.Context, random *rand.Rand, step func(context.Context, *rand.Rand) error) {
	for ctx.Err() == nil {
		switch err := step(ctx, random); status.Code(err) {
		case codes.OK:
		case codes.ResourceExhausted: // others call too
			time.Sleep(time.Millisecond)
		case codes.Unavailable, codes.Canceled, codes.DeadlineExceeded:
			return
		default:
			if !victim.CutOff(err) {
				c.auditor.tally.fall(wrong, "a call failed: %v", err)
			}
			return
		}
	}
}

func (c *crowd) searchOnce(ctx context.Context, random *rand.Rand) error {
	if c.auditor.full() {
		time.Sleep(5 * time.Millisecond)
		return nil
	}
	viewer, began := c.auditor.drawViewer(random), time.Now()
	response, err := c.search.SearchNearby(asClient(ctx), searchRequest(hosts[random.IntN(len(hosts))], viewer))
	if err == nil {
		c.auditor.tally.searches.Add(1)
		c.auditor.offer(response.GetSponsored(), viewer, began)
	}
	return err
}

// reportSome reports the events of some awards. Now and then it reports something again that was answered already, or
// makes the same call twice at once.
func (c *crowd) reportSome(ctx context.Context, random *rand.Rand) error {
	batch := c.auditor.draw(random)
	if len(batch) == 0 {
		time.Sleep(time.Millisecond)
		return nil
	}
	if random.IntN(20) == 0 {
		var group sync.WaitGroup
		defer group.Wait()
		group.Go(func() { _ = c.report(ctx, batch) }) // its error is that of the other call
	}
	if random.IntN(4) == 0 {
		return c.reportInStream(ctx, batch)
	}
	return c.report(ctx, batch)
}

// draw returns the next events to report.
func (a *auditor) draw(random *rand.Rand) (batch []*event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for range 1 + random.IntN(4) {
		owner := a.advertisers[random.IntN(len(a.advertisers))]
		c := owner.campaigns[random.IntN(len(owner.campaigns))]
		kept := keptForEdits
		if c.gone {
			kept = 0
		}
		for _, one := range c.take(1+random.IntN(3), kept) {
			batch = append(batch, a.story(one, random)...)
		}
	}
	if len(a.events) > 0 && random.IntN(4) == 0 {
		batch = append(batch, a.tellAgain(a.events[random.IntN(len(a.events))], random)...)
	}
	return batch
}

// tellAgain returns an event that was sent before, or the same under another id, which must be a duplicate even after
// many kills. It leaves out a conversion without an answer, which could overtake its click.
func (a *auditor) tellAgain(e *event, random *rand.Rand) []*event {
	switch {
	case e.kind == conversion && e.answer == nil:
		return nil
	case random.IntN(2) == 0:
		return []*event{e}
	}
	return []*event{a.happen(e.award, e.kind, 0)}
}

func messages(batch []*event) []*pb.Event {
	list := make([]*pb.Event, len(batch))
	for i, e := range batch {
		list[i] = e.message()
	}
	return list
}

// report reports events in one call.
func (c *crowd) report(ctx context.Context, batch []*event) error {
	ctx, cancel := context.WithTimeout(asClient(ctx), victim.Patience)
	defer cancel()
	response, err := c.events.RecordEvents(ctx, &pb.RecordEventsRequest{Events: messages(batch)})
	if err == nil {
		c.take(batch, response.GetResults())
	}
	return err
}

// reportInStream reports each event as a batch of its own in one stream.
func (c *crowd) reportInStream(ctx context.Context, batch []*event) error {
	ctx, cancel := context.WithTimeout(asClient(ctx), victim.Patience)
	defer cancel()
	stream, err := c.events.StreamEvents(ctx)
	if err != nil {
		return err
	}
	for i, e := range batch {
		if stream.Send(&pb.StreamEventsRequest{Batch: int64(i), Events: messages(batch[i : i+1])}) != nil {
			break // Recv says why
		}
		_ = e
	}
	_ = stream.CloseSend() // Recv says why
	for i := range batch {
		response, err := stream.Recv()
		if err != nil {
			return err
		}
		if response.GetBatch() != int64(i) {
			c.auditor.tally.fall(wrong, "a stream answered batch %d in place of %d", response.GetBatch(), i)
		}
		c.take(batch[i:i+1], response.GetResults())
	}
	return nil
}

// take notes the answers to a batch.
func (c *crowd) take(batch []*event, results []*pb.EventResult) {
	at := time.Now()
	if len(results) != len(batch) {
		c.auditor.tally.fall(wrong, "%d events got %d answers", len(batch), len(results))
		return
	}
	for i, e := range batch {
		c.auditor.answered(e, results[i], at)
	}
	select {
	case c.answered <- struct{}{}:
	default:
	}
}
