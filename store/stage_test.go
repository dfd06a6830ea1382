package store

import (
	"fmt"
	"testing"

	"github.com/hexbid/hexbid"
)

func putting(r hexbid.Resource) Step {
	record := Declare(r, 0)
	return Step{Put: &record, IfVersion: AnyVersion}
}

func advertiser(name string) Step {
	return putting(&hexbid.Advertiser{Meta: hexbid.Meta{Name: name}})
}

func program(name string) Step { return putting(&hexbid.Program{Meta: hexbid.Meta{Name: name}}) }

func mustTake(t testing.TB, s *Stage, steps ...Step) Taken {
	t.Helper()
	taken, err := s.Take(&Group{Steps: steps})
	if err != nil {
		t.Fatal(err)
	}
	return taken
}

// referrers are those of a name, as often as they are shown.
func referrers(t *testing.T, v View, name string) map[string]int {
	t.Helper()
	shown := map[string]int{}
	if err := v.Referrers(name, func(referrer string) bool { shown[referrer]++; return true }); err != nil {
		t.Fatal(err)
	}
	return shown
}

func TestStageShowsEachReferrerOnce(t *testing.T) {
	state := newMemoryView()
	below := NewStage(&state, 0, 0)
	mustTake(t, below, advertiser("advertisers/a"), program("advertisers/a/programs/p"),
		program("advertisers/a/programs/q"))
	s := NewStage(below, below.Version, below.LastUID)
	lost := Group{Steps: []Step{program("advertisers/a/programs/r"),
		{Delete: "advertisers/a/programs/p", IfVersion: AnyVersion}, {Delete: "advertisers/none"}}}
	for range 3 {
		if _, err := s.Take(&lost); err == nil {
			t.Fatal("a group that deletes nothing was taken")
		}
	}
	mustTake(t, s, program("advertisers/a/programs/r"))
	mustTake(t, s, Step{Delete: "advertisers/a/programs/p", IfVersion: AnyVersion})
	mustTake(t, s, program("advertisers/a/programs/p"))
	mustTake(t, s, Step{Delete: "advertisers/a/programs/q", IfVersion: AnyVersion})
	if got, want := fmt.Sprint(referrers(t, s, "advertisers/a")),
		"map[advertisers/a/programs/p:1 advertisers/a/programs/r:1]"; got != want {
		t.Errorf("referrers are %s, want %s", got, want)
	}
}

func TestTakenTellsWhichStepEachPutCameFrom(t *testing.T) {
	state := newMemoryView()
	s := NewStage(&state, 7, 0)
	steps := []Step{advertiser("advertisers/a"), advertiser("advertisers/b"), advertiser("advertisers/a"),
		{Delete: "advertisers/b", IfVersion: AnyVersion}, advertiser("advertisers/c")}
	for i := range 10 { // more than are looked at one by one
		steps = append(steps, advertiser(fmt.Sprint("advertisers/d", i)))
	}
	for _, n := range []int{5, len(steps)} {
		taken := mustTake(t, s, steps[:n]...)
		for i, step := range taken.Steps {
			if put := taken.Change.Puts[i].Meta(); put.Name != steps[step].Name() || put.Version != taken.Change.Version {
				t.Errorf("put %d is of %s, step %d of %s", i, put.Name, step, steps[step].Name())
			}
		}
		if len(taken.Steps) != n-3 || taken.Steps[0] != 2 || taken.Steps[1] != 4 {
			t.Errorf("the puts came from the steps %v", taken.Steps)
		}
	}
}

// failingView fails to read one name.
type failingView struct {
	*memoryView
	name string
}

func (v failingView) Record(name string) (Record, bool, error) {
	if name == v.name {
		return Record{}, false, hexbid.Errorf(hexbid.DataLoss, "data", "damaged")
	}
	return v.memoryView.Record(name)
}

func TestGroupThatCannotBeJudgedLeavesNothing(t *testing.T) {
	state := newMemoryView()
	s := NewStage(failingView{&state, "advertisers/damaged"}, 0, 0)
	_, err := s.Take(&Group{Steps: []Step{advertiser("advertisers/a"), advertiser("advertisers/damaged")}})
	if hexbid.KindOf(err) != hexbid.DataLoss {
		t.Errorf("a view that fails: %v", err)
	}
	if _, there, _ := s.Record("advertisers/a"); there || s.Version != 0 || s.LastUID != 0 {
		t.Errorf("version %d, uid %d, and the record is there: %v", s.Version, s.LastUID, there)
	}
	mustTake(t, s, advertiser("advertisers/a"))
}

// BenchmarkTake judges the update of a campaign under a limit, as a write does.
func BenchmarkTake(b *testing.B) {
	state := newMemoryView()
	below := NewStage(&state, 0, 0)
	mustTake(b, below, advertiser("advertisers/a"), program("advertisers/a/programs/p"))
	c := putting(&hexbid.Campaign{Meta: hexbid.Meta{Name: "advertisers/a/campaigns/c"},
		Program: "advertisers/a/programs/p", Area: hexbid.Area{AroundPlacesM: 5}})
	g := Group{Steps: []Step{c}, Limits: []Limit{{Owner: "advertisers/a", Counter: Entries, AtMost: 100}}}
	s := NewStage(below, below.Version, below.LastUID)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Take(&g); err != nil {
			b.Fatal(err)
		}
	}
}
