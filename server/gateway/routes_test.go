package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// rpcs calls f for every method of the contract.
func rpcs(f func(m protoreflect.MethodDescriptor)) {
	protoregistry.GlobalFiles.RangeFilesByPackage("hexbid.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				f(methods.Get(j))
			}
		}
		return true
	})
}

func TestEveryRPCHasARoute(t *testing.T) {
	text, err := os.ReadFile("../../proto/http.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var mapping struct {
		HTTP struct{ Rules []struct{ Selector string } }
	}
	if err := yaml.Unmarshal(text, &mapping); err != nil {
		t.Fatal(err)
	}
	routed, unary := map[string]bool{}, 0
	for _, rule := range mapping.HTTP.Rules {
		routed[rule.Selector] = true
	}
	for _, s := range Streams {
		routed[strings.ReplaceAll(strings.TrimPrefix(s.RPC, "/"), "/", ".")] = true
	}
	document := paths(t)
	rpcs(func(m protoreflect.MethodDescriptor) {
		if !routed[string(m.FullName())] {
			t.Errorf("%s has no route: add a rule to proto/http.yaml, or a stream to gateway.Streams", m.FullName())
		}
		id := fmt.Sprintf("%s_%s", m.Parent().Name(), m.Name())
		if !document.operations[id] {
			t.Errorf("%s is not in openapi.json: make proto", id)
		}
		if !m.IsStreamingClient() && !m.IsStreamingServer() {
			unary++
		}
	})
	if unary < 40 {
		t.Errorf("only %d unary methods were looked at", unary)
	}
}

// described is what /openapi.json says of paths.
type described struct {
	paths      map[string]map[string]operation // by path and lower-case method
	operations map[string]bool                 // ids
}

type operation struct {
	OperationID string
	Consumes    []string
	Parameters  []struct{ Name, In string }
}

func paths(t testing.TB) described {
	t.Helper()
	d := described{operations: map[string]bool{}}
	var document struct {
		Swagger string
		Paths   map[string]map[string]operation
	}
	if err := json.Unmarshal(OpenAPI, &document); err != nil || document.Swagger != "2.0" {
		t.Fatalf("version %q, %v", document.Swagger, err)
	}
	d.paths = document.Paths
	for _, methods := range d.paths {
		for _, o := range methods {
			id, _, _ := strings.Cut(o.OperationID, "2") // the second form of a method has its id with a 2
			d.operations[id] = true
		}
	}
	return d
}

var placeholder = regexp.MustCompile(`\{[\w.]+\}`)

// TestEveryRouteOfTheDocumentIsServed asks for each with an odd body: whatever the answer is, there is a handler.
func TestEveryRouteOfTheDocumentIsServed(t *testing.T) {
	p := open(t, nil)
	served := 0
	for path, methods := range paths(t).paths {
		for method, o := range methods {
			if o.OperationID == "LedgerService_WatchAlerts" {
				continue // it lasts; TestAlertsComeAsLines asks for it
			}
			at, body, headers := placeholder.ReplaceAllString(path, "7"), "", []string(nil)
			if method == "post" || method == "patch" {
				body = `{"no_such_field": 1}`
			}
			if len(o.Consumes) > 0 {
				headers = append(headers, "Content-Type: "+o.Consumes[0])
			}
			a := p.ask(strings.ToUpper(method), at, body, headers...)
			if a.StatusCode == http.StatusMethodNotAllowed || strings.Contains(a.text, "there is nothing at") {
				t.Errorf("%s %s: %s %s", method, path, a.Status, a.text)
			}
			if body != "" && !strings.Contains(a.text, "no_such_field") {
				t.Errorf("%s %s took an unknown field: %s %s", method, path, a.Status, a.text)
			}
			served++
		}
	}
	if served < 70 {
		t.Errorf("only %d routes were asked for", served)
	}
}

// TestEveryHandlerIsDocumented, so that the matrix of routes and rights, which goes by the document, has all of them.
func TestEveryHandlerIsDocumented(t *testing.T) {
	document := paths(t).paths
	for name := range open(t, nil).own {
		verb, path, _ := strings.Cut(name, " ")
		if _, there := document[path][strings.ToLower(verb)]; !there && verb != http.MethodHead {
			t.Errorf("%s is not in openapi.json: make proto", name)
		}
	}
}

func TestThereIsNothingBesideTheRoutes(t *testing.T) {
	p := open(t, nil)
	for path, want := range map[string]int{"/": http.StatusNotFound, "/v1": http.StatusNotFound,
		"/v1/advertisers/a/b": http.StatusNotFound, "/v1/nearby:search": http.StatusMethodNotAllowed,
		"/v1/%zz": http.StatusBadRequest, "/v1/advertisers/a%2Fcampaigns%2Fc:none": http.StatusBadRequest,
		"/v1/../healthz": http.StatusNotFound, "/debug/pprof/": http.StatusNotFound,
		"/hexbid.v1.SearchService/SearchNearby": http.StatusNotFound} {
		got := raw(t, p.address, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", patience)
		if !strings.HasPrefix(got, fmt.Sprintf("HTTP/1.1 %d ", want)) {
			t.Errorf("%s: %q, want %d", path, got, want)
		}
	}
	if a := p.ask("PUT", "/v1/advertisers", "{}", "X-HTTP-Method-Override: DELETE"); a.StatusCode != 405 ||
		a.field(t, "code") != 12.0 {
		t.Errorf("%s %s", a.Status, a.text)
	}
	if a := p.ask("PUT", "/v1/advertisers/%ff%fe", "{}"); a.StatusCode != 405 || a.field(t, "code") != 12.0 {
		t.Errorf("a path that is no text: %s %s", a.Status, a.text)
	}
}
