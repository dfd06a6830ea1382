package cli

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hexbid/hexbid"
)

// scalarNotation says how files write one value.
type scalarNotation struct {
	parse  func(text string) (protoreflect.Value, error)
	format func(protoreflect.Value) *yaml.Node
	groups map[string][]string // names that stand for several values in a list
}

// expand returns the values that one name in a list stands for.
func (s *scalarNotation) expand(text string) []string {
	if members, isGroup := s.groups[strings.TrimSpace(text)]; isGroup {
		return members
	}
	return []string{text}
}

// orGroups adds the names of groups to an error that lists values.
func (s *scalarNotation) orGroups(err error) error {
	if len(s.groups) == 0 {
		return err
	}
	return fmt.Errorf("%w, or for several %s", err, strings.Join(slices.Sorted(maps.Keys(s.groups)), ", "))
}

// scalarNotationOf returns the notation of a field, or of the entries of a list.
func scalarNotationOf(f protoreflect.FieldDescriptor) *scalarNotation {
	switch f.Kind() {
	case protoreflect.StringKind:
		return notationOfValue(func(s string) (string, error) { return s, nil }, textNode)
	case protoreflect.BoolKind:
		return notationOfValue(parseBool, func(v bool) *yaml.Node { return plainNode(strconv.FormatBool(v)) })
	case protoreflect.DoubleKind:
		return notationOfValue(parseNumber, func(v float64) *yaml.Node { return plainNode(formatNumber(v)) })
	case protoreflect.Int32Kind:
		return notationOfValue(parseWhole, func(v int32) *yaml.Node { return plainNode(strconv.Itoa(int(v))) })
	case protoreflect.Int64Kind:
		return int64Notation(f)
	case protoreflect.EnumKind:
		return enumNotation(f.Enum())
	case protoreflect.MessageKind:
		if f.Message().FullName() == durationName {
			return &scalarNotation{parse: parseLength, format: lengthNode}
		}
		return &scalarNotation{parse: parseInstantValue, format: instantNode}
	}
	// runs when the program starts, so every test would notice
	panic(fmt.Sprintf("files have no notation for %s of %s: give it one", f.Kind(), f.FullName()))
}

// hasScalarNotation reports whether files write a message as one value.
func hasScalarNotation(d protoreflect.MessageDescriptor) bool {
	return d.FullName() == timestampName || d.FullName() == durationName
}

func notationOfValue[T any](parse func(string) (T, error), format func(T) *yaml.Node) *scalarNotation {
	return &scalarNotation{
		parse: func(text string) (protoreflect.Value, error) {
			v, err := parse(text)
			return protoreflect.ValueOf(v), err
		},
		format: func(v protoreflect.Value) *yaml.Node { return format(v.Interface().(T)) },
	}
}

func int64Notation(f protoreflect.FieldDescriptor) *scalarNotation {
	switch {
	case isAmount(f):
		return notationOfValue(func(s string) (int64, error) {
			amount, err := hexbid.ParseMoney(s)
			return int64(amount), err
		}, func(v int64) *yaml.Node { return plainNode(hexbid.Money(v).String()) })
	case isRatio(f):
		return notationOfValue(parseRatio, func(v int64) *yaml.Node { return plainNode(formatRatio(v)) })
	}
	return notationOfValue(parseCount, func(v int64) *yaml.Node { return plainNode(strconv.FormatInt(v, 10)) })
}

func enumNotation(d protoreflect.EnumDescriptor) *scalarNotation {
	return &scalarNotation{
		parse: func(text string) (protoreflect.Value, error) {
			number, err := parseValue(d, strings.TrimSpace(text))
			return protoreflect.ValueOfEnum(number), err
		},
		format: func(v protoreflect.Value) *yaml.Node { return textNode(valueName(d, v.Enum())) },
		groups: groups[d.FullName()],
	}
}

// parseBool reads the words that YAML has for true and false.
func parseBool(s string) (bool, error) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "yes", "y", "on":
		return true, nil
	case "no", "n", "off":
		return false, nil
	}
	v, err := strconv.ParseBool(strings.TrimSpace(s))
	if err != nil {
		return false, fmt.Errorf("%q is not true or false", hexbid.Shorten(s))
	}
	return v, nil
}

func parseNumber(s string) (float64, error) {
	v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", hexbid.Shorten(s))
	}
	return v, nil
}

// formatNumber writes a number with all its bits.
func formatNumber(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func parseWhole(s string) (int32, error) {
	v, err := parseInt(s, 32)
	return int32(v), err
}

func parseCount(s string) (int64, error) { return parseInt(s, 64) }

func parseInt(s string, bits int) (int64, error) {
	v, err := strconv.ParseInt(strings.TrimSpace(s), 10, bits)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", hexbid.Shorten(s))
	}
	return v, nil
}

// parseRatio reads a ratio into parts per million, as exactly as money: 1.2 and 120% are 1,200,000.
func parseRatio(s string) (int64, error) {
	part, percent := strings.CutSuffix(strings.TrimSpace(s), "%")
	ppm, err := hexbid.ParseMoney(part)
	if err != nil {
		return 0, fmt.Errorf("%q is not a ratio: write it as 120%% or 1.2", s)
	}
	if percent {
		ppm /= 100
	}
	return int64(ppm), nil
}

func formatRatio(ppm int64) string { return hexbid.Money(ppm).String() }

func parseInstant(s string) (*timestamppb.Timestamp, error) {
	t, err := time.Parse(time.RFC3339, strings.TrimSpace(s))
	if err != nil {
		return nil, fmt.Errorf("%q is not an instant: write it as 2026-11-01T00:00:00+08:00", hexbid.Shorten(s))
	}
	return timestamppb.New(t), nil
}

func parseInstantValue(s string) (protoreflect.Value, error) {
	t, err := parseInstant(s)
	return protoreflect.ValueOfMessage(t.ProtoReflect()), err
}

func instantNode(v protoreflect.Value) *yaml.Node {
	t := &timestamppb.Timestamp{}
	fill(t.ProtoReflect(), v.Message())
	return plainNode(t.AsTime().Format(time.RFC3339Nano))
}

func parseLength(s string) (protoreflect.Value, error) {
	length, err := time.ParseDuration(strings.TrimSpace(s))
	if err != nil {
		return protoreflect.Value{}, fmt.Errorf("%q is not a length of time: write it as 24h", hexbid.Shorten(s))
	}
	return protoreflect.ValueOfMessage(durationpb.New(length).ProtoReflect()), nil
}

func lengthNode(v protoreflect.Value) *yaml.Node {
	d := &durationpb.Duration{}
	fill(d.ProtoReflect(), v.Message())
	return plainNode(d.AsDuration().String())
}
