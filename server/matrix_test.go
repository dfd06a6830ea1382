package server

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/exchange"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/journal"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/wire"
)

// owner is whose resources a request of the matrix is about: an advertiser, and a user or a client.
type owner struct {
	advertiser, user, client string
	charge                   uint64 // sequence of one of the advertiser's
	change                   string // of the advertiser's campaign
}

func (o owner) program() string { return o.advertiser + "/programs/p" }

// nameFor returns the name of a kind of resource of the owner.
func (o owner) nameFor(kind string) string {
	return map[string]string{"Advertiser": o.advertiser, "Program": o.program(), "Place": o.program() + "/places/l",
		"Campaign": o.advertiser + "/campaigns/c", "User": o.user, "Client": o.client, "Key": o.user + "/keys/k"}[kind]
}

// special are the requests that do not follow from the names of their methods, in JSON. %A stands for the advertiser,
// %U for the user, %S for the charge, %C for the change.
var special = map[string]string{
	"WhoAmI":       `{}`,
	"SearchNearby": `{"location":{"latitude":30,"longitude":120},"host":"HOST_WECHAT"}`,
	"RecordEvents": `{"events":[{"kind":"EVENT_KIND_CLICK","token":"x","eventId":"1"}]}`,
	"StreamEvents": `{"events":[{"kind":"EVENT_KIND_CLICK","token":"x","eventId":"1"}]}`,
	"Import": `{"validateOnly":true,"rows":[{"row":1,"place":{"name":"%A/programs/p/places/l","displayName":"L",` +
		`"latitude":30,"longitude":120}}]}`,
	"WatchAlerts":          `{"parent":"%A"}`,
	"ReviewPlace":          `{"name":"%A/programs/p/places/l","reviewState":"REVIEW_STATE_APPROVED"}`,
	"ListRegions":          `{}`,
	"Explain":              `{"name":"%A/campaigns/c","request":{"location":{"latitude":30,"longitude":120}}}`,
	"GetCampaignSpend":     `{"name":"%A/campaigns/c"}`,
	"ListCampaignSpend":    `{"parent":"%A"}`,
	"GetAdvertiserBalance": `{"name":"%A"}`,
	"CreateTopUp":          `{"parent":"%A","requestId":"1","amountMicros":1}`,
	"CreateWithdrawal":     `{"parent":"%A","requestId":"2","amountMicros":1}`,
	"CreateCredit":         `{"parent":"%A","requestId":"3","reason":"r","campaign":"%A/campaigns/c","amountMicros":1}`,
	"SetBilling":           `{"name":"%A","requestId":"4","billing":"BILLING_POSTPAID"}`,
	"GetStatement":         `{"name":"%A","month":"2026-11"}`,
	"ListCharges":          `{"name":"%A/campaigns/c"}`,
	"GetReceipt":           `{"sequence":%S}`,
	"ListRoots":            `{}`,
	"GetViewerHistory":     `{"userKey":"v"}`,
	"ExportViewer":         `{"userKey":"v"}`,
	"EraseViewerHistory":   `{"userKey":"v"}`,
	"CreateBackup":         `{"directory":"/nowhere"}`,
	"CreateKey":            `{"parent":"%U","keyId":"another","key":{"displayName":"k"}}`,
	"RotateKey":            `{"name":"%U/keys/k","keyId":"next"}`,
	"ListChanges":          `{"owner":"%A"}`,
	"GetChange":            `{"name":"%C"}`,
	"UndoChange":           `{"name":"%C","validateOnly":true}`,
	"GetMarket":            `{"name":"market"}`,
	"UpdateMarket":         `{"market":{"name":"market","mechanism":"MECHANISM_VCG"},"validateOnly":true}`,
	"SetMembership":        `{"user":"users/m","advertiser":"%A","level":"MEMBERSHIP_LEVEL_VIEWER"}`,
}

// bodies are resources that could be stored, without names, in JSON.
var bodies = map[string]string{
	"Advertiser": `{"displayName":"A"}`,
	"Program":    `{"displayName":"P","category":"CATEGORY_CATERING","hosts":["HOST_WECHAT"]}`,
	"Place":      `{"displayName":"L","latitude":30,"longitude":120}`,
	"Campaign": `{"displayName":"C","program":"%A/programs/p","pricingModel":"PRICING_MODEL_CPC","bidMicros":1000000,` +
		`"dailyBudgetMicros":1000000000,"area":{"everywhere":true}}`,
	"User":   `{"displayName":"U","role":"ROLE_MEMBER"}`,
	"Client": `{"displayName":"C"}`,
	"Key":    `{"displayName":"K"}`,
}

// requestOf makes the request of a method about what an owner has.
func requestOf(t *testing.T, m protoreflect.MethodDescriptor, o owner) proto.Message {
	t.Helper()
	request := newMessage(t, m.Input())
	read := func(text string, into proto.Message) {
		text = strings.NewReplacer("%A", o.advertiser, "%U", o.user, "%S", fmt.Sprint(o.charge),
			"%C", o.change).Replace(text)
		if err := protojson.Unmarshal([]byte(text), into); err != nil {
			t.Fatalf("%s: %v", m.Name(), err)
		}
	}
	name := string(m.Name())
	if text, there := special[name]; there {
		read(text, request)
		return request
	}
	for _, verb := range []string{"Create", "Get", "List", "Update", "Delete"} {
		if of, standard := strings.CutPrefix(name, verb); standard {
			fillStandard(request.ProtoReflect(), verb, strings.TrimSuffix(of, "s"), o, read)
			return request
		}
	}
	t.Fatalf("%s: no request is known", m.Name())
	return nil
}

// fillStandard fills the request of a standard method on a kind of resource.
func fillStandard(r protoreflect.Message, verb, kind string, o owner, read func(string, proto.Message)) {
	text := func(field protoreflect.Name, value string) {
		if f := r.Descriptor().Fields().ByName(field); f != nil {
			r.Set(f, protoreflect.ValueOfString(value))
		}
	}
	name := o.nameFor(kind)
	parent := strings.Split(name, "/")
	text("name", name)
	text("parent", strings.Join(parent[:len(parent)-2], "/"))
	text(protoreflect.Name(strings.ToLower(kind)+"_id"), parent[len(parent)-1])
	if f := r.Descriptor().Fields().ByName("validate_only"); f != nil {
		r.Set(f, protoreflect.ValueOfBool(true))
	}
	if f := r.Descriptor().Fields().ByName(protoreflect.Name(strings.ToLower(kind))); f != nil {
		body := r.Mutable(f).Message()
		read(bodies[kind], body.Interface())
		if verb == "Update" {
			body.Set(body.Descriptor().Fields().ByName("name"), protoreflect.ValueOfString(name))
		}
	}
}

// methodsOf returns the methods of the contract, by their names in the table of rights.
func methodsOf() map[string]protoreflect.MethodDescriptor {
	found := map[string]protoreflect.MethodDescriptor{}
	protoregistry.GlobalFiles.RangeFilesByPackage("hexbid.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			for j := range s.Methods().Len() {
				m := s.Methods().Get(j)
				found[string(s.Name())+"/"+string(m.Name())] = m
			}
		}
		return true
	})
	return found
}

// roles are the callers of the matrix: those that have rights, in the order of the table, and nobody.
var roles = []string{"nobody", "client", "auditor", "viewer", "editor", "admin", "operator"}

// callerOf returns the caller of a role: a member is one of advertisers/a.
func (x *matrix) callerOf(role string) (p hexbid.Principal, own owner) {
	own = x.own
	p.Origin = hexbid.InProcess
	level := map[string]hexbid.Level{"viewer": hexbid.LevelViewer, "editor": hexbid.LevelEditor,
		"admin": hexbid.LevelAdmin}[role]
	switch role {
	case "client":
		p.Role, p.ID = hexbid.Searcher, own.client
	case "auditor", "operator":
		p.Role = map[string]hexbid.Role{"auditor": hexbid.Auditor, "operator": hexbid.Operator}[role]
		p.ID, own.user = "users/"+role, "users/"+role
	case "viewer", "editor", "admin":
		p.Role, p.ID = hexbid.Member, "users/"+role
		own.user = p.ID
		p.Grants = &hexbid.Grants{Advertisers: map[string]hexbid.Membership{own.advertiser: {Advertiser: own.advertiser,
			UID: x.advertiserUID, Level: level}}}
	}
	return p, own
}

// may reports whether the table lets a caller call a method with a request about what is theirs, or another's.
func may(r *access.Rule, p *hexbid.Principal, request proto.Message, isOwn bool) bool {
	if r.Self && isOwn && p.ID != "" && strings.Contains(fmt.Sprint(request), `"`+p.ID) {
		return true
	}
	switch p.Role {
	case hexbid.Operator:
		return true
	case hexbid.Auditor:
		return r.Auditor
	case hexbid.Searcher:
		return r.Client
	case hexbid.Member:
		for _, m := range p.Grants.Advertisers {
			return r.Member != hexbid.LevelNone && m.Level >= r.Member && (isOwn || !isOfOthers(request))
		}
	}
	return false
}

// isOfOthers reports whether a request names whose resource it is about.
func isOfOthers(request proto.Message) bool {
	text := fmt.Sprint(request)
	return strings.Contains(text, "advertisers/") || strings.Contains(text, "users/") || strings.Contains(text, "changes/")
}

// matrix is a market of two advertisers that are alike, each with a program, a place, a campaign and a charge.
type matrix struct {
	*served
	catalogue          store.Store
	own, other, absent owner
	advertiserUID      hexbid.UID // of own
}

// openMatrix opens the market, whose settings a test may change. Credentials are required over the network.
func openMatrix(t *testing.T, changes ...func(*exchange.Config)) *matrix {
	t.Helper()
	return openMatrixOn(t, storeWithMarket(t), ledger.Options{Journal: journal.NewMemory()}, changes...)
}

// openMatrixOn opens the market on a catalogue and a ledger.
func openMatrixOn(t *testing.T, catalogue store.Store, money ledger.Options,
	changes ...func(*exchange.Config)) *matrix {
	t.Helper()
	money.Log = slog.New(slog.DiscardHandler)
	l, err := ledger.Open(t.Context(), money)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	market := exchange.DefaultConfig()
	market.Log, market.Cards, market.Ledger, market.Currency = slog.New(slog.DiscardHandler), wire.Cards{}, l, "CNY"
	market.AuctionBudget = time.Minute // the machine may be busy
	for _, change := range changes {
		change(&market)
	}
	x := &matrix{served: serveMarket(t, catalogue, market, func(c *Config) { c.Auth = AuthRequired }),
		catalogue: catalogue, own: owner{advertiser: "advertisers/a", user: "users/m", client: "clients/m"},
		other: owner{advertiser: "advertisers/b", user: "users/o", client: "clients/o"},
		absent: owner{advertiser: "advertisers/z", user: "users/z", client: "clients/z", charge: 1,
			change: "changes/" + strings.Repeat("a", 26)}}
	x.fill(t)
	return x
}

// fill stores what the market has.
func (x *matrix) fill(t *testing.T) {
	t.Helper()
	e := x.exchange.Load()
	must := func(r hexbid.Resource) hexbid.Resource {
		t.Helper()
		made, err := e.Create(ctx, r, false)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	meta := func(name string) hexbid.Meta { return hexbid.Meta{Name: name} }
	campaigns := map[string]*owner{}
	for _, o := range []*owner{&x.own, &x.other} {
		advertiser := must(&hexbid.Advertiser{Meta: meta(o.advertiser), DisplayName: "A"})
		must(&hexbid.Program{Meta: meta(o.program()), DisplayName: "P", Category: hexbid.Catering,
			Hosts: []hexbid.Host{hexbid.WeChat}})
		must(&hexbid.Place{Meta: meta(o.program() + "/places/l"), DisplayName: "L", Point: hexbid.Point{Lat: 30, Lng: 120}})
		c := must(&hexbid.Campaign{Meta: meta(o.advertiser + "/campaigns/c"), DisplayName: "C", Program: o.program(),
			Pricing: hexbid.CPC, Bid: 1_000_000, DailyBudget: 1_000_000_000, Area: hexbid.Area{Everywhere: true}})
		campaigns[c.Metadata().Name] = o
		if _, err := e.Changes(ctx, &exchange.ChangeQuery{Resource: c.Metadata().Name}, func(c *exchange.Change) bool {
			o.change = c.Name
			return true
		}); err != nil {
			t.Fatal(err)
		}
		must(&hexbid.User{Meta: meta(o.user), Role: hexbid.Member})
		must(&hexbid.Client{Meta: meta(o.client)})
		if o == &x.own {
			x.advertiserUID = advertiser.Metadata().UID
		}
	}
	for role, r := range map[string]hexbid.Role{"auditor": hexbid.Auditor, "operator": hexbid.Operator} {
		must(&hexbid.User{Meta: meta("users/" + role), Role: r})
	}
	defer x.issueKeys(t)
	for role, level := range map[string]hexbid.Level{"viewer": hexbid.LevelViewer, "editor": hexbid.LevelEditor,
		"admin": hexbid.LevelAdmin} {
		must(&hexbid.User{Meta: meta("users/" + role), Role: hexbid.Member,
			Memberships: []hexbid.Membership{{Advertiser: x.own.advertiser, Level: level}}})
	}
	x.charge(t, campaigns)
}

// issueKeys gives every user and client a key. Its text is of no matter.
func (x *matrix) issueKeys(t *testing.T) {
	t.Helper()
	for _, of := range []string{"users/m", "users/o", "users/auditor", "users/operator", "users/viewer", "users/editor",
		"users/admin", "clients/m", "clients/o"} {
		if _, _, err := x.exchange.Load().IssueKey(ctx, &hexbid.Key{Meta: hexbid.Meta{Name: of + "/keys/k"}}); err != nil {
			t.Fatal(err)
		}
	}
}

// charge has the campaigns of both owners charged for a click.
func (x *matrix) charge(t *testing.T, of map[string]*owner) {
	t.Helper()
	client := WithClient(ctx, "app")
	won, err := pb.NewSearchServiceClient(x.InProcess()).SearchNearby(client, &pb.SearchNearbyRequest{
		Location: &pb.Location{Latitude: 30, Longitude: 120}, Host: pb.Host_HOST_WECHAT})
	if err != nil || len(won.GetSponsored()) != 2 {
		t.Fatal(won, err)
	}
	for i, s := range won.GetSponsored() {
		r, err := pb.NewEventServiceClient(x.InProcess()).RecordEvents(client, &pb.RecordEventsRequest{
			Events: []*pb.Event{clickOf(s.GetToken(), fmt.Sprint(i))}})
		if err != nil || r.GetResults()[0].GetChargedMicros() == 0 {
			t.Fatal(r, err)
		}
		of[s.GetCampaign()].charge = r.GetResults()[0].GetSequence()
	}
	if max(x.own.charge, x.other.charge) > 9 { // numbers of one length have answers of one length
		t.Fatal(x.own, x.other)
	}
}

// Every method, streams too, for every role, on what is the caller's own, another's, and not there.
func TestMatrixOfMethodsRolesAndOwners(t *testing.T) {
	x := openMatrix(t)
	methods, rules := methodsOf(), access.Methods()
	delete(methods, "AccessService/WhoAmI") // whoever calls may ask who they are
	for _, name := range slices.Sorted(maps.Keys(methods)) {
		m, rule := methods[name], access.RuleOf(rules[name])
		for _, role := range roles {
			p, own := x.callerOf(role)
			call := func(o owner) (codes.Code, string) { return x.call(t, p, m, requestOf(t, m, o)) }
			request := requestOf(t, m, own)
			if code, text := call(own); may(&rule, &p, request, true) == (code == codes.PermissionDenied) {
				t.Errorf("%s by %s on its own: %s %s", name, role, code, text)
			}
			code, text := call(x.other)
			if p.Role != hexbid.Member || !isOfOthers(request) {
				if may(&rule, &p, requestOf(t, m, x.other), false) == (code == codes.PermissionDenied) {
					t.Errorf("%s by %s on another's: %s %s", name, role, code, text)
				}
			}
			if p.Role == hexbid.Operator || p.Role == hexbid.Auditor ||
				proto.Equal(requestOf(t, m, x.other), requestOf(t, m, x.absent)) { // it is about nobody's
				continue
			}
			alike, words := call(x.absent)
			if text = x.asAbsent(text); code != alike || text != words {
				t.Errorf("%s by %s:\non another's:  %s %s\non nobody's: %s %s", name, role, code, text, alike, words)
			}
		}
	}
}

// asAbsent returns what an answer about another's resources says, with the names and numbers of one that is not there.
func (x *matrix) asAbsent(text string) string {
	return strings.NewReplacer(x.other.advertiser, x.absent.advertiser, x.other.user, x.absent.user, x.other.client,
		x.absent.client, x.other.change, x.absent.change, fmt.Sprint("record ", x.other.charge, " "),
		fmt.Sprint("record ", x.absent.charge, " ")).Replace(text)
}

// call calls a method in this process. It returns the answer's bytes, or those of a stream's answers; of a stream that
// lasts, those of the first.
func (x *matrix) call(t *testing.T, p hexbid.Principal, m protoreflect.MethodDescriptor,
	request proto.Message) (codes.Code, string) {
	t.Helper()
	ctx, cancel := context.WithCancel(hexbid.WithPrincipal(t.Context(), p))
	defer cancel()
	var text string
	read := func(receive func(*Encoded) error) error {
		var answer Encoded
		if err := receive(&answer); err != nil {
			return err
		}
		defer answer.Free()
		text += string(answer.ReadOnlyData())
		return nil
	}
	name := fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name())
	if !m.IsStreamingClient() && !m.IsStreamingServer() {
		err := read(func(a *Encoded) error { return x.InProcess().Invoke(ctx, name, request, a) })
		return status.Code(err), cmp.Or(text, status.Convert(err).Message())
	}
	stream, err := x.InProcess().NewStream(ctx, &grpc.StreamDesc{}, name)
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.SendMsg(request) // RecvMsg says why not
	_ = stream.CloseSend()
	for err == nil {
		if err = read(func(a *Encoded) error { return stream.RecvMsg(a) }); err == nil && !m.IsStreamingClient() {
			return codes.OK, text
		}
	}
	if err == io.EOF {
		return codes.OK, text
	}
	return status.Code(err), text + status.Convert(err).Message()
}
