package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/hexbid/hexbid/server"
	"github.com/hexbid/hexbid/server/gateway"
)

// route is a way to call a method over HTTP.
type route struct {
	verb, path, body string // path is a template, as in "/v1/{name=advertisers/*}"; body is a field, "*" or ""
	method           protoreflect.MethodDescriptor
	lines            bool // bodies and answers are lines
}

func (r route) String() string { return r.verb + " " + r.path }

// rule is an entry of proto/http.yaml.
type rule struct {
	Selector, Get, Post, Patch, Delete, Put, Body string
	Additional                                    []rule `yaml:"additional_bindings"`
}

// routesOf returns every route that leads to a method: those of the mapping and those of streams.
func routesOf(t *testing.T, methods map[string]protoreflect.MethodDescriptor) (all []route) {
	t.Helper()
	text, err := os.ReadFile("../proto/http.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var mapping struct{ HTTP struct{ Rules []rule } }
	if err := yaml.Unmarshal(text, &mapping); err != nil {
		t.Fatal(err)
	}
	named := func(name string) protoreflect.MethodDescriptor {
		service, method, _ := strings.Cut(strings.TrimPrefix(name, "hexbid.v1."), ".")
		m := methods[service+"/"+method]
		if m == nil {
			t.Fatalf("%s is no method", name)
		}
		return m
	}
	for _, of := range mapping.HTTP.Rules {
		for _, r := range append([]rule{of}, of.Additional...) {
			for verb, path := range map[string]string{"GET": r.Get, "POST": r.Post, "PATCH": r.Patch, "DELETE": r.Delete,
				"PUT": r.Put} {
				if path != "" {
					all = append(all, route{verb, path, r.Body, named(of.Selector), false})
				}
			}
		}
	}
	for _, s := range gateway.Streams {
		name := strings.ReplaceAll(strings.TrimPrefix(s.RPC, "/"), "/", ".")
		all = append(all, route{s.Method, s.Path, "", named(name), true})
	}
	return all
}

// documented returns how many operations the gateway's document has.
func documented(t *testing.T) (n int) {
	t.Helper()
	var document struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal(gateway.OpenAPI, &document); err != nil {
		t.Fatal(err)
	}
	for _, verbs := range document.Paths {
		n += len(verbs)
	}
	return n
}

var placeholder = regexp.MustCompile(`\{([\w.]+)(=[^}]*)?\}`)

// request writes a method's request as one over a route: what the template names into the path, the body's field or all
// of the rest into the body, and otherwise into the query.
func (r route) request(t *testing.T, m proto.Message) (path, body string) {
	t.Helper()
	if r.lines {
		return r.path + query(t, m, "rows", "events", "validate_only"), lines(t, m)
	}
	left := proto.Clone(m)
	path = placeholder.ReplaceAllStringFunc(r.path, func(found string) string {
		return taken(left.ProtoReflect(), placeholder.FindStringSubmatch(found)[1])
	})
	switch r.body {
	case "":
	case "*":
		return path, asJSON(t, left)
	default:
		field := left.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(r.body))
		body = asJSON(t, left.ProtoReflect().Get(field).Message().Interface())
		left.ProtoReflect().Clear(field)
	}
	return path + query(t, left), body
}

// taken removes a field from a message, and returns its value.
func taken(m protoreflect.Message, path string) string {
	first, rest, deeper := strings.Cut(path, ".")
	field := m.Descriptor().Fields().ByName(protoreflect.Name(first))
	if deeper {
		return taken(m.Mutable(field).Message(), rest)
	}
	value := m.Get(field).String()
	m.Clear(field)
	return value
}

func asJSON(t *testing.T, m proto.Message) string {
	t.Helper()
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// query writes a message as a query, without some fields.
func query(t *testing.T, m proto.Message, without ...string) string {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal([]byte(asJSON(t, m)), &fields); err != nil {
		t.Fatal(err)
	}
	for _, name := range without {
		delete(fields, name)
	}
	values := url.Values{}
	flatten(values, "", fields)
	if len(values) == 0 {
		return ""
	}
	return "?" + values.Encode()
}

func flatten(into url.Values, prefix string, fields map[string]any) {
	for name, value := range fields {
		if part, is := value.(map[string]any); is {
			flatten(into, prefix+name+".", part)
			continue
		}
		into.Add(prefix+name, fmt.Sprint(value))
	}
}

// lines writes the first request of a stream as the body of a route: an upload's rows, or a batch.
func lines(t *testing.T, m proto.Message) string {
	t.Helper()
	rows := m.ProtoReflect().Descriptor().Fields().ByName("rows")
	if rows == nil {
		if m.ProtoReflect().Descriptor().Fields().ByName("parent") != nil {
			return "" // all is in the query
		}
		return asJSON(t, m) + "\n"
	}
	text := ""
	for i, list := 0, m.ProtoReflect().Get(rows).List(); i < list.Len(); i++ {
		text += asJSON(t, list.Get(i).Message().Interface()) + "\n"
	}
	return text
}

// answer is an answer whole, with what headers say beside the time.
type answer struct {
	status int
	text   string
}

// port serves the routes of a matrix.
func port(t *testing.T, x server.Matrix) (address string) {
	t.Helper()
	g, err := gateway.New(gateway.Config{Limits: gateway.DefaultLimits(), Registry: prometheus.NewRegistry(),
		Log: slog.New(slog.DiscardHandler)}, x.Server)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(ctx, l) }()
	t.Cleanup(func() { stop(); <-ended })
	return "http://" + l.Addr().String()
}

// ask makes a request. Of an answer that lasts it reads the first line.
func ask(t *testing.T, address string, r route, m proto.Message, credential string) answer {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	path, body := r.request(t, m)
	request, err := http.NewRequestWithContext(ctx, r.verb, address+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", map[bool]string{false: "application/json", true: "application/x-ndjson"}[r.lines])
	}
	if credential != "" {
		request.Header.Set("Authorization", "Bearer "+credential)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatalf("%s: %v", r, err)
	}
	defer response.Body.Close()
	lasts := r.lines && r.verb == http.MethodGet && response.StatusCode == http.StatusOK
	read := func() (text []byte, err error) { return io.ReadAll(response.Body) }
	if lasts {
		read = func() ([]byte, error) { return bufio.NewReader(response.Body).ReadBytes('\n') }
	}
	text, err := read()
	if err != nil {
		t.Fatalf("%s: %v", r, err)
	}
	response.Header.Del("Date")
	return answer{response.StatusCode, fmt.Sprintf("%v\n%s", response.Header, text)}
}

// isDenied reports whether an answer says that its caller may not do this. A line of a stream may say it too.
func (a answer) isDenied() bool {
	return a.status == http.StatusForbidden || strings.Contains(a.text, `"code":7`)
}

// ofNoMethod are the routes that lead to no method, and whether everyone may ask for them.
var ofNoMethod = map[string]bool{"/healthz": true, "/readyz": true, "/openapi.json": true, "/metrics": false}

// Every route, for every role, on what is the caller's own, another's, and not there. The routes are those of the
// mapping, so a new one is here at once.
func TestMatrixOfRoutesRolesAndOwners(t *testing.T) {
	x := server.OpenMatrix(t)
	address := port(t, x)
	routes := routesOf(t, x.Methods())
	if len(routes)+len(ofNoMethod) != documented(t) {
		t.Errorf("there are %d routes of methods, and %d documented ones, of which %d are of no method", len(routes),
			documented(t), len(ofNoMethod))
	}
	for _, role := range x.Roles {
		credential := x.Credential(t, role)
		for _, r := range routes {
			checkRoute(t, x, r, role, func(m proto.Message) answer { return ask(t, address, r, m, credential) })
		}
		for path, isOpen := range ofNoMethod {
			a := ask(t, address, route{verb: http.MethodGet, path: path}, &emptypb.Empty{}, credential)
			if want := isOpen || x.SeesAll(role); want != (a.status == http.StatusOK) {
				t.Errorf("%s by %s: %d", path, role, a.status)
			}
		}
	}
}

// checkRoute compares what a role is answered over a route with the table of rights, and what it is answered about
// another's resources with what it is about nobody's.
func checkRoute(t *testing.T, x server.Matrix, r route, role string, ask func(proto.Message) answer) {
	t.Helper()
	name := strings.TrimPrefix(string(r.method.Parent().FullName()), "hexbid.v1.") + "/" + string(r.method.Name())
	if name == "AccessService/WhoAmI" && role != "nobody" {
		return // whoever calls may ask who they are
	}
	of := func(w server.Whose) proto.Message {
		return x.Request(t, r.method, role, w, strings.Contains(r.path, "=clients/"))
	}
	own, other := ask(of(server.Own)), ask(of(server.Others))
	if role == "nobody" {
		if own.status != http.StatusUnauthorized || other != own || ask(of(server.Nobodys)) != own {
			t.Errorf("%s by nobody: %+v, of another's %+v", r, own, other)
		}
		return
	}
	if own.isDenied() == x.May(name, role, of(server.Own), server.Own) || own.status == http.StatusUnauthorized {
		t.Errorf("%s by %s on its own: %+v", r, role, own)
	}
	isMember := !x.SeesAll(role) && role != "client"
	if !isMember || !x.IsAboutSomeone(of(server.Others)) {
		if other.isDenied() == x.May(name, role, of(server.Others), server.Others) {
			t.Errorf("%s by %s on another's: %+v", r, role, other)
		}
	}
	if x.SeesAll(role) || proto.Equal(of(server.Others), of(server.Nobodys)) {
		return
	}
	absent := ask(of(server.Nobodys))
	if other.text = x.AsNobodys(other.text); other != absent {
		t.Errorf("%s by %s:\non another's:  %+v\non nobody's: %+v", r, role, other, absent)
	}
}
