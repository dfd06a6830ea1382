package traffic

import (
	"encoding/binary"
	"errors"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
)

const second = int64(time.Second / time.Microsecond)

// person is a click that breaks no rule, with its impression.
func person(at int64, viewer uint64) *Click {
	c := &Click{At: at, IssuedAt: at - 5*second, Client: "app", Cell: 7, HasImpression: true, HasViewer: true}
	binary.BigEndian.PutUint64(c.Viewer[:], viewer)
	return c
}

// click judges and counts a click, and its impression if it has one.
func (f *Filter) click(c *Click) Reason {
	if c.HasImpression {
		f.Seen(look(c.Cell, c.At), Valid)
	}
	r := f.Judge(c)
	f.Clicked(c, r)
	return r
}

// look is an impression of nobody whom anything tells apart.
func look(cell uint64, at int64) *Impression { return &Impression{At: at, Cell: cell} }

// TestEachRuleFindsItsOwn has clicks that break one rule, and switches that rule off: then they pass.
func TestEachRuleFindsItsOwn(t *testing.T) {
	for reason, c := range map[Reason]struct {
		off    func(*Limits)
		clicks func(i int) *Click
		passed int // of 1000, with the rule
	}{
		TooSoon: {func(l *Limits) { l.TooSoon = 0 }, func(i int) *Click {
			c := person(int64(i)*10*second, uint64(i))
			c.IssuedAt = c.At - second/2 + 1
			return c
		}, 0},
		Repeated: {func(l *Limits) { l.RepeatClicks = 0 }, func(i int) *Click {
			c := person(int64(i)*10*second, uint64(i))
			for j := range 5 {
				c.Earlier = append(c.Earlier, c.At-int64(5-j))
			}
			return c
		}, 0},
		ViewerBurst: {func(l *Limits) { l.ViewerClicks = 0 }, func(i int) *Click {
			c := person(int64(i)*3*second, 1)
			c.Cell = 0
			return c
		}, 10},
		WithoutImpression: {func(l *Limits) { l.ImpliedPercent = 0 }, func(i int) *Click {
			c := person(int64(i)*10*second, uint64(i))
			c.HasImpression = false
			return c
		}, 100},
		CellBurst: {func(l *Limits) { l.CellClicks = 0 }, func(i int) *Click {
			return person(int64(i)*second, uint64(i))
		}, 10},
	} {
		limits := DefaultLimits()
		with := NewFilter(limits)
		c.off(&limits)
		without, passed := NewFilter(limits), 0
		for i := range 1000 {
			switch got := with.click(c.clicks(i)); got {
			case Valid:
				passed++
			case reason:
			default:
				t.Errorf("%s: click %d is filtered for %s", reason, i, got)
			}
			if got := without.click(c.clicks(i)); got != Valid {
				t.Errorf("%s is off, and click %d is filtered for %s", reason, i, got)
			}
		}
		if passed != c.passed {
			t.Errorf("%s: %d of 1000 clicks passed, expected %d", reason, passed, c.passed)
		}
	}
}

func TestTheZeroLimitsFilterNothing(t *testing.T) {
	f := NewFilter(Limits{})
	for i := range 1000 {
		c := person(1000, 1)
		c.IssuedAt, c.HasImpression, c.Earlier = 2000, false, make([]int64, 100)
		if got := f.click(c); got != Valid {
			t.Fatalf("click %d is filtered for %s", i, got)
		}
	}
	if len(f.viewers.newer)+len(f.cells.newer)+len(f.usual.newer)+len(f.clients.newer)+len(f.lookers.newer)+
		len(f.looks.newer) > 0 {
		t.Error("rules that are off count")
	}
}

// TestACrowdOfAnySizeIsNoBurst has a cell that goes from one click in two minutes to fifty times as many, as at a
// festival. A machine of the same rate is one, in a cell that has no more impressions than clicks.
func TestACrowdOfAnySizeIsNoBurst(t *testing.T) {
	f := NewFilter(DefaultLimits())
	filtered := map[uint64]int{}
	viewer := uint64(0)
	for at := int64(0); at < 4*3600; at++ { // seconds
		every := int64(120)
		if at > 2*3600 {
			every = 2
		}
		if at%every != 0 {
			continue
		}
		for cell, looks := range map[uint64]int{1: 30, 2: 0} {
			for range looks {
				f.Seen(look(cell, at*second), Valid)
			}
			viewer++
			c := person(at*second, viewer)
			if c.Cell = cell; f.click(c) == CellBurst {
				filtered[cell]++
			}
		}
	}
	if filtered[1] > 0 || filtered[2] < 3500 {
		t.Errorf("of 3600 clicks of the crowd %d are filtered, and of as many of the machine %d", filtered[1], filtered[2])
	}
}

// TestWhatACellUsuallyHasIsNoBurst has a cell whose client reports no impressions, day by day.
func TestWhatACellUsuallyHasIsNoBurst(t *testing.T) {
	limits := DefaultLimits()
	limits.ImpliedPercent = 0
	f := NewFilter(limits)
	late := 0
	for at := range int64(24 * 3600) {
		every := int64(15)
		if at > 20*3600 {
			every = 3
		}
		if at%every == 0 {
			c := person(at*second, uint64(at))
			if c.HasImpression = false; f.click(c) != Valid && at > 3600 {
				late++
			}
		}
	}
	if late > 0 {
		t.Errorf("%d clicks are filtered, at most five times as many a minute as usual", late)
	}
}

// TestAStartTakesNoMachineForUsual: right after a start nothing is known of a cell's day, and a minute is a burst by
// the other two limits alone. So a machine that goes on is found at once, while a crowd passes that is as large.
func TestAStartTakesNoMachineForUsual(t *testing.T) {
	f, passed := NewFilter(DefaultLimits()), map[uint64]int{}
	begin := 20_000 * 24 * 3600 * second
	for i := range int64(600) {
		for cell, looks := range map[uint64]int{1: 30, 2: 0} {
			for range looks {
				f.Seen(look(cell, begin+i*second), Valid)
			}
			c := person(begin+i*second, uint64(2*i)+cell)
			if c.Cell = cell; f.click(c) == Valid {
				passed[cell]++
			}
		}
	}
	if passed[1] != 600 || passed[2] != 10 {
		t.Errorf("of 600 clicks of a crowd %d pass, and of as many of a machine %d", passed[1], passed[2])
	}
}

// TestAMachineThatIsCaughtDoesNotHarmItsCell has one viewer's machine in a cell with people, whose clicks stay valid.
func TestAMachineThatIsCaughtDoesNotHarmItsCell(t *testing.T) {
	f := NewFilter(DefaultLimits())
	for i := range int64(3600) {
		f.click(person(i*second, 1))
		if i%60 == 59 {
			if got := f.click(person(i*second, uint64(1000+i))); got != Valid && i > 120 {
				t.Errorf("after %d s a neighbour's click is filtered for %s", i, got)
			}
		}
	}
}

// TestReasonsKeepTheirNumbers: records of ledgers hold them.
func TestReasonsKeepTheirNumbers(t *testing.T) {
	for number, name := range []string{"of_impression", "too_soon", "repeated", "viewer_burst", "without_impression",
		"cell_burst", "viewer_impressions", "cell_impressions"} {
		if got := Reason(number).String(); got != name {
			t.Errorf("reason %d is %s, and was %s", number, got, name)
		}
	}
	if ReasonCount != 8 || Reason(200).String() != "reason_200" {
		t.Errorf("there are %d reasons, and %s", ReasonCount, Reason(200))
	}
}

func TestLimitsOutOfRangeAreRefused(t *testing.T) {
	for field, change := range map[string]func(*Limits){
		"filter-too-soon":        func(l *Limits) { l.TooSoon = -1 },
		"filter-repeat-clicks":   func(l *Limits) { l.RepeatClicks = MaxRepeatClicks + 1 },
		"filter-repeat-window":   func(l *Limits) { l.RepeatWindow = MaxRepeatWindow + 1 },
		"filter-viewer-clicks":   func(l *Limits) { l.ViewerClicks = -1 },
		"filter-implied-percent": func(l *Limits) { l.ImpliedPercent = 101 },
		"filter-implied-clicks":  func(l *Limits) { l.ImpliedClicks = -1 },
		"filter-cell-clicks":     func(l *Limits) { l.CellClicks = maxCount + 1 },
		"filter-cell-factor":     func(l *Limits) { l.CellFactor = -1 },
		"filter-cell-percent":    func(l *Limits) { l.CellPercent = -1 },

		"filter-viewer-impressions":       func(l *Limits) { l.ViewerImpressions = -1 },
		"filter-cell-impressions":         func(l *Limits) { l.CellImpressions = maxCount + 1 },
		"filter-cell-clicks-per-thousand": func(l *Limits) { l.CellClicksPerThousand = 1001 },
	} {
		limits := DefaultLimits()
		if err := limits.Validate(); err != nil {
			t.Fatal(err)
		}
		change(&limits)
		var e *hexbid.Error
		if err := limits.Validate(); !errors.As(err, &e) || e.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	if err := new(Limits).Validate(); err != nil {
		t.Error(err)
	}
}

// TestAMillionViewersAndCellsTakeLittleMemory measures the heap of full tables.
func TestAMillionViewersAndCellsTakeLittleMemory(t *testing.T) {
	before := heap()
	f := NewFilter(DefaultLimits())
	for i := range uint64(1_000_000) {
		c := person(int64(i), i)
		c.Cell, c.Client = i+1, strconv.Itoa(int(i))
		f.Seen(&Impression{At: c.At, Cell: c.Cell, HasViewer: true, Viewer: c.Viewer}, Valid)
		f.click(c)
	}
	took := heap() - before
	t.Logf("%d KB", took>>10)
	if took > 70<<20 {
		t.Errorf("the tables take %d MB", took>>20)
	}
	runtime.KeepAlive(f)
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkClick judges and counts clicks, each of a new viewer in one of many cells.
func BenchmarkClick(b *testing.B) {
	f, c := NewFilter(DefaultLimits()), person(0, 0)
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		c.At = int64(i) * 1000 // a thousand a second
		c.IssuedAt = c.At - 5*second
		binary.BigEndian.PutUint64(c.Viewer[:], i)
		c.Cell = 1 + i%20_000
		f.Clicked(c, f.Judge(c))
	}
}

// BenchmarkSeen counts impressions in many cells.
func BenchmarkSeen(b *testing.B) {
	f := NewFilter(DefaultLimits())
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		s := Impression{At: int64(i) * 100, Cell: 1 + i%20_000, HasViewer: true}
		binary.BigEndian.PutUint64(s.Viewer[:], i/4)
		f.Seen(&s, f.JudgeImpression(&s))
	}
}
