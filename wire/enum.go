package wire

import "github.com/hexbid/hexbid"

// Enum converts a value of an enumeration. The contract and the resources use the same numbers, of which there are
// count. The error names the field.
func Enum[T ~uint8, P ~int32](field string, value P, count T) (T, error) {
	if value < 0 || value >= P(count) {
		return 0, hexbid.Invalidf(field, "%d is not a known value: use 0 to %d", value, count-1)
	}
	return T(value), nil
}

func toEnum[T ~uint8, P ~int32](c *conversion, field string, value P, count T) T {
	out, err := Enum(field, value, count)
	c.note(err)
	return out
}

// toEnums converts a list of values of an enumeration. An error leaves the list empty.
func toEnums[T ~uint8, P ~int32](c *conversion, field string, values []P, count T) []T {
	if len(values) == 0 {
		return nil
	}
	if len(values) > int(count) {
		c.note(hexbid.Invalidf(field, "has %d entries: at most %d, each once", len(values), count))
		return nil
	}
	out := make([]T, len(values))
	for i, v := range values {
		var err error
		if out[i], err = Enum(field, v, count); err != nil {
			c.note(err)
			return nil
		}
	}
	return out
}

func fromEnums[P ~int32, T ~uint8](values []T) []P {
	if len(values) == 0 {
		return nil
	}
	out := make([]P, len(values))
	for i, v := range values {
		out[i] = P(v)
	}
	return out
}
