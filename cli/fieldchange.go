package cli

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/structpb"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// fieldLines says what a field was and what it became, in lines of a change. Money is in the currency, as in files.
func fieldLines(f *pb.FieldChange) []string {
	if f.GetOmitted() {
		name, _ := strings.CutSuffix(f.GetField(), "_micros")
		return []string{"    " + name + ": a large value (--full shows it, up to 1 MiB)"}
	}
	return valueLines(f.GetField(), f.GetBefore(), f.GetAfter())
}

// valueLines compares two values of a field. Parts of a message are lines of their own. Of a list of messages it shows
// the entries that went and came, because a reader looks for those among the many that stay.
func valueLines(field string, before, after *structpb.Value) (lines []string) {
	switch {
	case before.GetStructValue() != nil && after.GetStructValue() != nil:
		was, is := before.GetStructValue().GetFields(), after.GetStructValue().GetFields()
		for _, part := range partNames(was, is) {
			if valueText(was[part], false) != valueText(is[part], false) {
				lines = append(lines, valueLines(field+"."+part, was[part], is[part])...)
			}
		}
		return lines
	case hasMessages(before) || hasMessages(after):
		return entryLines(field, before.GetListValue().GetValues(), after.GetListValue().GetValues())
	}
	name, isMoney := strings.CutSuffix(field, "_micros")
	return []string{"    " + name + ": " + valueText(before, isMoney) + " -> " + valueText(after, isMoney)}
}

func partNames(before, after map[string]*structpb.Value) []string {
	parts := slices.AppendSeq(slices.Collect(maps.Keys(before)), maps.Keys(after))
	slices.Sort(parts)
	return slices.Compact(parts)
}

// hasMessages reports whether a value is a list of messages.
func hasMessages(v *structpb.Value) bool {
	all := v.GetListValue().GetValues()
	return len(all) > 0 && all[0].GetStructValue() != nil
}

// entryLines shows which entries of a list went and which came.
func entryLines(field string, before, after []*structpb.Value) []string {
	went, came := missing(before, after), missing(after, before)
	lines := []string{"    " + field + ":"}
	for _, text := range went {
		lines = append(lines, "      - "+text)
	}
	for _, text := range came {
		lines = append(lines, "      + "+text)
	}
	if len(went)+len(came) == 0 {
		return append(lines, "      the same entries in another order")
	}
	if stay := len(before) - len(went); stay > 0 {
		lines = append(lines, "      "+strconv.Itoa(stay)+" more stay")
	}
	return lines
}

// missing returns the texts of some entries, without as many of each as others has.
func missing(some, others []*structpb.Value) (left []string) {
	there := map[string]int{}
	for _, v := range others {
		there[entryText(v)]++
	}
	for _, v := range some {
		text := entryText(v)
		if there[text]--; there[text] < 0 {
			left = append(left, text)
		}
	}
	return left
}

// entryText writes an entry of a list as a line of its fields.
func entryText(v *structpb.Value) string {
	fields := v.GetStructValue().GetFields()
	if len(fields) == 0 {
		return valueText(v, false)
	}
	var parts []string
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		name, isMoney := strings.CutSuffix(field, "_micros")
		parts = append(parts, name+": "+valueText(fields[field], isMoney))
	}
	return strings.Join(parts, ", ")
}

// valueText writes a value, "-" for none.
func valueText(v *structpb.Value, isMoney bool) string {
	if v == nil {
		return "-"
	}
	if number, err := strconv.ParseInt(v.GetStringValue(), 10, 64); err == nil {
		if isMoney {
			return money(number)
		}
		return v.GetStringValue() // JSON writes numbers of 64 bits as texts
	}
	text, err := contractJSON(v)
	if err != nil {
		return "?"
	}
	return string(text)
}
