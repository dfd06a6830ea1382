package pacing

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"
)

// watch has a curve see days of people who follow a shape.
func watch(c *Curve, days int, searchesAQuarter float64, shape *Shape) {
	r := rand.New(rand.NewPCG(1, 2))
	from := time.Date(2026, 11, 2, 0, 0, 0, 0, shanghai)
	for q := range days * quartersADay {
		at := from.Add(time.Duration(q) * Quarter)
		mean := searchesAQuarter * shape.at(at)
		c.Observe(at, math.Round(mean+math.Sqrt(mean)*r.NormFloat64()), Quarter)
	}
}

// apart is the largest difference of two days' shares of a quarter hour, over the mean share.
func apart(a, b *Shape) (most float64) {
	at := time.Date(2026, 11, 23, 0, 0, 0, 0, shanghai)
	for day := range 7 {
		date, always := dateOf(at)+int32(day), Service{Zone: shanghai}
		x, y := NewDay(a, date, &always), NewDay(b, date, &always)
		for q := range quartersADay {
			now := at.AddDate(0, 0, day).Add(time.Duration(q) * Quarter).UnixMilli()
			next := now + Quarter.Milliseconds()
			most = max(most, quartersADay*math.Abs(x.Left(now)-x.Left(next)-y.Left(now)+y.Left(next)))
		}
	}
	return most
}

func TestACurveIsAssumedUntilItIsLearned(t *testing.T) {
	prior, people := new(Curve).Shape(), lumpy()
	at := func(h int) float64 { return prior.at(time.Date(2026, 11, 23, h, 0, 0, 0, shanghai)) }
	if !(at(3) < at(9) && at(9) < at(12) && at(15) < at(12) && at(15) < at(19)) {
		t.Errorf("the assumed day has no quiet night, lunch and evening: %.2f %.2f %.2f %.2f %.2f", at(3), at(9), at(12),
			at(15), at(19))
	}
	last := apart(prior, people)
	for _, days := range []int{1, 7, 28} {
		c := new(Curve)
		watch(c, days, 10_000, people)
		now := apart(c.Shape(), people)
		t.Logf("after %d days a quarter hour is at most %.3f of a mean one off, by the assumption %.3f", days, now, last)
		if now > last/1.4 {
			t.Errorf("after %d days it is %.3f off, before %.3f", days, now, last)
		}
		last = now
	}
	if last > 0.1 {
		t.Errorf("after four weeks it is %.3f off", last)
	}
}

func TestFewSearchesTeachLittle(t *testing.T) {
	c := new(Curve)
	at := time.Date(2026, 11, 23, 3, 0, 0, 0, shanghai)
	c.Observe(at, 5, Quarter) // five searches at night, and none else was watched
	if off := apart(c.Shape(), new(Curve).Shape()); off > 0.2 {
		t.Errorf("five searches have changed the curve by %.3f", off)
	}
}

func TestACurveForgetsAnOldHabit(t *testing.T) {
	c, old, now := new(Curve), lumpy(), new(Curve).Shape()
	watch(c, 56, 10_000, old)
	from := time.Date(2026, 12, 28, 0, 0, 0, 0, shanghai)
	for q := range 42 * quartersADay {
		at := from.Add(time.Duration(q) * Quarter)
		c.Observe(at, 10_000*now.at(at), Quarter)
	}
	if off, was := apart(c.Shape(), now), apart(old, now); off > was/4 {
		t.Errorf("six weeks after a change it is %.3f off, the change was %.3f", off, was)
	}
}

func TestACurveAndAStateSurviveTheDisk(t *testing.T) {
	c := new(Curve)
	watch(c, 3, 1000, lumpy())
	again, ok := DecodeCurve(c.Encode(), time.UnixMilli(1<<42))
	if !ok || *again != *c {
		t.Fatal("another curve comes back")
	}
	for _, value := range [][]byte{nil, {1}, {2, 3}, c.Encode()[:100], append(c.Encode(), 0)} {
		if _, ok := DecodeCurve(value, time.UnixMilli(1<<42)); ok {
			t.Errorf("%d bytes are read as a curve", len(value))
		}
	}
}

func TestAStateIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(State{}); size > 72 {
		t.Errorf("a state has %d bytes", size)
	}
}

// TestAStateOfTheEarlierFormatIsRead: it lacks the last field.
func TestAStateOfTheEarlierFormatIsRead(t *testing.T) {
	want := State{At: 1, Planned: 2, Spent: 3, Demand: 4, Evidence: 5, Date: 6, Target: 7, Credit: 8}
	value := want.Encode()
	value = value[:len(value)-lastField]
	if _, ok := DecodeState(value, time.UnixMilli(1<<42)); ok {
		t.Error("a state that is cut is read")
	}
	value[0] = rowFormat
	if got, ok := DecodeState(value, time.UnixMilli(1<<42)); !ok || got != want {
		t.Errorf("read %+v, want %+v", got, want)
	}
	if _, ok := DecodeState(append(value, 0, 0, 0, 0), time.UnixMilli(1<<42)); ok {
		t.Error("a state that is too long is read")
	}
}

// TestNothingOfTheFutureIsRead: a state or a curve of later than now is damaged, or of a time when a clock was wrong.
func TestNothingOfTheFutureIsRead(t *testing.T) {
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	date := dateOf(at)
	for what, of := range map[string]struct {
		State
		read bool
	}{
		"now":                    {State{At: at.UnixMilli(), Date: date}, true},
		"tomorrow in the east":   {State{At: at.UnixMilli(), Date: date + 1}, true},
		"a millisecond later":    {State{At: at.UnixMilli() + 1, Date: date}, false},
		"the day after tomorrow": {State{At: at.UnixMilli(), Date: date + 2}, false},
		"before 1970":            {State{At: -1, Date: date}, false},
		"a date before 1970":     {State{At: at.UnixMilli(), Date: -1}, false},
		"the end of time":        {State{At: math.MaxInt64, Date: math.MaxInt32}, false},
	} {
		if _, read := DecodeState(of.State.Encode(), at); read != of.read {
			t.Errorf("a state of %s: read is %t", what, read)
		}
	}
	for ahead, want := range map[int32]bool{-20: true, 0: true, 1: true, 2: false, 1 << 30: false} {
		if _, read := DecodeCurve((&Curve{aged: date + ahead}).Encode(), at); read != want {
			t.Errorf("a curve of %d days later: read is %t", ahead, read)
		}
	}
}

func FuzzDecodeState(f *testing.F) {
	f.Add((&State{At: 1, Planned: 2, Spent: 3, Demand: 4, Evidence: 5, Date: 6}).Encode())
	d := NewDay(new(Curve).Shape(), 20_000, &Service{Zone: time.UTC})
	f.Fuzz(func(t *testing.T, value []byte) {
		s, ok := DecodeState(value, time.UnixMilli(1<<42))
		if !ok {
			return
		}
		in := Input{At: 20_000*86_400_000 + 40_000_000, Date: 20_000, Day: d, Budget: 1e9, Charged: 1e8, Out: 1e6, Told: Full,
			Awards: 3, Won: 1e6, Events: 1, Cost: Cost{Target: 500, Bid: 1000, Clicks: 7, Charged: 3000, Events: 1, Out: 600}}
		for range 5 {
			out := s.Step(&in)
			if out.MultiplierPPM < 1 || out.MultiplierPPM > PPM || out.ParticipationPPM < 1 || out.ParticipationPPM > PPM {
				t.Fatalf("%+v of %+v", out, s)
			}
			in.At += Every.Milliseconds()
		}
		if math.IsNaN(s.Spent + s.Planned + float64(s.Demand)) {
			t.Fatalf("%+v", s)
		}
	})
}

func TestTheMedianOfReservesIsOneThatWasFaced(t *testing.T) {
	var r Reserves
	start := int64(1_800_000_000_000)
	if r.Median(start) != 0 {
		t.Error("nothing was faced")
	}
	draw := rand.New(rand.NewPCG(1, 1))
	for i := range 3600 {
		ppm := int64(200_001)
		if i%10 == 0 {
			ppm = 900_001
		}
		r.Add(start+int64(i)*1000, ppm, draw.Uint64())
	}
	if got := r.Median(start + 3600_000); got != 200_001 {
		t.Errorf("the median is %d", got)
	}
	for i := range 3600 { // another hour at another reserve
		r.Add(start+3600_000+int64(i)*1000, 700_001, draw.Uint64())
	}
	if got := r.Median(start + 7200_000); got != 700_001 {
		t.Errorf("the median is %d an hour later", got)
	}
	if got := r.Median(start + 12_000_000); got != 0 {
		t.Errorf("the median is %d after more than an hour without an award", got)
	}
}

func TestSearchesAreToldOnlyWhatDiffers(t *testing.T) {
	of := func(m, p int64, atEntry bool) Output { return Output{m, p, atEntry} }
	for _, c := range []struct {
		now, told Output
		calls     bool
	}{
		{of(500_000, PPM, false), of(500_000, PPM, false), false},
		{of(504_000, PPM, false), of(500_000, PPM, false), false},
		{of(506_000, PPM, false), of(500_000, PPM, false), true},
		{of(494_000, PPM, false), of(500_000, PPM, false), true},
		{Full, of(999_999, PPM, false), true},
		{of(500_000, 300_000, true), of(500_000, 300_000, false), true},
		{of(500_001, 300_000, true), of(500_000, 300_000, true), true},
		{of(499_999, 300_000, true), of(500_000, 300_000, true), false},
		{of(500_000, 302_000, true), of(500_000, 300_000, true), false},
		{of(500_000, 304_000, true), of(500_000, 300_000, true), true},
	} {
		if got := c.now.Calls(c.told, leastGrain); got != c.calls {
			t.Errorf("%+v after %+v calls: %t", c.now, c.told, got)
		}
	}
}

func BenchmarkStep(b *testing.B) {
	d := NewDay(new(Curve).Shape(), 20_000, &Service{Zone: shanghai})
	var s State
	in := Input{At: 20_000 * 86_400_000, Date: 20_000, Day: d, Budget: 1e10, Told: Full, Awards: 50, Won: 1e6, Events: 2}
	for b.Loop() {
		if in.At += Every.Milliseconds(); d.Left(in.At) == 0 {
			in.At, s = 20_000*86_400_000, State{}
		}
		in.Told = s.Step(&in)
	}
}

func BenchmarkDay(b *testing.B) {
	shape := new(Curve).Shape()
	for b.Loop() {
		NewDay(shape, 20_000, &Service{Zone: shanghai})
	}
}
