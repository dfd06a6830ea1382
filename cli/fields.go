package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// field is a field of documents of one kind: it is read from a document into a
// message, and written from a message so that reading gives the same again.
type field struct {
	name string
	set  func(m proto.Message, n *yaml.Node) error
	get  func(m proto.Message) *yaml.Node // nil when it is not set, or another field writes it
}

// kindFields are the fields of one kind, in the order that files have them.
type kindFields struct {
	list   []field
	byName map[string]*field
}

func fieldsOf(list ...field) *kindFields {
	k := &kindFields{list, map[string]*field{}}
	for i := range list {
		k.byName[list[i].name] = &list[i]
	}
	return k
}

// fieldsByKind are the fields that documents of each kind may have. Money is
// decimal currency here, lists may be written as one text with semicolons.
var fieldsByKind = map[string]*kindFields{
	"advertiser": fieldsOf(
		text("display_name", func(m *pb.Advertiser) *string { return &m.DisplayName }),
		choice("state", func(m *pb.Advertiser) *pb.ServingState { return &m.State }),
	),
	"program": fieldsOf(
		text("display_name", func(m *pb.Program) *string { return &m.DisplayName }),
		texts("alternative_names", func(m *pb.Program) *[]string { return &m.AlternativeNames }),
		choice("category", func(m *pb.Program) *pb.Category { return &m.Category }),
		choices("hosts", func(m *pb.Program) *[]pb.Host { return &m.Hosts }),
		choices("os", func(m *pb.Program) *[]pb.OperatingSystem { return &m.OperatingSystems }),
		whole("minimum_age", func(m *pb.Program) *int32 { return &m.MinimumAge }),
		text("path", func(m *pb.Program) *string { return &m.Path }),
		text("icon", func(m *pb.Program) *string { return &m.IconUri }),
		texts("keywords", func(m *pb.Program) *[]string { return &m.Keywords }),
	),
	"place": fieldsOf(
		text("display_name", func(m *pb.Place) *string { return &m.DisplayName }),
		number("lat", func(m *pb.Place) *float64 { return &m.Latitude }),
		number("lng", func(m *pb.Place) *float64 { return &m.Longitude }),
		choice("datum", func(m *pb.Place) *pb.Datum { return &m.Datum }),
		text("address", func(m *pb.Place) *string { return &m.Address }),
		text("opening_hours", func(m *pb.Place) *string { return &m.OpeningHours }),
	),
	"campaign": fieldsOf(
		text("display_name", func(m *pb.Campaign) *string { return &m.DisplayName }),
		text("program", func(m *pb.Campaign) *string { return &m.Program }),
		choice("state", func(m *pb.Campaign) *pb.ServingState { return &m.State }),
		choice("pricing", func(m *pb.Campaign) *pb.PricingModel { return &m.PricingModel }),
		money("bid", func(m *pb.Campaign) *int64 { return &m.BidMicros }),
		of("host_bids", setHostBids, getHostBids),
		money("daily_budget", func(m *pb.Campaign) *int64 { return &m.DailyBudgetMicros }),
		money("total_budget", func(m *pb.Campaign) *int64 { return &m.TotalBudgetMicros }),
		choice("pacing", func(m *pb.Campaign) *pb.Pacing { return &m.Pacing }),
		instant("start", func(m *pb.Campaign) **timestamppb.Timestamp { return &m.StartTime }),
		instant("end", func(m *pb.Campaign) **timestamppb.Timestamp { return &m.EndTime }),
		text("time_zone", func(m *pb.Campaign) *string { return &m.TimeZone }),
		of("hours", setHours, getHours),
		boolean("area.everywhere", func(m *pb.Campaign) *bool { return &area(m).Everywhere }),
		number("area.around_places_m", func(m *pb.Campaign) *float64 { return &area(m).AroundPlacesM }),
		circles("area.circles", area),
		texts("area.regions", func(m *pb.Campaign) *[]string { return &area(m).Regions }),
		texts("area.cells", func(m *pb.Campaign) *[]string { return &area(m).H3Cells }),
		polygons("area.polygons", area),
		number("exclude.around_places_m", func(m *pb.Campaign) *float64 { return &excluded(m).AroundPlacesM }),
		circles("exclude.circles", excluded),
		texts("exclude.regions", func(m *pb.Campaign) *[]string { return &excluded(m).Regions }),
		texts("exclude.cells", func(m *pb.Campaign) *[]string { return &excluded(m).H3Cells }),
		polygons("exclude.polygons", excluded),
		of("audience.ages", setAges, getAges),
		choices("audience.genders", func(m *pb.Campaign) *[]pb.Gender { return &audience(m).Genders }),
		choices("audience.os", func(m *pb.Campaign) *[]pb.OperatingSystem { return &audience(m).OperatingSystems }),
		choices("audience.hosts", func(m *pb.Campaign) *[]pb.Host { return &audience(m).Hosts }),
		choices("audience.scenes", func(m *pb.Campaign) *[]pb.Scene { return &audience(m).Scenes }),
		choices("audience.networks", func(m *pb.Campaign) *[]pb.Network { return &audience(m).Networks }),
		choices("audience.interests", func(m *pb.Campaign) *[]pb.Category { return &audience(m).Interests }),
		choices("audience.not_interests", func(m *pb.Campaign) *[]pb.Category { return &audience(m).ExcludedInterests }),
		of("audience.credit_bands", setCreditBands, getCreditBands),
		choices("audience.residences", func(m *pb.Campaign) *[]pb.Residence { return &audience(m).Residences }),
		choices("audience.include_unknown", func(m *pb.Campaign) *[]pb.AudienceDimension { return &audience(m).IncludeUnknown }),
		of("keywords", setKeywords, getKeywords),
		whole("frequency_cap.impressions", func(m *pb.Campaign) *int32 { return &frequencyCap(m).Impressions }),
		of("frequency_cap.window", setWindow, getWindow),
		boolean("frequency_cap.serve_uncapped", func(m *pb.Campaign) *bool { return &frequencyCap(m).ServeUncapped }),
		of("creatives", setCreatives, getCreatives),
		readOnly(text("creative.title", func(m *pb.Campaign) *string { return &creative(m).Title })),
		readOnly(text("creative.promotion", func(m *pb.Campaign) *string { return &creative(m).Promotion })),
		readOnly(text("creative.path", func(m *pb.Campaign) *string { return &creative(m).Path })),
		readOnly(text("creative.image", func(m *pb.Campaign) *string { return &creative(m).ImageUri })),
		readOnly(text("creative.coupon.text", func(m *pb.Campaign) *string { return &coupon(m).Text })),
		readOnly(text("creative.coupon.terms", func(m *pb.Campaign) *string { return &coupon(m).Terms })),
		readOnly(instant("creative.coupon.valid_until", func(m *pb.Campaign) **timestamppb.Timestamp { return &coupon(m).ValidUntilTime })),
		readOnly(parsed("creative.coupon.total_count", func(m *pb.Campaign) *int64 { return &coupon(m).TotalCount }, parseCount, formatInt)),
	),
}

// made gives a message's part, making it first when it is not there.
func made[T any](at **T) *T {
	if *at == nil {
		*at = new(T)
	}
	return *at
}

func area(m *pb.Campaign) *pb.Area                 { return made(&m.Area) }
func excluded(m *pb.Campaign) *pb.Area             { return made(&m.ExcludedArea) }
func audience(m *pb.Campaign) *pb.Audience         { return made(&m.Audience) }
func frequencyCap(m *pb.Campaign) *pb.FrequencyCap { return made(&m.FrequencyCap) }

// creative is the one creative of a document that writes creative.title.
func creative(m *pb.Campaign) *pb.Creative {
	if len(m.Creatives) == 0 {
		m.Creatives = []*pb.Creative{{}}
	}
	return m.Creatives[0]
}

func coupon(m *pb.Campaign) *pb.Coupon { return made(&creative(m).Coupon) }

// of makes a field of a message of one kind.
func of[M proto.Message](name string, set func(M, *yaml.Node) error, get func(M) *yaml.Node) field {
	return field{name,
		func(m proto.Message, n *yaml.Node) error { return set(m.(M), n) },
		func(m proto.Message) *yaml.Node { return get(m.(M)) }}
}

// readOnly makes a field that files may have and that another one writes.
func readOnly(f field) field {
	f.get = func(proto.Message) *yaml.Node { return nil }
	return f
}

// parsed makes a field from a place in a message and ways to read and to write
// a scalar. The zero value is not written.
func parsed[M proto.Message, T comparable](name string, at func(M) *T, parse func(string) (T, error), format func(T) *yaml.Node) field {
	set := func(m M, n *yaml.Node) error {
		value, err := scalar(n)
		if err == nil {
			*at(m), err = parse(value)
		}
		return err
	}
	return of(name, set, func(m M) *yaml.Node {
		var zero T
		if value := *at(m); value != zero {
			return format(value)
		}
		return nil
	})
}

func text[M proto.Message](name string, at func(M) *string) field {
	return parsed(name, at, func(s string) (string, error) { return s, nil }, textNode)
}

func number[M proto.Message](name string, at func(M) *float64) field {
	return parsed(name, at, parseNumber, func(v float64) *yaml.Node { return plainNode(formatNumber(v)) })
}

func parseNumber(s string) (float64, error) {
	v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", hexbid.Shorten(s))
	}
	return v, nil
}

// formatNumber writes a number so that reading gives every bit of it again.
func formatNumber(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func whole[M proto.Message](name string, at func(M) *int32) field {
	return parsed(name, at, parseWhole, formatInt[int32])
}

func parseWhole(s string) (int32, error) {
	v, err := strconv.ParseInt(strings.TrimSpace(s), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", hexbid.Shorten(s))
	}
	return int32(v), nil
}

func parseCount(s string) (int64, error) {
	v, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", hexbid.Shorten(s))
	}
	return v, nil
}

func formatInt[T int32 | int64](v T) *yaml.Node { return plainNode(strconv.FormatInt(int64(v), 10)) }

func boolean[M proto.Message](name string, at func(M) *bool) field {
	return parsed(name, at, func(s string) (bool, error) {
		v, err := strconv.ParseBool(strings.TrimSpace(s))
		if err != nil {
			return false, fmt.Errorf("%q is not true or false", hexbid.Shorten(s))
		}
		return v, nil
	}, func(v bool) *yaml.Node { return plainNode(strconv.FormatBool(v)) })
}

func money[M proto.Message](name string, at func(M) *int64) field {
	return parsed(name, at, func(s string) (int64, error) {
		amount, err := hexbid.ParseMoney(s)
		return int64(amount), err
	}, func(v int64) *yaml.Node { return plainNode(hexbid.Money(v).String()) })
}

func choice[M proto.Message, E wireEnum](name string, at func(M) *E) field {
	return parsed(name, at, func(s string) (E, error) { return parseEnum[E](strings.TrimSpace(s)) }, func(v E) *yaml.Node { return textNode(enumName(v)) })
}

func texts[M proto.Message](name string, at func(M) *[]string) field {
	return of(name, func(m M, n *yaml.Node) (err error) {
		*at(m), err = items(n)
		return err
	}, func(m M) *yaml.Node { return listNode(*at(m), textNode) })
}

func choices[M proto.Message, E wireEnum](name string, at func(M) *[]E) field {
	return of(name, func(m M, n *yaml.Node) error {
		names, err := items(n)
		if err != nil {
			return err
		}
		for _, name := range names {
			for _, member := range expand(name) {
				value, err := parseEnum[E](member)
				if err != nil {
					return err
				}
				*at(m) = append(*at(m), value)
			}
		}
		return nil
	}, func(m M) *yaml.Node {
		return listNode(*at(m), func(v E) *yaml.Node { return textNode(enumName(v)) })
	})
}

func instant[M proto.Message](name string, at func(M) **timestamppb.Timestamp) field {
	return parsed(name, at, parseInstant, func(t *timestamppb.Timestamp) *yaml.Node { return plainNode(formatInstant(t)) })
}

// groups are names that stand for several: Baidu and the member apps of its
// open league, which run the same mini-programs.
var groups = map[string][]string{"baidu_open_league": {"baidu", "baidu_league"}}

func expand(name string) []string {
	name = strings.TrimSpace(name)
	if members, isGroup := groups[name]; isGroup {
		return members
	}
	return []string{name}
}

// scalar is a node's text.
func scalar(n *yaml.Node) (string, error) {
	if n.Kind != yaml.ScalarNode {
		return "", fmt.Errorf("is a list or a mapping: write one value")
	}
	return n.Value, nil
}

// items are the texts of a list, or of one text with semicolons.
func items(n *yaml.Node) ([]string, error) {
	var out []string
	if n.Kind == yaml.ScalarNode {
		for _, item := range strings.Split(n.Value, ";") {
			if item = strings.TrimSpace(item); item != "" {
				out = append(out, item)
			}
		}
		return out, nil
	}
	for _, item := range n.Content {
		value, err := scalar(item)
		if err != nil {
			return nil, err
		}
		out = append(out, value)
	}
	return out, nil
}

func parseInstant(s string) (*timestamppb.Timestamp, error) {
	t, err := time.Parse(time.RFC3339, strings.TrimSpace(s))
	if err != nil {
		return nil, fmt.Errorf("%q is not an instant: write it as 2026-11-01T00:00:00+08:00", hexbid.Shorten(s))
	}
	return timestamppb.New(t), nil
}

func formatInstant(t *timestamppb.Timestamp) string { return t.AsTime().Format(time.RFC3339Nano) }

func setWindow(m *pb.Campaign, n *yaml.Node) error {
	s, err := scalar(n)
	if err != nil {
		return err
	}
	window, err := time.ParseDuration(strings.TrimSpace(s))
	if err != nil {
		return fmt.Errorf("%q is not a length of time: write it as 24h", hexbid.Shorten(s))
	}
	frequencyCap(m).Window = durationpb.New(window)
	return nil
}

func getWindow(m *pb.Campaign) *yaml.Node {
	if frequencyCap(m).GetWindow() == nil {
		return nil
	}
	return plainNode(frequencyCap(m).GetWindow().AsDuration().String())
}
