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

// setter puts a field of a document into a message.
type setter func(m proto.Message, n *yaml.Node) error

// fieldsByKind are the fields that documents of each kind may have. Money is
// decimal currency here, lists may be written as one text with semicolons.
var fieldsByKind = map[string]map[string]setter{
	"advertiser": {
		"display_name": text(func(m *pb.Advertiser) *string { return &m.DisplayName }),
		"state":        choice(func(m *pb.Advertiser) *pb.ServingState { return &m.State }),
	},
	"program": {
		"display_name":      text(func(m *pb.Program) *string { return &m.DisplayName }),
		"alternative_names": texts(func(m *pb.Program) *[]string { return &m.AlternativeNames }),
		"category":          choice(func(m *pb.Program) *pb.Category { return &m.Category }),
		"hosts":             choices(func(m *pb.Program) *[]pb.Host { return &m.Hosts }),
		"os":                choices(func(m *pb.Program) *[]pb.OperatingSystem { return &m.OperatingSystems }),
		"minimum_age":       whole(func(m *pb.Program) *int32 { return &m.MinimumAge }),
		"path":              text(func(m *pb.Program) *string { return &m.Path }),
		"icon":              text(func(m *pb.Program) *string { return &m.IconUri }),
		"keywords":          texts(func(m *pb.Program) *[]string { return &m.Keywords }),
	},
	"place": {
		"display_name":  text(func(m *pb.Place) *string { return &m.DisplayName }),
		"lat":           number(func(m *pb.Place) *float64 { return &m.Latitude }),
		"lng":           number(func(m *pb.Place) *float64 { return &m.Longitude }),
		"datum":         choice(func(m *pb.Place) *pb.Datum { return &m.Datum }),
		"address":       text(func(m *pb.Place) *string { return &m.Address }),
		"opening_hours": text(func(m *pb.Place) *string { return &m.OpeningHours }),
	},
	"campaign": {
		"display_name":                 text(func(m *pb.Campaign) *string { return &m.DisplayName }),
		"program":                      text(func(m *pb.Campaign) *string { return &m.Program }),
		"state":                        choice(func(m *pb.Campaign) *pb.ServingState { return &m.State }),
		"pricing":                      choice(func(m *pb.Campaign) *pb.PricingModel { return &m.PricingModel }),
		"bid":                          money(func(m *pb.Campaign) *int64 { return &m.BidMicros }),
		"keywords":                     of(setKeywords),
		"host_bids":                    of(setHostBids),
		"daily_budget":                 money(func(m *pb.Campaign) *int64 { return &m.DailyBudgetMicros }),
		"total_budget":                 money(func(m *pb.Campaign) *int64 { return &m.TotalBudgetMicros }),
		"pacing":                       choice(func(m *pb.Campaign) *pb.Pacing { return &m.Pacing }),
		"start":                        instant(func(m *pb.Campaign) **timestamppb.Timestamp { return &m.StartTime }),
		"end":                          instant(func(m *pb.Campaign) **timestamppb.Timestamp { return &m.EndTime }),
		"time_zone":                    text(func(m *pb.Campaign) *string { return &m.TimeZone }),
		"hours":                        of(setHours),
		"area.around_places_m":         number(func(m *pb.Campaign) *float64 { return &area(m).AroundPlacesM }),
		"area.circles":                 of(func(m *pb.Campaign, n *yaml.Node) error { return setCircles(area(m), n) }),
		"area.cells":                   texts(func(m *pb.Campaign) *[]string { return &area(m).H3Cells }),
		"area.regions":                 texts(func(m *pb.Campaign) *[]string { return &area(m).Regions }),
		"area.polygons":                of(func(m *pb.Campaign, n *yaml.Node) error { return setPolygons(area(m), n) }),
		"exclude.polygons":             of(func(m *pb.Campaign, n *yaml.Node) error { return setPolygons(excluded(m), n) }),
		"area.everywhere":              boolean(func(m *pb.Campaign) *bool { return &area(m).Everywhere }),
		"exclude.around_places_m":      number(func(m *pb.Campaign) *float64 { return &excluded(m).AroundPlacesM }),
		"exclude.circles":              of(func(m *pb.Campaign, n *yaml.Node) error { return setCircles(excluded(m), n) }),
		"exclude.cells":                texts(func(m *pb.Campaign) *[]string { return &excluded(m).H3Cells }),
		"exclude.regions":              texts(func(m *pb.Campaign) *[]string { return &excluded(m).Regions }),
		"audience.ages":                of(setAges),
		"audience.genders":             choices(func(m *pb.Campaign) *[]pb.Gender { return &audience(m).Genders }),
		"audience.os":                  choices(func(m *pb.Campaign) *[]pb.OperatingSystem { return &audience(m).OperatingSystems }),
		"audience.hosts":               choices(func(m *pb.Campaign) *[]pb.Host { return &audience(m).Hosts }),
		"audience.scenes":              choices(func(m *pb.Campaign) *[]pb.Scene { return &audience(m).Scenes }),
		"audience.networks":            choices(func(m *pb.Campaign) *[]pb.Network { return &audience(m).Networks }),
		"audience.interests":           choices(func(m *pb.Campaign) *[]pb.Category { return &audience(m).Interests }),
		"audience.not_interests":       choices(func(m *pb.Campaign) *[]pb.Category { return &audience(m).ExcludedInterests }),
		"audience.credit_bands":        of(setCreditBands),
		"audience.residences":          choices(func(m *pb.Campaign) *[]pb.Residence { return &audience(m).Residences }),
		"audience.include_unknown":     choices(func(m *pb.Campaign) *[]pb.AudienceDimension { return &audience(m).IncludeUnknown }),
		"frequency_cap.impressions":    whole(func(m *pb.Campaign) *int32 { return &frequencyCap(m).Impressions }),
		"frequency_cap.window":         of(setWindow),
		"frequency_cap.serve_uncapped": boolean(func(m *pb.Campaign) *bool { return &frequencyCap(m).ServeUncapped }),
		"creatives":                    of(setCreatives),
		"creative.title":               text(func(m *pb.Campaign) *string { return &creative(m).Title }),
		"creative.promotion":           text(func(m *pb.Campaign) *string { return &creative(m).Promotion }),
		"creative.path":                text(func(m *pb.Campaign) *string { return &creative(m).Path }),
		"creative.image":               text(func(m *pb.Campaign) *string { return &creative(m).ImageUri }),
		"creative.coupon.text":         text(func(m *pb.Campaign) *string { return &coupon(m).Text }),
		"creative.coupon.terms":        text(func(m *pb.Campaign) *string { return &coupon(m).Terms }),
		"creative.coupon.valid_until":  instant(func(m *pb.Campaign) **timestamppb.Timestamp { return &coupon(m).ValidUntilTime }),
		"creative.coupon.total_count":  of(setCouponCount),
	},
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

func setCouponCount(m *pb.Campaign, n *yaml.Node) error {
	s, err := scalar(n)
	if err != nil {
		return err
	}
	count, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil {
		return fmt.Errorf("%q is not a whole number", s)
	}
	coupon(m).TotalCount = count
	return nil
}

func of[M proto.Message](set func(M, *yaml.Node) error) setter {
	return func(m proto.Message, n *yaml.Node) error { return set(m.(M), n) }
}

// parsed makes a setter from a place and a way to read a scalar.
func parsed[M proto.Message, T any](at func(M) *T, parse func(string) (T, error)) setter {
	return of(func(m M, n *yaml.Node) error {
		value, err := scalar(n)
		if err == nil {
			*at(m), err = parse(strings.TrimSpace(value))
		}
		return err
	})
}

func text[M proto.Message](at func(M) *string) setter {
	return parsed(at, func(s string) (string, error) { return s, nil })
}

func number[M proto.Message](at func(M) *float64) setter { return parsed(at, parseNumber) }

func parseNumber(s string) (float64, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", s)
	}
	return v, nil
}

func whole[M proto.Message](at func(M) *int32) setter { return parsed(at, parseWhole) }

func parseWhole(s string) (int32, error) {
	v, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", s)
	}
	return int32(v), nil
}

func boolean[M proto.Message](at func(M) *bool) setter {
	return parsed(at, func(s string) (bool, error) {
		v, err := strconv.ParseBool(s)
		if err != nil {
			return false, fmt.Errorf("%q is not true or false", s)
		}
		return v, nil
	})
}

func money[M proto.Message](at func(M) *int64) setter {
	return parsed(at, func(s string) (int64, error) {
		amount, err := hexbid.ParseMoney(s)
		return int64(amount), err
	})
}

func choice[M proto.Message, E wireEnum](at func(M) *E) setter { return parsed(at, parseEnum[E]) }

func texts[M proto.Message](at func(M) *[]string) setter {
	return of(func(m M, n *yaml.Node) (err error) {
		*at(m), err = items(n)
		return err
	})
}

func choices[M proto.Message, E wireEnum](at func(M) *[]E) setter {
	return of(func(m M, n *yaml.Node) error {
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
	})
}

// groups are names that stand for several: Baidu and the member apps of its
// open league, which run the same mini-programs.
var groups = map[string][]string{"baidu_open_league": {"baidu", "baidu_league"}}

func expand(name string) []string {
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
		out = append(out, strings.TrimSpace(value))
	}
	return out, nil
}

func instant[M proto.Message](at func(M) **timestamppb.Timestamp) setter {
	return parsed(at, parseInstant)
}

func parseInstant(s string) (*timestamppb.Timestamp, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return nil, fmt.Errorf("%q is not an instant: write it as 2026-11-01T00:00:00+08:00", s)
	}
	return timestamppb.New(t), nil
}

func setWindow(m *pb.Campaign, n *yaml.Node) error {
	s, err := scalar(n)
	if err != nil {
		return err
	}
	window, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%q is not a length of time: write it as 24h", s)
	}
	frequencyCap(m).Window = durationpb.New(window)
	return nil
}
