package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid/hostile/victim"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

const (
	eventClient      = "event-attackers"
	anotherClient    = "another"
	eventAdvertisers = 5
	eventReporters   = 6
	eventForgers     = 3
	recentAds        = 200
	eventLatitude    = -50
	eventLongitude   = 100
)

// events reports events in every wrong way: again, under other ids, many at once from several clients, with tokens that
// are altered, made up or another client's, in batches that are malformed, and in streams whose answers nobody reads.
// Afterwards each charge must be one that the rules give, and the ledger must have what clients were answered, to the
// micro.
func events(ctx context.Context, r *round) error {
	if err := r.server.IntroduceClients(ctx, eventClient, anotherClient); err != nil {
		return err
	}
	conn, err := r.server.Dial(victim.Patient())
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := importRows(ctx, conn, eventMarket()); err != nil {
		return err
	}
	a := &eventAttack{round: r, audit: newEventAudit()}
	if err := a.run(ctx); err != nil {
		return err
	}
	if err := a.audit.compare(ctx, pb.NewLedgerServiceClient(conn), eventCampaigns()); err != nil {
		r.tally.fall("%v", err)
	}
	if a.audit.events() == 0 {
		r.tally.fall("not one event was recorded, after %d searches whose auction was held and %d without one",
			a.auctions.Load(), a.skipped.Load())
	}
	return nil
}

// eventMarket returns campaigns of several advertisers, of both pricing models. Each sets the price of the one above.
func eventMarket() (rows []*pb.ImportRow) {
	for i := range eventAdvertisers {
		advertiser := fmt.Sprintf("events-%d", i)
		c := campaignOf(advertiser, 0, &pb.Area{Circles: []*pb.Circle{{Latitude: eventLatitude, Longitude: eventLongitude,
			RadiusM: 1000}}})
		c.BidMicros, c.DailyBudgetMicros = int64(i+1)*yuan, 1_000_000*yuan
		if i%2 == 1 {
			c.PricingModel, c.BidMicros = pb.PricingModel_PRICING_MODEL_CPM, int64(i+1)*40*yuan
		}
		rows = append(append(rows, programRows(advertiser)...), &pb.ImportRow{
			Resource: &pb.ImportRow_Campaign{Campaign: c}})
	}
	return rows
}

func eventCampaigns() (names []string) {
	for i := range eventAdvertisers {
		names = append(names, fmt.Sprintf("advertisers/events-%d/campaigns/c0", i))
	}
	return names
}

// eventAttack is what the clients of the attack share.
type eventAttack struct {
	*round
	audit *eventAudit

	auctions, skipped atomic.Int64 // searches that were answered, with an auction and without

	mu     sync.Mutex // guards recent
	recent []*ad      // the last ads; events of them are reported again
}

// run attacks until the attack's share of the time is over and an event has been recorded: on a machine that does much
// else, many searches have no time for their auction. Events that have no answer by then are reported until they have
// one.
func (a *eventAttack) run(ctx context.Context) error {
	stop, cancel := a.until(ctx)
	defer cancel()
	patience, lose := context.WithTimeout(ctx, victim.Patience)
	defer lose()
	var group sync.WaitGroup
	for i := range eventReporters + eventForgers {
		conn, err := a.server.Dial()
		if err != nil {
			return err
		}
		defer conn.Close()
		c := &eventCaller{eventAttack: a, conn: conn, client: pb.NewEventServiceClient(conn),
			random: rand.New(rand.NewPCG(a.seed, uint64(i)))}
		once := c.report
		if i >= eventReporters {
			once = c.forge
		}
		group.Go(func() {
			for stop.Err() == nil || a.audit.events() == 0 && patience.Err() == nil {
				if err := once(ctx); err != nil {
					a.tally.fall("%v", err)
					return
				}
			}
		})
	}
	group.Wait()
	return ctx.Err()
}

// eventCaller is one client of the attack.
type eventCaller struct {
	*eventAttack
	conn   *grpc.ClientConn
	client pb.EventServiceClient
	random *rand.Rand
}

// search returns ads for the attack to report.
func (c *eventCaller) search(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(victim.AsClient(ctx, eventClient), 10*time.Second)
	defer cancel()
	answer, err := pb.NewSearchServiceClient(c.conn).SearchNearby(ctx, &pb.SearchNearbyRequest{Host: attackersHost,
		Location: &pb.Location{Latitude: eventLatitude, Longitude: eventLongitude}, NearbyLimit: proto.Int32(0),
		SponsoredSlots: proto.Int32(eventAdvertisers)})
	c.tally.called("a search for tokens", err)
	if err != nil {
		return nil // the tally judges
	}
	if answer.GetSponsoredSkipped() {
		c.skipped.Add(1)
	} else {
		c.auctions.Add(1)
	}
	shown := c.audit.show(answer)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recent = append(c.recent, shown...)
	c.recent = c.recent[max(0, len(c.recent)-recentAds):]
	return nil
}

// draw returns up to so many ads, the same one perhaps several times.
func (c *eventCaller) draw(most int) (ads []*ad) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for range most {
		if len(c.recent) > 0 {
			ads = append(ads, c.recent[c.random.IntN(len(c.recent))])
		}
	}
	return ads
}

// report reports impressions and clicks of good tokens, most of them not for the first time.
func (c *eventCaller) report(ctx context.Context) error {
	if err := c.search(ctx); err != nil {
		return err
	}
	var events []*pb.Event
	for _, one := range c.draw(1 + c.random.IntN(50)) {
		events = append(events, &pb.Event{Kind: pb.EventKind(1 + c.random.IntN(2)), Token: one.token,
			EventId: oneOf(c.random, "a", "b", strings.Repeat("c", 64))})
	}
	if len(events) == 0 {
		return nil
	}
	send := c.call
	if c.random.IntN(4) == 0 {
		send = c.stream
	}
	results, err := c.untilAnswered(ctx, events, send)
	if err != nil {
		return err
	}
	for i, e := range events {
		if err := c.audit.answered(e, results[i]); err != nil {
			return err
		}
	}
	return nil
}

// sending sends events once.
type sending func(context.Context, []*pb.Event) ([]*pb.EventResult, error)

// untilAnswered sends events until they are answered, as a client must. It gives some calls no time, so that what they
// report may or may not be recorded.
func (c *eventCaller) untilAnswered(ctx context.Context, events []*pb.Event,
	send sending) (results []*pb.EventResult, err error) {
	for ctx.Err() == nil {
		timeout := 30 * time.Second
		if c.random.IntN(5) == 0 {
			timeout = time.Duration(c.random.IntN(3000)) * time.Microsecond
		}
		one, cancel := context.WithTimeout(victim.AsClient(ctx, eventClient), timeout)
		results, err = send(one, events)
		cancel()
		c.tally.called("events", err)
		switch status.Code(err) {
		case codes.OK:
			if len(results) != len(events) {
				return nil, fmt.Errorf("%d events have %d results", len(events), len(results))
			}
			return results, nil
		case codes.DeadlineExceeded, codes.ResourceExhausted, codes.Unavailable, codes.Canceled:
		default:
			return nil, err
		}
	}
	return nil, ctx.Err()
}

func (c *eventCaller) call(ctx context.Context, events []*pb.Event) ([]*pb.EventResult, error) {
	answer, err := c.client.RecordEvents(ctx, &pb.RecordEventsRequest{Events: events})
	return answer.GetResults(), err
}

func (c *eventCaller) stream(ctx context.Context, events []*pb.Event) ([]*pb.EventResult, error) {
	stream, err := c.client.StreamEvents(ctx)
	if err != nil {
		return nil, err
	}
	number := c.random.Int64()
	if err := stream.Send(&pb.StreamEventsRequest{Batch: number, Events: events}); err != nil {
		_, err = stream.Recv() // it tells why
		return nil, err
	}
	answer, err := stream.Recv()
	if err == nil && answer.GetBatch() != number {
		return nil, fmt.Errorf("batch %d was answered as %d", number, answer.GetBatch())
	}
	return answer.GetResults(), err
}

// forge sends what must use up nothing.
func (c *eventCaller) forge(ctx context.Context) error {
	one, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	switch c.random.IntN(4) {
	case 0:
		return c.expectAll(victim.AsClient(one, eventClient), c.altered(), pb.EventOutcome_EVENT_OUTCOME_FORGED)
	case 1:
		return c.expectAll(victim.AsClient(one, anotherClient), c.good(1000), pb.EventOutcome_EVENT_OUTCOME_REFUSED)
	case 2:
		return c.malformed(victim.AsClient(one, eventClient))
	}
	return c.untaken(victim.AsClient(one, anotherClient))
}

// good returns events with tokens that the service gave out.
func (c *eventCaller) good(most int) (events []*pb.Event) {
	for _, one := range c.draw(1 + c.random.IntN(most)) {
		events = append(events, &pb.Event{Kind: pb.EventKind(1 + c.random.IntN(4)), Token: one.token, EventId: "d"})
	}
	return events
}

// altered returns events with tokens that the service did not give out.
func (c *eventCaller) altered() []*pb.Event {
	events := c.good(1000)
	for _, e := range events {
		token := []byte(e.GetToken())
		switch c.random.IntN(3) {
		case 0: // the last character holds bits that decoders ignore
			at := c.random.IntN(len(token) - 1)
			token[at] ^= 1 + byte(c.random.IntN(2))
		case 1:
			token = token[:c.random.IntN(len(token))+1]
			token[0] = '!'
		case 2:
			token = []byte(strings.Repeat("A", 1+c.random.IntN(1024)))
		}
		e.Token = strings.ToValidUTF8(string(token), "?")
	}
	return events
}

// expectAll reports events that must all have one outcome, and no record.
func (c *eventCaller) expectAll(ctx context.Context, events []*pb.Event, want pb.EventOutcome) error {
	if len(events) == 0 {
		return nil
	}
	results, err := c.call(ctx, events)
	c.tally.called("events that use up nothing", err)
	if err != nil {
		return nil // the tally judges
	}
	for _, r := range results {
		if r.GetOutcome() != want {
			return fmt.Errorf("an event is %s, not %s", r.GetOutcome(), want)
		}
		if err := unrecorded(r); err != nil {
			return err
		}
	}
	return nil
}

// malformed sends a good event in a call with a bad one. The call must be refused, and nothing recorded.
func (c *eventCaller) malformed(ctx context.Context) error {
	events := c.good(10)
	if len(events) == 0 {
		return nil
	}
	bad := proto.Clone(events[0]).(*pb.Event)
	switch c.random.IntN(6) {
	case 0:
		bad.EventId = ""
	case 1:
		bad.EventId = strings.Repeat("x", 65)
	case 2:
		bad.Kind = oneOf[pb.EventKind](c.random, 0, -1, 5, 1<<30)
	case 3:
		bad.Token = oneOf(c.random, "", strings.Repeat("A", 1025))
	case 4:
		bad.Kind, bad.ValueMicros = pb.EventKind_EVENT_KIND_CLICK, 1
	case 5:
		for len(events) < 1001 {
			events = append(events, events[0])
		}
	}
	_, err := c.call(ctx, append(events, bad))
	c.tally.called("malformed events", err)
	if code := status.Code(err); code == codes.OK || code == codes.NotFound {
		return fmt.Errorf("malformed events are answered with %s", code)
	}
	return nil
}

// untaken fills a stream with batches and reads no answer.
func (c *eventCaller) untaken(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	stream, err := c.client.StreamEvents(ctx)
	for err == nil && ctx.Err() == nil {
		if events := c.good(1000); len(events) > 0 {
			err = stream.Send(&pb.StreamEventsRequest{Events: events})
		}
	}
	c.tally.called("events whose answers nobody reads", nil)
	return nil
}
