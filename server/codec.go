package server

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	encodingproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/hexbid/hexbid"
)

// codec is gRPC's own but for two things. A request that comes in an envelope stays
// encoded, so that it is decoded when its class has let it in; and one that does not
// decode is the caller's fault, where gRPC would answer INTERNAL. Answers come to it
// encoded.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(encodingproto.Name)} }

// envelope takes a request in as its bytes.
type envelope struct{ data mem.BufferSlice }

func (e *envelope) size() int { return e.data.Len() }

func (e *envelope) free() {
	e.data.Free()
	e.data = nil
}

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if a, encoded := v.(answer); encoded {
		return mem.BufferSlice{a.Buffer}, nil
	}
	return c.CodecV2.Marshal(v)
}

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	e, enveloped := v.(*envelope)
	if !enveloped {
		return c.CodecV2.Unmarshal(data, v)
	}
	e.free() // a second message where there should be one: gRPC refuses it
	data.Ref()
	e.data = data
	return nil
}

// malformed is the error of a request that could not be received. One that is framed
// wrongly or ends half-way is the caller's fault and nothing for the operator's log.
// gRPC has told the caller INTERNAL by then, as its protocol says.
func malformed(err error) error {
	if s, told := status.FromError(err); told && s.Code() == codes.Internal {
		return hexbid.Invalidf("", "the request is malformed: %s", hexbid.Shorten(s.Message()))
	}
	return err
}

// mostMessages bounds the messages within a request. An empty one takes two bytes of
// the request and some hundred of memory, so a large request is counted before it is
// decoded; 8 MB of points are 400,000.
const mostMessages = 500_000

// open decodes the request in an envelope.
func (c codec) open(e *envelope, v any) error {
	if m, ok := v.(proto.Message); ok && e.size() > smallRequestBytes {
		left := mostMessages
		if countMessages(e.data.Materialize(), m.ProtoReflect().Descriptor(), &left); left < 0 {
			return hexbid.Invalidf("", "the request holds more than %d messages: split it", mostMessages)
		}
	}
	err := c.CodecV2.Unmarshal(e.data, v)
	if err == nil {
		return nil
	}
	if m, ok := v.(proto.Message); ok {
		if field := invalidText(e.data.Materialize(), m.ProtoReflect().Descriptor()); field != "" {
			return hexbid.Invalidf(field, "the text is not valid UTF-8: send UTF-8")
		}
	}
	return hexbid.Invalidf("", "the message does not decode: %s", hexbid.Shorten(strings.ToValidUTF8(err.Error(), "?")))
}

// countMessages takes the messages within an encoded one off a number, until it is
// below zero. What does not decode is left to the decoder.
func countMessages(data []byte, d protoreflect.MessageDescriptor, left *int) {
	for len(data) > 0 && *left >= 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return
		}
		data = data[n:]
		size := protowire.ConsumeFieldValue(number, kind, data)
		if size < 0 {
			return
		}
		if field := d.Fields().ByNumber(number); kind == protowire.BytesType && field != nil && field.Message() != nil {
			*left--
			value, _ := protowire.ConsumeBytes(data)
			countMessages(value, field.Message(), left)
		}
		data = data[size:]
	}
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
