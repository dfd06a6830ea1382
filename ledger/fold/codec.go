package fold

import (
	"encoding/binary"

	"github.com/hexbid/hexbid"
)

// codec writes or reads a message of proto/hexbid/disk/v1/ledger.proto. A message lists its fields once, in the order
// of their numbers, and the list serves both directions, so that they cannot differ.
//
// The form is canonical: fields are in order, zero values are absent, and numbers have as few bytes as they can. So
// whatever decodes encodes to the same bytes again, and equal states have equal rows.
type codec struct {
	decoding bool
	broken   bool   // of a decoder: the input is not the canonical form of any message
	bytes    []byte // of an encoder: the output; of a decoder: the rest of the message
}

// Wire types of protocol buffers.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
)

// tag writes a field's tag, or reads it. It reports whether the field is there.
func (c *codec) tag(field, wire int) bool {
	tag := uint64(field<<3 | wire)
	if !c.decoding {
		c.bytes = binary.AppendUvarint(c.bytes, tag)
		return true
	}
	if tag < 0x80 {
		if len(c.bytes) == 0 || c.bytes[0] != byte(tag) {
			return false
		}
		c.bytes = c.bytes[1:]
		return true
	}
	if len(c.bytes) < 2 || c.bytes[0] != byte(tag)|0x80 || c.bytes[1] != byte(tag>>7) {
		return false
	}
	c.bytes = c.bytes[2:]
	return true
}

// uvarint reads a number of as few bytes as it can have.
func (c *codec) uvarint() uint64 {
	v, n := binary.Uvarint(c.bytes)
	if n <= 0 || n > 1 && c.bytes[n-1] == 0 {
		c.fail()
		return 0
	}
	c.bytes = c.bytes[n:]
	return v
}

func (c *codec) fail() { c.bytes, c.broken = nil, true }

// take reads a length and as many bytes.
func (c *codec) take() []byte {
	n := c.uvarint()
	if n > uint64(len(c.bytes)) {
		c.fail()
		return nil
	}
	taken := c.bytes[:n:n]
	c.bytes = c.bytes[n:]
	return taken
}

// whole is a number that is never negative.
type whole interface {
	~int | ~int64 | ~uint8 | ~uint32 | ~uint64
}

// number is a field of a number that is never negative.
func number[T whole](c *codec, field int, v *T) {
	if !c.decoding {
		if *v != 0 {
			b := binary.AppendUvarint(c.bytes, uint64(field<<3|wireVarint)) // c.bytes is stored once: half of the cost
			c.bytes = binary.AppendUvarint(b, uint64(*v))
		}
		return
	}
	*v = 0
	if c.tag(field, wireVarint) {
		n := c.uvarint()
		if *v = T(n); *v <= 0 || uint64(*v) != n {
			c.fail()
		}
	}
}

// signed is a field of a number that may be negative.
func signed[T ~int32 | ~int64](c *codec, field int, v *T) {
	zigzag := uint64(*v)<<1 ^ uint64(int64(*v)>>63)
	number(c, field, &zigzag)
	if c.decoding {
		n := int64(zigzag>>1) ^ -int64(zigzag&1)
		if *v = T(n); int64(*v) != n {
			c.fail()
		}
	}
}

func flag(c *codec, field int, v *bool) {
	var n uint8
	if *v {
		n = 1
	}
	number(c, field, &n)
	if *v = n == 1; n > 1 {
		c.fail()
	}
}

func text(c *codec, field int, v *string) {
	if !c.decoding {
		if *v != "" {
			c.tag(field, wireBytes)
			c.bytes = append(binary.AppendUvarint(c.bytes, uint64(len(*v))), *v...)
		}
		return
	}
	*v = ""
	if c.tag(field, wireBytes) {
		if *v = string(c.take()); *v == "" {
			c.fail()
		}
	}
}

// array is a field of a fixed number of bytes. It is always there.
func array(c *codec, field int, v []byte) {
	present := c.tag(field, wireBytes)
	if !c.decoding {
		c.bytes = append(binary.AppendUvarint(c.bytes, uint64(len(v))), v...)
		return
	}
	if !present {
		c.fail()
	} else if taken := c.take(); len(taken) != len(v) {
		c.fail()
	} else {
		copy(v, taken)
	}
}

// fixed is a field of eight bytes. It is always there.
func fixed(c *codec, field int, v *uint64) {
	present := c.tag(field, wireFixed64)
	switch {
	case !c.decoding:
		c.bytes = binary.LittleEndian.AppendUint64(c.bytes, *v)
	case !present || len(c.bytes) < 8:
		c.fail()
	default:
		*v = binary.LittleEndian.Uint64(c.bytes)
		c.bytes = c.bytes[8:]
	}
}

// numbers is a field of numbers that are never negative, packed.
func numbers[T whole](c *codec, field int, all *[]T) {
	if !c.decoding {
		if len(*all) > 0 {
			within := c.open(field)
			for _, v := range *all {
				c.bytes = binary.AppendUvarint(c.bytes, uint64(v))
			}
			c.close(within)
		}
		return
	}
	*all = nil
	within := c.open(field)
	for len(c.bytes) > 0 {
		n := c.uvarint()
		v := T(n)
		if v < 0 || uint64(v) != n {
			c.fail()
		}
		*all = append(*all, v)
	}
	c.close(within)
}

// message is an open field that holds a message: where it starts in the output, or what follows it in the input.
type message struct {
	start int
	after []byte
}

// open begins a field that holds a message. The fields up to close are the message's own. An absent one is empty.
func (c *codec) open(field int) message {
	if !c.decoding {
		m := message{start: len(c.bytes)}
		c.tag(field, wireBytes)
		c.bytes = append(c.bytes, 0) // a length below 128; close makes room for a longer one
		return m
	}
	if !c.tag(field, wireBytes) {
		m := message{after: c.bytes}
		c.bytes = nil
		return m
	}
	within := c.take()
	m := message{after: c.bytes}
	if c.bytes = within; len(within) == 0 {
		c.fail()
	}
	return m
}

// close ends the field. The encoder removes an empty one.
func (c *codec) close(m message) {
	if c.decoding {
		if len(c.bytes) > 0 {
			c.broken = true
		}
		if c.bytes = m.after; c.broken {
			c.bytes = nil
		}
		return
	}
	head := 2
	if c.bytes[m.start] >= 0x80 {
		head = 3
	}
	n := len(c.bytes) - m.start - head
	if n == 0 {
		c.bytes = c.bytes[:m.start]
		return
	}
	var length [binary.MaxVarintLen64]byte
	size := binary.PutUvarint(length[:], uint64(n))
	if size > 1 {
		c.bytes = append(c.bytes, length[:size-1]...) // room, whatever is in it
		copy(c.bytes[m.start+head+size-1:], c.bytes[m.start+head:m.start+head+n])
	}
	copy(c.bytes[m.start+head-1:], length[:size])
}

// end returns an error unless a decoder has read a whole message and nothing else. what names the message.
func (c *codec) end(what string) error {
	if c.broken || len(c.bytes) > 0 {
		return hexbid.Errorf(hexbid.DataLoss, what, "does not decode: it is damaged, or a later program wrote it")
	}
	return nil
}

// repeated is a field of messages, each of which has at least one field.
func repeated[T any](c *codec, field int, all *[]T, fields func(*T, *codec)) {
	if !c.decoding {
		for i := range *all {
			within := c.open(field)
			fields(&(*all)[i], c)
			c.close(within)
		}
		return
	}
	*all = nil
	for len(c.bytes) > 0 && c.bytes[0] == byte(field<<3|wireBytes) {
		within := c.open(field)
		*all = append(*all, *new(T))
		fields(&(*all)[len(*all)-1], c)
		c.close(within)
	}
}
