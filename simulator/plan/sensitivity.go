package plan

import (
	"cmp"
	"math"
	"reflect"
	"slices"
)

// Sensitivity says how one figure of a plan depends on the assumptions.
type Sensitivity struct {
	Figure string  `json:"figure"`
	Unit   string  `json:"unit"`
	Value  float64 `json:"value"`
	Swings []Swing `json:"swings"` // those that change the figure, the widest first
}

// Swing is the effect on a figure when one assumption is halved and when it is doubled, while the others stay. An
// assumption that cannot go so far goes as far as it can: a share to 1, a whole number to the next.
type Swing struct {
	Flag    string  `json:"flag"`
	Low     float64 `json:"low"`  // of the assumption
	High    float64 `json:"high"` // of the assumption
	Halved  float64 `json:"halved"`
	Doubled float64 `json:"doubled"`
}

// width returns how far a swing moves a figure.
func (s *Swing) width(value float64) float64 {
	return max(s.Halved, s.Doubled, value) - min(s.Halved, s.Doubled, value)
}

// swung lists the figures whose sensitivity a plan contains.
var swung = []string{figureNodes, figureMemory, figureDisk, figureCost}

// sensitivities makes the plan again with each assumption changed.
func sensitivities(in *Inputs, p *Plan) (all []Sensitivity) {
	for _, name := range swung {
		if f := p.figure(name); f != nil {
			all = append(all, Sensitivity{Figure: name, Unit: f.Unit, Value: f.Value})
		}
	}
	fields := reflect.TypeFor[Inputs]()
	for i := range fields.NumField() {
		low, halved := changed(in, i, 0.5)
		high, doubled := changed(in, i, 2)
		for k := range all {
			s := &all[k]
			swing := Swing{"--" + flagName(fields.Field(i)), low, high, halved.valueOf(s.Figure, s.Value),
				doubled.valueOf(s.Figure, s.Value)}
			if swing.width(s.Value) > 0 {
				s.Swings = append(s.Swings, swing)
			}
		}
	}
	for k := range all {
		s := &all[k]
		slices.SortStableFunc(s.Swings, func(a, b Swing) int { return cmp.Compare(b.width(s.Value), a.width(s.Value)) })
	}
	return all
}

// changed makes the plan with one assumption multiplied. The plan is nil when the changed value is not possible.
func changed(in *Inputs, field int, by float64) (value float64, p *Plan) {
	other := *in
	f := reflect.ValueOf(&other).Elem().Field(field)
	name := reflect.TypeFor[Inputs]().Field(field).Name
	if f.Kind() == reflect.Int {
		f.SetInt(int64(math.Round(float64(f.Int()) * by)))
		value = float64(f.Int())
		if name == "Regions" { // with fewer regions the largest has a larger share
			other.LargestShare = max(other.LargestShare, 1/value)
		}
	} else {
		f.SetFloat(bounded(in, name, f.Float()*by))
		value = f.Float()
	}
	p, err := work(&other)
	if err != nil {
		return value, nil
	}
	return value, p
}

// bounded keeps shares at most 1.
func bounded(in *Inputs, name string, v float64) float64 {
	const mostHeadroom = 0.9
	switch {
	case name == "LargestShare":
		return min(1, max(v, 1/float64(in.Regions)))
	case name == "Headroom":
		return min(mostHeadroom, v)
	case isShare[name]:
		return min(1, v)
	}
	return v
}

func (p *Plan) figure(name string) *Figure {
	if p == nil {
		return nil
	}
	for i := range p.Figures {
		if p.Figures[i].Name == name {
			return &p.Figures[i]
		}
	}
	return nil
}

// valueOf returns the value of a figure, or a default when the plan does not have it.
func (p *Plan) valueOf(name string, otherwise float64) float64 {
	if f := p.figure(name); f != nil {
		return f.Value
	}
	return otherwise
}
