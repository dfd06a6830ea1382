package server

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tracecollector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/demo"
	"github.com/hexbid/hexbid/ledger/journal"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/spans"
	"github.com/hexbid/hexbid/store"
)

// collector takes spans over HTTP as OpenTelemetry's does, and keeps them.
type collector struct {
	*httptest.Server
	mu     sync.Mutex // guards the fields below
	spans  []*tracepb.Span
	bodies bytes.Buffer
}

func newCollector(t testing.TB) *collector {
	c := new(collector)
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var batch tracecollector.ExportTraceServiceRequest
		if err != nil || proto.Unmarshal(body, &batch) != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s %s, %d bytes: %v", r.Method, r.URL, len(body), err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.bodies.Write(body)
		for _, of := range batch.GetResourceSpans() {
			for _, scope := range of.GetScopeSpans() {
				c.spans = append(c.spans, scope.GetSpans()...)
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(c.Close)
	return c
}

// recorder returns a recorder of a share of calls that sends to the collector.
func (c *collector) recorder(t testing.TB, share float64) *spans.Recorder {
	r, err := spans.Open(t.Context(), spans.Config{Endpoint: c.URL, Share: share, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// call returns the latest span of a name, and the names of its stages in the order of their ends.
func (c *collector) call(t testing.TB, name string) (*tracepb.Span, []string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := len(c.spans) - 1; i >= 0; i-- {
		of, stages := c.spans[i], []string(nil)
		if of.GetName() != strings.TrimPrefix(name, "/") {
			continue
		}
		for _, s := range c.spans {
			if bytes.Equal(s.GetParentSpanId(), of.GetSpanId()) && bytes.Equal(s.GetTraceId(), of.GetTraceId()) {
				stages = append(stages, s.GetName())
			}
		}
		return of, stages
	}
	t.Fatalf("there is no span of %s", name)
	return nil, nil
}

// attribute returns the text or the number of an attribute.
func attribute(s *tracepb.Span, key string) any {
	for _, a := range s.GetAttributes() {
		if a.GetKey() == key {
			if text := a.GetValue().GetStringValue(); text != "" {
				return text
			}
			return a.GetValue().GetIntValue()
		}
	}
	return nil
}

const theirTrace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestSpansTellTheStagesOfCalls(t *testing.T) {
	c := newCollector(t)
	r := c.recorder(t, 1)
	s := serveBilled(t, journal.NewMemory(), func(config *Config) { config.Spans = r })
	conn := s.dial(t)
	mustClick(t, conn)
	streamed := streamOneClick(t, conn)
	if _, err := pb.NewCampaignServiceClient(conn).GetCampaign(t.Context(),
		&pb.GetCampaignRequest{Name: "advertisers/a/campaigns/absent"}); err == nil {
		t.Fatal("there is such a campaign")
	}
	if err := errors.Join(r.Flush(t.Context()), r.Close()); err != nil {
		t.Fatal(err)
	}
	for method, want := range map[string][]string{
		pb.SearchService_SearchNearby_FullMethodName: {"receive", "decode", "wire", "auction", "cards", "nearby", "cards",
			"encode"},
		pb.EventService_RecordEvents_FullMethodName:   {"receive", "decode", "wire", "open", "ledger", "encode"},
		pb.EventService_StreamEvents_FullMethodName:   {"wire", "open", "ledger"},
		pb.CampaignService_Import_FullMethodName:      {"check", "store", "searchable"},
		pb.CampaignService_GetCampaign_FullMethodName: {"receive", "decode"},
	} {
		span, stages := c.call(t, method)
		if !slices.Equal(stages, want) {
			t.Errorf("%s: %v", method, stages)
		}
		if took := span.GetEndTimeUnixNano() - span.GetStartTimeUnixNano(); took == 0 || took > uint64(time.Hour) {
			t.Errorf("%s took %v", method, time.Duration(took))
		}
	}
	search, _ := c.call(t, pb.SearchService_SearchNearby_FullMethodName)
	if attribute(search, "hexbid.sponsored") != int64(1) || attribute(search, "rpc.response.status_code") != "OK" {
		t.Errorf("%v", search)
	}
	absent, _ := c.call(t, pb.CampaignService_GetCampaign_FullMethodName)
	if attribute(absent, "rpc.response.status_code") != "NOT_FOUND" ||
		absent.GetStatus().GetCode() != tracepb.Status_STATUS_CODE_UNSET {
		t.Errorf("a caller's error: %v", absent)
	}
	if n := r.Counts(); n.Exported != uint64(len(c.spans)) || n.Failed+n.Dropped != 0 || streamed == "" {
		t.Errorf("%+v, %d arrived", n, len(c.spans))
	}
}

// streamOneClick reports a click over a stream and returns the name of its outcome.
func streamOneClick(t *testing.T, conn *grpc.ClientConn) string {
	t.Helper()
	stream, err := pb.NewEventServiceClient(conn).StreamEvents(as(t.Context(), "app"))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&pb.StreamEventsRequest{Events: []*pb.Event{clickOf(adToken(t, conn), "s")}}); err != nil {
		t.Fatal(err)
	}
	r, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != io.EOF {
		t.Fatal(err)
	}
	return r.GetResults()[0].GetOutcome().String()
}

// held is a store whose commits wait until they are let go.
type held struct {
	store.Store
	committing chan struct{}
	letGo      chan struct{}
}

func (h *held) Commit(ctx context.Context, groups []store.Group) ([]store.Outcome, error) {
	select {
	case h.committing <- struct{}{}:
	default:
	}
	<-h.letGo
	return h.Store.Commit(ctx, groups)
}

// count returns how many spans of a name have come.
func (c *collector) count(name string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		if s.GetName() == strings.TrimPrefix(name, "/") {
			n++
		}
	}
	return n
}

// TestBatchesThatAreGivenUpAreTold cancels an upload while one batch is stored and the next one waits for it.
func TestBatchesThatAreGivenUpAreTold(t *testing.T) {
	const method = pb.CampaignService_Import_FullMethodName
	c, disk := newCollector(t), &held{store.NewMemory(), make(chan struct{}, 1), make(chan struct{})}
	s := serveOn(t, disk, func(config *Config) { config.Spans = c.recorder(t, 1) })
	letGo := sync.OnceFunc(func() { close(disk.letGo) })
	t.Cleanup(letGo) // before the server stops
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	upload, err := pb.NewCampaignServiceClient(s.dial(t)).Import(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := upload.Send(&pb.ImportRequest{Rows: adRows()}); err != nil {
			t.Fatal(err)
		}
	}
	<-disk.committing
	waitUntil(t, "two batches are worked on", func() bool { return s.gates[importing].working.Load() == 2 })
	cancel()
	waitUntil(t, "the batch that waits is told of", func() bool { return c.count(method) == 1 })
	letGo()
	waitUntil(t, "the batch that was stored is told of", func() bool { return c.count(method) == 2 })
	if span, _ := c.call(t, method); attribute(span, "rpc.response.status_code") != "CANCELLED" {
		t.Errorf("%v", span)
	}
}

func TestSpansContinueTheTraceOfACaller(t *testing.T) {
	c := newCollector(t)
	r := c.recorder(t, 1)
	s := serveBilled(t, journal.NewMemory(), func(config *Config) { config.Spans = r })
	request := &pb.SearchNearbyRequest{Location: &pb.Location{Latitude: 30, Longitude: 120}}
	over := metadata.AppendToOutgoingContext(t.Context(), spans.ParentHeader, theirTrace)
	if _, err := pb.NewSearchServiceClient(s.dial(t)).SearchNearby(over, request); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.Flush(t.Context()), r.Close()); err != nil {
		t.Fatal(err)
	}
	span, _ := c.call(t, pb.SearchService_SearchNearby_FullMethodName)
	if string(span.GetParentSpanId()) != "\xb7\xad\x6b\x71\x69\x20\x33\x31" {
		t.Errorf("the parent is %x", span.GetParentSpanId())
	}
}

// TestACallInThisProcessIsRecordedWithItsRequest: a request that was not chosen draws no second ticket by its call, nor
// by what it says itself.
func TestACallInThisProcessIsRecordedWithItsRequest(t *testing.T) {
	c := newCollector(t)
	r := c.recorder(t, 1)
	s := serveBilled(t, journal.NewMemory(), func(config *Config) { config.Spans = r })
	call := func(ctx context.Context) {
		t.Helper()
		within := hexbid.WithPrincipal(WithParent(ctx, []string{theirTrace}), hexbid.Principal{Role: hexbid.Operator})
		within = metadata.NewIncomingContext(within, metadata.Pairs(spans.ParentHeader, theirTrace))
		if _, err := pb.NewLedgerServiceClient(s.InProcess()).ListRoots(within, &pb.ListRootsRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	call(t.Context())
	request := httptest.NewRequest(http.MethodGet, "/v1/roots", nil)
	recorded := s.RecordRequest(request, time.Now())
	call(spans.WithRequest(t.Context(), recorded))
	recorded.End(http.StatusOK)
	if err := errors.Join(r.Flush(t.Context()), r.Close()); err != nil {
		t.Fatal(err)
	}
	of, stages := c.call(t, "GET")
	if !slices.Equal(stages, []string{pb.LedgerService_ListRoots_FullMethodName[1:]}) || len(of.GetParentSpanId()) > 0 {
		t.Errorf("%v has %q", of, stages)
	}
	inner, _ := c.call(t, pb.LedgerService_ListRoots_FullMethodName)
	if inner.GetKind() != tracepb.Span_SPAN_KIND_INTERNAL || attribute(inner, "rpc.system.name") != "grpc" ||
		attribute(inner, "rpc.response.status_code") != "OK" || attribute(inner, "rpc.method") != inner.GetName() {
		t.Errorf("%v", inner)
	}
	calls := 0
	for _, span := range c.spans {
		if span.GetName() == inner.GetName() {
			calls++
		}
	}
	if calls != 1 {
		t.Errorf("%d calls were recorded", calls)
	}
}

func TestCallersWhoClaimASampledTraceRaiseNothing(t *testing.T) {
	c := newCollector(t)
	r := c.recorder(t, 1e-12) // no ticket is drawn in the life of this test, and sixteen wait
	s := serveBilled(t, journal.NewMemory(), func(config *Config) { config.Spans = r })
	client := pb.NewSearchServiceClient(s.dial(t))
	over := metadata.AppendToOutgoingContext(t.Context(), spans.ParentHeader, theirTrace)
	for range 100 {
		if _, err := client.SearchNearby(over, &pb.SearchNearbyRequest{
			Location: &pb.Location{Latitude: 30, Longitude: 120}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(r.Flush(t.Context()), r.Close()); err != nil {
		t.Fatal(err)
	}
	searches := 0
	for _, span := range c.spans {
		if "/"+span.GetName() == pb.SearchService_SearchNearby_FullMethodName {
			searches++
		}
	}
	if searches != 16 {
		t.Errorf("%d searches were recorded", searches)
	}
}

func TestSpansHoldNothingOfAViewerAndNoCredential(t *testing.T) {
	c := newCollector(t)
	r := c.recorder(t, 1)
	s := serveBilled(t, journal.NewMemory(), func(config *Config) { config.Spans = r })
	secrets := []string{"viewer-7d1f", "hxb_secretsecret", "30.123456", "120.654321", "咖啡馆", "tracestate-word",
		"baggage-word", "advertisers/a"}
	over := metadata.AppendToOutgoingContext(t.Context(), spans.ParentHeader, theirTrace,
		"tracestate", "v=tracestate-word", "baggage", "k=baggage-word", "x-forwarded", "viewer-7d1f")
	search := &pb.SearchNearbyRequest{Location: &pb.Location{Latitude: 30.123456, Longitude: 120.654321}, Words: "咖啡馆",
		Viewer: &pb.Viewer{UserKey: "viewer-7d1f"}}
	conn := s.dial(t)
	if _, err := pb.NewSearchServiceClient(conn).SearchNearby(over, search); err != nil {
		t.Fatal(err)
	}
	_, _ = pb.NewSearchServiceClient(conn).SearchNearby(metadata.AppendToOutgoingContext(over, "authorization",
		"Bearer hxb_secretsecret"), search)
	search.Viewer.HomeRegion = "viewer-7d1f" // its error repeats it
	_, _ = pb.NewSearchServiceClient(conn).SearchNearby(over, search)
	if err := errors.Join(r.Flush(t.Context()), r.Close()); err != nil {
		t.Fatal(err)
	}
	latitude := binary.LittleEndian.AppendUint64(nil, math.Float64bits(search.GetLocation().GetLatitude()))
	for _, secret := range append(secrets, string(latitude)) {
		if bytes.Contains(c.bodies.Bytes(), []byte(secret)) {
			t.Errorf("spans hold %q", secret)
		}
	}
	if len(c.spans) == 0 {
		t.Error("there are no spans")
	}
}

// BenchmarkASearchWithSpansBesideWithout makes searches over the ports of three servers in turns: one without a
// collector, and ones that record a hundredth of calls, and all. It reports the ratios of the medians.
func BenchmarkASearchWithSpansBesideWithout(b *testing.B) {
	c := newCollector(b)
	request := &pb.SearchNearbyRequest{Location: &pb.Location{Latitude: demo.Center.Lat, Longitude: demo.Center.Lng}}
	var clients []pb.SearchServiceClient
	for _, share := range []float64{0, 0.01, 1} {
		s := serveDemoWith(b, func(config *Config) { config.Spans = c.recorder(b, share) })
		clients = append(clients, pb.NewSearchServiceClient(s.dial(b)))
	}
	took := make([][]time.Duration, len(clients))
	for i := 0; b.Loop(); i++ {
		way, began := i%len(clients), time.Now()
		if _, err := clients[way].SearchNearby(context.Background(), request); err != nil {
			b.Fatal(err)
		}
		took[way] = append(took[way], time.Since(began))
	}
	if len(took[2]) == 0 {
		return
	}
	median := func(all []time.Duration) float64 { slices.Sort(all); return float64(all[len(all)/2].Nanoseconds()) }
	without := median(took[0])
	b.ReportMetric(without, "ns/without")
	b.ReportMetric(median(took[1])/without, "hundredth/without")
	b.ReportMetric(median(took[2])/without, "all/without")
}
