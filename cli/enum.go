package cli

import (
	"fmt"
	"sort"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// wireEnum is an enumeration of the contract.
type wireEnum interface {
	~int32
	protoreflect.Enum
}

// enumName is a value's name as files and flags write it: HOST_WECHAT is
// "wechat".
func enumName[E wireEnum](value E) string {
	v := value.Descriptor().Values().ByNumber(value.Number())
	if v == nil {
		return fmt.Sprint(value.Number())
	}
	return strings.ToLower(strings.TrimPrefix(string(v.Name()), enumPrefix(value.Descriptor())))
}

// parseEnum reads a name; the error lists those there are.
func parseEnum[E wireEnum](name string) (E, error) {
	var zero E
	values := zero.Descriptor().Values()
	var known []string
	for i := range values.Len() {
		v := values.Get(i)
		short := strings.ToLower(strings.TrimPrefix(string(v.Name()), enumPrefix(zero.Descriptor())))
		if short == strings.ToLower(name) {
			return E(v.Number()), nil
		}
		if v.Number() != 0 {
			known = append(known, short)
		}
	}
	sort.Strings(known)
	return zero, fmt.Errorf("%q is not known: use one of %s", name, strings.Join(known, ", "))
}

// enumPrefix is what buf's lint makes every value of an enumeration begin with.
func enumPrefix(d protoreflect.EnumDescriptor) string {
	zero := string(d.Values().ByNumber(0).Name())
	return strings.TrimSuffix(zero, "UNSPECIFIED")
}

// enumReader reads several names and keeps the first error.
type enumReader struct{ err error }

func readEnum[E wireEnum](r *enumReader, field, name string) E {
	if name == "" {
		return 0
	}
	value, err := parseEnum[E](name)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("%s: %w", field, err)
	}
	return value
}
