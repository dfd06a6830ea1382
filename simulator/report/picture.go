package report

import (
	"math"
)

// picture describes what a chart shows, not its looks. page.js draws it in the colours of the reader's scheme. Values
// are in base units.
type picture struct {
	ID     string  `json:"id"`
	Title  string  `json:"title"`
	Says   string  `json:"says"`
	X      axis    `json:"x"`
	Y      axis    `json:"y"`
	Curves []curve `json:"curves,omitempty"`
	Lines  []line  `json:"lines,omitempty"`
	Bands  []band  `json:"bands,omitempty"`
	Heat   []cell  `json:"heat,omitempty"`
	Bars   []bar   `json:"bars,omitempty"`
	Base   float64 `json:"base,omitempty"` // value at which bars start
	Advice string  `json:"advice,omitempty"`
}

// axis is an axis of a picture. Unit decides how values are written. It is "seconds", "moment", "rate", "bytes",
// "share", "count" or "".
type axis struct {
	Name string `json:"name"`
	Unit string `json:"unit"`
	Log  bool   `json:"log,omitempty"`
}

// curve is a line, or separate points when Look is "dots". The curve of a baseline is faint.
type curve struct {
	Name   string  `json:"name"`
	Look   string  `json:"look,omitempty"` // "dots", "area", or a line
	Tone   string  `json:"tone,omitempty"` // "good", "bad", "unsure", "quiet", or the next colour
	Faint  bool    `json:"faint,omitempty"`
	Points []point `json:"points"`
}

// point is a point of a curve.
type point struct {
	At    [2]float64 `json:"at"`
	Label string     `json:"label,omitempty"`
	Says  string     `json:"says,omitempty"`
}

// line runs across a picture at a value of one axis.
type line struct {
	Name string  `json:"name"`
	Axis string  `json:"axis"` // "x" or "y"
	At   float64 `json:"at"`
}

// band lies across a picture between two values of one axis.
type band struct {
	Name  string  `json:"name"`
	Axis  string  `json:"axis"`
	From  float64 `json:"from"`
	To    float64 `json:"to"`
	Faint bool    `json:"faint,omitempty"`
}

// cell is a cell of a heat map: from and to on x, from and to on y, calls a second.
type cell [5]float64

// bar is a bar of a picture. It has one value, or two that lie on either side of the base.
type bar struct {
	Name   string    `json:"name"`
	Values []float64 `json:"values"`
	Says   string    `json:"says,omitempty"`
}

// before is the suffix of the names in a baseline.
const before = ", before"

// overlay adds the same picture of a baseline to a picture, fainter.
func (p *picture) overlay(old *picture) {
	for _, c := range old.Curves {
		c.Name, c.Faint = c.Name+before, true
		p.Curves = append(p.Curves, c)
	}
	for _, b := range old.Bands {
		if b.Faint {
			continue // the warm-up
		}
		b.Name, b.Faint = b.Name+before, true
		p.Bands = append(p.Bands, b)
	}
}

// overlaid returns the pictures of a run with those of a baseline laid over them.
func overlaid(now, old []*picture) []*picture {
	for _, p := range now {
		for _, q := range old {
			if p.ID == q.ID {
				p.overlay(q)
			}
		}
	}
	return now
}

// add appends a point to a curve unless the axes cannot show it.
func (c *curve) add(p *picture, x, y float64) {
	if p.X.shows(x) && p.Y.shows(y) {
		c.Points = append(c.Points, point{At: [2]float64{round(x), round(y)}})
	}
}

func (a *axis) shows(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) && (!a.Log || v > 0) }

// round rounds to five digits, which makes pages shorter.
func round(v float64) float64 {
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return v
	}
	scale := math.Pow(10, 4-math.Floor(math.Log10(math.Abs(v))))
	if math.IsInf(scale, 0) || scale == 0 {
		return v
	}
	return math.Round(v*scale) / scale
}
