package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// setAges reads ranges such as "18-30" and single ages such as "35".
func setAges(m *pb.Campaign, n *yaml.Node) error {
	ranges, err := items(n)
	if err != nil {
		return err
	}
	for _, text := range ranges {
		low, high, isRange := strings.Cut(text, "-")
		if !isRange {
			high = low
		}
		youngest, err1 := parseWhole(strings.TrimSpace(low))
		oldest, err2 := parseWhole(strings.TrimSpace(high))
		if err1 != nil || err2 != nil {
			return fmt.Errorf("%q is not a range of ages: write it as 18-30", text)
		}
		audience(m).Ages = append(audience(m).Ages, &pb.AgeRange{MinAge: youngest, MaxAge: oldest})
	}
	return nil
}

// setKeywords reads the notation of search advertising: noodles is broad,
// "noodle soup" a phrase, [noodle soup] exact, and -hotpot negative.
func setKeywords(m *pb.Campaign, n *yaml.Node) error {
	texts, err := items(n)
	if err != nil {
		return err
	}
	for _, text := range texts {
		k := &pb.Keyword{Match: pb.KeywordMatch_KEYWORD_MATCH_BROAD}
		k.Text, k.Negative = strings.CutPrefix(text, "-")
		for _, bracket := range []struct {
			open, shut string
			match      pb.KeywordMatch
		}{{`"`, `"`, pb.KeywordMatch_KEYWORD_MATCH_PHRASE}, {"[", "]", pb.KeywordMatch_KEYWORD_MATCH_EXACT}} {
			inner, opened := strings.CutPrefix(k.Text, bracket.open)
			if inner, shut := strings.CutSuffix(inner, bracket.shut); opened && shut {
				k.Text, k.Match = inner, bracket.match
			}
		}
		m.Keywords = append(m.Keywords, k)
	}
	return nil
}

// setHostBids reads parts of the bid such as "alipay 120%" and "douyin 0.8".
func setHostBids(m *pb.Campaign, n *yaml.Node) error {
	bids, err := items(n)
	if err != nil {
		return err
	}
	for _, text := range bids {
		words := strings.Fields(text)
		if len(words) != 2 {
			return fmt.Errorf("%q is not a bid on a host: write it as alipay 120%%", text)
		}
		host, err := parseEnum[pb.Host](words[0])
		if err != nil {
			return err
		}
		// A part is read as exactly as money is: 1.2 is 1,200,000 ppm.
		part, percent := strings.CutSuffix(words[1], "%")
		ppm, err := hexbid.ParseMoney(part)
		if err != nil {
			return fmt.Errorf("%q is not a part of the bid: write it as 120%% or 1.2", words[1])
		}
		if percent {
			ppm /= 100
		}
		m.HostBids = append(m.HostBids, &pb.HostBid{Host: host, MultiplierPpm: int64(ppm)})
	}
	return nil
}

// setCreditBands reads bands, and "650+" for that one and all above.
func setCreditBands(m *pb.Campaign, n *yaml.Node) error {
	names, err := items(n)
	if err != nil {
		return err
	}
	for _, name := range names {
		from := map[string]pb.CreditBand{"550+": 2, "600+": 3, "650+": 4, "700+": 5}[name]
		if from > 0 {
			for band := from; band <= pb.CreditBand_CREDIT_BAND_700_AND_ABOVE; band++ {
				audience(m).CreditBands = append(audience(m).CreditBands, band)
			}
			continue
		}
		band, err := parseEnum[pb.CreditBand](name)
		if err != nil {
			return fmt.Errorf("%w, or 650+ for that and above", err)
		}
		audience(m).CreditBands = append(audience(m).CreditBands, band)
	}
	return nil
}

var dayNumbers = map[string]int{"mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6, "sun": 7}

// setHours reads runs such as "mon-fri 11-14" and "sat,sun 0-24".
func setHours(m *pb.Campaign, n *yaml.Node) error {
	runs, err := items(n)
	if err != nil {
		return err
	}
	for _, run := range runs {
		wrong := fmt.Errorf("%q is not a run of hours: write it as mon-fri 11-14", run)
		words := strings.Fields(strings.ToLower(run))
		if len(words) != 2 {
			return wrong
		}
		days, err := parseDays(words[0])
		from, to, ok := strings.Cut(words[1], "-")
		start, err1 := parseWhole(from)
		end, err2 := parseWhole(to)
		if err != nil || !ok || err1 != nil || err2 != nil {
			return wrong
		}
		for _, day := range days {
			m.WeeklyHours = append(m.WeeklyHours, &pb.WeeklyHours{Day: pb.DayOfWeek(day), StartHour: start, EndHour: end})
		}
	}
	return nil
}

// parseDays reads "mon", "mon-fri" and "sat,sun"; a range may pass Sunday.
func parseDays(s string) (days []int, err error) {
	for _, part := range strings.Split(s, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, last := dayNumbers[from], dayNumbers[to]
		if first == 0 || last == 0 {
			return nil, fmt.Errorf("%q is not a day", part)
		}
		for day := first; ; day = day%7 + 1 {
			days = append(days, day)
			if day == last {
				break
			}
		}
	}
	return days, nil
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

// setPolygons reads GeoJSON: as text, as a mapping (JSON is YAML), or as @ and
// the path of a file.
func setPolygons(a *pb.Area, n *yaml.Node) error {
	nodes := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		nodes = n.Content
	}
	for _, item := range nodes {
		text, err := geoJSON(item)
		if err != nil {
			return err
		}
		a.Polygons = append(a.Polygons, text)
	}
	return nil
}

func geoJSON(n *yaml.Node) (string, error) {
	if path, isFile := strings.CutPrefix(strings.TrimSpace(n.Value), "@"); isFile {
		text, err := os.ReadFile(path)
		return string(text), err
	}
	if n.Kind == yaml.ScalarNode {
		return n.Value, nil
	}
	var value any
	if err := n.Decode(&value); err != nil {
		return "", err
	}
	text, err := json.Marshal(value)
	return string(text), err
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

// strictNode decodes a mapping and refuses keys that the target does not have.
func strictNode(n *yaml.Node, into any) error {
	text, err := yaml.Marshal(n)
	if err != nil {
		return err
	}
	return strictYAML(text, into)
}
