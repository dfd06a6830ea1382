package cli

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// A field of files has the name of the contract's field and the obvious notation. This file lists the exceptions. The
// notation of amounts, instants and the like follows from the end of a field's name (micros, time, uri, ppm), so a new
// field needs no entry here.

// fileNames maps fields of the contract to their names in files, where they differ in another way.
var fileNames = map[protoreflect.Name]string{
	"pricing_model": "pricing", "latitude": "lat", "longitude": "lng", "operating_systems": "os", "weekly_hours": "hours",
	"excluded_area": "exclude", "h3_cells": "cells", "excluded_interests": "not_interests",
}

// fileName returns the name that files have for a field of the contract.
func fileName(f protoreflect.FieldDescriptor) string {
	if name, ok := fileNames[f.Name()]; ok {
		return name
	}
	name := string(f.Name())
	switch {
	case isAmount(f):
		return strings.TrimSuffix(name, microsSuffix)
	case isRatio(f):
		return strings.TrimSuffix(name, ppmSuffix)
	case f.Kind() == protoreflect.StringKind:
		return strings.TrimSuffix(name, "_uri")
	case f.Message() != nil && f.Message().FullName() == timestampName:
		return strings.TrimSuffix(name, "_time")
	}
	return name
}

const (
	microsSuffix  = "_micros"
	ppmSuffix     = "_ppm"
	timestampName = "google.protobuf.Timestamp"
	durationName  = "google.protobuf.Duration"
	geoJSONField  = "hexbid.v1.Area.polygons"
)

// isAmount reports whether a field is money, which files write in decimal currency.
func isAmount(f protoreflect.FieldDescriptor) bool {
	return f.Kind() == protoreflect.Int64Kind && strings.HasSuffix(string(f.Name()), microsSuffix)
}

// isRatio reports whether a field is a ratio, which files write as 120% or 1.2.
func isRatio(f protoreflect.FieldDescriptor) bool {
	return f.Kind() == protoreflect.Int64Kind && strings.HasSuffix(string(f.Name()), ppmSuffix)
}

// groups are names that stand for several values of an enumeration in lists. One stands for Baidu and the member apps
// of its open league, which run the same mini-programs. The others stand for a credit band and all bands above.
var groups = map[protoreflect.FullName]map[string][]string{
	"hexbid.v1.Host": {"baidu_open_league": {"baidu", "baidu_league"}},
	"hexbid.v1.CreditBand": {
		"550+": {"550_to_599", "600_to_649", "650_to_699", "700_and_above"},
		"600+": {"600_to_649", "650_to_699", "700_and_above"}, "650+": {"650_to_699", "700_and_above"},
		"700+": {"700_and_above"},
	},
}

// listNotation says how files write the messages of a list as texts.
type listNotation struct {
	parse  func(text string) ([]protoreflect.Message, error)
	format func(protoreflect.List) []*yaml.Node // nil for an entry that only a mapping can express
	needs  []string                             // the fields that a mapping must have
	parts  bool                                 // errors of the server name a part of an entry, not only the list
	lines  bool                                 // one on each line
}

// isText reports whether files write every entry as a text, whose parts have no names.
func (n listNotation) isText() bool { return n.parse != nil && !n.parts }

// listNotations maps messages to their notation.
var listNotations = map[protoreflect.FullName]listNotation{
	"hexbid.v1.AgeRange":    notationOfEach(parseAges, agesNode),
	"hexbid.v1.HostBid":     notationOfEach(parseHostBid, hostBidNode),
	"hexbid.v1.Keyword":     notationOfEach(parseKeyword, keywordNode),
	"hexbid.v1.WeeklyHours": notationOf(parseHours, hoursNodes),
	"hexbid.v1.Circle":      circleNotation(),
}

func circleNotation() listNotation {
	n := notationOfEach(parseCircle, circleNode)
	n.needs, n.parts, n.lines = []string{"lat", "lng", "radius_m"}, true, true
	return n
}

// notationOf makes a notation in which one text may stand for several messages.
func notationOf[M proto.Message](parse func(string) ([]M, error), format func([]M) []*yaml.Node) listNotation {
	return listNotation{
		parse: func(text string) (all []protoreflect.Message, err error) {
			messages, err := parse(text)
			for _, m := range messages {
				all = append(all, m.ProtoReflect())
			}
			return all, err
		},
		format: func(list protoreflect.List) []*yaml.Node {
			messages := make([]M, list.Len())
			for i := range messages {
				m := messages[i].ProtoReflect().New()
				fill(m, list.Get(i).Message())
				messages[i] = m.Interface().(M)
			}
			return format(messages)
		},
	}
}

// notationOfEach makes a notation in which one text stands for one message.
func notationOfEach[M proto.Message](parse func(string) (M, error), format func(M) *yaml.Node) listNotation {
	return notationOf(func(text string) ([]M, error) {
		m, err := parse(text)
		if err != nil {
			return nil, err
		}
		return []M{m}, nil
	}, func(messages []M) []*yaml.Node {
		nodes := make([]*yaml.Node, len(messages))
		for i := range messages {
			nodes[i] = format(messages[i])
		}
		return nodes
	})
}

// parseAges reads a range such as 18-30, or a single age such as 35.
func parseAges(text string) (*pb.AgeRange, error) {
	low, high, isRange := strings.Cut(text, "-")
	if !isRange {
		high = low
	}
	youngest, err1 := parseWhole(low)
	oldest, err2 := parseWhole(high)
	if err1 != nil || err2 != nil {
		return nil, fmt.Errorf("%q is not a range of ages: write it as 18-30", text)
	}
	return &pb.AgeRange{MinAge: youngest, MaxAge: oldest}, nil
}

func agesNode(r *pb.AgeRange) *yaml.Node {
	if r.GetMinAge() == r.GetMaxAge() {
		return plainNode(fmt.Sprint(r.GetMinAge()))
	}
	return textNode(fmt.Sprintf("%d-%d", r.GetMinAge(), r.GetMaxAge()))
}

// parseHostBid reads a multiplier of the bid on a host, such as "alipay 120%" and "douyin 0.8".
func parseHostBid(text string) (*pb.HostBid, error) {
	words := strings.Fields(text)
	if len(words) != 2 {
		return nil, fmt.Errorf("%q is not a bid on a host: write it as alipay 120%%", text)
	}
	host, err := parseEnum[pb.Host](words[0])
	if err != nil {
		return nil, err
	}
	part, err := parseRatio(words[1])
	if err != nil {
		return nil, err
	}
	return &pb.HostBid{Host: host, MultiplierPpm: part}, nil
}

func hostBidNode(b *pb.HostBid) *yaml.Node {
	return textNode(enumName(b.GetHost()) + " " + formatRatio(b.GetMultiplierPpm()))
}

// parseCircle reads "lat lng radius_m [datum]".
func parseCircle(text string) (*pb.Circle, error) {
	wrong := fmt.Errorf("%q is not a circle: write latitude, longitude and radius in metres, as in 30.2553 120.1640 1500",
		text)
	words := strings.Fields(strings.ReplaceAll(text, ",", " "))
	if len(words) < 3 || len(words) > 4 {
		return nil, wrong
	}
	c := &pb.Circle{}
	for i, at := range []*float64{&c.Latitude, &c.Longitude, &c.RadiusM} {
		var err error
		if *at, err = parseNumber(words[i]); err != nil {
			return nil, wrong
		}
	}
	if len(words) == 4 {
		datum, err := parseEnum[pb.Datum](words[3])
		if err != nil {
			return nil, err
		}
		c.Datum = datum
	}
	return c, nil
}

func circleNode(c *pb.Circle) *yaml.Node {
	words := []string{formatNumber(c.GetLatitude()), formatNumber(c.GetLongitude()), formatNumber(c.GetRadiusM())}
	if c.GetDatum() != pb.Datum_DATUM_UNSPECIFIED {
		words = append(words, enumName(c.GetDatum()))
	}
	return textNode(strings.Join(words, " "))
}
