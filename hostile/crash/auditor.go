package main

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// auditor keeps a record of its own of everything that clients have sent and were answered. It never reads the ledger
// to learn what should be in it.
type auditor struct {
	tally       *tally
	zone        *time.Location // of statements
	rules       rules          // of invalid traffic
	advertisers []*advertiser
	byName      map[string]*campaign

	mu     sync.Mutex // guards everything below, and all that advertisers and campaigns hold
	events []*event   // all, in the order that they were first sent
	next   int64      // number of the next event or request
	last   *event     // the one with the highest sequence that was acknowledged

	erasures map[string][]*erasure // by viewer
}

// names of events and requests are numbers, which are unlike those of any other era.
func (a *auditor) newID() string {
	a.next++
	return fmt.Sprintf("e-%d", a.next)
}

// offer puts the results of a viewer's search that began at some instant where reporters find them. It leaves out
// results that may be of a campaign that was deleted and made again meanwhile, because nobody could tell of which of
// the two.
func (a *auditor) offer(results []*pb.SponsoredResult, viewer string, began time.Time) {
	ended := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range results {
		c := a.byName[r.GetCampaign()]
		if c == nil {
			a.tally.fall(wrong, "a search returned %s, which nobody has made", r.GetCampaign())
			continue
		}
		if len(c.waiting) < mostWaiting && !c.removing && c.made.Before(began) {
			one := &award{campaign: c, token: r.GetToken(), viewer: viewer, searched: began, offered: ended,
				priceMicros: r.GetPriceMicros(), model: r.GetPricingModel()}
			c.waiting, c.awards = append(c.waiting, one), append(c.awards, one)
		}
	}
}

// mostWaiting is how many awards of a campaign wait to be reported. Of these, reporters leave keptForEdits to the
// editors, who report them at once after an edit.
const mostWaiting, keptForEdits = 64, 24

// full reports whether all campaigns have awards waiting.
func (a *auditor) full() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.byName {
		if len(c.waiting) < mostWaiting/2 && !c.removing {
			return false
		}
	}
	return true
}

// take removes up to n awards of a campaign from those that wait, and leaves as many as keep.
func (c *campaign) take(n, keep int) []*award {
	n = max(0, min(n, len(c.waiting)-keep))
	taken := c.waiting[:n:n]
	c.waiting = c.waiting[n:]
	return taken
}

// happen makes a new event of an award. The caller holds the lock, and sends the event next.
func (a *auditor) happen(of *award, kind pb.EventKind, valueMicros int64) *event {
	e := &event{award: of, kind: kind, id: a.newID(), valueMicros: valueMicros, sent: time.Now()}
	of.events, a.events = append(of.events, e), append(a.events, e)
	return e
}

// story returns the events that people may cause with an award. Some clients report a click alone, and some report a
// thing twice under two names.
func (a *auditor) story(of *award, random *rand.Rand) (story []*event) {
	draw := random.IntN(20)
	if draw >= 3 { // the others click what was never reported as seen
		story = append(story, a.happen(of, impression, 0))
	}
	if draw < 16 {
		story = append(story, a.happen(of, click, 0))
	}
	if draw == 4 || draw == 5 {
		story = append(story, a.happen(of, story[random.IntN(len(story))].kind, 0))
	}
	if draw == 6 {
		story = append(story, a.happen(of, conversion, random.Int64N(1000)))
	}
	return story
}

// answered notes the answer to an event. A second answer must be the first once more.
func (a *auditor) answered(e *event, result *pb.EventResult, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tally.answers.Add(1)
	if e.answer != nil {
		if !sameAnswer(e.answer, result) {
			a.tally.fall(doubled, "%s %s of %s was answered %v, and now %v", e.kind, e.id, e.award.campaign.name, e.answer,
				result)
		}
		return
	}
	e.answer, e.answered = result, at
	a.tally.outcome(result.GetOutcome())
	if e.used() && (a.last == nil || result.GetSequence() > a.last.answer.GetSequence()) {
		a.last = e
	}
	c := e.award.campaign
	c.spentMicros += result.GetChargedMicros()
}

// unanswered returns the events without an answer, in the order that they were sent.
func (a *auditor) unanswered() (waiting []*event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.events {
		if e.answer == nil {
			waiting = append(waiting, e)
		}
	}
	return waiting
}

// begin notes in a list of edits that one is about to be asked for.
func (a *auditor) begin(edits *[]*edit, l limits) *edit {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := &edit{limits: l, asked: time.Now()}
	*edits = append(*edits, e)
	return e
}

// settle notes that an edit is in force, or that it never will be.
func (a *auditor) settle(e *edit, inForce bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e.never = !inForce; inForce {
		e.known = time.Now()
		a.tally.edits.Add(1)
	}
}

// isUnsettled reports whether nobody knows what became of the edit.
func (e *edit) isUnsettled() bool { return e.known.IsZero() && !e.never }

// unsettled returns the edits of which nobody knows what became, at most one for each campaign.
func (a *auditor) unsettled() map[*campaign]*edit {
	a.mu.Lock()
	defer a.mu.Unlock()
	unknown := map[*campaign]*edit{}
	for _, c := range a.byName {
		if e := c.edits[len(c.edits)-1]; !c.removing && e.isUnsettled() {
			unknown[c] = e
		}
	}
	return unknown
}

// request notes that a movement is about to be asked for.
func (a *auditor) request(m *movement) *movement {
	a.mu.Lock()
	defer a.mu.Unlock()
	m.id = a.newID()
	m.owner.movements = append(m.owner.movements, m)
	return m
}

// moved notes the answer to a movement.
func (a *auditor) moved(m *movement, answer movementAnswer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if m.answer != nil && *m.answer != answer {
		a.tally.fall(doubled, "movement %s of %s was answered %v, and now %v", m.id, m.owner.name, *m.answer, answer)
	}
	if m.answer == nil {
		a.tally.movements.Add(1)
	}
	m.answer = &answer
}

// refuse notes that the service has refused a movement.
func (a *auditor) refuse(m *movement) {
	a.mu.Lock()
	defer a.mu.Unlock()
	m.refused = true
}

// pending returns the movements without an answer.
func (a *auditor) pending() (waiting []*movement) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, owner := range a.advertisers {
		for _, m := range owner.movements {
			if m.answer == nil && !m.refused {
				waiting = append(waiting, m)
			}
		}
	}
	return waiting
}
