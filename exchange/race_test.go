package exchange

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// crossed is a store with which others write just before a commit: after the commit's
// writer has read.
type crossed struct {
	store.Store
	mu     sync.Mutex // guards before
	before func()     // called once for each commit; its own commits go straight through
}

func (c *crossed) Commit(ctx context.Context, groups []store.Group) ([]store.Outcome, error) {
	c.mu.Lock()
	before := c.before
	c.before = nil
	c.mu.Unlock()
	if before != nil {
		before()
		c.cross(before)
	}
	return c.Store.Commit(ctx, groups)
}

func (c *crossed) cross(before func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.before = before
}

// crossing opens a market with a place and a campaign, on a store that others' writes
// will cross.
func crossing(t *testing.T) (*Exchange, *crossed) {
	t.Helper()
	c := &crossed{Store: store.NewMemory()}
	e := openOn(t, c, 1000)
	fill(t, e, place("l", hub), campaign("c"))
	return e, c
}

// times calls f so many times, and then does nothing.
func times(n int, f func()) func() {
	return func() {
		if n--; n >= 0 {
			f()
		}
	}
}

// must is a result that comes without an error; a test that gets one panics.
func must[T any](result T, err error) T {
	if err != nil {
		panic(err)
	}
	return result
}

func raiseBid(e *Exchange, by hexbid.Money) (hexbid.Resource, error) {
	return e.Update(ctx, campaign("c").Name, store.AnyVersion, false,
		func(present hexbid.Resource) (hexbid.Resource, error) {
			next := *present.(*hexbid.Campaign)
			next.Bid += by
			return &next, nil
		})
}

func TestAnUpdateThatOthersCrossIsMadeOfTheirs(t *testing.T) {
	e, c := crossing(t)
	c.cross(times(tries-1, func() { must(raiseBid(e, 10)) }))
	got := must(raiseBid(e, 1_000_000)).(*hexbid.Campaign)
	if want := campaign("c").Bid + 1_000_000 + (tries-1)*10; got.Bid != want {
		t.Errorf("the bid is %s, want %s", got.Bid.Micros(), want.Micros())
	}
	c.cross(func() { must(raiseBid(e, 10)) })
	if _, err := raiseBid(e, 1); hexbid.KindOf(err) != hexbid.Stale {
		t.Errorf("others write without end: %v", err)
	}
}

func TestAnUpdateOfAVersionThatOthersCrossIsStale(t *testing.T) {
	e, c := crossing(t)
	present := must(e.Get(ctx, campaign("c").Name))
	c.cross(times(1, func() { must(raiseBid(e, 10)) }))
	_, err := e.Update(ctx, campaign("c").Name, present.Metadata().Version, false,
		func(hexbid.Resource) (hexbid.Resource, error) { return campaign("c"), nil })
	if hexbid.KindOf(err) != hexbid.Stale {
		t.Error(err)
	}
	if got := must(e.Get(ctx, campaign("c").Name)).(*hexbid.Campaign); got.Bid != campaign("c").Bid+10 {
		t.Errorf("the bid is %s", got.Bid.Micros())
	}
}

// TestRowsThatOthersCrossAreStoredInTheirOrder has others write the rows' names between
// each try of an upload and its commit: some times, and without end.
func TestRowsThatOthersCrossAreStoredInTheirOrder(t *testing.T) {
	for _, n := range []int{1, tries - 1, tries, 100} {
		t.Run(fmt.Sprint(n, " times"), func(t *testing.T) {
			e, c := crossing(t)
			others := 0
			c.cross(times(n, func() {
				others++
				must(raiseBid(e, 10))
				moved := place("m", hub)
				moved.DisplayName = fmt.Sprint("theirs ", others)
				fill(t, e, moved)
			}))
			first, again, second := campaign("c"), campaign("c"), campaign("c")
			first.Bid, again.Bid, second.Bid = 3_000_000, 3_000_000, 4_000_000
			ours := place("m", hub)
			ours.DisplayName = "ours"
			outcomes := e.Import(ctx, []hexbid.Resource{first, again, second, ours, place("n", hub), place("", hub)}, false)
			var actions []Action
			for _, o := range outcomes {
				actions = append(actions, o.Action)
			}
			if want := []Action{Updated, Unchanged, Updated, Updated, Created, Rejected}; !slices.Equal(actions, want) {
				t.Errorf("actions %v, want %v: %+v", actions, want, outcomes)
			}
			if got := must(e.Get(ctx, first.Name)).(*hexbid.Campaign); got.Bid < second.Bid { // others may raise it afterwards
				t.Errorf("the bid is %s, not that of the last row", got.Bid.Micros())
			}
			if got := must(e.Get(ctx, ours.Name)).(*hexbid.Place); got.DisplayName != "ours" {
				t.Errorf("the place is %q", got.DisplayName)
			}
			if others == 0 {
				t.Error("nobody has crossed")
			}
		})
	}
}

func TestAVerdictThatCrossesAnOwnersWriteHolds(t *testing.T) {
	for name, write := range map[string]func(e *Exchange) error{
		"update": func(e *Exchange) error {
			_, err := e.Update(ctx, place("l", hub).Name, store.AnyVersion, false,
				func(hexbid.Resource) (hexbid.Resource, error) { return version(1), nil })
			return err
		},
		"upload": func(e *Exchange) error { return e.Import(ctx, []hexbid.Resource{version(1), version(2)}, false)[1].Err },
		"delete and create": func(e *Exchange) error {
			if err := e.Delete(ctx, version(0).Name, store.AnyVersion, false); err != nil {
				return err
			}
			_, err := e.Create(ctx, version(1), false)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			e, c := crossing(t)
			c.cross(times(1, func() { must(e.Review(ctx, version(0).Name, store.AnyVersion, hexbid.Hidden)) }))
			if err := write(e); err != nil {
				t.Fatal(err)
			}
			if got := must(e.Get(ctx, version(0).Name)).(*hexbid.Place); got.Review != hexbid.Hidden {
				t.Errorf("the place is %s", got.Review)
			}
		})
	}
}

func TestAnOwnersWriteThatCrossesAVerdictIsHidden(t *testing.T) {
	for _, n := range []int{1, 2, 100} {
		e, c := crossing(t)
		writes := 0
		c.cross(times(n, func() {
			writes++
			fill(t, e, version(writes%5))
		}))
		place := must(e.Review(ctx, version(0).Name, store.AnyVersion, hexbid.Hidden)).(*hexbid.Place)
		got := must(e.Get(ctx, version(0).Name)).(*hexbid.Place)
		if place.Review != hexbid.Hidden || got.Review != hexbid.Hidden {
			t.Errorf("after %d writes the place is %s, then %s", writes, place.Review, got.Review)
		}
		if sameContent(got, version(0)) {
			t.Error("the owner's write is lost")
		}
	}
}

// TestAReferenceThatGoesBetweenIsMissing: what a row refers to is deleted after the row
// was checked.
func TestAReferenceThatGoesBetweenIsMissing(t *testing.T) {
	e, c := crossing(t)
	other := "advertisers/a/programs/other"
	fill(t, e, &hexbid.Program{Meta: hexbid.Meta{Name: other}, DisplayName: "O", Category: hexbid.Catering,
		Hosts: []hexbid.Host{hexbid.WeChat}})
	row := campaign("d")
	row.Program = other
	c.cross(times(1, func() {
		if err := e.Delete(ctx, other, store.AnyVersion, false); err != nil {
			t.Fatal(err)
		}
	}))
	o := e.Import(ctx, []hexbid.Resource{row, campaign("e")}, false)
	if hexbid.KindOf(o[0].Err) != hexbid.NotFound || o[1].Err != nil {
		t.Errorf("%v, %v", o[0].Err, o[1].Err)
	}
}

// TestARowThatNeedsOneWhichOthersCrossIsTriedWithIt: a program is deleted after its row
// was read. Its row makes it anew, and then the place has what it needs.
func TestARowThatNeedsOneWhichOthersCrossIsTriedWithIt(t *testing.T) {
	e, c := crossing(t)
	other := hexbid.Program{Meta: hexbid.Meta{Name: "advertisers/a/programs/other"}, DisplayName: "O",
		Category: hexbid.Catering, Hosts: []hexbid.Host{hexbid.WeChat}}
	fill(t, e, &other)
	c.cross(times(1, func() {
		if err := e.Delete(ctx, other.Name, store.AnyVersion, false); err != nil {
			t.Fatal(err)
		}
	}))
	renamed := other
	renamed.Meta, renamed.DisplayName = hexbid.Meta{Name: other.Name}, "renamed"
	outcomes := e.Import(ctx, []hexbid.Resource{&renamed,
		&hexbid.Place{Meta: hexbid.Meta{Name: other.Name + "/places/l"}, Point: hub}}, false)
	for i, o := range outcomes {
		if o.Action != Created {
			t.Errorf("row %d: %+v", i, o)
		}
	}
}

// TestUploadsDoNotWaitForEachOther holds one upload in its commit while others, and single
// writes, begin and end.
func TestUploadsDoNotWaitForEachOther(t *testing.T) {
	s := &held{Store: store.NewMemory(), committing: make(chan struct{}), goOn: make(chan struct{})}
	e := openOn(t, s, 1000)
	fill(t, e)
	s.holds.Store(true)
	var first sync.WaitGroup
	first.Go(func() { fill(t, e, place("l", hub)) })
	<-s.committing
	s.holds.Store(false)
	done := make(chan struct{})
	go func() {
		defer close(done)
		fill(t, e, place("m", hub))
		must(e.Create(ctx, place("n", hub), false))
		must(e.Review(ctx, place("n", hub).Name, store.AnyVersion, hexbid.Hidden))
		if err := e.Delete(ctx, place("m", hub).Name, store.AnyVersion, false); err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Error("a writer waits for another's commit")
	}
	close(s.goOn)
	first.Wait()
	<-done
}

// TestALogOfChangesSaysWhoChangedWhat: as the context of a call says, and of an upload
// who began it.
func TestALogOfChangesSaysWhoChangedWhat(t *testing.T) {
	e := open(t, nil)
	fill(t, e)
	from := e.store.Version()
	operator := hexbid.WithPrincipal(context.Background(),
		hexbid.Principal{Role: hexbid.Operator, Origin: "10.0.0.7:51514"})
	if _, err := e.Create(operator, place("l", hub), false); err != nil {
		t.Fatal(err)
	}
	u := must(e.NewUpload(operator, false))
	b := must(u.Prepare(ctx, incomingOf([]hexbid.Resource{place("m", hub)})))
	b.Commit(ctx)
	n := 0
	if err := e.store.Log(ctx, from, func(c *store.Change) bool {
		if n++; c.Who != "operator" || c.From != "10.0.0.7:51514" || !c.At.Equal(now) {
			t.Errorf("change %d is by %q from %q at %s", c.Version, c.Who, c.From, c.At)
		}
		return true
	}); err != nil || n != 2 {
		t.Errorf("%d changes, %v", n, err)
	}
}
