package server

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/exchange"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/journal"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/store"
)

// rivals is a market of two advertisers, each with a member who may do all that members may. Its time stands still but
// for pass. Everything is generated from the contract, so a new method is part of it at once.
type rivals struct {
	*matrix
	t       *testing.T
	random  *rand.Rand
	passed  atomic.Int64 // time since the start
	methods map[string]protoreflect.MethodDescriptor
	names   []string // of methods, sorted
	seen    []string // etags and page tokens that anybody was told
}

func openRivals(t *testing.T, seed uint64) *rivals {
	t.Helper()
	x := &rivals{t: t, random: rand.New(rand.NewPCG(seed, 1)), methods: methodsOf()}
	x.names = slices.Sorted(maps.Keys(x.methods))
	start := time.Date(2026, 11, 20, 4, 7, 30, 0, time.UTC)
	since := func() time.Duration { return time.Duration(x.passed.Load()) }
	now := func() time.Time { return start.Add(since()) }
	x.matrix = openMatrixOn(t, storeWithMarket(t), ledger.Options{Journal: journal.NewMemory(), Wall: now,
		Monotonic: since}, func(c *exchange.Config) {
		c.Manual, c.Clock, c.Stopwatch, c.ExplainsAnHour = true, now, now, 1<<30
		c.RequestID = func() string { return "a request" }
	})
	return x
}

// side is one of the two advertisers.
func (x *rivals) side(n int) (p hexbid.Principal, own owner) {
	p, own = x.callerOf("admin")
	if n == 0 {
		return p, own
	}
	own = x.other
	own.user = "users/o"
	a, err := x.exchange.Load().Get(ctx, own.advertiser)
	if err != nil {
		x.t.Fatal(err)
	}
	p.ID, p.Grants = own.user, &hexbid.Grants{Advertisers: map[string]hexbid.Membership{own.advertiser: {
		Advertiser: own.advertiser, UID: a.Metadata().UID, Level: hexbid.LevelAdmin}}}
	return p, own
}

// everybodys are the answers that tell of all charges, as their proofs need.
var everybodys = map[string]bool{"LedgerService/GetReceipt": true, "LedgerService/ListRoots": true}

// isRead reports whether a method changes nothing.
func isRead(name string) bool {
	_, method, _ := strings.Cut(name, "/")
	for _, verb := range []string{"Get", "List", "Watch", "Explain", "Export", "WhoAmI"} {
		if strings.HasPrefix(method, verb) {
			return true
		}
	}
	return false
}

// view returns all that a caller is told of an owner's resources, by what they ask. Lists are also asked for with
// wildcards.
func (x *rivals) view(p hexbid.Principal, of owner) map[string]string {
	x.t.Helper()
	told := map[string]string{}
	for _, name := range x.names {
		rule := access.RuleOf(access.Methods()[name])
		if !isRead(name) || everybodys[name] || rule.Member == hexbid.LevelNone && !rule.Self {
			continue
		}
		m := x.methods[name]
		code, answer := x.call(x.t, p, m, requestOf(x.t, m, of))
		told[name] = fmt.Sprint(code, answer)
		wild := requestOf(x.t, m, of)
		if strings.Contains(name, "/List") && setText(wild.ProtoReflect(), "parent", "advertisers/-") {
			code, answer = x.call(x.t, p, m, wild)
			told[name+" of all"] = fmt.Sprint(code, answer)
		}
	}
	return told
}

// records returns the versions of all that is stored of an owner.
func (x *rivals) records(of owner) map[string]string {
	x.t.Helper()
	stored := map[string]string{}
	if _, err := x.catalogue.Scan(ctx, func(r store.Record, _ *store.Derived) error {
		for _, owner := range []string{of.advertiser, of.user} {
			if name := r.Meta().Name; name == owner || strings.HasPrefix(name, owner+"/") {
				stored[name] = fmt.Sprintf("%d.%d %v", r.Meta().UID, r.Meta().Version, r.Resource)
			}
		}
		return nil
	}); err != nil {
		x.t.Fatal(err)
	}
	return stored
}

// setText sets a field of a message, if it has one of that name, to a parent with its other segments kept.
func setText(m protoreflect.Message, field protoreflect.Name, advertiser string) bool {
	f := m.Descriptor().Fields().ByName(field)
	if f == nil || !strings.HasPrefix(m.Get(f).String(), "advertisers/") {
		return false
	}
	_, rest, _ := strings.Cut(strings.TrimPrefix(m.Get(f).String(), "advertisers/"), "/")
	m.Set(f, protoreflect.ValueOfString(strings.TrimSuffix(advertiser+"/"+rest, "/")))
	return true
}

// anything makes a random request of a side: mostly about what is its own, otherwise about the other's or nobody's, or
// about several of them at once.
func (x *rivals) anything(own, other owner) (name string, request proto.Message) {
	name = x.names[x.random.IntN(len(x.names))]
	for x.random.IntN(3) > 0 && (isRead(name) || access.RuleOf(access.Methods()[name]).Member == hexbid.LevelNone) {
		name = x.names[x.random.IntN(len(x.names))] // rather something that changes what is one's own
	}
	about := own
	switch n := x.random.IntN(10); {
	case n < 3:
		about = other
	case n < 4:
		about = x.absent
	}
	request = requestOf(x.t, x.methods[name], about)
	x.vary(request.ProtoReflect(), own, other)
	return name, request
}

// vary changes some fields of a message.
func (x *rivals) vary(m protoreflect.Message, own, other owner) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				x.vary(v.List().Get(i).Message(), own, other)
			}
		case f.IsList():
		case f.Message() != nil:
			x.vary(v.Message(), own, other)
		case f.Kind() == protoreflect.StringKind:
			m.Set(f, protoreflect.ValueOfString(x.text(v.String(), own, other)))
		case f.Kind() == protoreflect.Int64Kind && strings.HasSuffix(string(f.Name()), "_micros"):
			m.Set(f, protoreflect.ValueOfInt64(v.Int()/2+x.random.Int64N(v.Int()+1)))
		case f.Kind() == protoreflect.BoolKind && f.Name() == "validate_only":
			m.Set(f, protoreflect.ValueOfBool(x.random.IntN(4) == 0))
		}
		return true
	})
	for name, one := range map[protoreflect.Name]int{"etag": 6, "page_token": 3} {
		if f := m.Descriptor().Fields().ByName(name); f != nil && len(x.seen) > 0 && x.random.IntN(one) == 0 {
			m.Set(f, protoreflect.ValueOfString(x.seen[x.random.IntN(len(x.seen))]))
		}
	}
	if f := m.Descriptor().Fields().ByName("state"); f != nil && x.random.IntN(3) == 0 {
		m.Set(f, protoreflect.ValueOfEnum(protoreflect.EnumNumber(1+x.random.IntN(2))))
	}
}

// text changes a text: a name to another of its kind, or to the other side's.
func (x *rivals) text(text string, own, other owner) string {
	if strings.Contains(text, "/") {
		if x.random.IntN(12) == 0 {
			text = strings.NewReplacer(own.advertiser, other.advertiser, own.user, other.user).Replace(text)
		}
		if x.random.IntN(4) == 0 {
			text = strings.NewReplacer("/places/l", "/places/m", "/campaigns/c", "/campaigns/d", "/keys/k", "/keys/j").
				Replace(text)
		}
		return text
	}
	if x.random.IntN(3) == 0 {
		return text + fmt.Sprint(x.random.IntN(3))
	}
	return text
}

// remember notes the etags and page tokens of an answer's bytes.
func (x *rivals) remember(m protoreflect.MethodDescriptor, request proto.Message, p hexbid.Principal) {
	if len(x.seen) > 200 || !strings.HasPrefix(string(m.Name()), "Get") && !strings.HasPrefix(string(m.Name()), "List") {
		return
	}
	answer := newMessage(x.t, m.Output())
	in := hexbid.WithPrincipal(x.t.Context(), p)
	if x.InProcess().Invoke(in, fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name()), request, answer) != nil {
		return
	}
	for _, name := range []protoreflect.Name{"etag", "next_page_token"} {
		if f := answer.ProtoReflect().Descriptor().Fields().ByName(name); f != nil && answer.ProtoReflect().Has(f) {
			x.seen = append(x.seen, answer.ProtoReflect().Get(f).String())
		}
	}
}

// ads returns tokens of an advertiser's ads that people were shown.
func (x *rivals) ads(of owner) (tokens []string) {
	x.t.Helper()
	won, err := pb.NewSearchServiceClient(x.InProcess()).SearchNearby(WithClient(ctx, "app"), &pb.SearchNearbyRequest{
		Location: &pb.Location{Latitude: 30, Longitude: 120}, Host: pb.Host_HOST_WECHAT})
	if err != nil {
		x.t.Fatal(err)
	}
	for _, s := range won.GetSponsored() {
		if strings.HasPrefix(s.GetCampaign(), of.advertiser+"/") {
			tokens = append(tokens, s.GetToken())
		}
	}
	x.pass(time.Second)
	return tokens
}

// click has people click ads.
func (x *rivals) click(tokens []string) {
	x.t.Helper()
	for _, token := range tokens {
		if _, err := pb.NewEventServiceClient(x.InProcess()).RecordEvents(WithClient(ctx, "app"),
			&pb.RecordEventsRequest{Events: []*pb.Event{clickOf(token, fmt.Sprint(x.random.Int64()))}}); err != nil {
			x.t.Fatal(err)
		}
	}
}

// pass lets time pass, and the market learn.
func (x *rivals) pass(d time.Duration) {
	x.t.Helper()
	x.passed.Add(int64(d))
	if err := x.exchange.Load().Step(ctx); err != nil {
		x.t.Fatal(err)
	}
}

// TestNoCallOfATenantTouchesAnother has two rivals call whatever they like, about their own, each other's and nobody's
// resources, mixed, with etags and page tokens of each other, and people click their ads. No call of one changes
// anything that the other has, in the catalogue, or any byte of what the other is told. Explanations follow the
// auction, in which they meet: TestExplanationsMoveInSteps is about them.
func TestNoCallOfATenantTouchesAnother(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			x := openRivals(t, seed)
			changes, refusals := 0, 0
			for step := 0; step < 250 || changes < 20 && step < 5000; step++ {
				n := x.random.IntN(2)
				caller, own := x.side(n)
				rival, others := x.side(1 - n)
				ads := x.ads(own)
				before, stored := x.view(rival, others), x.records(others)
				version := x.catalogue.Version()
				what := "a click"
				if x.random.IntN(8) == 0 {
					x.click(ads)
				} else {
					name, request := x.anything(own, others)
					code, answer := x.call(t, caller, x.methods[name], request)
					what = fmt.Sprintf("%s(%v), answered %s %q,", name, request, code, answer)
					x.remember(x.methods[name], request, caller)
					if code != 0 {
						refusals++
					}
				}
				if x.catalogue.Version() != version {
					changes++
				}
				compare(t, what+" of "+caller.ID+" changes what the rival is told", before, x.view(rival, others))
				compare(t, what+" of "+caller.ID+" changes what the rival has", stored, x.records(others))
				if t.Failed() {
					return
				}
				x.pass(time.Duration(x.random.IntN(20)) * time.Second)
			}
			if changes < 20 || refusals < 40 {
				t.Errorf("only %d calls changed something, and %d were refused", changes, refusals)
			}
		})
	}
}

// compare compares two views, but for explanations.
func compare(t *testing.T, what string, before, after map[string]string) {
	t.Helper()
	if len(after) != len(before) {
		t.Errorf("%s: there were %d, and are %d", what, len(before), len(after))
	}
	for name, was := range before {
		if is := after[name]; is != was && !strings.HasPrefix(name, "CampaignService/Explain") {
			t.Errorf("%s by %s:\nbefore %q\nafter  %q", what, name, was, is)
		}
	}
}

func newMessage(t *testing.T, d protoreflect.MessageDescriptor) proto.Message {
	t.Helper()
	kind, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		t.Fatal(err)
	}
	return kind.New().Interface()
}

// stepOf returns the least of the steps 1, 1.1, 1.1² …, each rounded up, that is above a score.
func stepOf(score int64) int64 {
	step := int64(1)
	for step <= score {
		step += (step + 9) / 10
	}
	return step
}

// TestExplanationsMoveInSteps changes a rival's bid again and again. What an advertiser is told is the same, byte for
// byte, wherever the rival's score is within a step of a tenth.
func TestExplanationsMoveInSteps(t *testing.T) {
	x := openRivals(t, 1)
	caller, own := x.side(0)
	_, rival := x.side(1)
	operator, _ := x.callerOf("operator")
	service := pb.NewCampaignServiceClient(x.InProcess())
	request := requestOf(t, x.methods["CampaignService/Explain"], own).(*pb.ExplainRequest)
	slots := int32(1)
	request.Request.SponsoredSlots, request.Request.Host = &slots, pb.Host_HOST_WECHAT
	const quality = 30_000 // of catering, parts per million
	told := map[int64]string{}
	for range 300 {
		bid := 500_000 + x.random.Int64N(3_000_000)
		if _, err := service.UpdateCampaign(hexbid.WithPrincipal(t.Context(), operator), &pb.UpdateCampaignRequest{
			Campaign:   &pb.Campaign{Name: rival.advertiser + "/campaigns/c", BidMicros: bid},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"bid_micros"}}}); err != nil {
			t.Fatal(err)
		}
		code, answer := x.call(t, caller, x.methods["CampaignService/Explain"], request)
		key := stepOf(bid * quality)
		if before, is := told[key]; is && before != fmt.Sprint(code, answer) {
			t.Errorf("a rival's bid of %d shows: %q, before %q", bid, answer, before)
		}
		told[key] = fmt.Sprint(code, answer)
	}
	if len(told) < 8 || len(told) > 25 {
		t.Errorf("300 bids of a rival are told apart into %d", len(told))
	}
}
