package server

import (
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"google.golang.org/grpc/encoding"
	encodingproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/hexbid/hexbid"
)

// lenientCodec is gRPC's own codec, but a message that does not decode is the
// caller's fault: gRPC would answer INTERNAL. It lets the message through and
// keeps the error until the interceptor asks. An answer to a search comes to it
// encoded.
type lenientCodec struct {
	encoding.CodecV2
	failures sync.Map // message to error
}

func newLenientCodec() *lenientCodec {
	return &lenientCodec{CodecV2: encoding.GetCodecV2(encodingproto.Name)}
}

// Marshal implements encoding.CodecV2.
func (c *lenientCodec) Marshal(v any) (mem.BufferSlice, error) {
	if a, encoded := v.(answer); encoded {
		return mem.BufferSlice{a.Buffer}, nil
	}
	return c.CodecV2.Marshal(v)
}

// Unmarshal implements encoding.CodecV2.
func (c *lenientCodec) Unmarshal(data mem.BufferSlice, v any) error {
	err := c.CodecV2.Unmarshal(data, v)
	if err == nil {
		return nil
	}
	m, ok := v.(proto.Message)
	if !ok {
		return err
	}
	field := invalidText(data.Materialize(), m.ProtoReflect().Descriptor())
	if field != "" {
		c.failures.Store(v, hexbid.Invalidf(field, "the text is not valid UTF-8: send UTF-8"))
	} else {
		c.failures.Store(v, hexbid.Invalidf("", "the message does not decode: %s", hexbid.Shorten(strings.ToValidUTF8(err.Error(), "?"))))
	}
	return nil
}

// failure is the error of a message that did not decode, once.
func (c *lenientCodec) failure(message any) error {
	if err, failed := c.failures.LoadAndDelete(message); failed {
		return err.(error)
	}
	return nil
}

// invalidText finds the path of the first text field whose bytes are not UTF-8,
// by walking the wire format; "" when there is none.
func invalidText(data []byte, d protoreflect.MessageDescriptor) string {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return ""
		}
		data = data[n:]
		size := protowire.ConsumeFieldValue(number, kind, data)
		if size < 0 {
			return ""
		}
		field := d.Fields().ByNumber(number)
		if value, n := protowire.ConsumeBytes(data); kind == protowire.BytesType && n > 0 && field != nil {
			switch {
			case field.Kind() == protoreflect.StringKind && !utf8.Valid(value):
				return string(field.Name())
			case field.Message() != nil:
				if inner := invalidText(value, field.Message()); inner != "" {
					return fmt.Sprintf("%s.%s", field.Name(), inner)
				}
			}
		}
		data = data[size:]
	}
	return ""
}
