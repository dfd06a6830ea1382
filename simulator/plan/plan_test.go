package plan

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
)

// defaults returns the defaults of the flags.
func defaults(t interface{ Fatal(...any) }, args ...string) Inputs {
	var c struct {
		Inputs `embed:""`
	}
	parser, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(args); err != nil {
		t.Fatal(err)
	}
	return c.Inputs
}

func (p *Plan) value(t interface{ Fatalf(string, ...any) }, name string) float64 {
	for _, f := range p.Figures {
		if f.Name == name {
			return f.Value
		}
	}
	t.Fatalf("no figure %q", name)
	return 0
}

// TestAPlanByHand: 86,400 searches a day are one a second. The busiest hour has twice as many, its busiest second three
// times that, and the festival ten times that: 60 a second. A node of 4 cores at 10 a second and core, half of it used,
// does 20 a second.
func TestAPlanByHand(t *testing.T) {
	in := defaults(t, "--per-second=20", "--measured-cores=2", "--daily-users=43200", "--nearby-share=1",
		"--searches-a-user=2", "--peak-hour-share=0.0833333333333333333", "--peak-within-hour=3",
		"--festival-peak=10", "--regions=2", "--largest-share=0.75", "--spare-nodes=1", "--node-cores=4", "--headroom=0.5",
		"--campaigns=1000", "--bytes-a-campaign=1000", "--programs=1000",
		"--bytes-a-program=1000", "--places-each=2", "--collector-factor=3", "--cache-mb=0", "--slots-filled=2",
		"--seen-share=0.5", "--click-share=0.1", "--event-bytes=1000", "--keep-days=10",
		"--disk-a-campaign=0", "--disk-a-program=0", "--response-bytes=1000", "--request-bytes=100", "--node-price=100",
		"--disk-price-gb=0", "--network-price-gb=0", "--peak-days=0")
	p, err := Make(in)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{
		"searches a day": 86_400, "mean rate": 1, "peak of an ordinary day": 6, "peak of a festival": 60,
		// ⌈45/20⌉+1 and ⌈15/20⌉+1
		"rate of a core": 10, "rate of a node": 20, "nodes of the largest region": 4, "nodes of each other region": 2,
		"nodes": 6, "cores": 24, "index of a node": 0.003, "memory of a node": 0.509, "events a day": 95_040,
		"event log a day": 0.09504, "disk of a node": 0.1584, "network out at the festival's peak": 60 * 8000 / 1e9,
		"sent in a month": 86_400 * 1000 * 30 / 1e9, "cost of a month": 600,
	} {
		if got := p.value(t, name); math.Abs(got-want) > 1e-9*math.Max(1, want) {
			t.Errorf("%s is %v, by hand %v", name, got, want)
		}
	}
	if len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "4 cores") {
		t.Errorf("a node of more cores than were measured: %q", p.Warnings)
	}
}

func TestMoreUsersNeverNeedFewerNodes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := defaults(t)
		in.PerSecond, in.MeasuredCores = rapid.Float64Range(1, 1e5).Draw(t, "rate"), rapid.IntRange(1, 64).Draw(t, "cores")
		in.DailyUsers = rapid.Float64Range(0, 1e9).Draw(t, "users")
		in.Headroom = rapid.Float64Range(0, 0.9).Draw(t, "headroom")
		fewer, err := Make(in)
		if err != nil {
			t.Fatal(err)
		}
		in.DailyUsers *= rapid.Float64Range(1, 10).Draw(t, "growth")
		more, err := Make(in)
		if err != nil {
			t.Fatal(err)
		}
		if more.value(t, "nodes") < fewer.value(t, "nodes") {
			t.Errorf("%v nodes, then %v", fewer.value(t, "nodes"), more.value(t, "nodes"))
		}
		// Without its spare nodes each region still keeps up with the festival's peak.
		peak, perNode := more.value(t, "peak of a festival"), more.value(t, "rate of a node")
		if (more.value(t, "nodes of the largest region")-float64(in.SpareNodes))*perNode < peak*in.LargestShare*0.999999 {
			t.Error("the largest region does not keep up")
		}
	})
}

func TestWhatCannotBePlannedWithNamesItsFlag(t *testing.T) {
	for arg, field := range map[string]string{
		"--per-second=0": "--capacity", "--measured-cores=0": "--capacity", "--per-second=NaN": "--capacity",
		"--daily-users=-1": "--daily-users", "--nearby-share=1.5": "--nearby-share", "--headroom=1": "--headroom",
		"--regions=0": "--regions", "--largest-share=0.1": "--largest-share", "--campaigns=+Inf": "--campaigns",
		"--spare-nodes=-1": "--regions",
	} {
		_, err := Make(defaults(t, "--per-second=1000", "--measured-cores=2", arg))
		var e *hexbid.Error
		if !errors.As(err, &e) || e.Field != field {
			t.Errorf("%s: %v", arg, err)
		}
	}
}

func TestEveryInputIsAnAssumptionWithASource(t *testing.T) {
	p, err := Make(defaults(t, "--per-second=1000", "--measured-cores=2", "--daily-users=5e6"))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range p.Assumptions {
		if a.Meaning == "" || a.Source == "" {
			t.Errorf("%+v", a)
		}
		if given := a.Source == "given"; given != (a.Flag == "--daily-users") {
			t.Errorf("%s is said to be %q", a.Flag, a.Source)
		}
	}
}
