package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// bank is a server that records every event once. It fails its first calls after it has recorded what they bring, as a
// server that is killed before it answers.
type bank struct {
	pb.UnimplementedEventServiceServer
	pb.UnimplementedLedgerServiceServer
	failures int
	clients  []string // names of the clients of all calls
	recorded []*pb.Event
	moved    []*pb.CreateTopUpRequest
	credits  []*pb.CreateCreditRequest
}

func (b *bank) RecordEvents(ctx context.Context, r *pb.RecordEventsRequest) (*pb.RecordEventsResponse, error) {
	given, _ := metadata.FromIncomingContext(ctx)
	b.clients = append(b.clients, strings.Join(given.Get("x-hexbid-client"), ","))
	response := &pb.RecordEventsResponse{}
	for _, e := range r.GetEvents() {
		sequence, repeated := 0, false
		for i, known := range b.recorded {
			if known.GetEventId() == e.GetEventId() {
				sequence, repeated = i+1, true
			}
		}
		if !repeated {
			b.recorded = append(b.recorded, e)
			sequence = len(b.recorded)
		}
		response.Results = append(response.Results, &pb.EventResult{Outcome: pb.EventOutcome_EVENT_OUTCOME_CHARGED,
			ChargedMicros: 1_500_000, Sequence: uint64(sequence), ChainHash: []byte{0xab}, RepeatedAnswer: repeated})
	}
	return response, b.fail()
}

func (b *bank) fail() error {
	if b.failures--; b.failures >= 0 {
		return status.Error(codes.Unavailable, "killed")
	}
	return nil
}

func (b *bank) CreateTopUp(_ context.Context, r *pb.CreateTopUpRequest) (*pb.Movement, error) {
	b.moved = append(b.moved, r)
	return &pb.Movement{Advertiser: r.GetParent(), Type: pb.MovementType_MOVEMENT_TYPE_TOP_UP, RequestId: r.GetRequestId(),
		AmountMicros: r.GetAmountMicros(), Billing: pb.Billing_BILLING_PREPAID, BalanceMicros: 7_000_000, Sequence: 3,
		ChainHash: []byte{1}, RepeatedAnswer: len(b.moved) > 1}, b.fail()
}

func (b *bank) CreateCredit(_ context.Context, r *pb.CreateCreditRequest) (*pb.Movement, error) {
	b.credits = append(b.credits, r)
	return &pb.Movement{}, nil
}

// run runs a command line against the bank and returns what it prints.
func (b *bank) run(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	pb.RegisterEventServiceServer(s, b)
	pb.RegisterLedgerServiceServer(s, b)
	go s.Serve(l)
	defer s.Stop()
	var out, errs bytes.Buffer
	code = Run(t.Context(), append(args, "--server", l.Addr().String()),
		Env{Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs})
	return code, out.String(), errs.String()
}

const searchAnswer = `{"requestId": "r", "aFieldOfTomorrow": 1,
	"sponsored": [{"slot": 1, "token": "first"}, {"slot": 2, "token": "second"}]}`

func TestEventsAreReadFromSearchesFilesAndFlags(t *testing.T) {
	file := filepath.Join(t.TempDir(), "events.jsonl")
	lines := `{"kind": "click", "token": "a", "event_id": "mine"}
		{"kind": "EVENT_KIND_CONVERSION", "token": "a", "value_micros": "7"}
		{"events": [{"kind": "claim", "token": "b"}]}`
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		stdin string
		args  []string
		want  string
	}{
		"every slot": {searchAnswer, []string{"-"}, "IMPRESSION first, IMPRESSION second"},
		"a slot, two kinds": {searchAnswer, []string{"--slot", "2", "--kind", "impression,click", "-"},
			"IMPRESSION second, CLICK second"},
		"a file": {"", []string{file}, "CLICK a mine, CONVERSION a 7, CLAIM b"},
		"flags": {"", []string{"--token", "x", "--kind", "conversion", "--value", "1.20", "--event-id", "e"},
			"CONVERSION x e 1200000"},
	} {
		b := &bank{}
		if code, _, stderr := b.run(t, c.stdin, append([]string{"events"}, c.args...)...); code != 0 {
			t.Errorf("%s: status %d: %s", name, code, stderr)
		}
		var got []string
		for _, e := range b.recorded {
			text := strings.TrimPrefix(e.GetKind().String(), "EVENT_KIND_") + " " + e.GetToken()
			if len(e.GetEventId()) < 32 {
				text += " " + e.GetEventId()
			}
			if e.GetValueMicros() > 0 {
				text += " " + fmt.Sprint(e.GetValueMicros())
			}
			got = append(got, text)
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s: %q, want %q", name, strings.Join(got, ", "), c.want)
		}
	}
}

// TestEventsWithoutAnAnswerAreSentAgain: under the same ids, so that they are recorded once.
func TestEventsWithoutAnAnswerAreSentAgain(t *testing.T) {
	b := &bank{failures: 2}
	code, stdout, stderr := b.run(t, searchAnswer, "events", "--client", "app", "-o", "json", "-")
	if code != 0 || len(b.recorded) != 2 || len(b.clients) != 3 || b.clients[2] != "app" {
		t.Fatalf("status %d, %d recorded, clients %q: %s", code, len(b.recorded), b.clients, stderr)
	}
	var printed struct {
		Results []struct {
			Event struct {
				EventID string `json:"event_id"`
				Token   string
			}
			Result struct {
				Outcome, Sequence string
				RepeatedAnswer    bool `json:"repeated_answer"`
			}
		}
	}
	if err := json.Unmarshal([]byte(stdout), &printed); err != nil || len(printed.Results) != 2 {
		t.Fatalf("%v: %s", err, stdout)
	}
	if r := printed.Results[1]; r.Event.Token != "second" || r.Event.EventID != b.recorded[1].GetEventId() ||
		r.Result.Outcome != "EVENT_OUTCOME_CHARGED" || r.Result.Sequence != "2" || !r.Result.RepeatedAnswer {
		t.Errorf("%+v", r)
	}
}

// TestEventsThatStayWithoutAnswerArePrinted: reporting those lines again records each once.
func TestEventsThatStayWithoutAnswerArePrinted(t *testing.T) {
	b := &bank{failures: 100}
	code, _, stderr := b.run(t, searchAnswer, "events", "--slot", "1", "-")
	_, lines, found := strings.Cut(stderr, "recorded once:\n")
	if code != 1 || !found {
		t.Fatalf("status %d: %s", code, stderr)
	}
	line, _, _ := strings.Cut(lines, "\n")
	b.failures = 0
	if code, stdout, stderr := b.run(t, line, "events", "-"); code != 0 || len(b.recorded) != 1 ||
		!strings.Contains(stdout, "charged (answered before)") {
		t.Errorf("status %d, %d recorded: %s%s", code, len(b.recorded), stdout, stderr)
	}
}

func TestBadEventsSayWhatWouldBeRight(t *testing.T) {
	for name, c := range map[string]struct {
		stdin string
		args  []string
		words []string
	}{
		"nothing":        {"", nil, []string{"nothing to report", "--token"}},
		"no JSON":        {"hello", []string{"-"}, []string{"-: value 1"}},
		"a list":         {"[1]", []string{"-"}, []string{"is no JSON object", "search -o json"}},
		"another object": {`{"a": 1}`, []string{"-"}, []string{"neither an event"}},
		"no such kind":   {`{"kind": "clic", "token": "t"}`, []string{"-"}, []string{"clic", "click", "claim"}},
		"an id for two": {"", []string{"--token", "t", "--kind", "impression,click", "--event-id", "e"},
			[]string{"--event-id", "one"}},
		"a value of no worth":   {"", []string{"--token", "t", "--value", "3"}, []string{"--value", "conversion"}},
		"a field of no event":   {`{"kind": "click", "token": "t", "price": 3}`, []string{"-"}, []string{"price"}},
		"an answer without ads": {`{"requestId": "r"}`, []string{"-"}, []string{"nothing to report"}},
	} {
		b := &bank{}
		code, _, stderr := b.run(t, c.stdin, append([]string{"events"}, c.args...)...)
		if code != 1 || len(b.recorded) > 0 {
			t.Errorf("%s: status %d, %d recorded", name, code, len(b.recorded))
		}
		for _, word := range c.words {
			if !strings.Contains(stderr, word) {
				t.Errorf("%s: %q does not say %q", name, stderr, word)
			}
		}
	}
}
