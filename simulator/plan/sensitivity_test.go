package plan

import (
	"math"
	"testing"
)

// TestASwingIsThePlanOfTheChangedAssumption makes each changed plan again by hand.
func TestASwingIsThePlanOfTheChangedAssumption(t *testing.T) {
	in := defaults(t)
	in.PerSecond, in.MeasuredCores = 6575, 1
	p, err := Make(in)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]Swing{}
	for _, s := range p.Sensitivities {
		last := math.Inf(1)
		for _, swing := range s.Swings {
			if width := swing.width(s.Value); width > last || width <= 0 {
				t.Errorf("%s: %s swings %v after %v", s.Figure, swing.Flag, width, last)
			} else {
				last = width
			}
			found[s.Figure+" "+swing.Flag] = swing
		}
	}
	half, twice := in, in
	half.DailyUsers, twice.DailyUsers = in.DailyUsers/2, in.DailyUsers*2
	swing := found["nodes --daily-users"]
	if swing.Halved != made(t, half, "nodes") || swing.Doubled != made(t, twice, "nodes") {
		t.Errorf("%+v", swing)
	}
	if swing := found["nodes --largest-share"]; swing.High > 1 || swing.Flag != "" && swing.Low < 1.0/3 {
		t.Errorf("%+v", swing)
	}
	if _, matters := found["memory of a node --daily-users"]; matters {
		t.Error("users change no memory")
	}
	if swing := found["nodes --regions"]; swing.Low != 2 || swing.High != 6 || swing.Doubled <= swing.Halved {
		t.Errorf("%+v", swing)
	}
}

func made(t *testing.T, in Inputs, figure string) float64 {
	t.Helper()
	p, err := Make(in)
	if err != nil {
		t.Fatal(err)
	}
	return p.figure(figure).Value
}

// TestPartsAddUp: the parts of a figure add up to it.
func TestPartsAddUp(t *testing.T) {
	in := defaults(t)
	in.PerSecond, in.MeasuredCores = 6575, 1
	in.NodePrice, in.DiskPriceGB, in.NetworkPriceGB = 310, 0.1, 0.08
	p, err := Make(in)
	if err != nil {
		t.Fatal(err)
	}
	for name, parts := range map[string][]Part{figureMemory: p.Memory, figureDisk: p.Disk, figureCost: p.Cost} {
		sum := 0.0
		for _, part := range parts {
			sum += part.Value
		}
		if want := p.figure(name).Value; math.Abs(sum-want) > 1e-9*want {
			t.Errorf("%s is %v, its parts %v", name, want, sum)
		}
	}
	nodes := 0
	for _, r := range p.Regions {
		nodes += r.Nodes
	}
	if float64(nodes) != p.figure(figureNodes).Value {
		t.Errorf("%d nodes in the regions", nodes)
	}
}
