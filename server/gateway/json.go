package gateway

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// encoding writes messages with the contract's own names of fields.
var encoding = protojson.MarshalOptions{UseProtoNames: true}

// marshaler turns JSON into requests and answers into JSON, for generated handlers. It refuses unknown fields.
type marshaler struct{ runtime.JSONBuiltin }

// ContentType implements runtime.Marshaler.
func (marshaler) ContentType(any) string { return jsonType }

// Marshal implements runtime.Marshaler.
func (marshaler) Marshal(v any) ([]byte, error) {
	m, ok := v.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is to be sent, which is no message", v)
	}
	text, err := encoding.Marshal(m)
	return append(text, '\n'), err
}

// NewDecoder implements runtime.Marshaler.
func (marshaler) NewDecoder(from io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(v any) error {
		data, err := io.ReadAll(from)
		if err != nil {
			return err
		}
		m, whole := v.(proto.Message)
		if !whole {
			m = allocate(v)
		}
		if empty := string(bytes.TrimSpace(data)); !whole && (empty == "" || empty == "{}") {
			return fieldError{"body", "names no field: give the resource as a JSON object"}
		}
		if len(bytes.TrimSpace(data)) == 0 {
			return nil
		}
		return decode(data, m)
	})
}

// allocate makes the message that a field of a request points to.
func allocate(field any) proto.Message {
	at := reflect.ValueOf(field).Elem()
	at.Set(reflect.New(at.Type().Elem()))
	return at.Interface().(proto.Message)
}

// decode decodes a JSON object. Its error is a fieldError.
func decode(data []byte, m proto.Message) error {
	if !utf8.Valid(data) {
		return fieldError{"", "the body is not valid UTF-8: send UTF-8"}
	}
	if bytes.Count(data, []byte("{")) > maxObjects {
		return fieldError{"", fmt.Sprintf("the body holds more than %d objects: split it", maxObjects)}
	}
	if err := protojson.Unmarshal(data, m); err != nil {
		return explained(err)
	}
	return nil
}

// protojson's messages begin with "proto: " and a place, and quote the name of a field.
var (
	place = regexp.MustCompile(`^proto:[\s\x{a0}]*(?:syntax error )?(\(line \d+:\d+\):)?[\s\x{a0}]*`)
	field = regexp.MustCompile(`(?:unknown|duplicate) field "([\w.\[\]]{1,64})"|for \w+ field (\w+)`)
	hump  = regexp.MustCompile(`[A-Z]`)
	// wrong is all of a message that an error repeats: what is wrong, and names of the contract. Whatever else a body
	// says may be a viewer's key or place.
	wrong = regexp.MustCompile(`^(?:invalid value for enum field \w+: "?[A-Z][A-Z0-9_]{0,63}"?$|` +
		`(?:unknown|duplicate) field(?: "[\w.\[\]]{1,64}")?|invalid value(?: for \w+ field \w+)?|` +
		`(?:invalid )?google\.protobuf\.\w+(?: value)?(?: out of range)?|unexpected token|unexpected EOF|duplicate map key|` +
		`invalid (?:escape code|character|UTF-8|number|string)|exceeded max recursion depth|error parsing|no support)`)
)

// explained turns an error of protojson into one for people that names the field.
func explained(err error) error {
	text := err.Error()
	at := strings.TrimSuffix(place.FindStringSubmatch(text)[1], ":")
	detail := cmp.Or(wrong.FindString(place.ReplaceAllString(text, "")), "is not JSON that fits")
	name := ""
	if found := field.FindStringSubmatch(text); found != nil {
		name = found[1] + hump.ReplaceAllStringFunc(found[2], func(s string) string { return "_" + strings.ToLower(s) })
	}
	if at != "" {
		detail += " " + at
	}
	return fieldError{name, detail}
}
