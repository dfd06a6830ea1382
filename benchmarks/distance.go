package benchmarks

import (
	"syscall"
	"time"

	"github.com/hexbid/hexbid/bidder"
)

// Distances measures what distance costs a search of ten slots. It makes two markets of shops, whose campaigns lie
// around their places. In one of them quality falls with the distance. The markets take turns, and their ratio is of
// CPU time, because other processes disturb it less than the clock.
func Distances(w *Workload, campaigns int) (map[string]Spread, error) {
	without, err := NewPopulation(w.Local(), campaigns, 0)
	if err != nil {
		return nil, err
	}
	defer without.Close()
	with, err := NewPopulation(w.Local().ByDistance(), campaigns, 0)
	if err != nil {
		return nil, err
	}
	defer with.Close()
	plain, near := newSearcher(without), newSearcher(with)
	return Rounds(rounds, func() (Figures, error) {
		for _, s := range []*searcher{plain, near} {
			s.start()
		}
		for range turns {
			for _, s := range []*searcher{plain, near} {
				if err := s.run(callsARound / turns); err != nil {
					return nil, err
				}
			}
		}
		return Figures{"distance_ratio": plain.cpuNS() / near.cpuNS(),
			"distance_cpu_ns": near.cpuNS(), "distance_without_cpu_ns": plain.cpuNS(),
			"distance_tested": near.tested(), "distance_without_tested": plain.tested(),
			"distance_asked":         near.asked(),
			"distance_allocs_per_op": allocsPer(callsARound/10, near.search)}, nil
	})
}

// turns is how often two markets take turns in a round.
const turns = 10

// searcher makes searches in one market. It adds up their CPU time and their work.
type searcher struct {
	queries     []bidder.Query
	snapshot    *bidder.Snapshot
	scratch     bidder.Scratch
	calls       int
	cpu         time.Duration
	testedInAll int // campaigns whose records were read
	askedInAll  int // programs whose places were looked up
}

func newSearcher(m *Population) *searcher {
	return &searcher{queries: m.queries(nil), snapshot: m.Indexer.Snapshot()}
}

// start forgets what was measured before.
func (s *searcher) start() { s.calls, s.cpu, s.testedInAll, s.askedInAll = 0, 0, 0, 0 }

func (s *searcher) search(i int) { s.snapshot.Search(&s.queries[i%len(s.queries)], &s.scratch) }

// run makes n further searches.
func (s *searcher) run(n int) error {
	before, err := cpuTime()
	if err != nil {
		return err
	}
	for range n {
		s.search(s.calls)
		s.calls++
		s.testedInAll += s.scratch.Tested
		s.askedInAll += s.scratch.Asked
	}
	after, err := cpuTime()
	s.cpu += after - before
	return err
}

func (s *searcher) cpuNS() float64  { return float64(s.cpu.Nanoseconds()) / float64(s.calls) }
func (s *searcher) tested() float64 { return float64(s.testedInAll) / float64(s.calls) }
func (s *searcher) asked() float64  { return float64(s.askedInAll) / float64(s.calls) }

// cpuTime returns the time that this process has run on all cores together.
func cpuTime() (time.Duration, error) {
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
}
