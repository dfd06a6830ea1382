package pacing

import (
	"bytes"
	"encoding/binary"
	"math"
	"time"
)

// rowFormat is the first byte of what is kept on disk. A state of stateFormat has its last field too, which those of
// rowFormat lack.
const (
	rowFormat   = 1
	stateFormat = 2
	lastField   = 4 // bytes
)

// Encode returns a state as bytes that DecodeState reads.
func (s *State) Encode() []byte { return encode(stateFormat, s) }

// DecodeState reads a state. It returns false for bytes that no controller has left before an instant, the latest.
func DecodeState(value []byte, latest time.Time) (s State, ok bool) {
	if len(value) > 0 && value[0] == rowFormat {
		ok = decode(rowFormat, append(bytes.Clone(value), make([]byte, lastField)...), &s)
	} else {
		ok = decode(stateFormat, value, &s)
	}
	ok = ok && finite(s.Planned, s.Spent, float64(s.Award), float64(s.Event), float64(s.Rush), float64(s.Missed)) &&
		s.Evidence >= 0 && s.Evidence < math.MaxFloat32 && s.Entry >= 0 && s.Entry <= PPM &&
		s.At >= 0 && s.At <= latest.UnixMilli() && isDate(s.Date, latest) &&
		(s.Evidence == 0 || s.Demand > 0 && s.Demand < math.MaxFloat32)
	if !ok {
		return State{}, false
	}
	return s, true
}

// curveRow is a curve on disk.
type curveRow struct {
	Week [quartersAWeek][2]float32
	Day  [quartersADay][2]float32
	Aged int32
}

// Encode returns a curve as bytes that DecodeCurve reads.
func (c *Curve) Encode() []byte {
	row := curveRow{Aged: c.aged}
	for q, w := range c.week {
		row.Week[q] = [2]float32{w.searches, w.quarters}
	}
	for q, w := range c.day {
		row.Day[q] = [2]float32{w.searches, w.quarters}
	}
	return encode(rowFormat, &row)
}

// DecodeCurve reads a curve. It returns false for bytes that no curve has left before an instant, the latest: a curve
// that was aged in the future would keep what it has seen until then.
func DecodeCurve(value []byte, latest time.Time) (*Curve, bool) {
	row, c := curveRow{}, new(Curve)
	if !decode(rowFormat, value, &row) || !isDate(row.Aged, latest) {
		return nil, false
	}
	c.aged = row.Aged
	for q, w := range row.Week {
		c.week[q] = watched{w[0], w[1]}
	}
	for q, w := range row.Day {
		c.day[q] = watched{w[0], w[1]}
	}
	for _, all := range [...][]watched{c.week[:], c.day[:]} {
		for _, w := range all {
			if !finite(float64(w.searches), float64(w.quarters)) {
				return nil, false
			}
		}
	}
	return c, true
}

// isDate reports whether a local date is one that has begun somewhere by an instant.
func isDate(date int32, latest time.Time) bool {
	return date >= 0 && int64(date) <= latest.Add(14*time.Hour).Unix()/(24*3600)
}

// finite reports whether numbers are sums: not negative, and not beyond what a sum reaches.
func finite(numbers ...float64) bool {
	for _, n := range numbers {
		if !(n >= 0 && n < 1e18) {
			return false
		}
	}
	return true
}

// encode writes a struct of numbers behind a format.
func encode(format byte, of any) []byte {
	buffer := bytes.NewBuffer([]byte{format})
	_ = binary.Write(buffer, binary.BigEndian, of) // memory takes everything
	return buffer.Bytes()
}

// decode reads a struct of numbers, all bytes of a value of a format.
func decode(format byte, value []byte, into any) bool {
	if len(value) == 0 || value[0] != format {
		return false
	}
	n, err := binary.Decode(value[1:], binary.BigEndian, into)
	return err == nil && n == len(value)-1
}
