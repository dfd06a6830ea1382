package exchange

import (
	"slices"
	"sync"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/frequency"
)

// recentAwards are awards of capped campaigns whose impression is not recorded yet. A viewer who searches three times
// before a client reports anything would otherwise get the same campaign three times. They count as impressions until
// theirs is recorded, or until none is taken any more. They are in memory alone: after a restart some impressions more
// are shown free.
type recentAwards struct {
	keepFor time.Duration // a token admits an impression for so long
	shards  [64]awardShard
}

// Bounds of recentAwards. The oldest awards go first.
const (
	mostAwardsAShard  = 1 << 12
	mostAwardsAViewer = 32
)

// awardShard has the awards of some viewers.
type awardShard struct {
	mu       sync.Mutex // guards the fields below
	byViewer map[[16]byte][]cappedAward
	queue    []viewersAward // in the order of awards; those before first are gone
	first    int
}

// cappedAward is an award that counts as an impression.
type cappedAward struct {
	campaign hexbid.UID
	frequency.Impression
}

// viewersAward names an award in the queue.
type viewersAward struct {
	viewer   [16]byte
	campaign hexbid.UID
	at       int64
}

// stampOfAward returns the stamp that an award has here: the instant of issue as its token has it.
func stampOfAward(issued time.Time) int64 { return issued.UnixMilli() * 1000 }

func (r *recentAwards) shardOf(viewer *[16]byte) *awardShard { return &r.shards[viewer[14]%64] }

// add notes an award of a capped campaign.
func (r *recentAwards) add(viewer [16]byte, award cappedAward) {
	s := r.shardOf(&viewer)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byViewer == nil {
		s.byViewer = map[[16]byte][]cappedAward{}
	}
	s.expire(award.At - r.keepFor.Microseconds())
	if len(s.queue)-s.first >= mostAwardsAShard {
		s.pop()
	}
	of := s.byViewer[viewer]
	if len(of) == mostAwardsAViewer {
		of = slices.Delete(of, 0, 1)
	}
	s.byViewer[viewer] = append(of, award)
	s.queue = append(s.queue, viewersAward{viewer, award.campaign, award.At})
}

// expire drops the awards up to a stamp.
func (s *awardShard) expire(upto int64) {
	for s.first < len(s.queue) && s.queue[s.first].at <= upto {
		s.pop()
	}
}

// pop drops the oldest award.
func (s *awardShard) pop() {
	oldest := s.queue[s.first]
	s.drop(oldest.viewer, oldest.campaign, oldest.at)
	if s.first++; s.first*2 > len(s.queue) {
		s.queue, s.first = append(s.queue[:0], s.queue[s.first:]...), 0
	}
}

// drop drops an award, if it is still there.
func (s *awardShard) drop(viewer [16]byte, campaign hexbid.UID, at int64) {
	of := s.byViewer[viewer]
	i := slices.IndexFunc(of, func(a cappedAward) bool { return a.campaign == campaign && a.At == at })
	if i < 0 {
		return
	}
	if of = slices.Delete(of, i, i+1); len(of) == 0 {
		delete(s.byViewer, viewer)
	} else {
		s.byViewer[viewer] = of
	}
}

// seen drops the award of an impression that is recorded.
func (r *recentAwards) seen(viewer [16]byte, campaign hexbid.UID, issued time.Time) {
	s := r.shardOf(&viewer)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(viewer, campaign, stampOfAward(issued))
}

// forget drops the awards of a viewer. Their places in the queue stay, without the viewer.
func (r *recentAwards) forget(viewer [16]byte) {
	s := r.shardOf(&viewer)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byViewer, viewer)
	for i := range s.queue {
		if s.queue[i].viewer == viewer {
			s.queue[i] = viewersAward{at: s.queue[i].at}
		}
	}
}

// over lays a viewer's awards over a history. The result is nil when it is too long.
func (r *recentAwards) over(h *frequency.History, viewer [16]byte, now time.Time) *frequency.History {
	s := r.shardOf(&viewer)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now.Add(-r.keepFor).UnixMicro())
	of := s.byViewer[viewer]
	if len(of) == 0 {
		return h
	}
	more := make([]frequency.Impression, len(of))
	for i := range of {
		more[i] = of[i].Impression
	}
	return h.With(more...)
}

// count returns how many awards wait for their impression.
func (r *recentAwards) count() (n int) {
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		for _, of := range s.byViewer {
			n += len(of)
		}
		s.mu.Unlock()
	}
	return n
}
