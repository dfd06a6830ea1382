package pebble

import (
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// A start decodes the declarations of every record, so this file decodes them by hand. Most of the names in them are
// the record's own name, its program's, or a parent's of these. Such names share memory with the record's.

// Numbers of the fields of a Record and of a Count; a test compares with the messages.
const (
	recordRefers, recordCounts = 7, 8

	countOwner, countCounter, countBy, countTimesOwner, countTimesCounter = 1, 2, 3, 4, 5
)

// decodeDeclared decodes what an encoded record declares into the record.
func decodeDeclared(value []byte, r *store.Record) error {
	known := namesOf(r.Resource)
	return eachField(value, func(field protowire.Number, content []byte, _ uint64) error {
		switch field {
		case recordRefers:
			if r.Refers == nil {
				r.Refers = make([]store.Reference, 0, 2)
			}
			r.Refers = append(r.Refers, store.Reference{Name: known.text(content)})
		case recordCounts:
			if r.Counts == nil {
				r.Counts = make([]store.Count, 0, 4)
			}
			r.Counts = append(r.Counts, store.Count{})
			return known.decodeCount(content, &r.Counts[len(r.Counts)-1])
		}
		return nil
	})
}

// names holds a resource's own name and its program's. Most other names are a prefix of one of them.
type names struct{ own, program string }

func namesOf(r hexbid.Resource) names {
	n := names{own: r.Metadata().Name}
	if c, ok := r.(*hexbid.Campaign); ok {
		n.program = c.Program
	}
	return n
}

// text returns a name without copying it if it is a prefix of a known one.
func (n names) text(b []byte) string {
	for _, known := range []string{n.own, n.program} {
		if strings.HasPrefix(known, string(b)) { // this comparison copies nothing
			return known[:len(b)]
		}
	}
	return string(b)
}

func (n names) decodeCount(b []byte, c *store.Count) error {
	return eachField(b, func(field protowire.Number, content []byte, number uint64) error {
		switch field {
		case countOwner:
			c.Owner = n.text(content)
		case countCounter:
			c.Counter = store.Counter(number)
		case countBy:
			c.By = protowire.DecodeZigZag(number)
		case countTimesOwner:
			c.TimesOwner = n.text(content)
		case countTimesCounter:
			c.Times = store.Counter(number)
		}
		return nil
	})
}

// eachField calls f with the fields of an encoded message that hold bytes or a varint.
func eachField(b []byte, f func(field protowire.Number, content []byte, number uint64) error) error {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		var content []byte
		var number uint64
		size := 0
		switch kind {
		case protowire.BytesType:
			content, size = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			number, size = protowire.ConsumeVarint(b)
		default:
			size = protowire.ConsumeFieldValue(field, kind, b)
		}
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		if err := f(field, content, number); err != nil {
			return err
		}
	}
	return nil
}
