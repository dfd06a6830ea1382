package exchange

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hexbid/hexbid"
)

func TestTurnsAreTakenByFewAndTheLineHasAnEnd(t *testing.T) {
	turns := newTurns(2, 3)
	first, err := turns.take(ctx)
	if err != nil {
		t.Fatal(err)
	}
	second, err := turns.take(ctx)
	if err != nil {
		t.Fatal(err)
	}
	waiting, stop := context.WithCancel(ctx)
	outcomes := make(chan error, 3)
	for range 3 {
		go func() {
			_, err := turns.take(waiting)
			outcomes <- err
		}()
	}
	for len(turns.line) < cap(turns.line) {
		runtime.Gosched()
	}
	if _, err := turns.take(ctx); hexbid.KindOf(err) != hexbid.Exhausted {
		t.Errorf("with a full line: %v", err)
	}
	stop()
	for range 3 {
		if err := <-outcomes; !errors.Is(err, context.Canceled) {
			t.Errorf("a caller in line that went away: %v", err)
		}
	}
	first()
	second()
	if len(turns.line)+len(turns.working) != 0 {
		t.Errorf("%d in line, %d at work when all have gone", len(turns.line), len(turns.working))
	}
}

// One user asks as often as the line is long. Others still get in.
func TestOneCallerDoesNotTakeTheWholeLine(t *testing.T) {
	turns := newTurns(16, 0)
	as := func(id string) context.Context {
		return hexbid.WithPrincipal(ctx, hexbid.Principal{Role: hexbid.Member, ID: id})
	}
	var ends []func()
	fill := func(id string) (taken int) {
		for ; taken <= cap(turns.line); taken++ {
			done, err := turns.take(as(id))
			if err != nil {
				if hexbid.KindOf(err) != hexbid.Exhausted {
					t.Fatal(err)
				}
				break
			}
			ends = append(ends, done)
		}
		return taken
	}
	if n := fill("users/greedy"); n != 14 {
		t.Errorf("one caller has %d of 16 places", n)
	}
	if n := fill("users/modest"); n != 2 {
		t.Errorf("another has %d of the 2 that are left", n)
	}
	for _, done := range ends {
		done()
	}
	if len(turns.line)+len(turns.working)+len(turns.of) != 0 {
		t.Errorf("%d in line, %d at work, %v when all have gone", len(turns.line), len(turns.working), turns.of)
	}
	if n := fill(""); n != 16 { // everybody, where nobody is known
		t.Errorf("callers without names have %d of 16 places", n)
	}
}

func TestTurnsKeepTheirBound(t *testing.T) {
	turns := newTurns(2, 100)
	var working, most atomic.Int64
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			done, err := turns.take(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			defer done()
			n := working.Add(1)
			for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
			}
			runtime.Gosched()
			working.Add(-1)
		})
	}
	group.Wait()
	if most.Load() > 2 {
		t.Errorf("%d worked at once", most.Load())
	}
}

func TestExplainAndTracesWaitForATurn(t *testing.T) {
	e := open(t, nil)
	fill(t, e, place("l", hub), campaign("c"))
	for range cap(e.exhaustive.line) {
		e.exhaustive.line <- struct{}{} // calls that are in line
	}
	if _, err := e.Explain(ctx, campaign("c").Name, at(hub)); hexbid.KindOf(err) != hexbid.Exhausted {
		t.Errorf("Explain: %v", err)
	}
	traced := at(hub)
	traced.Trace = true
	if _, err := e.Search(ctx, traced, now); hexbid.KindOf(err) != hexbid.Exhausted {
		t.Errorf("a trace: %v", err)
	}
	if _, err := e.Search(ctx, at(hub), now); err != nil {
		t.Errorf("a search without a trace: %v", err)
	}
	for range cap(e.exhaustive.line) {
		<-e.exhaustive.line
	}
	if _, err := e.Explain(ctx, campaign("c").Name, at(hub)); err != nil {
		t.Error(err)
	}
	if len(e.exhaustive.line)+len(e.exhaustive.working) != 0 {
		t.Error("an explanation kept its turn")
	}
}

func TestListsThatReadManyCampaignsWaitForATurn(t *testing.T) {
	b := openBank(t)
	b.put(campaign("c"))
	long := map[string]func() error{
		"a statement": func() error {
			_, err := b.Statement(ctx, hexbid.Account{Name: "advertisers/a"}, "2026-11")
			return err
		},
		"the campaigns that spent most": func() error {
			_, err := b.ListCampaignSpend(ctx, SpendQuery{Advertiser: "advertisers/-", Limit: 1, SpentToday: true})
			return err
		},
	}
	for range cap(b.exhaustive.line) {
		b.exhaustive.line <- struct{}{} // calls that are in line
	}
	for what, call := range long {
		if err := call(); hexbid.KindOf(err) != hexbid.Exhausted {
			t.Errorf("%s beside a full line: %v", what, err)
		}
	}
	for range cap(b.exhaustive.line) {
		<-b.exhaustive.line
	}
	for what, call := range long {
		if err := call(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if len(b.exhaustive.line)+len(b.exhaustive.working) != 0 {
		t.Error("a list kept its turn")
	}
}
