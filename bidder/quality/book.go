package quality

import (
	"slices"
	"time"

	"github.com/hexbid/hexbid"
)

// Subject is what a chance of a click is estimated of: a campaign of a program, whose category has a prior.
type Subject struct {
	Campaign, Program hexbid.UID
	PriorPPM          int64
	Category          hexbid.Category
}

// Show is a result that a person has seen.
type Show struct {
	Subject
	Setting
	Host         hexbid.Host
	Scene        hexbid.Scene
	PredictedPPM int64 // the quality that the auction had
	ScenePPM     int64 // the factor of host and scene in it, 1 to PPM
	DistancePPM  int64 // the factor of the distance in it, 1 to PPM
	Explored     bool  // that quality was a try above the estimate
}

// Book estimates the quality of all campaigns that have evidence. One goroutine at a time uses it. It holds some 500
// bytes for each campaign that was seen within the last months and has a program of its own, and up to two kilobytes
// while clicks on its last impressions are still to come.
type Book struct {
	delays    *Delays
	strengths Strengths
	campaigns map[hexbid.UID]*campaign
	programs  map[hexbid.UID]*program // each has a campaign
	round     []*campaign             // all campaigns; Step goes round
	next      int                     // of the round
	refresh   int                     // how many campaigns of the round are still to follow a change that concerns all
	due       []*campaign             // to be estimated anew
	turned    []*program              // whose estimate is to be told
	scenes    scenes
	inForce   SceneFactors // of hosts and scenes
	unit      float64      // what accounts of campaigns and programs count in, see SetSceneFactors
	tables    Tables       // in force
	bands     uint64       // a fingerprint of the ends of the bands that accounts have; 0 for none
	decile    deciles
	learned   int64   // when strengths were last learned
	stepped   int64   // the last step
	changed   []rowOf // since rows were kept
	isChanged map[rowOf]struct{}
}

// campaign is what is known of a campaign.
type campaign struct {
	Account
	subject Subject
	program *program
	told    told
	at      int32 // in the round
	isDue   bool
}

// program is what is known of a program.
type program struct {
	Account
	uid       hexbid.UID
	prior     float64
	category  hexbid.Category
	campaigns []*campaign
	told      told
	isTurned  bool
}

// told is what searches have been told of a campaign or a program, in parts per million; 0 is nothing.
type told struct{ ppm, exploredPPM int32 }

// Estimate is what is thought of a campaign, or of a program for its campaigns without evidence.
type Estimate struct {
	Of             hexbid.UID // the campaign or program
	PPM            int64      // the posterior mean
	ExploredPPM    int64      // where a search explores
	LowPPM         int64      // with HighPPM, an interval of 95 %
	HighPPM        int64
	Evidence       Evidence
	HasNoneAnyMore bool // its evidence has faded: take back what was told
}

// NewBook returns an empty book for tokens that admit clicks for so long.
func NewBook(life time.Duration) *Book {
	return &Book{delays: NewDelays(life), strengths: assumedStrengths, campaigns: map[hexbid.UID]*campaign{},
		programs: map[hexbid.UID]*program{}, inForce: evenFactors(), unit: 1, tables: evenTables(),
		isChanged: map[rowOf]struct{}{}}
}

// Subject returns what the book knows a campaign as.
func (b *Book) Subject(campaign hexbid.UID) (Subject, bool) {
	c := b.campaigns[campaign]
	if c == nil {
		return Subject{}, false
	}
	s := c.subject
	s.Category = c.program.category
	return s, true
}

// Delayed learns from a click how long after its impression it was recorded.
func (b *Book) Delayed(at, delay int64) {
	b.delays.Came(at, delay)
	b.change(rowOf{kind: delaysRow})
}

// Seen counts an impression.
func (b *Book) Seen(at int64, s *Show) {
	c := b.campaign(&s.Subject)
	i := impression{in: s.Setting, share: b.tables.share(s.Setting), near: float64(s.DistancePPM) / PPM}
	i.weight = i.share * i.near * float64(s.ScenePPM) / PPM / b.unit
	c.seen(at, &i)
	c.program.seen(at, &i)
	in := s.Setting
	in.Band = 0 // programs of several categories are shown on a host
	b.scenes[s.Host][s.Scene].seen(at, &impression{in, i.share * i.near * b.mean(c) * b.unit, i.share, 1})
	if !s.Explored {
		b.decile.seen(at, s.PredictedPPM, &impression{in, i.share * float64(s.PredictedPPM) / PPM, i.share, 1})
	}
	b.touch(c, s)
}

// Clicked counts a click on an impression that was counted.
func (b *Book) Clicked(at int64, s *Show) {
	c := b.campaign(&s.Subject)
	c.Clicked(at)
	c.program.Clicked(at)
	b.scenes[s.Host][s.Scene].Clicked(at)
	if !s.Explored {
		b.decile.clicked(at, s.PredictedPPM)
	}
	b.touch(c, s)
}

// mean is the present estimate of a campaign, as it was last told.
func (b *Book) mean(c *campaign) float64 {
	switch {
	case c.told.ppm > 0:
		return float64(c.told.ppm) / PPM
	case c.program.told.ppm > 0:
		return float64(c.program.told.ppm) / PPM
	}
	return c.program.prior
}

// touch notes that a campaign's evidence has changed, and with it all that it counts in.
func (b *Book) touch(c *campaign, s *Show) {
	b.makeDue(c)
	b.change(rowOf{campaignRow, c.subject.Campaign})
	b.change(rowOf{programRow, c.program.uid})
	b.change(rowOf{sceneRow, sceneNumber(s.Host, s.Scene)})
	if !s.Explored {
		b.change(rowOf{decileRow, hexbid.UID(binOfQuality(s.PredictedPPM))})
	}
}

func (b *Book) makeDue(c *campaign) {
	if !c.isDue {
		c.isDue, b.due = true, append(b.due, c)
	}
}

// campaign finds a campaign, or enters it. Its program may have another category by now.
func (b *Book) campaign(s *Subject) *campaign {
	c := b.campaigns[s.Campaign]
	if c == nil {
		c = &campaign{subject: *s}
		b.enter(c)
	}
	c.program.prior, c.program.category = float64(s.PriorPPM)/PPM, s.Category
	return c
}

func (b *Book) enter(c *campaign) {
	p := b.programs[c.subject.Program]
	if p == nil {
		p = &program{uid: c.subject.Program, prior: float64(c.subject.PriorPPM) / PPM, category: c.subject.Category}
		b.programs[p.uid] = p
	}
	c.program, p.campaigns = p, append(p.campaigns, c)
	c.at = int32(len(b.round))
	b.campaigns[c.subject.Campaign], b.round = c, append(b.round, c)
}

// evidence returns what an account of a program or of one of its campaigns says, in full impressions.
func (b *Book) evidence(a *Account, p *program, now int64) Evidence {
	e := a.evidence(now, b.delays, &b.tables, p.category)
	e.Weight *= b.unit
	return e
}

// programBelief returns what is thought of the mean of a program's campaigns.
func (b *Book) programBelief(p *program, now int64) (Belief, Evidence) {
	e := b.evidence(&p.Account, p, now)
	return Believe(p.prior, b.strengths.Programs).With(e), e
}

// belief returns what is thought of a campaign of a program that has so much evidence of its own.
func (b *Book) belief(p *program, own Evidence, now int64) Belief {
	program, _ := b.programBelief(p, now)
	return Believe(program.Mean(), b.strengths.Campaigns).With(own).On(program, b.strengths.Campaigns)
}

const (
	// roundLasts is how long a round over all campaigns takes. In it evidence grows older although nothing happens.
	roundLasts = 10 * time.Second
	// learnEvery spaces the learning of strengths.
	learnEvery = time.Hour
)

// Step does what is due with time.
func (b *Book) Step(now int64) {
	passed := min(max(now-b.stepped, 0), roundLasts.Milliseconds())
	b.stepped = now
	n := (int64(len(b.round))*passed + roundLasts.Milliseconds() - 1) / roundLasts.Milliseconds()
	for range n {
		b.visit(now)
	}
	if b.learned == 0 {
		b.learned = now
	}
	if now-b.learned < learnEvery.Milliseconds() {
		return
	}
	b.learned = now
	b.learnStrengths(now)
	b.refresh = len(b.round)
	b.change(rowOf{kind: marketRow})
}

// visit looks at the next campaign of the round, and forgets one without evidence.
func (b *Book) visit(now int64) {
	if len(b.round) == 0 {
		return
	}
	b.next %= len(b.round)
	c := b.round[b.next]
	b.next++
	if c.IsYoung() || b.refresh > 0 {
		b.makeDue(c)
	} else if c.age(now); !c.says() {
		b.makeDue(c)
	}
	b.refresh = max(b.refresh-1, 0)
}

// Take returns what has changed of campaigns since it was last told: by a hundredth or more, at most so many. The
// others follow with later calls.
func (b *Book) Take(now int64, room int) (changes []Estimate) {
	n := 0
	for n < len(b.due) && len(changes) < room {
		c := b.due[n]
		c.isDue = false
		n++
		if e, calls := b.estimateAnew(c, now); calls {
			changes = append(changes, e)
		}
	}
	b.due = append(b.due[:0], b.due[n:]...)
	return changes
}

// estimateAnew returns a campaign's estimate, and whether it differs from what was told.
func (b *Book) estimateAnew(c *campaign, now int64) (Estimate, bool) {
	if b.campaigns[c.subject.Campaign] != c {
		return Estimate{}, false // it was forgotten meanwhile
	}
	if c.asWeighed(now, b.delays); !c.says() {
		b.forget(c)
		return Estimate{Of: c.subject.Campaign, HasNoneAnyMore: true}, c.told.ppm > 0
	}
	b.estimateProgram(c.program, now)
	e := b.estimateOf(c, now)
	return e, e.tell(&c.told)
}

// estimateProgram notes a program whose estimate has changed. Its campaigns follow.
func (b *Book) estimateProgram(p *program, now int64) {
	if e := b.estimateOfProgram(p, now); !e.tell(&p.told) {
		return
	}
	for _, c := range p.campaigns {
		b.makeDue(c)
	}
	b.turn(p)
}

func (b *Book) turn(p *program) {
	if !p.isTurned {
		p.isTurned, b.turned = true, append(b.turned, p)
	}
}

func (b *Book) estimateOf(c *campaign, now int64) Estimate {
	own := b.evidence(&c.Account, c.program, now)
	return estimateBy(c.subject.Campaign, b.belief(c.program, own, now), own)
}

func (b *Book) estimateOfProgram(p *program, now int64) Estimate {
	_, evidence := b.programBelief(p, now)
	return estimateBy(p.uid, b.belief(p, Evidence{}, now), evidence)
}

func estimateBy(of hexbid.UID, belief Belief, evidence Evidence) Estimate {
	e := Estimate{Of: of, PPM: ppm(belief.Mean()), Evidence: evidence}
	e.ExploredPPM = min(max(ppm(belief.Explored()), e.PPM), 2*e.PPM)
	return e
}

// tell takes an estimate as told, if searches should be: when it has changed by a hundredth, or where a search explores
// by a fifteenth, which is a step there.
func (e *Estimate) tell(before *told) bool {
	now := told{int32(e.PPM), int32(e.ExploredPPM)}
	ordinary, explored := distance(now.ppm, before.ppm), distance(now.exploredPPM, before.exploredPPM)
	if before.ppm > 0 && 100*ordinary < before.ppm && 15*explored < before.ppm {
		return false
	}
	*before = now
	return ordinary > 0 || explored > 0
}

func distance(x, y int32) int32 { return max(x-y, y-x) }

// TakePrograms returns the programs whose estimate has changed since it was last told, at most so many. It is the
// quality of their campaigns without evidence of their own.
func (b *Book) TakePrograms(room int) (changes []Estimate) {
	n := min(room, len(b.turned))
	for _, p := range b.turned[:n] {
		p.isTurned = false
		changes = append(changes, p.told.estimate(p.uid))
		changes[len(changes)-1].HasNoneAnyMore = b.programs[p.uid] != p
	}
	b.turned = append(b.turned[:0], b.turned[n:]...)
	return changes
}

func (t told) estimate(of hexbid.UID) Estimate {
	return Estimate{Of: of, PPM: int64(t.ppm), ExploredPPM: int64(t.exploredPPM)}
}

// forget drops a campaign without evidence, and its program with the last one: that has no evidence left either.
func (b *Book) forget(c *campaign) {
	delete(b.campaigns, c.subject.Campaign)
	b.change(rowOf{campaignRow, c.subject.Campaign})
	last := len(b.round) - 1
	b.round[c.at] = b.round[last]
	b.round[c.at].at = c.at
	b.round = b.round[:last]
	p := c.program
	p.campaigns = slices.DeleteFunc(p.campaigns, func(of *campaign) bool { return of == c })
	if len(p.campaigns) == 0 {
		delete(b.programs, p.uid)
		b.change(rowOf{programRow, p.uid})
		b.turn(p)
	}
}

// Estimate returns what is thought of a campaign at present, with an interval of 95 %. It returns false for a campaign
// without evidence.
func (b *Book) Estimate(now int64, uid hexbid.UID) (Estimate, bool) {
	c := b.campaigns[uid]
	if c == nil {
		return Estimate{}, false
	}
	own := b.evidence(&c.Account, c.program, now)
	belief := b.belief(c.program, own, now)
	e := estimateBy(uid, belief, own)
	low, high := belief.Interval()
	e.LowPPM, e.HighPPM = ppm(low), ppm(high)
	return e, true
}

// All returns what was last told of all campaigns and programs.
func (b *Book) All() (campaigns, programs []Estimate) {
	for _, c := range b.round {
		campaigns = append(campaigns, c.told.estimate(c.subject.Campaign))
		if c.program.campaigns[0] == c {
			programs = append(programs, c.program.told.estimate(c.program.uid))
		}
	}
	return campaigns, programs
}

// Size returns how many campaigns and programs have evidence.
func (b *Book) Size() (campaigns, programs int) { return len(b.campaigns), len(b.programs) }
