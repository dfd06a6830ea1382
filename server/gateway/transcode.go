package gateway

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// An answer to a search comes from the server as bytes, joined from cards that were encoded long before. A plan turns
// them into JSON in one pass, without building a message. It writes what protojson writes of the message that the bytes
// decode to; a test compares the two.
//
// Our own encoder has written the bytes. A plan therefore relies on what that encoder does: the values of a repeated
// field stand side by side, no other field comes twice, and text is valid UTF-8.

// plan says how the fields of a message are written.
type plan struct {
	fields []fieldPlan                            // by number
	whole  func(b []byte, fields [3]int64) []byte // of messages that JSON writes as a text
}

// fieldPlan says how a field is written.
type fieldPlan struct {
	name     string // with quotes and colon; "" for a number that no field has
	kind     protoreflect.Kind
	repeated bool
	packed   bool
	implicit bool // its default value is left out
	words    map[protoreflect.EnumNumber]string
	message  *plan
}

// planOf returns the plan of a message. It panics for a message with a map or a float, which searches do not have.
func planOf(d protoreflect.MessageDescriptor, known map[protoreflect.FullName]*plan) *plan {
	if p, there := known[d.FullName()]; there {
		return p
	}
	p := &plan{whole: wholes[d.FullName()]}
	known[d.FullName()] = p
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if f.IsMap() || f.Kind() == protoreflect.FloatKind || f.Kind() == protoreflect.GroupKind {
			panic(fmt.Sprintf("%s has no plan", f.FullName()))
		}
		for len(p.fields) <= int(f.Number()) {
			p.fields = append(p.fields, fieldPlan{})
		}
		of := fieldPlan{name: strconv.Quote(string(f.Name())) + ":", kind: f.Kind(), repeated: f.IsList(),
			packed: f.IsPacked(), implicit: !f.HasPresence() && !f.IsList()}
		if e := f.Enum(); e != nil {
			of.words = map[protoreflect.EnumNumber]string{}
			for j := range e.Values().Len() {
				of.words[e.Values().Get(j).Number()] = strconv.Quote(string(e.Values().Get(j).Name()))
			}
		}
		if m := f.Message(); m != nil {
			of.message = planOf(m, known)
		}
		p.fields[f.Number()] = of
	}
	return p
}

// append writes an encoded message as JSON.
func (p *plan) append(b, data []byte) []byte {
	if p.whole != nil {
		return p.appendWhole(b, data)
	}
	b = append(b, '{')
	start, list := len(b), protowire.Number(0) // the repeated field whose list is open
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		value, size := data[n:], protowire.ConsumeFieldValue(number, kind, data[n:])
		if n < 0 || size < 0 {
			panic("an answer of our own does not decode")
		}
		data, value = value[size:], value[:size]
		if int(number) >= len(p.fields) || p.fields[number].name == "" {
			continue
		}
		f := &p.fields[number]
		if list != 0 && list != number {
			b, list = append(b, ']'), 0
		}
		if f.implicit && isDefault(kind, value) {
			continue
		}
		if len(b) > start {
			b = append(b, ',')
		}
		if list == 0 {
			b = append(b, f.name...)
		}
		if f.repeated && list == 0 {
			b, list = append(b, '['), number
		}
		b = f.appendField(b, kind, value)
	}
	if list != 0 {
		b = append(b, ']')
	}
	return append(b, '}')
}

// isDefault reports whether an encoded value is 0, false or empty.
func isDefault(kind protowire.Type, value []byte) bool {
	switch kind {
	case protowire.Fixed64Type:
		return binary.LittleEndian.Uint64(value) == 0
	case protowire.Fixed32Type:
		return binary.LittleEndian.Uint32(value) == 0
	}
	return len(value) == 1 && value[0] == 0 // a varint, or the length of nothing
}

// appendField writes a value, or the values of a packed field.
func (f *fieldPlan) appendField(b []byte, kind protowire.Type, value []byte) []byte {
	if kind != protowire.BytesType {
		return f.appendNumber(b, kind, value)
	}
	content, _ := protowire.ConsumeBytes(value)
	switch {
	case f.message != nil:
		return f.message.append(b, content)
	case f.kind == protoreflect.StringKind:
		return appendText(b, content)
	case f.kind == protoreflect.BytesKind:
		return append(base64.StdEncoding.AppendEncode(append(b, '"'), content), '"')
	}
	return f.appendPacked(b, content)
}

func (f *fieldPlan) appendPacked(b, content []byte) []byte {
	kind := wireType(f.kind)
	for first := true; len(content) > 0; first = false {
		if !first {
			b = append(b, ',')
		}
		size := protowire.ConsumeFieldValue(1, kind, content)
		b, content = f.appendNumber(b, kind, content[:size]), content[size:]
	}
	return b
}

// wireType returns how a number of a kind is encoded.
func wireType(kind protoreflect.Kind) protowire.Type {
	switch kind {
	case protoreflect.DoubleKind, protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		return protowire.Fixed64Type
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
		return protowire.Fixed32Type
	}
	return protowire.VarintType
}

// appendNumber writes a number as JSON does: 64 bits as a text, since the numbers of JavaScript hold 53.
func (f *fieldPlan) appendNumber(b []byte, kind protowire.Type, value []byte) []byte {
	var v uint64
	switch kind {
	case protowire.Fixed64Type:
		v = binary.LittleEndian.Uint64(value)
	case protowire.Fixed32Type:
		v = uint64(int64(int32(binary.LittleEndian.Uint32(value))))
	default:
		v, _ = protowire.ConsumeVarint(value)
	}
	switch f.kind {
	case protoreflect.DoubleKind:
		return appendDouble(b, math.Float64frombits(v))
	case protoreflect.BoolKind:
		return strconv.AppendBool(b, v != 0)
	case protoreflect.EnumKind:
		if word, known := f.words[protoreflect.EnumNumber(int32(v))]; known {
			return append(b, word...)
		}
		return strconv.AppendInt(b, int64(int32(v)), 10)
	case protoreflect.Int32Kind, protoreflect.Sfixed32Kind:
		return strconv.AppendInt(b, int64(int32(v)), 10)
	case protoreflect.Sint32Kind:
		return strconv.AppendInt(b, int64(int32(protowire.DecodeZigZag(v))), 10)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return strconv.AppendUint(b, uint64(uint32(v)), 10)
	case protoreflect.Sint64Kind:
		v = uint64(protowire.DecodeZigZag(v))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return append(strconv.AppendUint(append(b, '"'), v, 10), '"')
	}
	return append(strconv.AppendInt(append(b, '"'), int64(v), 10), '"')
}

// appendDouble writes a number as encoding/json and protojson do.
func appendDouble(b []byte, v float64) []byte {
	switch {
	case math.IsNaN(v):
		return append(b, `"NaN"`...)
	case math.IsInf(v, 1):
		return append(b, `"Infinity"`...)
	case math.IsInf(v, -1):
		return append(b, `"-Infinity"`...)
	}
	if size := math.Abs(v); size == 0 || size >= 1e-6 && size < 1e21 {
		return strconv.AppendFloat(b, v, 'f', -1, 64)
	}
	b = strconv.AppendFloat(b, v, 'e', -1, 64)
	if n := len(b); n >= 4 && b[n-4] == 'e' && b[n-3] == '-' && b[n-2] == '0' { // e-09 is e-9
		b[n-2] = b[n-1]
		b = b[:n-1]
	}
	return b
}

const hexadecimal = "0123456789abcdef"

// appendText writes a text with quotes.
func appendText(b, text []byte) []byte {
	b = append(b, '"')
	from := 0
	for i, c := range text {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, text[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			b = append(b, '\\', 'u', '0', '0', hexadecimal[c>>4], hexadecimal[c&15])
		}
	}
	return append(append(b, text[from:]...), '"')
}

// wholes write the messages that JSON has texts for, from their fields 1 and 2.
var wholes = map[protoreflect.FullName]func(b []byte, fields [3]int64) []byte{
	"google.protobuf.Timestamp": func(b []byte, fields [3]int64) []byte {
		b = time.Unix(fields[1], 0).UTC().AppendFormat(append(b, '"'), "2006-01-02T15:04:05")
		return append(appendNanos(b, fields[2]), `Z"`...)
	},
	"google.protobuf.Duration": func(b []byte, fields [3]int64) []byte {
		b = append(b, '"')
		seconds, nanos := fields[1], fields[2]
		if seconds < 0 || nanos < 0 {
			b, seconds, nanos = append(b, '-'), -seconds, -nanos
		}
		return append(appendNanos(strconv.AppendInt(b, seconds, 10), nanos), `s"`...)
	},
}

// appendNanos writes a fraction of a second with 0, 3, 6 or 9 digits.
func appendNanos(b []byte, nanos int64) []byte {
	if nanos == 0 {
		return b
	}
	digits, shown := nanos, 9
	for shown > 3 && digits%1000 == 0 {
		digits, shown = digits/1000, shown-3
	}
	b = append(b, ".000000000"[:shown+1]...)
	for i := len(b) - 1; digits > 0; i-- {
		b[i], digits = byte('0'+digits%10), digits/10
	}
	return b
}

func (p *plan) appendWhole(b, data []byte) []byte {
	var fields [3]int64
	for len(data) > 0 {
		number, _, n := protowire.ConsumeTag(data)
		v, size := protowire.ConsumeVarint(data[n:])
		if n < 0 || size < 0 || number > 2 {
			panic("a time of our own does not decode")
		}
		fields[number], data = int64(v), data[n+size:]
	}
	return p.whole(b, fields)
}
