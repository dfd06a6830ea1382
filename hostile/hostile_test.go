package main

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid/hostile/victim"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// TestAShortRound makes some short attacks, so that every test run tries the harness. make test-hostile makes all
// attacks.
func TestAShortRound(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the real program several times")
	}
	binary := filepath.Join(t.TempDir(), "hexbid")
	if out, err := exec.Command("go", "build", "-o", binary, "../cmd/hexbid").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	o := options{binary: binary, seconds: 3, memoryCapMB: 4096, seed: 1,
		only: "idle-streams,rapid-reset,http-lengths,http-bodies,corruption"}
	if code := run(t.Context(), o); code != 0 {
		t.Errorf("status %d", code)
	}
	o.only, o.credentials = "idle-calls,rivals,http-doors,http-paths,http-logins,fuzz", true
	if code := run(t.Context(), o); code != 0 {
		t.Errorf("with credentials: status %d", code)
	}
}

// TestARoundFails: a round fails when the program is missing, and when the program takes too much memory.
func TestARoundFails(t *testing.T) {
	if code := run(t.Context(), options{binary: "no-such-program", seconds: 1}); code != 1 {
		t.Errorf("without a program: status %d", code)
	}
	if code := run(t.Context(), options{only: "no-such-attack"}); code != 2 {
		t.Errorf("without an attack: status %d", code)
	}
}

// rightAnswer returns the answer that the rules give to the bystanders' search.
func rightAnswer() *pb.SearchNearbyResponse {
	r := &pb.SearchNearbyResponse{}
	for slot, name := range []string{"5", "4", "3"} {
		r.Sponsored = append(r.Sponsored, &pb.SponsoredResult{Slot: int32(slot + 1),
			Campaign: "advertisers/bystander-" + name + "/campaigns/c", PriceMicros: int64(4-slot) * yuan})
	}
	for i, name := range strings.Fields("1 2 6 7 8 9 10 11 12") {
		distances := []float64{100, 200, 600, 700, 800, 900, 1000, 1100, 1200}
		r.Nearby = append(r.Nearby, &pb.NearbyResult{Place: &pb.PlaceCard{Name: "advertisers/bystander-" + name +
			"/programs/p/places/l"}, DistanceM: distances[i]})
	}
	return r
}

func TestWrongAnswersAreSeen(t *testing.T) {
	if err := checkAnswer(rightAnswer()); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*pb.SearchNearbyResponse){
		"a slot is missing": func(r *pb.SearchNearbyResponse) { r.Sponsored = r.Sponsored[:2] },
		"slots are exchanged": func(r *pb.SearchNearbyResponse) {
			r.Sponsored[0], r.Sponsored[1] = r.Sponsored[1], r.Sponsored[0]
		},
		"a micro too much":        func(r *pb.SearchNearbyResponse) { r.Sponsored[2].PriceMicros++ },
		"skipped, yet there":      func(r *pb.SearchNearbyResponse) { r.SponsoredSkipped = true },
		"a place is missing":      func(r *pb.SearchNearbyResponse) { r.Nearby = r.Nearby[:8] },
		"a nearer place left out": func(r *pb.SearchNearbyResponse) { r.Nearby, r.NearbyIncomplete = r.Nearby[1:], true },
		"a metre too far":         func(r *pb.SearchNearbyResponse) { r.Nearby[3].DistanceM++ },
	} {
		r := proto.Clone(rightAnswer()).(*pb.SearchNearbyResponse)
		if spoil(r); !errors.Is(checkAnswer(r), errWrong) {
			t.Errorf("%s: not seen", name)
		}
	}
}

func TestATallyTellsFaultsFromRefusals(t *testing.T) {
	for _, c := range []struct {
		err  error
		fell bool
	}{
		{nil, false},
		{status.Error(codes.InvalidArgument, "no"), false},
		{status.Error(codes.ResourceExhausted, "no"), false},
		{status.Error(codes.DeadlineExceeded, "late"), false},
		{status.Error(codes.Internal, "stream terminated by RST_STREAM with error code: PROTOCOL_ERROR"), false},
		{status.Error(codes.Internal, "something went wrong here"), true},
		{status.Error(codes.DataLoss, "gone"), true},
		{errors.New("whatever"), true},
	} {
		tally := &tally{}
		if tally.called("m", c.err); tally.fell() != c.fell {
			t.Errorf("%v: fell %v", c.err, tally.fell())
		}
	}
}

func TestALedgerSeesWhatIsGivenTwice(t *testing.T) {
	l := newLedger()
	for _, c := range []struct {
		name, etag string
		uid        uint64
		twice      bool
	}{{"a", "1", 1, false}, {"b", "2", 2, false}, {"c", "3", 2, true}, {"d", "1", 4, true}} {
		if err := l.acknowledge(&pb.Advertiser{Name: c.name, Uid: c.uid, Etag: c.etag}); (err != nil) != c.twice {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestBystandersMayBeRefusedUnderFloodsOnly(t *testing.T) {
	refused := status.Error(codes.ResourceExhausted, "no")
	for _, idle := range []bool{false, true} {
		b := &bystanders{tally: &tally{}}
		b.idle.Store(idle)
		if b.judge(refused); b.tally.fell() != idle {
			t.Errorf("idle %v: fell %v", idle, b.tally.fell())
		}
	}
	b := &bystanders{tally: &tally{}}
	if b.judge(context.DeadlineExceeded); !b.tally.fell() {
		t.Errorf("a call without an answer in %v is no fall", time.Duration(victim.Patience))
	}
}

func TestWhatRivalsMayNotDoIsSeen(t *testing.T) {
	denied, missing := status.Error(codes.PermissionDenied, "no"), status.Error(codes.NotFound, "no")
	unknown := status.Error(codes.Unauthenticated, "who?")
	for _, c := range []struct {
		known bool
		err   error
		fell  bool
	}{{true, denied, false}, {true, missing, false}, {true, nil, true}, {true, unknown, true}, {false, unknown, false},
		{false, missing, true}, {false, nil, true}, {true, status.Error(codes.Aborted, "stale"), true}} {
		a := &rivalAttack{round: &round{tally: &tally{}}, refused: map[string]int{}}
		if a.judge(weakCaller{name: "x", known: c.known}, attempt{}, c.err); a.tally.fell() != c.fell {
			t.Errorf("known %v, %v: fell %v", c.known, c.err, a.tally.fell())
		}
	}
	before := map[string]string{"a": "1", "b": "2"}
	for name, after := range map[string]map[string]string{"changed": {"a": "1", "b": "3"}, "deleted": {"a": "1"},
		"made": {"a": "1", "b": "2", "c": "3"}} {
		tally := &tally{}
		if compareOthers(before, after, tally); !tally.fell() {
			t.Errorf("what was %s was not seen", name)
		}
	}
	tally := &tally{}
	if compareOthers(before, before, tally); tally.fell() {
		t.Error("what stayed fell")
	}
}

// TestStatusesAreThoseOfTheDocs: attacks accept the statuses that docs/http.md tells callers of, and no other.
func TestStatusesAreThoseOfTheDocs(t *testing.T) {
	text, err := os.ReadFile("../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	told := map[int]bool{}
	row := regexp.MustCompile(`(?m)^\| ((?:\d{3}(?:, )?)+) \|`)
	bare := regexp.MustCompile(`What is no request of HTTP/1\.1(?:.|\n)*?\n\n`)
	for _, numbers := range row.FindAllStringSubmatch(string(text), -1) {
		addStatuses(told, numbers[1])
	}
	plain := map[int]bool{}
	addStatuses(plain, bare.FindString(string(text)))
	if !maps.Equal(plain, bareStatuses) {
		t.Errorf("the docs tell of %v without google.rpc.Status, attacks accept %v", plain, bareStatuses)
	}
	maps.Copy(told, plain)
	if !maps.Equal(told, documentedStatuses) {
		t.Errorf("the docs tell of %v, attacks accept %v", told, documentedStatuses)
	}
}

func addStatuses(to map[int]bool, text string) {
	for _, number := range regexp.MustCompile(`\b[45]\d\d\b`).FindAllString(text, -1) {
		n, _ := strconv.Atoi(number)
		to[n] = true
	}
}

func TestATallyJudgesAnswersOverHTTP(t *testing.T) {
	refusal := `{"code":3,"message":"no"}`
	plain := http.Header{"Content-Type": {"text/plain; charset=utf-8"}}
	for name, c := range map[string]struct {
		answer webAnswer
		fell   bool
	}{
		"an answer":                  {webAnswer{status: 200, body: "{}"}, false},
		"a refusal":                  {webAnswer{status: 400, body: refusal}, false},
		"a line of net/http's":       {webAnswer{status: 431, header: plain, body: "431 too large"}, false},
		"a failure":                  {webAnswer{status: 500, body: `{"code":13,"message":"oh"}`}, true},
		"a status of nobody's":       {webAnswer{status: 418, body: refusal}, true},
		"a detour":                   {webAnswer{status: 301, body: refusal}, true},
		"a refusal without a status": {webAnswer{status: 404, body: "not here"}, true},
		"a line where JSON must be":  {webAnswer{status: 404, header: plain, body: "not here"}, true},
		"a refusal without a reason": {webAnswer{status: 400, body: `{"code":3}`}, true},
		"a long refusal": {webAnswer{status: 400,
			body: `{"code":3,"message":"` + strings.Repeat("m", mostErrorBytes) + `"}`}, true},
		"a key":   {webAnswer{status: 200, body: `{"credential":"hxb_x"}`}, true},
		"a panic": {webAnswer{status: 400, body: `{"code":3,"message":"goroutine 1"}`}, true},
	} {
		tally := &tally{}
		if tally.answered("m", c.answer); tally.fell() != c.fell {
			t.Errorf("%s: fell %v", name, tally.fell())
		}
	}
}

// TestForgedKeysComeAsFarAsTheirID: a key that keeps somebody's id has the form of a key, so that its secret is tried.
func TestForgedKeysComeAsFarAsTheirID(t *testing.T) {
	mine, _, _ := nobodysPepper.NewKey()
	yours, id, _ := nobodysPepper.NewKey()
	forged := withIDOf(mine, yours)
	if !strings.Contains(forged, id) || len(forged) != len(yours) || forged == yours ||
		withChecksum(mine[:len(mine)-checksumDigits]) != mine {
		t.Errorf("%s is made of %s and %s", forged, mine, yours)
	}
}
