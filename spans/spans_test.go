package spans

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"github.com/hexbid/hexbid"
)

const method = "/hexbid.v1.SearchService/SearchNearby"

const (
	sampled   = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
)

var silent = slog.New(slog.DiscardHandler)

func headers(all ...string) func(context.Context) []string {
	return func(context.Context) []string { return all }
}

// kept returns a recorder of a share of calls, and where its spans go.
func kept(t testing.TB, share float64) (*Recorder, *tracetest.InMemoryExporter) {
	t.Helper()
	to := tracetest.NewInMemoryExporter()
	r := newRecorder(&Config{Share: share, Log: silent}, forgetful{to}, resource.Empty())
	t.Cleanup(func() { _ = r.Close() })
	return r, to
}

// forgetful keeps its spans when it is shut down, so that they can be looked at.
type forgetful struct{ *tracetest.InMemoryExporter }

func (forgetful) Shutdown(context.Context) error { return nil }

func TestCallersCannotRaiseHowManyCallsAreRecorded(t *testing.T) {
	const calls, share = 1_000_000, 0.01
	random := rand.New(rand.NewPCG(1, 2))
	for name, claims := range map[string]func(i int) bool{
		"nobody": func(int) bool { return false }, "everybody": func(int) bool { return true },
		"all but every hundredth": func(i int) bool { return i%100 != 0 },
		"bursts":                  func(i int) bool { return i/1000%2 == 0 },
	} {
		tickets := newTickets(share)
		tickets.draw = random.Float64
		recorded := map[bool]int{}
		for i := range calls {
			if tickets.take(func() bool { return claims(i) }) {
				recorded[claims(i)]++
			}
		}
		const drawn = calls / 100 // about
		all := recorded[true] + recorded[false]
		if most, least := drawn*11/10+pooled, drawn*9/10-pooled; all > most || all < least {
			t.Errorf("%s: %d of %d calls were recorded, some %d have tickets", name, all, calls, drawn)
		}
	}
}

func TestACallerWhoClaimsEverythingLeavesTheOthersHalfOfTheirTickets(t *testing.T) {
	random, recorded := rand.New(rand.NewPCG(3, 4)), 0
	tickets := newTickets(0.02)
	tickets.draw = random.Float64
	const others = 500_000
	for i := range 2 * others {
		if claims := i%2 == 0; tickets.take(func() bool { return claims }) && !claims {
			recorded++
		}
	}
	if least := others * 2 / 100 * 45 / 100; recorded < least {
		t.Errorf("%d of %d honest calls were recorded: want %d", recorded, others, least)
	}
}

func TestATraceOfItsCallersIsContinuedOnceThereIsATicket(t *testing.T) {
	r, to := kept(t, 1)
	c := r.Begin(t.Context(), method, time.Now(), headers(sampled))
	c.Stage("auction").End()
	c.Count("hexbid.nearby", 3)
	c.End("OK", false)
	if err := errors.Join(r.Flush(t.Context()), r.Close()); err != nil {
		t.Fatal(err)
	}
	all := to.GetSpans()
	if len(all) != 2 || all[0].Name != "auction" || all[1].Name != method[1:] {
		t.Fatalf("%v", all)
	}
	if got := all[1].Parent.SpanID().String(); got != "b7ad6b7169203331" {
		t.Errorf("the parent is %s", got)
	}
	if all[0].Parent.SpanID() != all[1].SpanContext.SpanID() ||
		all[0].SpanContext.TraceID().String() != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("the stage is in trace %s of %s", all[0].SpanContext.TraceID(), all[0].Parent.SpanID())
	}
	if n := r.Counts(); n != (Counts{Exported: 2}) {
		t.Errorf("%+v", n)
	}
}

func TestHeadersThatNameNoSampledSpanBeginATraceOfTheirOwn(t *testing.T) {
	for _, hostile := range [][]string{nil, {""}, {unsampled}, {sampled, sampled}, {sampled + strings.Repeat("-a", 100)},
		{"00-00000000000000000000000000000000-b7ad6b7169203331-01"},
		{"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"},
		{"ff" + sampled[2:]}, {strings.ToUpper(sampled)}, {"\x00\xff"}, {strings.Repeat("0", 1<<20)}} {
		r, to := kept(t, 1)
		r.Begin(t.Context(), method, time.Now(), headers(hostile...)).End("OK", false)
		if err := errors.Join(r.Flush(t.Context()), r.Close()); err != nil {
			t.Fatal(err)
		}
		all := to.GetSpans()
		if len(all) != 1 || all[0].Parent.IsValid() || !all[0].SpanContext.IsValid() {
			t.Errorf("%.80q: %v", hostile, all)
		}
	}
}

func FuzzParentIn(f *testing.F) {
	f.Add(sampled)
	f.Add(unsampled)
	f.Fuzz(func(t *testing.T, text string) {
		found, ok := parentIn([]string{text})
		if ok && (!found.IsSampled() || !found.IsValid() || found.TraceState().Len() > 0) {
			t.Errorf("%q is %v", text, found)
		}
	})
}

func TestACallThatIsNotRecordedAllocatesNothing(t *testing.T) {
	sparse, _ := kept(t, 1e-18)
	for name, r := range map[string]*Recorder{"no collector": nil, "no ticket": sparse} {
		ctx, at, none := context.Background(), time.Now(), headers()
		if n := testing.AllocsPerRun(1000, func() {
			c := r.Begin(ctx, method, at, none)
			inner := r.Of(With(ctx, c))
			stage := inner.Stage("auction")
			c.Count("hexbid.nearby", 3)
			c.Text("hexbid.caller", "clients/app")
			stage.End()
			c.End("OK", false)
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		request := httptest.NewRequest(http.MethodGet, "/v1/roots", nil)
		if n := testing.AllocsPerRun(1000, func() {
			q := r.BeginRequest(request, at)
			inner := r.RequestOf(WithRequest(ctx, q))
			inner.Next("receive")
			inner.Route("/v1/roots")
			inner.Begin(method, at).End("OK", false)
			q.End(http.StatusOK)
		}); n != 0 {
			t.Errorf("%s: %v allocations of a request", name, n)
		}
	}
}

// stuck is a collector that takes nothing until its call ends.
type stuck struct{ entered chan struct{} }

func (s stuck) ExportSpans(ctx context.Context, _ []sdk.ReadOnlySpan) error {
	select {
	case s.entered <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return ctx.Err()
}
func (stuck) Shutdown(context.Context) error { return nil }

func TestACollectorThatTakesNothingHoldsNoCallUp(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	to := stuck{make(chan struct{}, 1)}
	r := newRecorder(&Config{Share: 1, Log: silent}, to, resource.Empty())
	const calls = 3 * mostWaiting
	for range calls {
		r.Begin(t.Context(), method, time.Now(), headers()).End("OK", false)
	}
	<-to.entered
	if n := r.Counts(); n.Dropped != calls-mostWaiting || n.Exported != 0 || r.queue.waiting.Load() > mostWaiting {
		t.Errorf("%+v, %d wait", n, r.queue.waiting.Load())
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	// Closing gives the exports under way up, and then nothing waits.
	for deadline := time.Now().Add(time.Minute); r.queue.waiting.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d spans still wait", r.queue.waiting.Load())
		}
	}
	if n := r.Counts(); n.Failed != mostWaiting || n.Dropped != calls-mostWaiting {
		t.Errorf("%+v", n)
	}
}

// lines counts the lines of a log, and keeps them.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func TestACollectorThatRefusesIsCountedAndToldOnce(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusBadRequest)
	}))
	defer server.Close()
	var log lines
	r, err := Open(t.Context(), Config{Endpoint: server.URL, Share: 1, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	const calls = mostWaiting // so that several batches fail
	for range calls {
		r.Begin(t.Context(), method, time.Now(), headers()).End("OK", false)
	}
	if err := errors.Join(r.Flush(t.Context()), r.Close()); err != nil {
		t.Fatal(err)
	}
	if n := r.Counts(); n != (Counts{Failed: calls}) {
		t.Errorf("%+v", n)
	}
	if n := strings.Count(log.text.String(), "a collector does not take spans"); n != 1 {
		t.Errorf("%d lines: %s", n, log.text.String())
	}
}

func TestAnUnreachableCollectorKeepsNothingFromStartingOrStopping(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	l.Close() // nobody listens there
	r, err := Open(t.Context(), Config{Endpoint: "http://" + at, Share: 1, Log: silent})
	if err != nil {
		t.Fatal(err)
	}
	r.Begin(t.Context(), method, time.Now(), headers()).End("OK", false)
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if n := r.Counts(); n.Exported != 0 {
		t.Errorf("%+v", n)
	}
}

func TestNothingIsRecordedUnlessACollectorIsNamed(t *testing.T) {
	for _, c := range []struct {
		config      Config
		environment map[string]string
		recorded    bool
	}{
		{config: Config{Share: 1}},
		{config: Config{Share: 0, Endpoint: "http://127.0.0.1:4318"}},
		{config: Config{Share: 1, Endpoint: "http://127.0.0.1:4318"}, recorded: true},
		{config: Config{Share: 1}, environment: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"},
			recorded: true},
		{config: Config{Share: 1}, environment: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318",
			"OTEL_TRACES_EXPORTER": "none"}},
		{config: Config{Share: 1, Endpoint: "http://127.0.0.1:4318"},
			environment: map[string]string{"OTEL_SDK_DISABLED": "true"}},
	} {
		for key, value := range c.environment {
			t.Setenv(key, value)
		}
		c.config.Log = silent
		r, err := Open(t.Context(), c.config)
		if err != nil || (r != nil) != c.recorded {
			t.Errorf("%+v: %v, %v", c, r, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		for key := range c.environment {
			t.Setenv(key, "")
		}
	}
}

func TestAWrongSettingIsNamedAndItsSecretIsNotRepeated(t *testing.T) {
	for endpoint, share := range map[string]float64{"http://user:hunter2@127.0.0.1:4318": 0.1,
		"https://c/?key=hunter2": 0.1, "127.0.0.1:4318": 0.1, "ftp://c": 0.1, "http://": 0.1, "http://hunter2\x7f": 0.1,
		"http://c:4318": 1.1, "http://d": -1} {
		r, err := Open(t.Context(), Config{Endpoint: endpoint, Share: share, Log: silent})
		var e *hexbid.Error
		if r != nil || !errors.As(err, &e) || !strings.HasPrefix(e.Field, "trace-") ||
			strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, %v", endpoint, r, err)
		}
	}
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	if _, err := Open(t.Context(), Config{Endpoint: "http://c", Share: 1, Log: silent}); err == nil {
		t.Error("a collector that is spoken to in another protocol was accepted")
	}
}

func BenchmarkACall(b *testing.B) {
	half, _ := kept(b, 0.01)
	whole, to := kept(b, 1)
	for name, r := range map[string]*Recorder{"no collector": nil, "share 0.01": half, "share 1": whole} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			ctx := context.Background()
			for b.Loop() {
				c := r.Begin(ctx, method, time.Time{}, headers())
				inner := r.Of(With(ctx, c))
				for range 6 {
					inner.Stage("stage").End()
				}
				c.End("OK", false)
				if to != nil && c != nil {
					to.Reset()
				}
			}
		})
	}
}

// TestFlushWaitsForTheCollectorAndForNobodyElse flushes while a collector holds a batch, and asks for a caller who has
// gone.
func TestFlushWaitsForTheCollectorAndForNobodyElse(t *testing.T) {
	arrived, answer := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		arrived <- struct{}{}
		<-answer
	}))
	defer server.Close()
	r, err := Open(t.Context(), Config{Endpoint: server.URL, Share: 1, Log: silent})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.Begin(t.Context(), method, time.Now(), headers()).End("OK", false)
	flushed := make(chan error, 1)
	go func() { flushed <- r.Flush(t.Context()) }()
	<-arrived
	select {
	case err := <-flushed:
		t.Errorf("it returned before the collector answered: %v", err)
	default:
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Flush(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("for a caller who has gone: %v", err)
	}
	close(answer)
	if err := <-flushed; err != nil || r.Counts() != (Counts{Exported: 1}) {
		t.Errorf("%v, %+v", err, r.Counts())
	}
	if err := (*Recorder)(nil).Flush(t.Context()); err != nil {
		t.Errorf("without a recorder: %v", err)
	}
}
