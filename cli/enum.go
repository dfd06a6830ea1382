package cli

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// wireEnum is an enumeration of the contract.
type wireEnum interface {
	~int32
	protoreflect.Enum
}

// enumName returns the name of a value as files and flags write it: HOST_WECHAT is "wechat".
func enumName[E wireEnum](value E) string { return valueName(value.Descriptor(), value.Number()) }

func valueName(d protoreflect.EnumDescriptor, number protoreflect.EnumNumber) string {
	v := d.Values().ByNumber(number)
	if v == nil {
		return fmt.Sprint(number)
	}
	return shortName(v)
}

// shortName returns the name of a value without the prefix that buf's lint requires of the values of an enumeration.
func shortName(v protoreflect.EnumValueDescriptor) string {
	d := v.Parent().(protoreflect.EnumDescriptor)
	prefix := strings.TrimSuffix(string(d.Values().ByNumber(0).Name()), "UNSPECIFIED")
	return strings.ToLower(strings.TrimPrefix(string(v.Name()), prefix))
}

// parseEnum reads a name. Its error lists the possible names.
func parseEnum[E wireEnum](name string) (E, error) {
	var zero E
	number, err := parseValue(zero.Descriptor(), name)
	return E(number), err
}

func parseValue(d protoreflect.EnumDescriptor, name string) (protoreflect.EnumNumber, error) {
	var known []string
	for i := range d.Values().Len() {
		v := d.Values().Get(i)
		if shortName(v) == strings.ToLower(name) {
			return v.Number(), nil
		}
		if v.Number() != 0 {
			known = append(known, shortName(v))
		}
	}
	slices.Sort(known)
	return 0, fmt.Errorf("%q is not known: use one of %s", name, strings.Join(known, ", "))
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
