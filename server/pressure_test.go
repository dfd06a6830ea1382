package server

import (
	"cmp"
	"container/heap"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A model of a machine in virtual time: calls arrive by chance, wait for one of a few cores in their order, and are
// worked on. The limit is the real one.

// machine is the model under way.
type machine struct {
	*pressure
	cores   int
	idle    int
	queue   []modelCall // wait for a core
	running endings
	now     time.Duration
	waits   []time.Duration // of the calls that were answered
	anyone  party
	done    [classCount]int
	by      map[*party]int // answered
	refused [classCount]int
	most    int // in the queue
}

// modelCall is a call of the model.
type modelCall struct {
	class   class
	of      *party
	arrived time.Duration
	takes   time.Duration
}

// ending is the end of a call that is worked on.
type ending struct {
	at time.Duration
	modelCall
}

// endings are the ends to come, soonest first.
type endings []ending

func (e endings) Len() int           { return len(e) }
func (e endings) Less(i, j int) bool { return e[i].at < e[j].at }
func (e endings) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *endings) Push(x any)        { *e = append(*e, x.(ending)) }
func (e *endings) Pop() any          { last := (*e)[len(*e)-1]; *e = (*e)[:len(*e)-1]; return last }

func newMachine(cores int, target time.Duration) *machine {
	p := newPressure(target)
	p.least, p.most = int64(leastACore*cores), int64(mostACore*cores)
	p.limit.Store(p.most)
	return &machine{pressure: p, cores: cores, idle: cores, by: map[*party]int{}}
}

// load is a stream of calls of one class.
type load struct {
	class     class
	perSecond float64
	takes     time.Duration
	of        *party // may be nil
}

// run has calls arrive for a time, by chance.
func (m *machine) run(lasts time.Duration, loads ...load) {
	random, next := rand.New(rand.NewPCG(1, uint64(m.now))), make([]time.Duration, len(loads))
	gap := func(l load) time.Duration {
		return time.Duration(random.ExpFloat64() / l.perSecond * float64(time.Second))
	}
	for i, l := range loads {
		next[i] = m.now + gap(l)
	}
	for ends := m.now + lasts; ; {
		i := slices.Index(next, slices.Min(next))
		if next[i] > ends {
			m.until(ends)
			return
		}
		m.until(next[i])
		m.arrive(modelCall{loads[i].class, cmp.Or(loads[i].of, &m.anyone), m.now, loads[i].takes})
		next[i] += gap(loads[i])
	}
}

// until lets the calls that end before an instant end.
func (m *machine) until(at time.Duration) {
	for len(m.running) > 0 && m.running[0].at <= at {
		e := heap.Pop(&m.running).(ending)
		m.now = e.at
		m.leave(e.class, e.of)
		m.learn(e.class, e.takes)
		m.done[e.class]++
		m.by[e.of]++
		m.idle++
		m.start()
	}
	m.now = at
}

func (m *machine) arrive(c modelCall) {
	if !m.admit(c.class, c.of, int64(m.now)+1) {
		m.refused[c.class]++
		return
	}
	m.queue = append(m.queue, c)
	m.most = max(m.most, len(m.queue))
	m.start()
}

// start gives idle cores to the calls that wait.
func (m *machine) start() {
	for m.idle > 0 && len(m.queue) > 0 {
		c := m.queue[0]
		m.queue = m.queue[1:]
		m.waits = append(m.waits, m.now-c.arrived)
		m.begin(c.of, m.now-c.arrived)
		if !m.work(c.class, c.of) {
			panic("the model's requests come with their headers")
		}
		m.idle--
		heap.Push(&m.running, ending{m.now + c.takes, c})
	}
}

// waited returns a percentile of the waits since it was called last.
func (m *machine) waited(percent int) time.Duration {
	slices.Sort(m.waits)
	w := m.waits[len(m.waits)*percent/100]
	m.waits = nil
	return w
}

func TestUnderOverloadCoresStayBusyAndWaitsShort(t *testing.T) {
	const target = 2 * time.Millisecond
	for _, cores := range []int{2, 8} {
		for _, takes := range []time.Duration{80 * time.Microsecond, 800 * time.Microsecond} {
			for _, times := range []float64{1.5, 2, 5} {
				m := newMachine(cores, target)
				capacity := float64(cores) / takes.Seconds()
				m.run(time.Second, load{searching, times * capacity, takes, nil}) // the first second counts too
				if share := float64(m.done[searching]) / capacity; share < 0.97 {
					t.Errorf("%d cores, %s a call, %v times offered: %.2f of the capacity is answered", cores, takes, times, share)
				}
				least := leastACore * takes // what the lowest limit makes a call wait
				if wait := m.waited(99); wait > mostACore*takes {
					t.Errorf("%d cores, %s a call, %v times offered: p99 waits %s", cores, takes, times, wait)
				}
				m.run(time.Second, load{searching, times * capacity, takes, nil})
				if wait := m.waited(99); wait > 2*max(target, least) {
					t.Errorf("%d cores, %s a call, %v times offered: once settled p99 waits %s", cores, takes, times, wait)
				}
				if m.most > mostACore*cores {
					t.Errorf("%d calls waited at once", m.most)
				}
			}
		}
	}
}

func TestWithinTheCapacityNothingIsRefused(t *testing.T) {
	for _, share := range []float64{0.1, 0.5, 0.9} {
		m := newMachine(2, 2*time.Millisecond)
		m.run(5*time.Second, load{searching, share * 25_000, 80 * time.Microsecond, nil})
		if m.refused[searching] > 0 {
			t.Errorf("%d refused at %v of the capacity", m.refused[searching], share)
		}
	}
}

func TestAfterAnOverloadAllAreLetInAgain(t *testing.T) {
	m := newMachine(2, 2*time.Millisecond)
	m.run(2*time.Second, load{searching, 100_000, 80 * time.Microsecond, nil})
	if m.refused[searching] == 0 || m.limit.Load() >= m.pressure.most {
		t.Fatal("no overload")
	}
	m.run(100*time.Millisecond, load{searching, 12_500, 80 * time.Microsecond, nil})
	before := m.refused
	m.waits = nil
	m.run(time.Second, load{searching, 12_500, 80 * time.Microsecond, nil})
	if m.refused != before {
		t.Errorf("%d refused a tenth of a second later", m.refused[searching]-before[searching])
	}
	if wait := m.waited(99); wait > 2*time.Millisecond {
		t.Errorf("p99 waits %s", wait)
	}
}

func TestEventsComeBeforeSearchesBeforeReads(t *testing.T) {
	const takes = 80 * time.Microsecond
	m := newMachine(2, 2*time.Millisecond)
	m.run(100*time.Millisecond, load{searching, 50_000, takes, nil})
	m.done, m.refused = [classCount]int{}, [classCount]int{}
	m.run(2*time.Second, load{recording, 5_000, takes, nil}, load{searching, 50_000, takes, nil},
		load{reading, 5_000, takes, nil})
	rate := func(c class) float64 { return float64(m.done[c]) / float64(m.done[c]+m.refused[c]) }
	if rate(recording) < 0.999 || rate(searching) < 0.3 || rate(reading) > 0.02 {
		t.Errorf("let in: events %.3f, searches %.3f, reads %.3f", rate(recording), rate(searching), rate(reading))
	}
	m.done, m.refused = [classCount]int{}, [classCount]int{}
	m.run(time.Second, load{searching, 10_000, takes, nil}, load{reading, 30_000, takes, nil})
	if rate(searching) < 0.999 || rate(reading) < 0.3 {
		t.Errorf("under too many reads: searches %.3f, reads %.3f", rate(searching), rate(reading))
	}
}

func TestAGreedyPartyDoesNotCrowdOutAModestOne(t *testing.T) {
	const takes = 80 * time.Microsecond // 25,000 a second are the capacity
	m, greedy, modest, second := newMachine(2, 2*time.Millisecond), new(party), new(party), new(party)
	m.run(time.Second, load{searching, 100_000, takes, greedy})
	clear(m.by)
	m.run(2*time.Second, load{searching, 100_000, takes, greedy}, load{searching, 5_000, takes, modest})
	if answered := float64(m.by[modest]) / 2; answered < 4_700 {
		t.Errorf("%.0f of the modest one's 5,000 a second are answered", answered)
	}
	if answered := float64(m.by[greedy]) / 2; answered < 19_000 {
		t.Errorf("%.0f of the greedy one's are answered: want what is left", answered)
	}
	clear(m.by)
	m.run(2*time.Second, load{searching, 100_000, takes, greedy}, load{searching, 50_000, takes, second})
	if of := float64(m.by[second]) / float64(m.by[greedy]); of < 0.8 || of > 1.25 {
		t.Errorf("of two greedy ones the lesser gets %.2f of what the other gets", of)
	}
}

func TestPausesOfTheMachineRefuseNothing(t *testing.T) {
	m := newMachine(2, 2*time.Millisecond)
	for range 20 {
		m.run(170*time.Millisecond, load{searching, 10_000, 80 * time.Microsecond, nil})
		m.idle -= 2 // a pause of 30 ms takes both cores
		m.run(30*time.Millisecond, load{searching, 10_000, 80 * time.Microsecond, nil})
		m.idle += 2
		m.start()
	}
	if m.refused[searching] > 0 {
		t.Errorf("%d refused, the limit is %d", m.refused[searching], m.limit.Load())
	}
}

func TestACallWithoutTimeForAnAnswerIsHopeless(t *testing.T) {
	p := newPressure(time.Millisecond)
	for range 200 {
		p.learn(searching, 100*time.Microsecond)
	}
	p.wait.Store(int64(time.Millisecond))
	p.window.ends.Store(1) // of which this is the wait
	for left, want := range map[time.Duration]bool{-time.Second: true, 0: true, time.Millisecond: true,
		1040 * time.Microsecond: true, 1100 * time.Microsecond: false, time.Second: false} {
		if got := p.isHopeless(searching, left, 0); got != want {
			t.Errorf("%s left: %v", left, got)
		}
	}
	p.wait.Store(0)
	tried := 0
	for i := range int64(1000) { // a class that has become quicker is tried again, and learned anew
		if !p.isHopeless(searching, 30*time.Microsecond, i*int64(time.Millisecond)) {
			p.learn(searching, 10*time.Microsecond)
			tried++
		}
	}
	if tried < 750 {
		t.Errorf("%d of a thousand were tried", tried)
	}
	if p.isHopeless(unclassed, 0, 0) {
		t.Error("a health check is refused")
	}
}

// TestAWaitThatIsOverRefusesNobody: after a pause of the machine all callers have deadlines shorter than what calls
// waited then. Nothing begins any more, so nothing is measured, and yet they are soon let in.
func TestAWaitThatIsOverRefusesNobody(t *testing.T) {
	p := newPressure(time.Millisecond)
	const left = 20 * time.Millisecond
	of, now := new(party), int64(time.Hour)
	p.admit(searching, of, now)
	p.begin(of, 50*time.Millisecond)
	now += int64(pressureWindow)
	p.admit(searching, of, now) // the window ends, and its mean wait is what callers are measured by
	p.begin(of, 0)
	refused := 0
	for ; p.isHopeless(searching, left, now); now += int64(time.Millisecond) {
		if refused++; refused > 1000 {
			t.Fatal("a second later every call is still refused")
		}
	}
	if refused == 0 {
		t.Error("no call was refused while calls waited longer than it may")
	}
}

// TestCallsWithoutTimeDoNotChangeWhatIsHopeless: a caller floods the door with deadlines that are over. What has no
// time for an answer is refused as before.
func TestCallsWithoutTimeDoNotChangeWhatIsHopeless(t *testing.T) {
	p := newPressure(time.Millisecond)
	p.typical[searching].Store(int64(time.Second))
	for i := range int64(10_000) {
		p.isHopeless(searching, -1, i*1000) // 10 ms
	}
	if !p.isHopeless(searching, 400*time.Millisecond, 10_000_000) {
		t.Errorf("typical is %s now", time.Duration(p.typical[searching].Load()))
	}
}

// TestTheLimitComesBackForCallsOverHTTPToo: an overload over gRPC has lowered the limit, and then calls come over HTTP
// alone, which wait for no core and are admitted by hasRoom.
func TestTheLimitComesBackForCallsOverHTTPToo(t *testing.T) {
	p := newPressure(time.Millisecond)
	p.limit.Store(p.least)
	for range p.least {
		p.enter(new(party)) // calls over HTTP that are worked on
	}
	now := int64(time.Hour)
	p.window.ends.Store(now + int64(pressureWindow))
	if p.hasRoom(searching, now) {
		t.Error("there is room at once")
	}
	for range 1000 {
		now += int64(time.Millisecond)
		p.hasRoom(searching, now)
	}
	if !p.hasRoom(searching, now) {
		t.Errorf("a second later the limit is %d", p.limit.Load())
	}
}
