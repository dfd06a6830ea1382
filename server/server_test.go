package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/exchange"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

func newServer(t testing.TB, change func(*Config)) *Server {
	t.Helper()
	config := DefaultConfig()
	config.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	config.Limits.Wait = 0 // no call is refused because the machine is busy with other tests
	if change != nil {
		change(&config)
	}
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// call makes a unary call of a method whose request arrives at once.
func (s *Server) call(method string, handler func() (any, error)) error {
	wrapped := s.unary(method, func(_ any, _ context.Context, receive func(any) error,
		_ grpc.UnaryServerInterceptor) (any, error) {
		if err := receive(new(pb.SearchNearbyRequest)); err != nil {
			return nil, err
		}
		return handler()
	})
	_, err := wrapped(nil, context.Background(), func(any) error { return nil }, nil)
	return err
}

const searchMethod = pb.SearchService_SearchNearby_FullMethodName

func TestAServerThatIsNotReadySaysSo(t *testing.T) {
	err := newServer(t, nil).call(searchMethod, func() (any, error) { t.Error("the call went through"); return nil, nil })
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "being indexed") {
		t.Error(err)
	}
}

func TestAPanicIsContained(t *testing.T) {
	s := newServer(t, nil)
	s.exchange.Store(&exchange.Exchange{})
	err := s.call(searchMethod, func() (any, error) { panic("a secret of the implementation") })
	if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
	if n := s.gates[searching].working.Load(); n != 0 {
		t.Errorf("%d searches are worked on after it", n)
	}
	if err := s.call(searchMethod, func() (any, error) { return nil, nil }); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

func TestAClassBeyondItsLimitIsRefusedAndNoOther(t *testing.T) {
	s := newServer(t, func(c *Config) { c.Limits.Searches, c.Limits.Reads, c.Limits.Writes = 1, 1, 1 })
	s.exchange.Store(&exchange.Exchange{})
	methods := map[class]string{searching: searchMethod, reading: pb.CampaignService_GetPlace_FullMethodName,
		writing: pb.CampaignService_CreatePlace_FullMethodName}
	for full, method := range methods {
		err := s.call(method, func() (any, error) {
			for other, method := range methods {
				entered := false
				err := s.call(method, func() (any, error) { entered = true; return nil, nil })
				if refused := status.Code(err) == codes.ResourceExhausted; refused != (other == full) || entered == refused {
					t.Errorf("while %s are full, one of %s: %v", classWords[full], classWords[other], err)
				}
				if other == full && !strings.Contains(err.Error(),
					"1 "+classWords[full]+" are being worked on, the most at once (--max-"+classWords[full]+")") {
					t.Errorf("the refusal does not name the limit: %v", err)
				}
			}
			return nil, nil
		})
		if err != nil {
			t.Error(err)
		}
		if n := s.gates[full].refused.Load(); n != 1 {
			t.Errorf("%d %s counted as refused", n, classWords[full])
		}
	}
}

func TestEveryMethodOfTheContractHasAClass(t *testing.T) {
	var methods []string
	for _, file := range []protoreflect.FileDescriptor{pb.File_hexbid_v1_search_proto,
		pb.File_hexbid_v1_campaign_service_proto, pb.File_hexbid_v1_catalog_proto,
		pb.File_hexbid_v1_event_service_proto, pb.File_hexbid_v1_ledger_service_proto,
		pb.File_hexbid_v1_access_service_proto, pb.File_hexbid_v1_market_service_proto,
		pb.File_hexbid_v1_audit_service_proto} {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				methods = append(methods, fmt.Sprintf("/%s/%s", service.FullName(), service.Methods().Get(j).Name()))
			}
		}
	}
	classed := 0
	for _, method := range methods {
		if classOf[method] == unclassed {
			t.Errorf("%s has no class", method)
		}
		classed++
	}
	for method, of := range classOf {
		if of != unclassed && !slices.Contains(methods, method) {
			t.Errorf("%s is not a method of the contract", method)
		}
	}
	if classed < 40 {
		t.Errorf("only %d methods were looked at", classed)
	}
}

func TestARequestOfAClassWithoutResourcesIsSmall(t *testing.T) {
	s := newServer(t, nil)
	for i := searching; i < classCount; i++ {
		err := s.gates[i].enter(smallRequestBytes+1, new(party))
		if small := i == searching || i == reading; small != (hexbid.KindOf(err) == hexbid.Invalid && err != nil) {
			t.Errorf("%s: %v", classWords[i], err)
		}
	}
}

func TestLargeRequestsShareTheMemoryThatTheyAreWorkedOnIn(t *testing.T) {
	s := newServer(t, func(c *Config) { c.Limits.WorkingBytes = 10 << 20 })
	writes, imports, one, other := &s.gates[writing], &s.gates[importing], new(party), new(party)
	if err := writes.enter(6<<20, one); err != nil {
		t.Fatal(err)
	}
	if err := imports.enter(6<<20, other); hexbid.KindOf(err) != hexbid.Exhausted || err == nil ||
		!strings.Contains(err.Error(), "10 MiB") {
		t.Errorf("%v", err)
	}
	if err := imports.enter(4<<20, other); err != nil {
		t.Errorf("what fits: %v", err)
	}
	writes.leave(6<<20, one)
	imports.leave(4<<20, other)
	if taken := writes.memory.taken.Load(); taken != 0 {
		t.Errorf("%d bytes are taken at the end", taken)
	}
}

func TestARequestOfMillionsOfEmptyMessagesIsNotDecoded(t *testing.T) {
	rows := &envelope{mem.BufferSlice{mem.SliceBuffer(bytes.Repeat([]byte{0x0a, 0}, mostMessages+1))}}
	var into pb.ImportRequest
	if err := newCodec().open(rows, &into); hexbid.KindOf(err) != hexbid.Invalid || err == nil ||
		!strings.Contains(err.Error(), "split it") || into.Rows != nil {
		t.Errorf("%v, %d rows", err, len(into.Rows))
	}
	rows.data = mem.BufferSlice{mem.SliceBuffer(bytes.Repeat([]byte{0x0a, 0}, mostMessages))}
	if err := newCodec().open(rows, &into); err != nil || len(into.Rows) != mostMessages {
		t.Errorf("as many as may be: %v, %d rows", err, len(into.Rows))
	}
}

func TestARequestThatDoesNotDecodeLeavesNothingBehind(t *testing.T) {
	s, made := newServer(t, nil), 100
	var collected atomic.Int64
	fail := func(want codes.Code) {
		wrapped := s.unary(searchMethod, func(_ any, _ context.Context, receive func(any) error,
			_ grpc.UnaryServerInterceptor) (any, error) {
			m := new(pb.SearchNearbyRequest)
			runtime.AddCleanup(m, func(n *atomic.Int64) { n.Add(1) }, &collected)
			return nil, receive(m)
		})
		_, err := wrapped(nil, context.Background(), func(m any) error {
			return s.codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer{0xff, 0xff, 0xff}}, m)
		}, nil)
		if status.Code(err) != want {
			t.Fatalf("%v: want %v", err, want)
		}
	}
	for range made {
		fail(codes.Unavailable) // before Ready
	}
	s.exchange.Store(&exchange.Exchange{})
	for range made {
		fail(codes.InvalidArgument)
	}
	waitUntil(t, "all messages are collected", func() bool { runtime.GC(); return int(collected.Load()) == 2*made })
}

func TestEveryKindOfErrorHasItsCodeAndKeepsItsSecrets(t *testing.T) {
	for kind, code := range map[hexbid.ErrorKind]codes.Code{hexbid.Invalid: codes.InvalidArgument,
		hexbid.NotFound:      codes.NotFound,
		hexbid.AlreadyExists: codes.AlreadyExists, hexbid.Stale: codes.Aborted, hexbid.InUse: codes.FailedPrecondition,
		hexbid.Exhausted: codes.ResourceExhausted, hexbid.Unavailable: codes.Unavailable,
		hexbid.Denied: codes.PermissionDenied, hexbid.DataLoss: codes.DataLoss,
		hexbid.Canceled: codes.Canceled, hexbid.DeadlineExceeded: codes.DeadlineExceeded, hexbid.Internal: codes.Internal} {
		if got := statusOf(hexbid.Errorf(kind, "field", "detail")); status.Code(got) != code {
			t.Errorf("kind %d gives %v", kind, got)
		}
	}
	if err := statusOf(errors.New("a password")); status.Code(err) != codes.Internal ||
		strings.Contains(err.Error(), "password") {
		t.Errorf("%v", err)
	}
	for ended, code := range map[error]codes.Code{context.DeadlineExceeded: codes.DeadlineExceeded,
		context.Canceled: codes.Canceled} {
		err := fmt.Errorf("reading a place: %w", ended)
		if got := statusOf(err); status.Code(got) != code || strings.Contains(got.Error(), "place") {
			t.Errorf("%v", got)
		}
		if row := rejected(new(pb.ImportRow), "", err).GetError(); row.GetCode() != codeName(hexbid.KindOf(err)) ||
			row.GetCode() == "INTERNAL" || row.GetMessage() == "" {
			t.Errorf("a row is told %v", row)
		}
	}
}

func TestSlotsAreCountedOnFirstPagesAlone(t *testing.T) {
	s := serve(t, nil)
	resources := []hexbid.Resource{&hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/a"}, DisplayName: "A"}}
	for _, id := range []string{"p", "q"} {
		program := "advertisers/a/programs/" + id
		resources = append(resources,
			&hexbid.Program{Meta: hexbid.Meta{Name: program}, DisplayName: "P", Category: hexbid.Catering,
				Hosts: []hexbid.Host{hexbid.WeChat}, Path: "index"},
			&hexbid.Place{Meta: hexbid.Meta{Name: program + "/places/l"}, Point: hexbid.Point{Lat: 30, Lng: 120}})
	}
	for _, o := range s.exchange.Load().Import(ctx, resources, false) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	client, limit := pb.NewSearchServiceClient(s.dial(t)), int32(1)
	r := &pb.SearchNearbyRequest{Location: &pb.Location{Latitude: 30, Longitude: 120}, NearbyLimit: &limit}
	for page := range 2 {
		response, err := client.SearchNearby(t.Context(), r)
		if err != nil || len(response.GetNearby()) != 1 {
			t.Fatalf("page %d: %v, %v", page, response, err)
		}
		r.PageToken = response.GetNextPageToken()
	}
	families, err := s.config.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if slots := f.GetMetric()[0].GetCounter().GetValue(); f.GetName() == "hexbid_sponsored_slots_total" &&
			slots != hexbid.DefaultSlots {
			t.Errorf("%v slots were asked for: want the first page's", slots)
		}
	}
}
