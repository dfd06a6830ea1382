package report

import (
	"math"
)

// picture is a chart, by what it shows and not by how it looks: page.js draws it
// in the colours of the reader's scheme. Values are in base units.
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
	Base   float64 `json:"base,omitempty"` // where bars start
	Advice string  `json:"advice,omitempty"`
}

// axis of a picture. Unit is "seconds", "moment", "rate", "bytes", "share",
// "count" or "" and decides how values are written.
type axis struct {
	Name string `json:"name"`
	Unit string `json:"unit"`
	Log  bool   `json:"log,omitempty"`
}

// curve is a line, or points where its Look is "dots". A baseline's is faint.
type curve struct {
	Name   string  `json:"name"`
	Look   string  `json:"look,omitempty"` // "dots", "area", or a line
	Tone   string  `json:"tone,omitempty"` // "good", "bad", "unsure", "quiet", or the next colour
	Faint  bool    `json:"faint,omitempty"`
	Points []point `json:"points"`
}

// point of a curve.
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

// cell of a heat map: from and to on x, from and to on y, calls a second.
type cell [5]float64

// bar of a picture: one value, or two ends around the base.
type bar struct {
	Name   string    `json:"name"`
	Values []float64 `json:"values"`
	Says   string    `json:"says,omitempty"`
}

// before is the suffix of what a baseline adds.
const before = ", before"

// overlay adds to a picture what the same picture of a baseline shows, fainter.
func (p *picture) overlay(old *picture) {
	for _, c := range old.Curves {
		c.Name, c.Faint = c.Name+before, true
		p.Curves = append(p.Curves, c)
	}
	for _, b := range old.Bands {
		if b.Faint {
			continue // what did not count
		}
		b.Name, b.Faint = b.Name+before, true
		p.Bands = append(p.Bands, b)
	}
}

// overlaid are the pictures of a run with those of a baseline in them.
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

// add puts a point at the end of a curve, where its axes can show it.
func (c *curve) add(p *picture, x, y float64) {
	if p.X.shows(x) && p.Y.shows(y) {
		c.Points = append(c.Points, point{At: [2]float64{round(x), round(y)}})
	}
}

func (a *axis) shows(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) && (!a.Log || v > 0) }

// round to five digits, for shorter pages.
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
