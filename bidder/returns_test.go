package bidder

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/targeting"
)

// onePoint is a market of campaigns over one point, each with a bid of its own, that have left the lists.
type onePoint struct {
	*chainMarket
	*postings
	uids []hexbid.UID
}

func newOnePoint(t *testing.T, campaigns int) *onePoint {
	t.Helper()
	m := newChainMarket(t)
	var all []hexbid.Resource
	for i := range campaigns {
		c := chainCampaign("p", i, hexbid.Area{Circles: []hexbid.Circle{{Center: hangzhou, RadiusM: 2000}}}, hexbid.Area{})
		c.Bid = hexbid.Money(500_000 + i*7919%campaigns*10)
		all = append(all, c)
	}
	m.put(t, all...)
	m.indexer.publish()
	o := &onePoint{chainMarket: m, postings: m.indexer.index.postings}
	for _, c := range all {
		o.uids = append(o.uids, m.uidOf(t, c.Metadata().Name))
	}
	o.handInAll(true)
	m.indexer.publish()
	o.findOff(fixedClock().Add(offFor))
	return o
}

// handInAll hands in for all campaigns whether their budgets are spent.
func (o *onePoint) handInAll(spent bool) {
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(len(o.uids)) {
		o.indexer.take(OwnerLedger, []LiveUpdate{{Campaign: o.uids[i], BudgetSpent: spent}})
	}
}

// posted counts the campaigns that are in the lists.
func (o *onePoint) posted() (n int) {
	for i := range o.records.all() {
		if o.states.at(i).posted {
			n++
		}
	}
	return n
}

// move publishes with a portion and returns how many campaigns have come to the lists and left them.
func (o *onePoint) move(t *testing.T) int {
	t.Helper()
	before, edits := o.posted(), o.lists.edits.ever
	o.portion()
	o.indexer.publish()
	moved := o.posted() - before
	if moved < 0 {
		moved = -moved
	}
	if moved > mostMoved+mostAtOnce || o.lists.edits.ever-edits > mostMovedEdits+mostMovedEdits/2 {
		t.Fatalf("%d campaigns moved in %d edits with one publication", moved, o.lists.edits.ever-edits)
	}
	return moved
}

// TestCampaignsThatMoveTogetherMakeEachBlockAFewTimes has many campaigns leave the same long lists and come back to
// them, in portions. It counts the postings that blocks are made of.
func TestCampaignsThatMoveTogetherMakeEachBlockAFewTimes(t *testing.T) {
	const campaigns = 10_000
	o := newOnePoint(t, campaigns)
	keys := len(o.covering(0))
	for _, back := range []bool{false, true} {
		if back {
			o.handInAll(false)
		}
		asked, portions := o.lists.asked, 0
		for o.movesInPortions() {
			if o.move(t) == 0 {
				t.Fatal("a portion moves nobody")
			}
			portions++
		}
		if n := o.posted(); n != map[bool]int{true: campaigns}[back] {
			t.Fatalf("back %v: %d are in the lists", back, n)
		}
		if portions < campaigns/mostMoved {
			t.Errorf("back %v: only %d portions", back, portions)
		}
		if asked := o.lists.asked - asked; asked > 4*campaigns*keys {
			t.Errorf("back %v: blocks were made of %d postings, %d for each of a list", back, asked, asked/campaigns/keys)
		}
	}
}

// TestAFewDoNotQueueBehindMany: while thousands come back, one more does so with the next publication.
func TestAFewDoNotQueueBehindMany(t *testing.T) {
	o := newOnePoint(t, 3000)
	for o.movesInPortions() {
		o.move(t)
	}
	worst := slices.MinFunc(o.uids, func(a, b hexbid.UID) int {
		x, _ := o.records.campaignOf.get(a)
		y, _ := o.records.campaignOf.get(b)
		return int(o.records.campaigns.at(x).bid - o.records.campaigns.at(y).bid)
	})
	o.uids = slices.DeleteFunc(o.uids, func(uid hexbid.UID) bool { return uid == worst })
	o.handInAll(false)
	o.indexer.publish()
	if n := o.posted(); n != mostAtOnce || o.indexer.Snapshot().Returning != len(o.uids)-mostAtOnce {
		t.Fatalf("%d are back at once, %d wait", n, o.indexer.Snapshot().Returning)
	}
	o.indexer.take(OwnerLedger, []LiveUpdate{{Campaign: worst}})
	o.indexer.publish()
	if i, _ := o.records.campaignOf.get(worst); !o.states.at(i).posted {
		t.Error("one waits for many")
	}
}

// TestWhoWaitsToReturnIsSaidTo compares, portion by portion, what a snapshot says of each campaign with whether it is
// in the lists.
func TestWhoWaitsToReturnIsSaidTo(t *testing.T) {
	o := newOnePoint(t, 2000)
	for o.movesInPortions() {
		o.move(t)
	}
	o.handInAll(false)
	o.indexer.publish()
	for waited := false; ; o.move(t) {
		s := o.indexer.Snapshot()
		returning := 0
		for _, uid := range o.uids {
			live, _ := s.LiveState(uid)
			i, _ := s.ordinalOf(uid)
			if live.Returning == o.states.at(i).posted {
				t.Fatalf("campaign %d returns: %v; it is in the lists: %v", uid, live.Returning, o.states.at(i).posted)
			}
			if live.Returning {
				returning++
			}
		}
		q := NewQuery(&hexbid.Request{Point: hangzhou, Slots: 3, Viewer: hexbid.Viewer{Age: 30}}, "r", fixedClock())
		if v, _, err := s.Explain(t.Context(), &q, o.uids[0], new(Scratch)); err != nil ||
			(v.Rule == RuleReturning) != s.returning.has(v.Ordinal) {
			t.Fatalf("%s, %v", v.Rule, err)
		}
		if waited = waited || returning > 0; returning == 0 {
			if !waited {
				t.Error("nobody waited: this tests nothing")
			}
			return
		}
	}
}

// TestAnEntryOfTheQueueMayBeOutOfDate: campaigns in the queue run out again, are edited, are deleted and made anew.
func TestAnEntryOfTheQueueMayBeOutOfDate(t *testing.T) {
	o := newOnePoint(t, 4)
	for o.movesInPortions() {
		o.move(t)
	}
	o.returns.atOnce = mostAtOnce // so that they queue
	for range 3 {                 // again and again, yet each is in the queue once
		o.handInAll(true)
		o.handInAll(false)
	}
	queued := []uint32{}
	for _, r := range o.returns.queue {
		queued = append(queued, r.ordinal)
	}
	if len(queued) != 4 {
		t.Fatalf("%d entries of 4 campaigns are in the queue", len(queued))
	}
	nameOf := func(i uint32) string {
		for name := range o.nouns {
			if r, err := o.store.Get(context.Background(), name); err == nil && r.Meta().UID == o.records.campaigns.at(i).uid {
				return name
			}
		}
		t.Fatal("no name")
		return ""
	}
	again, edited, deleted := queued[0], queued[1], queued[2]
	o.indexer.take(OwnerLedger, []LiveUpdate{{Campaign: o.records.campaigns.at(again).uid, BudgetSpent: true}})
	c := *o.nouns[nameOf(edited)].(*hexbid.Campaign)
	c.Bid += 1000
	o.put(t, &c)
	name := nameOf(deleted)
	fresh := *o.nouns[name].(*hexbid.Campaign)
	o.remove(t, name)
	fresh.Meta = hexbid.Meta{Name: name}
	o.put(t, &fresh)
	for o.movesInPortions() {
		o.portion()
		o.indexer.publish()
	}
	for i, want := range map[uint32]bool{again: false, edited: true, queued[3]: true} {
		if o.states.at(i).posted != want {
			t.Errorf("campaign %d is posted: %v", i, !want)
		}
	}
	if n := o.posted(); n != 3 {
		t.Errorf("%d are in the lists", n)
	}
}

// TestThousandsReturnThoughNothingElseHappens spends the budgets of a dense point, and gives them back.
func TestThousandsReturnThoughNothingElseHappens(t *testing.T) {
	m := newTestMarket(t, 3, hangzhou)
	dense(t, m, func(i int) int { return i }, func(int, *hexbid.Campaign) {})
	var all []LiveUpdate
	for _, name := range m.names[:9000] {
		all = append(all, LiveUpdate{Campaign: m.uidOf(t, name), BudgetSpent: true})
	}
	await := func(what string, holds func(s *Snapshot) bool) {
		t.Helper()
		for deadline := time.Now().Add(5 * time.Minute); !holds(m.indexer.Snapshot()); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("never: %s", what)
			}
		}
	}
	for range 2 {
		for i := range all {
			all[i].BudgetSpent = true
		}
		if err := m.indexer.HandIn(context.Background(), OwnerLedger, all); err != nil {
			t.Fatal(err)
		}
		m.now = m.now.Add(2 * offFor)
		m.clock.Store(m.now.UnixNano())
		await("they have left the lists", func(s *Snapshot) bool { return s.Leaving == 0 })
		m.searchDense(t)
		for i := range all {
			all[i].BudgetSpent = false
		}
		if err := m.indexer.HandIn(context.Background(), OwnerLedger, all); err != nil {
			t.Fatal(err)
		}
		await("they are back", func(s *Snapshot) bool { return s.Returning == 0 })
		m.searchDense(t)
	}
}

// TestAnEditOfALongListAsksForLittleMoreThanItChanges counts the postings that blocks are made of, when a few come to a
// long list and leave it.
func TestAnEditOfALongListAsksForLittleMoreThanItChanges(t *testing.T) {
	gate := targeting.Gate(&hexbid.Program{Category: hexbid.Catering, Hosts: []hexbid.Host{hexbid.WeChat}})
	source := fakeSource{}
	at := func(i int) posting {
		p := posting{postingMask(gate.Mask(), geoindex.Posting{Touched: 1}), uint32(i), capCode(1_000_000 - i)}
		source[p.ordinal] = postedAs{mask: gate.Mask(), cap: p.cap}
		return p
	}
	const n = 100_000
	var all []posting
	for i := 0; i < n; i += 2 {
		all = append(all, at(i))
	}
	l := (&list{}).edited(&listEdit{add: all}, source)
	asked := &countedSource{postingSource: source}
	var some []posting
	for i := range 2 * mostFresh {
		some = append(some, at(n/2+2*i+1))
	}
	l = l.edited(&listEdit{add: slices.Clone(some)}, asked)
	if blocks := len(some)/(targeting.BlockSize/2) + 4; asked.asked > 4*blocks*targeting.BlockSize {
		t.Errorf("to add %d neighbours, blocks were made of %d postings", len(some), asked.asked)
	}
	asked.asked = 0
	l.edited(&listEdit{remove: some}, asked)
	if asked.asked > 4*len(some) {
		t.Errorf("to remove %d neighbours, blocks were made of %d postings", len(some), asked.asked)
	}
}

// TestWhoIsOnAgainDoesNotLeave: campaigns that were about to leave the lists come back before it is their turn.
func TestWhoIsOnAgainDoesNotLeave(t *testing.T) {
	const campaigns = 3 * mostMoved
	o := newOnePoint(t, campaigns)
	o.move(t)
	left := campaigns - o.posted()
	if left == 0 || left > mostMoved {
		t.Fatalf("%d left with the first portion", left)
	}
	o.handInAll(false)
	for o.movesInPortions() {
		o.portion()
		o.indexer.publish()
	}
	if n := o.posted(); n != campaigns {
		t.Errorf("%d of %d are in the lists", n, campaigns)
	}
}
