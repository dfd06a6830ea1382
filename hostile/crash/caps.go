package main

import (
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// frequencyCap is a cap of a campaign or an advertiser. The zero frequencyCap is none.
type frequencyCap struct {
	impressions   int
	window        time.Duration // 0 for ever
	serveUncapped bool
}

func (f frequencyCap) message() *pb.FrequencyCap {
	if f.impressions == 0 {
		return nil
	}
	m := &pb.FrequencyCap{Impressions: int32(f.impressions), ServeUncapped: f.serveUncapped}
	if f.window > 0 {
		m.Window = durationpb.New(f.window)
	}
	return m
}

func capOf(m *pb.FrequencyCap) frequencyCap {
	return frequencyCap{int(m.GetImpressions()), m.GetWindow().AsDuration(), m.GetServeUncapped()}
}

// drawCap draws a cap. Few impressions are allowed, so that events beyond a cap are frequent. A window is longer than
// an era, as a rule.
func drawCap(random *rand.Rand) frequencyCap {
	f := frequencyCap{impressions: 1 + random.IntN(4), serveUncapped: random.IntN(4) == 0}
	if random.IntN(2) == 0 {
		f.window = time.Hour
	}
	return f
}

// expectation is whether an event should be free for some reason. It may be either when two calls overlapped, because
// nobody can tell which of them the ledger took first.
type expectation uint8

const (
	no expectation = iota
	either
	yes
)

func expect(least, most bool) expectation {
	switch {
	case least:
		return yes
	case most:
		return either
	}
	return no
}

// counted is an event that counts towards a cap, or towards the clicks of a viewer on a campaign.
type counted struct {
	*event
	surely bool // false when it counts only if some call of two that overlapped came first
}

// subject is what a viewer's events are counted by: a campaign, or all of its advertiser's.
type subject struct {
	viewer   string
	campaign *campaign // nil for all
}

// howMany returns how many events surely count for an event that comes after them, and how many at most.
func (a *auditor) howMany(earlier []counted, window time.Duration, e *event) (least, most int) {
	for _, x := range earlier {
		in, maybeIn := true, true
		if window > 0 {
			in, maybeIn = x.sent.After(e.answered.Add(-window)), x.answered.After(e.sent.Add(-window))
		}
		erased, maybeErased := a.erasedBetween(x.event, e)
		if maybeIn && !erased {
			most++
			if in && x.surely && !maybeErased {
				least++
			}
		}
	}
	return least, most
}

// erasedBetween reports whether the viewer of both events was surely erased after the first and before the second, and
// whether that may be.
func (a *auditor) erasedBetween(first, second *event) (surely, maybe bool) {
	for _, e := range a.erasures[first.award.viewer] {
		done := !e.known.IsZero()
		if done && e.known.Before(first.sent) || e.asked.After(second.answered) {
			continue
		}
		maybe = true
		surely = surely || done && first.answered.Before(e.asked) && e.known.Before(second.sent)
	}
	return surely, maybe
}

// beyond tells whether an impression is beyond a cap, of which several may have been in force.
func (a *auditor) beyond(inForce []limits, earlier []counted, e *event) expectation {
	all, some := true, false
	for _, l := range inForce {
		if l.cap.impressions == 0 {
			all = false
			continue
		}
		least, most := a.howMany(earlier, l.cap.window, e)
		all = all && least >= l.cap.impressions
		some = some || most >= l.cap.impressions
	}
	return expect(all, some)
}

// counts tells whether an impression counts towards the caps of a subject: it does while there is one.
func counts(inForce []limits) (surely, maybe bool) {
	surely = true
	for _, l := range inForce {
		surely = surely && l.cap.impressions > 0
		maybe = maybe || l.cap.impressions > 0
	}
	return surely, maybe
}

// capsInForce returns the limits of the advertiser that may hold for an event of the campaign. Those of a deleted
// campaign stay as they were when it was deleted.
func (c *campaign) capsInForce(from, until time.Time) []limits {
	if c.removeAsked.IsZero() || c.removeAsked.After(until) {
		return inForce(c.owner.edits, from, until)
	}
	known := c.removeKnown
	if known.IsZero() || known.After(until) {
		known = until
	}
	kept := inForce(c.owner.edits, c.removeAsked, known)
	if c.removeKnown.IsZero() || !c.removeKnown.Before(from) {
		kept = append(kept, inForce(c.owner.edits, from, until)...)
	}
	return kept
}
