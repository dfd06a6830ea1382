package server

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/journal"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

func TestEventsOfACallGetAnOutcomeEachInOrder(t *testing.T) {
	s := serveBilled(t, journal.NewMemory(), nil)
	conn := s.dial(t)
	good := adToken(t, conn)
	client := pb.NewEventServiceClient(conn)
	events := []*pb.Event{clickOf("nothing", "c"), clickOf(good, "c"), clickOf(good, "c"), clickOf(good, "d"),
		{Kind: pb.EventKind_EVENT_KIND_CONVERSION, Token: good, EventId: "v", ValueMicros: 7}}
	refused, err := client.RecordEvents(as(t.Context(), "another"), &pb.RecordEventsRequest{Events: events[1:2]})
	if err != nil || refused.GetResults()[0].GetOutcome() != pb.EventOutcome_EVENT_OUTCOME_REFUSED {
		t.Errorf("another client: %v, %v", refused, err)
	}
	r, err := client.RecordEvents(as(t.Context(), "app"), &pb.RecordEventsRequest{Events: events})
	if err != nil {
		t.Fatal(err)
	}
	results, cpc := r.GetResults(), pb.PricingModel_PRICING_MODEL_CPC
	for i, want := range []*pb.EventResult{
		{Outcome: pb.EventOutcome_EVENT_OUTCOME_FORGED},
		{Outcome: pb.EventOutcome_EVENT_OUTCOME_CHARGED, ChargedMicros: clickPrice, PricingModel: cpc},
		{Outcome: pb.EventOutcome_EVENT_OUTCOME_CHARGED, ChargedMicros: clickPrice, PricingModel: cpc, RepeatedAnswer: true},
		{Outcome: pb.EventOutcome_EVENT_OUTCOME_DUPLICATE, PricingModel: cpc},
		{Outcome: pb.EventOutcome_EVENT_OUTCOME_RECORDED, PricingModel: cpc},
	} {
		got := proto.Clone(results[i]).(*pb.EventResult)
		if recorded := i == 1 || i == 2 || i == 4; recorded != (got.GetSequence() > 0) ||
			recorded != (len(got.GetChainHash()) == 32) {
			t.Errorf("result %d has half a record, or none, or one too many: %v", i, got)
		}
		got.Sequence, got.ChainHash = 0, nil
		if !proto.Equal(got, want) {
			t.Errorf("result %d: %v, want %v", i, got, want)
		}
	}
	if !bytes.Equal(results[1].GetChainHash(), results[2].GetChainHash()) {
		t.Error("the first answer came again with another hash")
	}
	campaign, err := pb.NewCampaignServiceClient(conn).GetCampaign(t.Context(), &pb.GetCampaignRequest{Name: adCampaign})
	if spend := campaign.GetSpend(); err != nil || spend.GetToday().GetChargedMicros() != clickPrice ||
		spend.GetDailyLeftMicros() != 1_000_000_000-clickPrice || len(spend.GetHours()) != 1 || len(spend.GetDays()) != 1 ||
		spend.GetLastCharge().GetSequence() != results[1].GetSequence() || spend.TotalLeftMicros != nil {
		t.Errorf("%v, %v", spend, err)
	}
}

// TestMalformedEventsNameTheEventAndTheField also holds that nothing of such a call is recorded.
func TestMalformedEventsNameTheEventAndTheField(t *testing.T) {
	s := serveBilled(t, journal.NewMemory(), nil)
	conn := s.dial(t)
	client, good := pb.NewEventServiceClient(conn), adToken(t, conn)
	many := make([]*pb.Event, hexbid.MaxEvents+1)
	for i := range many {
		many[i] = clickOf(good, "c")
	}
	for field, events := range map[string][]*pb.Event{
		"events":                 many,
		"events: ":               nil,
		"events[1].kind":         {clickOf(good, "c"), {Token: good, EventId: "d"}},
		"events[1].kind: 5":      {clickOf(good, "c"), {Kind: 5, Token: good, EventId: "d"}},
		"events[1].kind: -1":     {clickOf(good, "c"), {Kind: -1, Token: good, EventId: "d"}},
		"events[1].token":        {clickOf(good, "c"), clickOf("", "d")},
		"events[1].token: ":      {clickOf(good, "c"), clickOf(strings.Repeat("A", 1025), "d")},
		"events[1].event_id":     {clickOf(good, "c"), clickOf(good, "")},
		"events[1].event_id: ":   {clickOf(good, "c"), clickOf(good, strings.Repeat("x", 65))},
		"events[1].value_micros": {clickOf(good, "c"), {Kind: 2, Token: good, EventId: "d", ValueMicros: 1}},
	} {
		_, err := client.RecordEvents(as(t.Context(), "app"), &pb.RecordEventsRequest{Events: events})
		if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), strings.TrimSuffix(field, ": ")) {
			t.Errorf("%s: %v", field, err)
		}
	}
	_, err := client.RecordEvents(as(t.Context(), strings.Repeat("c", 65)),
		&pb.RecordEventsRequest{Events: []*pb.Event{clickOf(good, "c")}})
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), ClientHeader) {
		t.Errorf("a long client: %v", err)
	}
	spend, err := pb.NewLedgerServiceClient(conn).GetCampaignSpend(t.Context(),
		&pb.GetCampaignSpendRequest{Name: adCampaign})
	if err != nil || !proto.Equal(spend.GetTotal(), new(pb.EventTotals)) {
		t.Errorf("recorded: %v, %v", spend.GetTotal(), err)
	}
}

func TestAHugeCallOfEventsIsRefused(t *testing.T) {
	s := serveBilled(t, journal.NewMemory(), nil)
	events := make([]*pb.Event, hexbid.MaxEvents)
	for i := range events {
		events[i] = clickOf(strings.Repeat("A", 512), strings.Repeat("x", 64))
	}
	client := pb.NewEventServiceClient(s.dial(t))
	r, err := client.RecordEvents(t.Context(), &pb.RecordEventsRequest{Events: events})
	if err != nil || len(r.GetResults()) != len(events) {
		t.Fatalf("as many as may be, with the longest tokens: %v", err)
	}
	for i := range events {
		events[i].Token = strings.Repeat("A", 1024)
	}
	_, err = client.RecordEvents(t.Context(), &pb.RecordEventsRequest{Events: events})
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "send at most") {
		t.Errorf("%v", err)
	}
	waitUntil(t, "nothing is worked on", func() bool {
		g := &s.gates[recording]
		return g.working.Load() == 0 && g.memory.taken.Load() == 0
	})
}

func TestAStreamOfEventsAnswersBatchByBatch(t *testing.T) {
	s := serveBilled(t, journal.NewMemory(), nil)
	conn := s.dial(t)
	stream, err := pb.NewEventServiceClient(conn).StreamEvents(as(t.Context(), "app"))
	if err != nil {
		t.Fatal(err)
	}
	const batches = 50
	go func() {
		for i := range batches {
			_ = stream.Send(&pb.StreamEventsRequest{Batch: int64(i),
				Events: []*pb.Event{clickOf(adToken(t, conn), "c"), clickOf("forged", "c")}}) // Recv tells
		}
		_ = stream.CloseSend()
	}()
	last := uint64(0)
	for i := range batches {
		r, err := stream.Recv()
		if err != nil || r.GetBatch() != int64(i) || len(r.GetResults()) != 2 {
			t.Fatalf("batch %d: %v, %v", i, r, err)
		}
		charged := r.GetResults()[0]
		if charged.GetChargedMicros() != clickPrice || charged.GetSequence() <= last ||
			r.GetResults()[1].GetOutcome() != pb.EventOutcome_EVENT_OUTCOME_FORGED {
			t.Errorf("batch %d: %v", i, r)
		}
		last = charged.GetSequence()
	}
	if r, err := stream.Recv(); err != io.EOF {
		t.Errorf("at the end: %v, %v", r, err)
	}
	wrong, err := pb.NewEventServiceClient(conn).StreamEvents(as(t.Context(), "app"))
	if err != nil {
		t.Fatal(err)
	}
	for _, events := range [][]*pb.Event{{clickOf(adToken(t, conn), "c")}, {{}}} {
		if err := wrong.Send(&pb.StreamEventsRequest{Batch: 1, Events: events}); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := wrong.Recv(); err != nil || r.GetResults()[0].GetChargedMicros() != clickPrice {
		t.Errorf("the batch before a wrong one: %v, %v", r, err)
	}
	if _, err := wrong.Recv(); status.Code(err) != codes.InvalidArgument ||
		!strings.Contains(err.Error(), "events[0].kind") {
		t.Errorf("a wrong batch: %v", err)
	}
}

func TestAStreamOfEventsThatBringsNothingOrTakesNothingIsEnded(t *testing.T) {
	s := serveBilled(t, journal.NewMemory(), func(c *Config) { c.Limits.StreamTimeout = 4 * time.Second })
	conn := s.dial(t, grpc.WithStaticStreamWindowSize(64<<10))
	idle, err := pb.NewEventServiceClient(conn).StreamEvents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := idle.Recv(); status.Code(err) != codes.DeadlineExceeded || !strings.Contains(err.Error(), "idle") {
		t.Errorf("%v", err)
	}
	untaken, err := pb.NewEventServiceClient(conn).StreamEvents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var events []*pb.Event
	for range hexbid.MaxEvents {
		events = append(events, clickOf("forged", "c"))
	}
	go func() {
		for untaken.Send(&pb.StreamEventsRequest{Events: events}) == nil {
		}
	}()
	const ended = "hexbid_calls_total DeadlineExceeded StreamEvents"
	waitUntil(t, "the server has ended both", func() bool { return metricsOf(t, s)[ended] == 2 })
	waitUntil(t, "nothing is worked on", func() bool {
		g := &s.gates[recording]
		return g.working.Load() == 0 && g.memory.taken.Load() == 0
	})
	for err == nil {
		_, err = untaken.Recv()
	}
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("%v", err)
	}
	mustClick(t, conn)
}

func TestAStopEndsStreamsAtOnce(t *testing.T) {
	s := serveBilled(t, journal.NewMemory(), func(c *Config) { c.DrainTimeout = time.Hour })
	conn := s.dial(t)
	events, err := pb.NewEventServiceClient(conn).StreamEvents(as(t.Context(), "app"))
	if err != nil {
		t.Fatal(err)
	}
	if err := events.Send(&pb.StreamEventsRequest{Events: []*pb.Event{clickOf("forged", "c")}}); err != nil {
		t.Fatal(err)
	}
	if _, err := events.Recv(); err != nil {
		t.Fatal(err)
	}
	alerts, err := pb.NewLedgerServiceClient(conn).WatchAlerts(t.Context(), new(pb.WatchAlertsRequest))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := alerts.Recv(); err != nil || !r.GetCaughtUp() {
		t.Fatal(r, err)
	}
	s.stop()
	<-s.ended // within the test's time, which is less than the drain's
	_, eventsEnd := events.Recv()
	_, alertsEnd := alerts.Recv()
	for _, err := range []error{eventsEnd, alertsEnd} {
		if status.Code(err) != codes.Unavailable {
			t.Errorf("%v", err)
		}
	}
}

// failing is a journal that fails when it is told to.
type failing struct {
	journal.Journal
	mu     sync.Mutex
	fails  error
	failed chan struct{}
}

func (f *failing) fail() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fails = hexbid.Errorf(hexbid.Unavailable, "", "the disk is gone")
	close(f.failed)
}

// Commit implements journal.Journal.
func (f *failing) Commit(ctx context.Context, b *journal.Batch) error {
	if err := f.Failure(); err != nil {
		return err
	}
	return f.Journal.Commit(ctx, b)
}

// Failure implements journal.Journal.
func (f *failing) Failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fails
}

// Failed implements journal.Journal.
func (f *failing) Failed() <-chan struct{} { return f.failed }

func TestAFailedLedgerAcknowledgesNothingAndHealthSaysSo(t *testing.T) {
	j := &failing{Journal: journal.NewMemory(), failed: make(chan struct{})}
	s := serveBilled(t, j, nil)
	conn := s.dial(t)
	health := healthpb.NewHealthClient(conn)
	serves := func(service string) bool {
		r, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetStatus() == healthpb.HealthCheckResponse_SERVING
	}
	events, money := pb.EventService_ServiceDesc.ServiceName, pb.LedgerService_ServiceDesc.ServiceName
	if !serves(events) || !serves(money) {
		t.Error("not serving at first")
	}
	token := adToken(t, conn)
	j.fail()
	_, err := pb.NewEventServiceClient(conn).RecordEvents(as(t.Context(), "app"),
		&pb.RecordEventsRequest{Events: []*pb.Event{clickOf(token, "c")}})
	if status.Code(err) != codes.Unavailable {
		t.Errorf("%v", err)
	}
	waitUntil(t, "health says so", func() bool { return !serves(events) && !serves(money) })
	if !serves("") || !serves(pb.SearchService_ServiceDesc.ServiceName) {
		t.Error("searches go on, and health says otherwise")
	}
	if metricsOf(t, s)["hexbid_ledger_failed"] != 1 {
		t.Error("the metric does not say so")
	}
	adToken(t, conn)
}

// metricsOf returns the value of each metric, with labels, and the count of each histogram.
func metricsOf(t *testing.T, s *served) map[string]float64 {
	t.Helper()
	families, err := s.config.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			out[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return out
}

func TestEventsAreCountedByKindAndOutcome(t *testing.T) {
	s := serveBilled(t, journal.NewMemory(), nil)
	conn := s.dial(t)
	token := adToken(t, conn)
	if _, err := pb.NewEventServiceClient(conn).RecordEvents(as(t.Context(), "app"), &pb.RecordEventsRequest{
		Events: []*pb.Event{clickOf(token, "c"), clickOf(token, "c"), clickOf("forged", "c"),
			clickOf("again", "c")}}); err != nil {
		t.Fatal(err)
	}
	metrics := metricsOf(t, s)
	for name, want := range map[string]float64{"hexbid_events_total click charged": 1,
		"hexbid_events_total click forged": 2, "hexbid_events_repeated_total": 1, "hexbid_charged_micros_total": clickPrice,
		"hexbid_events_ack_seconds": 1,
		"hexbid_events_a_call":      1, "hexbid_ledger_failed": 0, "hexbid_alerts balance": 0} {
		if got, there := metrics[name]; got != want || !there {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	for _, work := range []string{"judging", "writing"} {
		if n := metrics["hexbid_ledger_turn_seconds "+work]; n < 1 {
			t.Errorf("%v turns of %s after an event", n, work)
		}
	}
}
