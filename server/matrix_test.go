package server

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/ledger/journal"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// owner is whose resources a request of the matrix is about: an advertiser, and a user or a client.
type owner struct {
	advertiser, user, client string
	charge                   uint64
}

func (o owner) program() string { return o.advertiser + "/programs/p" }

// nameFor returns the name of a kind of resource of the owner.
func (o owner) nameFor(kind string) string {
	return map[string]string{"Advertiser": o.advertiser, "Program": o.program(), "Place": o.program() + "/places/l",
		"Campaign": o.advertiser + "/campaigns/c", "User": o.user, "Client": o.client, "Key": o.user + "/keys/k"}[kind]
}

// special are the requests that do not follow from the names of their methods, in JSON. %A stands for the advertiser,
// %U for the user, %S for the charge.
var special = map[string]string{
	"WhoAmI":               `{}`,
	"SearchNearby":         `{"location":{"latitude":30,"longitude":120},"host":"HOST_WECHAT"}`,
	"RecordEvents":         `{"events":[{"kind":"EVENT_KIND_CLICK","token":"x","eventId":"1"}]}`,
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
	"EraseViewerHistory":   `{"userKey":"v"}`,
	"CreateBackup":         `{"directory":"/nowhere"}`,
	"CreateKey":            `{"parent":"%U","keyId":"another","key":{"displayName":"k"}}`,
	"RotateKey":            `{"name":"%U/keys/k","keyId":"next"}`,
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
	kind, err := protoregistry.GlobalTypes.FindMessageByName(m.Input().FullName())
	if err != nil {
		t.Fatal(err)
	}
	request := kind.New().Interface()
	read := func(text string, into proto.Message) {
		text = strings.NewReplacer("%A", o.advertiser, "%U", o.user, "%S", fmt.Sprint(o.charge)).Replace(text)
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

// unaryMethods returns the unary methods of the contract, by their names in the table of rights.
func unaryMethods() map[string]protoreflect.MethodDescriptor {
	found := map[string]protoreflect.MethodDescriptor{}
	protoregistry.GlobalFiles.RangeFilesByPackage("hexbid.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			for j := range s.Methods().Len() {
				if m := s.Methods().Get(j); !m.IsStreamingClient() && !m.IsStreamingServer() {
					found[string(s.Name())+"/"+string(m.Name())] = m
				}
			}
		}
		return true
	})
	return found
}

// Every method, for every role, on what is the caller's own, another's, and not there.
func TestMatrixOfMethodsRolesAndOwners(t *testing.T) {
	s := serveBilled(t, journal.NewMemory(), nil)
	conn := s.dial(t)
	own := owner{"advertisers/a", "users/m", "clients/m", mustClick(t, conn).GetSequence()}
	other, absent := owner{"advertisers/b", "users/o", "clients/o", own.charge},
		owner{"advertisers/z", "users/z", "clients/z", 1 << 40}
	operator := hexbid.WithPrincipal(t.Context(), hexbid.Principal{Role: hexbid.Operator, Origin: hexbid.InProcess})
	inside := s.InProcess()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	campaigns, identities := pb.NewCampaignServiceClient(inside), pb.NewAccessServiceClient(inside)
	_, err := campaigns.CreateAdvertiser(operator, &pb.CreateAdvertiserRequest{AdvertiserId: "b",
		Advertiser: &pb.Advertiser{DisplayName: "A"}})
	must(err)
	a, err := campaigns.GetAdvertiser(operator, &pb.GetAdvertiserRequest{Name: "advertisers/a"})
	must(err)
	_, err = campaigns.CreateProgram(operator, &pb.CreateProgramRequest{Parent: "advertisers/b", ProgramId: "p",
		Program: &pb.Program{DisplayName: "P", Category: pb.Category_CATEGORY_CATERING,
			Hosts: []pb.Host{pb.Host_HOST_WECHAT}}})
	must(err)
	for _, id := range []string{"m", "o"} {
		_, err = identities.CreateUser(operator, &pb.CreateUserRequest{UserId: id, User: &pb.User{Role: pb.Role_ROLE_MEMBER}})
		must(err)
		_, err = identities.CreateClient(operator, &pb.CreateClientRequest{ClientId: id, Client: &pb.Client{}})
		must(err)
	}
	member := func(level hexbid.Level) hexbid.Principal {
		return hexbid.Principal{Role: hexbid.Member, ID: "users/m", UID: 1, Grants: &hexbid.Grants{
			Advertisers: map[string]hexbid.Membership{"advertisers/a": {Advertiser: "advertisers/a",
				UID: hexbid.UID(a.GetUid()), Level: level}}}}
	}
	callers := []hexbid.Principal{{}, {Role: hexbid.Searcher, ID: "clients/m", UID: 2},
		{Role: hexbid.Auditor, ID: "users/x"},
		member(hexbid.LevelViewer), member(hexbid.LevelEditor), member(hexbid.LevelAdmin), {Role: hexbid.Operator}}
	methods, rules := unaryMethods(), access.Methods()
	delete(methods, "AccessService/WhoAmI") // whoever calls may ask who they are
	for _, name := range slices.Sorted(maps.Keys(methods)) {
		m := methods[name]
		call := func(p hexbid.Principal, o owner) (codes.Code, string) {
			p.Origin = hexbid.InProcess
			var answer Encoded
			err := inside.Invoke(hexbid.WithPrincipal(context.Background(), p), "/hexbid.v1."+name, requestOf(t, m, o), &answer)
			if err == nil {
				defer answer.Free()
				return codes.OK, string(answer.ReadOnlyData())
			}
			return status.Code(err), status.Convert(err).Message()
		}
		rule := access.RuleOf(rules[name])
		for _, p := range callers {
			mayOwn := mayOnOwn(&rule, &p, m)
			if code, text := call(p, own); mayOwn == (code == codes.PermissionDenied) {
				t.Errorf("%s by %s on its own: %s %s", name, roleOf(p), code, text)
			}
			if p.Role != hexbid.Member || strings.HasPrefix(name, "AccessService/") && rule.Member == hexbid.LevelNone {
				if code, text := call(p, other); mayOnOthers(&rule, &p) == (code == codes.PermissionDenied) {
					t.Errorf("%s by %s on another's: %s %s", name, roleOf(p), code, text)
				}
				continue
			}
			if name == "LedgerService/GetReceipt" || !strings.Contains(fmt.Sprint(requestOf(t, m, own)), "advertisers/") {
				continue // it is about no name; package exchange tests the receipts of others
			}
			code, text := call(p, other)
			alike, words := call(p, absent)
			text = strings.NewReplacer("advertisers/b", "advertisers/z").Replace(text)
			if code == codes.OK && text != words || code != alike || text != words {
				t.Errorf("%s by %s:\non another's:  %s %s\non nobody's: %s %s", name, roleOf(p), code, text, alike, words)
			}
			if code == codes.OK && text != "" && !strings.HasPrefix(string(m.Name()), "List") {
				t.Errorf("%s by %s on another's answers %q", name, roleOf(p), text)
			}
		}
	}
}

func roleOf(p hexbid.Principal) string {
	if p.Role == hexbid.Member {
		return p.Grants.Advertisers["advertisers/a"].Level.String()
	}
	return p.Role.String()
}

// mayOnOwn reports whether the table lets a caller call a method on what is theirs. For a client, that is the client
// itself; requests of the matrix are about a user's keys.
func mayOnOwn(r *access.Rule, p *hexbid.Principal, m protoreflect.MethodDescriptor) bool {
	if p.Role == hexbid.Member {
		return r.Member != hexbid.LevelNone && p.Grants.Advertisers["advertisers/a"].Level >= r.Member ||
			r.Self && !strings.HasSuffix(string(m.Name()), "Client")
	}
	return mayOnOthers(r, p) || p.Role == hexbid.Searcher && r.Self && m.Name() == "GetClient"
}

func mayOnOthers(r *access.Rule, p *hexbid.Principal) bool {
	switch p.Role {
	case hexbid.Operator:
		return true
	case hexbid.Auditor:
		return r.Auditor
	case hexbid.Searcher:
		return r.Client
	}
	return false
}
