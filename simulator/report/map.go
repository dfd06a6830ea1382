package report

import (
	"fmt"
	"html/template"
	"math"
	"strings"

	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/simulator/traffic"
)

// hexMap is a map of hexagons in three colourings.
type hexMap struct {
	Width, Height float64
	Resolution    int
	Layers        []layer
}

type layer struct {
	Name, Low, High string
	Hexagons        []hexagon
}

type hexagon struct {
	Points template.HTMLAttr
	Color  template.CSS
	Says   string
}

// shading of a cell in a layer.
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

const mapWidth = 720.0

// newMap draws the cells of a summary. Its error is of a cell that is none.
func newMap(s *traffic.Summary) (*hexMap, error) {
	if s == nil || len(s.Cells) == 0 {
		return nil, nil
	}
	outlines, height, err := project(s.Cells)
	if err != nil {
		return nil, err
	}
	m := &hexMap{Width: mapWidth, Height: height, Resolution: s.Resolution}
	for i := range shadings {
		m.Layers = append(m.Layers, shadings[i].layer(s.Cells, outlines))
	}
	return m, nil
}

// project lays outlines on the picture, north up, as wide at the middle latitude
// as they are high.
func project(cells []traffic.Cell) (outlines []string, height float64, err error) {
	type corner struct{ x, y float64 }
	low, high := corner{math.Inf(1), math.Inf(1)}, corner{math.Inf(-1), math.Inf(-1)}
	all := make([][]corner, len(cells))
	for i := range cells {
		cell, err := geoindex.ParseCell(cells[i].Cell)
		if err != nil {
			return nil, 0, err
		}
		outline, err := cell.Boundary()
		if err != nil {
			return nil, 0, err
		}
		for _, p := range outline {
			x := p.Lng
			if x-outline[0].Lng > 180 { // across the antimeridian
				x -= 360
			} else if outline[0].Lng-x > 180 {
				x += 360
			}
			all[i] = append(all[i], corner{x, p.Lat})
			low, high = corner{min(low.x, x), min(low.y, p.Lat)}, corner{max(high.x, x), max(high.y, p.Lat)}
		}
	}
	squeeze := max(0.05, math.Cos((low.y+high.y)/2*math.Pi/180))
	scale := min(mapWidth/((high.x-low.x)*squeeze), 2*mapWidth/(high.y-low.y))
	for _, outline := range all {
		var b strings.Builder
		for _, c := range outline {
			fmt.Fprintf(&b, "%.1f,%.1f ", (c.x-low.x)*squeeze*scale, (high.y-c.y)*scale)
		}
		outlines = append(outlines, strings.TrimSpace(b.String()))
	}
	return outlines, (high.y - low.y) * scale, nil
}

func (s *shading) layer(cells []traffic.Cell, outlines []string) layer {
	low, high := math.Inf(1), math.Inf(-1)
	for i := range cells {
		if v, known := s.value(&cells[i]); known {
			low, high = min(low, v), max(high, v)
		}
	}
	l := layer{Name: s.name, Low: fmt.Sprintf(s.format, low), High: fmt.Sprintf(s.format, high)}
	for i := range cells {
		h := hexagon{Points: template.HTMLAttr(`points="` + outlines[i] + `"`), Color: "#e8e8e8", Says: cells[i].Cell + ": none"}
		if v, known := s.value(&cells[i]); known {
			share := 1.0
			if high > low {
				share = (v - low) / (high - low)
			}
			h.Color, h.Says = color(share), fmt.Sprintf("%s: "+s.format+" (%d requests)", cells[i].Cell, v, cells[i].Answers)
		}
		l.Hexagons = append(l.Hexagons, h)
	}
	return l
}

// color goes from pale yellow over orange to dark red, evenly in lightness.
func color(share float64) template.CSS {
	stops := [][3]float64{{255, 247, 205}, {253, 187, 99}, {226, 82, 62}, {110, 10, 60}}
	at := math.Sqrt(share) * float64(len(stops)-1) // most cells hold little
	i := min(int(at), len(stops)-2)
	t := at - float64(i)
	mix := func(k int) int { return int(stops[i][k]*(1-t) + stops[i+1][k]*t) }
	return template.CSS(fmt.Sprintf("#%02x%02x%02x", mix(0), mix(1), mix(2)))
}
