package exchange

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// held is a store whose commits stand still when told.
type held struct {
	store.Store
	holds            atomic.Bool
	committing, goOn chan struct{}
}

func (h *held) Commit(ctx context.Context, groups []store.Group) ([]store.Outcome, error) {
	if h.holds.Load() {
		h.committing <- struct{}{}
		<-h.goOn
	}
	return h.Store.Commit(ctx, groups)
}

func TestADryRunHoldsUpNoWriter(t *testing.T) {
	s := &held{Store: store.NewMemory(), committing: make(chan struct{}), goOn: make(chan struct{})}
	e := openOn(t, s, 1000)
	fill(t, e)
	s.holds.Store(true)
	var writer sync.WaitGroup
	writer.Go(func() { _, _ = e.Create(ctx, place("m", hub), false) })
	defer writer.Wait()
	defer close(s.goOn)
	<-s.committing
	told := make(chan []string, 1)
	go func() { told <- upload(e, [][]hexbid.Resource{{place("l", hub), campaign("c")}}, true) }()
	select {
	case <-told:
	case <-time.After(time.Minute):
		t.Error("a dry run waits for a writer: so would writers for it")
	}
}

// lotsOf are so many new advertisers.
func lotsOf(n int, prefix string) []hexbid.Resource {
	all := make([]hexbid.Resource, n)
	for i := range all {
		all[i] = &hexbid.Advertiser{Meta: hexbid.Meta{Name: fmt.Sprint("advertisers/", prefix, i)}, DisplayName: "A"}
	}
	return all
}

func validate(t *testing.T, u *Upload, resources ...hexbid.Resource) []Outcome {
	t.Helper()
	b, err := u.Prepare(ctx, incomingOf(resources))
	if err != nil {
		t.Fatal(err)
	}
	b.Commit(ctx)
	return b.Outcomes(ctx)
}

// TestOneCallerDoesNotTakeTheNamesOfAllDryRuns lets the dry runs of one caller keep as many names as they can, and then
// those of another. Callers without names are one crowd and have all.
func TestOneCallerDoesNotTakeTheNamesOfAllDryRuns(t *testing.T) {
	var all dryRuns
	var runs []*dryRun
	fill := func(caller string) (kept int) {
		for range 3 {
			run := all.begin(caller, nil)
			runs = append(runs, run)
			for run.makeRoom("") == nil {
				kept++
			}
		}
		return kept
	}
	endAll := func() {
		t.Helper()
		for _, run := range runs {
			run.end()
		}
		if all.names != 0 || len(all.of) != 0 {
			t.Errorf("after all have ended %d names are kept, of %v", all.names, all.of)
		}
	}
	if n := fill("users/greedy"); n != namesOfDryRuns-namesOfOthers {
		t.Errorf("one caller's dry runs keep %d names of %d", n, namesOfDryRuns)
	}
	if n := fill("users/modest"); n != namesOfOthers {
		t.Errorf("another's keep %d of the %d that are left", n, namesOfOthers)
	}
	endAll()
	if n := fill(""); n != namesOfDryRuns {
		t.Errorf("dry runs without a caller keep %d names of %d", n, namesOfDryRuns)
	}
	endAll()
}

func TestAllDryRunsTogetherKeepABoundedNumberOfNames(t *testing.T) {
	e := open(t, nil)
	e.dryRuns.names = namesOfDryRuns - 10 // others'
	first, second := newUpload(e, true), newUpload(e, true)
	validate(t, first, lotsOf(10, "a")...)
	refused := validate(t, second, lotsOf(5, "b")...)
	for _, o := range refused {
		wantRefused(t, o.Err, "name", "try again")
	}
	if n := len(second.dryRun.counts.burdens) + len(second.dryRun.contents); n != 0 {
		t.Errorf("of refused rows %d are kept", n)
	}
	for _, o := range validate(t, first, lotsOf(10, "a")...) {
		if o.Action != Unchanged {
			t.Errorf("a name that is kept already: %+v", o)
		}
	}
	first.Close()
	first.Close()
	for _, o := range validate(t, second, lotsOf(10, "b")...) {
		if o.Err != nil {
			t.Errorf("with room again: %v", o.Err)
		}
	}
	if o := validate(t, first, lotsOf(1, "c")...)[0]; hexbid.KindOf(o.Err) != hexbid.Unavailable {
		t.Errorf("after its end: %+v", o)
	}
	second.Close()
	if e.dryRuns.names != namesOfDryRuns-10 {
		t.Errorf("%d names are taken after all", e.dryRuns.names)
	}
}

func TestADryRunKeepsABoundedNumberOfNames(t *testing.T) {
	e := open(t, nil)
	u := newUpload(e, true)
	defer u.Close()
	u.dryRun.names = namesADryRun
	wantRefused(t, validate(t, u, lotsOf(1, "a")[0])[0].Err, "name", "split the upload")
	if n := len(u.dryRun.counts.burdens); n != 0 {
		t.Errorf("of refused rows %d are counted", n)
	}
}

func TestARowThatADryRunRefusesTakesNoName(t *testing.T) {
	e := open(t, func(c *Config) { c.AdvertiserQuota.Entries = 1000 })
	fill(t, e)
	u := newUpload(e, true)
	defer u.Close()
	c := campaign("c")
	c.Area = hexbid.Area{}
	for i := range 500 { // some eight cells each
		c.Area.Circles = append(c.Area.Circles,
			hexbid.Circle{Center: hexbid.Point{Lat: 30, Lng: float64(i) / 10}, RadiusM: 300})
	}
	wantRefused(t, validate(t, u, c)[0].Err, "campaign.area")
	if u.dryRun.names != 0 || e.dryRuns.names != 0 {
		t.Errorf("%d names are taken", e.dryRuns.names)
	}
}
