package server

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	encodingproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/hexbid/hexbid"
)

// codec passes bytes through. The server decodes requests and encodes answers itself. gRPC would decode a request
// before its class has let it in. It would also answer INTERNAL to a request that does not decode, which is the
// caller's fault.
type codec struct{}

func newCodec() codec { return codec{} }

// envelope holds the bytes of a request, which open decodes.
type envelope struct{ data mem.BufferSlice }

func (e *envelope) size() int { return e.data.Len() }

func (e *envelope) free() {
	e.data.Free()
	e.data = nil
}

// Name implements encoding.CodecV2.
func (codec) Name() string { return encodingproto.Name }

// Marshal implements encoding.CodecV2 for an answer.
func (codec) Marshal(v any) (mem.BufferSlice, error) {
	a, encoded := v.(answer)
	if !encoded {
		return nil, fmt.Errorf("%T is to be sent, which is not encoded", v)
	}
	return mem.BufferSlice{a.Buffer}, nil
}

// Unmarshal implements encoding.CodecV2 for an envelope.
func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	e, enveloped := v.(*envelope)
	if !enveloped {
		return fmt.Errorf("%T is to be received, which is no envelope", v)
	}
	e.free() // a second message in place of the only one: gRPC refuses it
	data.Ref()
	e.data = data
	return nil
}

// malformed returns the error of a request that could not be received. Wrong framing or an early end is the caller's
// fault and does not belong in the operator's log. By then gRPC has answered INTERNAL, as its protocol says.
func malformed(err error) error {
	if s, told := status.FromError(err); told && s.Code() == codes.Internal {
		return hexbid.Invalidf("", "the request is malformed: %s", hexbid.Shorten(s.Message()))
	}
	return err
}

// mostMessages bounds the messages within a request. An empty message takes two bytes of the request but hundreds of
// bytes of memory, so open counts them in a large request before decoding it. 8 MB of points are 400,000 messages.
const mostMessages = 500_000

// open decodes the request in an envelope.
func (codec) open(e *envelope, v any) error {
	m, encoded := v.(proto.Message), e.data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer encoded.Free()
	data, left := encoded.ReadOnlyData(), mostMessages
	if len(data) > smallRequestBytes {
		if countMessages(data, m.ProtoReflect().Descriptor(), &left); left < 0 {
			return hexbid.Invalidf("", "the request holds more than %d messages: split it", mostMessages)
		}
	}
	err := proto.Unmarshal(data, m)
	if err == nil {
		return nil
	}
	if field := invalidText(data, m.ProtoReflect().Descriptor()); field != "" {
		return hexbid.Invalidf(field, "the text is not valid UTF-8: send UTF-8")
	}
	return hexbid.Invalidf("", "the message does not decode: %s", hexbid.Shorten(strings.ToValidUTF8(err.Error(), "?")))
}

// countMessages subtracts the number of messages within an encoded one from left, until left is below zero. It leaves
// malformed bytes to the decoder.
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

// invalidText walks the wire format and returns the path of the first text field that is not UTF-8, "" when there is
// none.
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
