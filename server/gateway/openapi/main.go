// Command openapi makes the OpenAPI document of the HTTP port: it adds the gateway's own handlers to the document that
// is generated from the contract and proto/http.yaml. "make proto" runs it.
//
// usage: openapi FOLDER, where it reads openapi.swagger.json, writes openapi.json and removes the former
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/hexbid/hexbid/server/gateway"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: openapi FOLDER")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "openapi:", err)
		os.Exit(1)
	}
}

func run(folder string) error {
	from := filepath.Join(folder, "openapi.swagger.json")
	generated, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	merged, err := merge(generated)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "openapi.json"), merged, 0o644); err != nil {
		return err
	}
	return os.Remove(from)
}

type object = map[string]any

const about = `The methods of Hexbid's contract as JSON over HTTP. docs/http.md has an example of each.

Fields have the names of the contract; requests may write them in camelCase too. Numbers of 64 bits are texts in
answers. Fields at their default are left out. Unknown fields are refused. Every error is a Status, and names the field in its
details. A body needs its Content-Type.`

// merge adds to the generated document what the generator does not know.
func merge(generated []byte) ([]byte, error) {
	var d object
	if err := json.Unmarshal(generated, &d); err != nil {
		return nil, err
	}
	d["info"] = object{"title": "Hexbid", "version": "v1", "description": about}
	d["securityDefinitions"] = object{"bearer": object{"type": "apiKey", "in": "header", "name": "Authorization",
		"description": `"Bearer", a space, and the key or token`}}
	d["security"] = []any{object{"bearer": []any{}}}
	paths, definitions := d["paths"].(object), d["definitions"].(object)
	for _, s := range gateway.Streams {
		if err := addStream(paths, definitions, &s); err != nil {
			return nil, err
		}
	}
	addOperators(paths)
	for path := range paths {
		if strings.HasPrefix(path, "/hexbid.") {
			return nil, fmt.Errorf("%s has no route: add one to proto/http.yaml, or a stream to gateway.Streams", path)
		}
	}
	keepReachable(paths, definitions)
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	err := encoder.Encode(d)
	return out.Bytes(), err
}

// addStream moves the operation of a stream, which the generator has put under the name of its RPC, to its route.
func addStream(paths, definitions object, s *gateway.Lines) error {
	unbound, there := paths[s.RPC].(object)
	if !there {
		return fmt.Errorf("the contract has no stream %s", s.RPC)
	}
	delete(paths, s.RPC)
	operation := unbound["post"].(object)
	operation["description"] = s.About + ` An error after the first answer is the last line, {"status": …}.`
	operation["produces"] = []any{"application/x-ndjson"}
	answer, err := reference(definitions, s.Answer)
	if err != nil {
		return err
	}
	operation["responses"].(object)["200"] = object{"description": "Of each line of the answer.", "schema": answer}
	parameters := queryParameters(s.Query)
	if s.Line != nil {
		line, err := reference(definitions, s.Line)
		if err != nil {
			return err
		}
		operation["consumes"] = []any{"application/x-ndjson"}
		parameters = append(parameters, object{"name": "body", "in": "body", "required": true, "schema": line,
			"description": "Of each line of the body."})
	}
	operation["parameters"] = parameters
	paths[s.Path] = object{strings.ToLower(s.Method): operation}
	return nil
}

// reference refers to the definition of a message.
func reference(definitions object, m proto.Message) (object, error) {
	name := string(m.ProtoReflect().Descriptor().Name())
	if definitions[name] == nil {
		return nil, fmt.Errorf("the document has no definition %s", name)
	}
	return object{"$ref": "#/definitions/" + name}, nil
}

// queryParameters lists the fields of a request that a query can set: those that are a flag or a text.
func queryParameters(m proto.Message) []any {
	parameters := []any{}
	if m == nil {
		return parameters
	}
	fields := m.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		kinds := map[protoreflect.Kind]string{protoreflect.BoolKind: "boolean", protoreflect.StringKind: "string"}
		if kind := kinds[f.Kind()]; kind != "" && !f.IsList() {
			parameters = append(parameters, object{"name": string(f.Name()), "in": "query", "required": false, "type": kind})
		}
	}
	return parameters
}

// addOperators adds what is no method of the contract.
func addOperators(paths object) {
	for path, of := range map[string]struct{ about, kind, other string }{
		"/healthz": {"Answers as long as the process does.", "application/json", ""},
		"/readyz": {"Says whether each service serves; 503 while searches are not answered.", "application/json",
			"Not ready."},
		"/metrics":      {"Metrics in Prometheus' text form, for operators.", "text/plain", ""},
		"/openapi.json": {"This document.", "application/json", ""},
	} {
		responses := object{"200": object{"description": "A successful response."}}
		if of.other != "" {
			responses["503"] = object{"description": of.other}
		}
		operation := object{"summary": of.about, "operationId": strings.Trim(path, "/"), "tags": []any{"Operators"},
			"produces": []any{of.kind}, "responses": responses}
		if path != "/metrics" {
			operation["security"] = []any{}
		}
		paths[path] = object{"get": operation}
	}
}

// keepReachable drops the definitions that no path leads to.
func keepReachable(paths, definitions object) {
	reached := map[string]bool{}
	next := references(paths)
	for len(next) > 0 {
		name := next[len(next)-1]
		next = next[:len(next)-1]
		if !reached[name] {
			reached[name] = true
			next = append(next, references(definitions[name])...)
		}
	}
	maps.DeleteFunc(definitions, func(name string, _ any) bool { return !reached[name] })
}

// references lists the definitions that a part of the document refers to.
func references(part any) (names []string) {
	switch p := part.(type) {
	case object:
		for _, key := range slices.Sorted(maps.Keys(p)) {
			if to, is := p[key].(string); is && key == "$ref" {
				names = append(names, strings.TrimPrefix(to, "#/definitions/"))
			}
			names = append(names, references(p[key])...)
		}
	case []any:
		for _, element := range p {
			names = append(names, references(element)...)
		}
	}
	return names
}
