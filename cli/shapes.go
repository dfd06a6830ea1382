package cli

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// circles makes a field of the circles of an area.
func circles(name string, of func(*pb.Campaign) *pb.Area) field {
	return areaField(name, of, setCircles, func(a *pb.Area) *yaml.Node {
		n := listNode(a.GetCircles(), circleNode)
		if n != nil {
			n.Style = 0 // one a line
		}
		return n
	})
}

// polygons makes a field of the polygons of an area.
func polygons(name string, of func(*pb.Campaign) *pb.Area) field {
	return areaField(name, of, setPolygons, func(a *pb.Area) *yaml.Node {
		n := listNode(a.GetPolygons(), textNode)
		if n != nil {
			n.Style = 0 // one a line
		}
		return n
	})
}

func areaField(name string, area func(*pb.Campaign) *pb.Area, set func(*pb.Area, *yaml.Node) error, get func(*pb.Area) *yaml.Node) field {
	return of(name, func(m *pb.Campaign, n *yaml.Node) error { return set(area(m), n) }, func(m *pb.Campaign) *yaml.Node { return get(area(m)) })
}

func circleNode(c *pb.Circle) *yaml.Node {
	words := []string{formatNumber(c.GetLatitude()), formatNumber(c.GetLongitude()), formatNumber(c.GetRadiusM())}
	if c.GetDatum() != pb.Datum_DATUM_UNSPECIFIED {
		words = append(words, enumName(c.GetDatum()))
	}
	return textNode(strings.Join(words, " "))
}

// setCircles reads texts "lat lng radius_m [datum]" or mappings with those
// keys.
func setCircles(a *pb.Area, n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		circles, err := items(n)
		if err != nil {
			return err
		}
		for _, text := range circles {
			if err := addCircle(a, text); err != nil {
				return err
			}
		}
		return nil
	}
	for _, item := range n.Content {
		text := item.Value
		if item.Kind == yaml.MappingNode {
			var c struct {
				Lat     string `yaml:"lat"`
				Lng     string `yaml:"lng"`
				RadiusM string `yaml:"radius_m"`
				Datum   string `yaml:"datum"`
			}
			if err := strictNode(item, &c); err != nil {
				return err
			}
			text = strings.Join([]string{c.Lat, c.Lng, c.RadiusM, c.Datum}, " ")
		}
		if err := addCircle(a, text); err != nil {
			return err
		}
	}
	return nil
}

func addCircle(a *pb.Area, text string) error {
	wrong := fmt.Errorf("%q is not a circle: write latitude, longitude and radius in metres, as in 30.2553 120.1640 1500", text)
	words := strings.Fields(strings.ReplaceAll(text, ",", " "))
	if len(words) < 3 || len(words) > 4 {
		return wrong
	}
	c := &pb.Circle{}
	for i, at := range []*float64{&c.Latitude, &c.Longitude, &c.RadiusM} {
		var err error
		if *at, err = parseNumber(words[i]); err != nil {
			return wrong
		}
	}
	if len(words) == 4 {
		datum, err := parseEnum[pb.Datum](words[3])
		if err != nil {
			return err
		}
		c.Datum = datum
	}
	a.Circles = append(a.Circles, c)
	return nil
}

// setPolygons takes GeoJSON texts, as shapeNode leaves them.
func setPolygons(a *pb.Area, n *yaml.Node) (err error) {
	if n.Kind == yaml.SequenceNode { // a text may hold semicolons
		a.Polygons, err = items(n)
		return err
	}
	return fmt.Errorf("is not GeoJSON")
}

// setCreatives reads a list of mappings, one a host.
func setCreatives(m *pb.Campaign, n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode {
		return fmt.Errorf("is not a list: write one mapping a host, or creative.title and the like")
	}
	for _, item := range n.Content {
		var c struct {
			Host      string `yaml:"host"`
			Title     string `yaml:"title"`
			Promotion string `yaml:"promotion"`
			Path      string `yaml:"path"`
			Image     string `yaml:"image"`
			Coupon    *struct {
				Text       string `yaml:"text"`
				Terms      string `yaml:"terms"`
				ValidUntil string `yaml:"valid_until"`
				TotalCount int64  `yaml:"total_count"`
			} `yaml:"coupon"`
		}
		if err := strictNode(item, &c); err != nil {
			return err
		}
		out := &pb.Creative{Title: c.Title, Promotion: c.Promotion, Path: c.Path, ImageUri: c.Image}
		if c.Host != "" {
			host, err := parseEnum[pb.Host](c.Host)
			if err != nil {
				return err
			}
			out.Host = host
		}
		if c.Coupon != nil {
			until, err := parseInstant(c.Coupon.ValidUntil)
			if err != nil {
				return fmt.Errorf("coupon.valid_until: %w", err)
			}
			out.Coupon = &pb.Coupon{Text: c.Coupon.Text, Terms: c.Coupon.Terms, ValidUntilTime: until, TotalCount: c.Coupon.TotalCount}
		}
		m.Creatives = append(m.Creatives, out)
	}
	return nil
}

func getCreatives(m *pb.Campaign) *yaml.Node {
	n := listNode(m.GetCreatives(), creativeNode)
	if n != nil {
		n.Style = 0 // one a line
	}
	return n
}

func creativeNode(c *pb.Creative) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	if c.GetHost() != 0 {
		put(n, "host", textNode(enumName(c.GetHost())))
	}
	putText(n, "title", c.GetTitle())
	putText(n, "promotion", c.GetPromotion())
	putText(n, "path", c.GetPath())
	putText(n, "image", c.GetImageUri())
	if coupon := c.GetCoupon(); coupon != nil {
		inner := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		putText(inner, "text", coupon.GetText())
		putText(inner, "terms", coupon.GetTerms())
		if until := coupon.GetValidUntilTime(); until != nil {
			put(inner, "valid_until", plainNode(formatInstant(until)))
		}
		put(inner, "total_count", formatInt(coupon.GetTotalCount()))
		put(n, "coupon", inner)
	}
	return n
}

func putText(mapping *yaml.Node, name, value string) {
	if value != "" {
		put(mapping, name, textNode(value))
	}
}

// strictNode decodes a mapping and refuses keys that the target does not have.
func strictNode(n *yaml.Node, into any) error {
	text, err := yaml.Marshal(n)
	if err != nil {
		return err
	}
	return strictYAML(text, into)
}
