package report

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/simulator/traffic"
)

// hexMap is a map of hexagons, coloured in three ways.
type hexMap struct {
	Width, Height float64
	Says          string
	Layers        []layer
	Outlines      []outline
	Scale         scaleBar
	Shades        []int
}

type layer struct {
	Name, Low, High string
	Hexagons        []hexagon
}

type hexagon struct {
	Points      template.HTMLAttr
	Class, Says string
}

// shading is the colour of a cell in one layer.
type shading struct {
	name   string
	value  func(c *traffic.Cell) (v float64, known bool)
	format string
}

var shadings = []shading{
	{"requests", func(c *traffic.Cell) (float64, bool) { return float64(c.Answers), true }, "%.0f"},
	{"fill rate", func(c *traffic.Cell) (float64, bool) { return 100 * c.FillRate(), c.Slots > 0 }, "%.0f %%"},
	{"price of a click", func(c *traffic.Cell) (float64, bool) { return c.ClickPrice(), c.Clicks > 0 }, "%.2f"},
}

const (
	mapWidth  = 900.0
	shades    = 7
	mapShare  = 0.995 // of the requests that the map is fitted to, on each axis
	mapMargin = 0.04  // around them, as a share of the map's width
)

// placed is a cell with its outline.
type placed struct {
	*traffic.Cell
	outline []hexbid.Point
	center  hexbid.Point
}

// newMap draws the cells of a summary. It returns an error for a cell that does not exist.
func newMap(s *traffic.Summary) (*hexMap, error) {
	if s == nil || len(s.Cells) == 0 {
		return nil, nil
	}
	cells := make([]placed, len(s.Cells))
	for i := range s.Cells {
		cell, err := geoindex.ParseCell(s.Cells[i].Cell)
		if err != nil {
			return nil, err
		}
		boundary, err := cell.Boundary()
		if err != nil {
			return nil, err
		}
		cells[i] = placed{&s.Cells[i], boundary, cell.Center().Point()}
	}
	frame := fit(cells)
	inside := slices.DeleteFunc(slices.Clone(cells), func(c placed) bool { return !frame.holds(c.center) })
	m := &hexMap{Width: mapWidth, Height: frame.height, Outlines: frame.outlines(inside), Scale: frame.scaleBar(),
		Says: says(cells, inside, s.Resolution)}
	for i := range shades {
		m.Shades = append(m.Shades, i)
	}
	for i := range shadings {
		m.Layers = append(m.Layers, shadings[i].layer(inside, frame))
	}
	return m, nil
}

// says describes what the map shows, and what lies outside it.
func says(all, inside []placed, resolution int) string {
	requests := func(cells []placed) (n int) {
		for _, c := range cells {
			n += c.Answers
		}
		return n
	}
	text := fmt.Sprintf("H3 cells of resolution %d; point at one for its figure.", resolution)
	if left := len(all) - len(inside); left > 0 {
		n := requests(all)
		text += fmt.Sprintf(" The map is fitted to 99.5 %% of the requests: %d of %d, in %d cells, lie outside.",
			n-requests(inside), n, left)
	}
	return text
}

// frame is a window of the earth on a picture, north up. A kilometre at its middle latitude is equally long in both
// directions.
type frame struct {
	west, east, south, north float64 // degrees; east may exceed 180
	squeeze, scale, height   float64
}

// fit returns the frame of the middle 99.5 % of the requests.
func fit(cells []placed) *frame {
	home := cells[0].center.Lng
	lng := func(c *placed, at float64) float64 { return nearTo(home, at) }
	west, east := middle(cells, func(c *placed) float64 { return lng(c, c.center.Lng) })
	south, north := middle(cells, func(c *placed) float64 { return c.center.Lat })
	f := &frame{west, east, south, north, 0, 0, 0}
	for i := range cells {
		c := &cells[i]
		if x := lng(c, c.center.Lng); x < west || x > east || c.center.Lat < south || c.center.Lat > north {
			continue
		}
		for _, p := range c.outline {
			x := nearTo(home, p.Lng)
			f.west, f.east, f.south, f.north = min(f.west, x), max(f.east, x), min(f.south, p.Lat), max(f.north, p.Lat)
		}
	}
	f.squeeze = max(0.05, math.Cos((f.south+f.north)/2*math.Pi/180))
	f.widen()
	f.scale = mapWidth / ((f.east - f.west) * f.squeeze)
	f.height = (f.north - f.south) * f.scale
	return f
}

// widen adds a margin, and makes a narrow or a flat frame less so.
func (f *frame) widen() {
	wide, high := (f.east-f.west)*f.squeeze, f.north-f.south
	margin := mapMargin * max(wide, high)
	moreWide, moreHigh := margin, margin
	moreWide += max(0, 0.9*high-wide) / 2
	moreHigh += max(0, 0.45*wide-high) / 2
	f.west, f.east, f.south, f.north = f.west-moreWide/f.squeeze, f.east+moreWide/f.squeeze, max(-90, f.south-moreHigh),
		min(90, f.north+moreHigh)
}

// nearTo turns a longitude until it lies within 180° of another.
func nearTo(home, lng float64) float64 {
	for lng-home > 180 {
		lng -= 360
	}
	for home-lng > 180 {
		lng += 360
	}
	return lng
}

// middle returns the range of a coordinate in which 99.5 % of the requests lie.
func middle(cells []placed, of func(*placed) float64) (low, high float64) {
	order := make([]*placed, len(cells))
	total := 0
	for i := range cells {
		order[i] = &cells[i]
		total += cells[i].Answers
	}
	slices.SortFunc(order, func(a, b *placed) int { return cmp.Compare(of(a), of(b)) })
	low, high = of(order[0]), of(order[len(order)-1])
	tail, passed, found := (1-mapShare)/2*float64(total), 0.0, false
	for _, c := range order {
		passed += float64(c.Answers)
		if !found && passed > tail {
			low, found = of(c), true
		}
		if passed >= float64(total)-tail {
			return low, of(c)
		}
	}
	return low, high
}

// xy returns the position of a point on the picture.
func (f *frame) xy(p hexbid.Point) (x, y float64) {
	return (nearTo((f.west+f.east)/2, p.Lng) - f.west) * f.squeeze * f.scale, (f.north - p.Lat) * f.scale
}

func (f *frame) holds(p hexbid.Point) bool {
	x, y := f.xy(p)
	return x >= 0 && x <= mapWidth && y >= 0 && y <= f.height
}

func (s *shading) layer(cells []placed, f *frame) layer {
	low, high := math.Inf(1), math.Inf(-1)
	for i := range cells {
		if v, known := s.value(cells[i].Cell); known {
			low, high = min(low, v), max(high, v)
		}
	}
	if low > high {
		low, high = 0, 0
	}
	l := layer{Name: s.name, Low: fmt.Sprintf(s.format, low), High: fmt.Sprintf(s.format, high)}
	for i := range cells {
		c := &cells[i]
		h := hexagon{Points: f.points(c.outline), Says: c.Cell.Cell + ": none"}
		if v, known := s.value(c.Cell); known {
			share := 1.0
			if high > low {
				share = (v - low) / (high - low)
			}
			h.Class, h.Says = shade(share), fmt.Sprintf("%s: "+s.format+" (%d requests)", c.Cell.Cell, v, c.Answers)
		}
		l.Hexagons = append(l.Hexagons, h)
	}
	return l
}

func (f *frame) points(outline []hexbid.Point) template.HTMLAttr {
	var b strings.Builder
	for _, p := range outline {
		x, y := f.xy(p)
		fmt.Fprintf(&b, "%.1f,%.1f ", x, y)
	}
	return template.HTMLAttr(`points="` + strings.TrimSpace(b.String()) + `"`)
}

// shade returns the class of a share. It uses the square root, because most cells hold little.
func shade(share float64) string {
	return fmt.Sprintf("s%d", min(int(math.Sqrt(share)*shades), shades-1))
}
