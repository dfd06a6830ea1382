package storetest

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

var races = []conduct{
	{"commits from many goroutines keep one order", testOneOrder},
	{"what a feed tells can be read", testFeedThenRead},
	{"of many creators one wins", testCreators},
	{"of many writers of one version one wins", testWriters},
	{"a counter never passes its limit", testRacingLimits},
	{"a reference never dangles", testRacingReferences},
	{"reads and conditional writes are linearizable", testLinearizable},
}

// run starts goroutines, numbered from 0, and waits for them.
func run(goroutines int, f func(i int)) {
	var group sync.WaitGroup
	for i := range goroutines {
		group.Go(func() { f(i) })
	}
	group.Wait()
}

// try commits one group from a goroutine. An error other than a refusal of the group fails the test.
func try(t *testing.T, s store.Store, g store.Group) store.Outcome {
	outcomes, err := s.Commit(ctx, []store.Group{g})
	if err != nil {
		t.Error(err)
		return store.Outcome{Err: err}
	}
	return outcomes[0]
}

func testOneOrder(t *testing.T, e Engine) {
	s := opened(t, e)
	const writers, each = 8, 20
	feed := s.Watch(0)
	run(writers, func(w int) {
		var last uint64
		for i := range each {
			o := try(t, s, group(put(fmt.Sprintf("advertisers/w%d-%d", w, i), "x"), put("advertisers/all", fmt.Sprint(w))))
			if o.Err != nil || o.Change.Version <= last {
				t.Errorf("version %d after %d: %v", o.Change.Version, last, o.Err)
			}
			last = o.Change.Version
		}
	})
	uids := map[hexbid.UID]bool{}
	var before store.Change
	for range writers * each {
		change := mustNext(t, feed)
		if change.Version <= before.Version || change.Previous != before.Hash {
			t.Fatalf("change %d after %d", change.Version, before.Version)
		}
		before = change
		uids[change.Puts[0].Meta().UID] = true
	}
	if len(uids) != writers*each {
		t.Errorf("%d uids for %d records", len(uids), writers*each)
	}
}

// testFeedThenRead reads each change from the store as soon as a feed has delivered it.
func testFeedThenRead(t *testing.T, e Engine) {
	s := opened(t, e)
	const writers, each = 3, 80
	run(writers+1, func(i int) {
		if i < writers {
			for n := range each {
				try(t, s, group(put(fmt.Sprintf("advertisers/w%d-%d", i, n), "x"),
					counting("advertisers/n", store.Count{Owner: "x", Counter: store.Places, By: 1})))
			}
			return
		}
		feed := s.Watch(0)
		for range writers * each {
			c := pollNext(t, feed)
			r, err := s.Get(ctx, c.Puts[0].Meta().Name)
			if err != nil || r.Meta().Version != c.Version || s.Version() < c.Version {
				t.Errorf("a feed has told version %d, the store is at %d: %v", c.Version, s.Version(), err)
			}
		}
	})
}

// pollNext polls the feed without pause, to receive the next change at the earliest moment.
func pollNext(t *testing.T, f *store.Feed) store.Change {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); runtime.Gosched() {
		if c, there := f.Waiting(); there {
			return c
		}
	}
	return mustNext(t, f)
}

func testCreators(t *testing.T, e Engine) {
	s := opened(t, e)
	const creators, names = 16, 30
	var won [names]atomic.Int32
	run(creators, func(creator int) {
		for i := range names {
			step := create(fmt.Sprintf("advertisers/a%d", i))
			step.Put.Resource.(*hexbid.Advertiser).DisplayName = fmt.Sprint(creator)
			switch o := try(t, s, group(step)); {
			case o.Err == nil:
				won[i].Add(1)
				if got := mustGet(t, s, step.Name()).Resource.(*hexbid.Advertiser); got.DisplayName != fmt.Sprint(creator) {
					t.Errorf("creator %d of %s reads the record of %s", creator, got.Name, got.DisplayName)
				}
			case hexbid.KindOf(o.Err) != hexbid.AlreadyExists:
				t.Error(o.Err)
			default: // whoever lost finds it there
				mustGet(t, s, step.Name())
			}
		}
	})
	for i := range won {
		if n := won[i].Load(); n != 1 {
			t.Errorf("%d creators of advertisers/a%d won", n, i)
		}
	}
}

// testWriters makes several writers each read a number and add 1 to it.
func testWriters(t *testing.T, e Engine) {
	s := opened(t, e)
	const writers, each = 8, 15
	mustCommit(t, s, put("advertisers/a", ""))
	run(writers, func(int) {
		for done := 0; done < each; {
			read := mustGet(t, s, "advertisers/a")
			step := put("advertisers/a", read.Resource.(*hexbid.Advertiser).DisplayName+"1")
			step.IfVersion = read.Meta().Version
			switch o := try(t, s, group(step)); {
			case o.Err == nil:
				done++
			case hexbid.KindOf(o.Err) != hexbid.Stale:
				t.Error(o.Err)
				return
			}
		}
	})
	if got := mustGet(t, s, "advertisers/a").Resource.(*hexbid.Advertiser).DisplayName; len(got) != writers*each {
		t.Errorf("%d of %d additions are there", len(got), writers*each)
	}
}

func testRacingLimits(t *testing.T, e Engine) {
	s := opened(t, e)
	const writers, each, atMost = 8, 20, 37
	var there atomic.Int64
	run(writers, func(w int) {
		for i := range each {
			g := group(counting(fmt.Sprintf("advertisers/w%d-%d", w, i), store.Count{Owner: "x", Counter: store.Places, By: 1}))
			g.Limits = []store.Limit{{Owner: "x", Counter: store.Places, AtMost: atMost}}
			switch o := try(t, s, g); {
			case o.Err == nil:
				there.Add(1)
			case hexbid.KindOf(o.Err) != hexbid.Exhausted:
				t.Error(o.Err)
			}
			if n := counted(t, s, "x", store.Places); n > atMost {
				t.Errorf("%d are counted, at most %d may be", n, atMost)
			}
			if i%5 == 4 { // sometimes one goes
				if o := try(t, s, group(remove(g.Steps[0].Name()))); o.Err == nil {
					there.Add(-1)
				}
			}
		}
	})
	if n := counted(t, s, "x", store.Places); n != there.Load() {
		t.Errorf("%d are counted, %d are there", n, there.Load())
	}
}

// testRacingReferences creates places while other goroutines delete and create their programs.
func testRacingReferences(t *testing.T, e Engine) {
	s := opened(t, e)
	const writers, each, programs = 6, 40, 2
	mustCommit(t, s, put("advertisers/a", "a"))
	var placed, deleted atomic.Int32
	run(writers, func(w int) {
		for i := range each {
			of := fmt.Sprintf("advertisers/a/programs/p%d", i%programs)
			var g store.Group
			switch w % 3 {
			case 0:
				g = group(place(fmt.Sprintf("%s/places/w%d", of, w), hexbid.Approved))
			case 1:
				g = group(remove(fmt.Sprintf("%s/places/w%d", of, w-1)))
			default: // delete and put the program in one group, or only delete it
				g = group(remove(of), program(of))
				if i%2 == 0 {
					g = group(remove(of))
				}
			}
			if o := try(t, s, g); o.Err == nil {
				placed.Add(int32(len(o.Change.Puts)))
				deleted.Add(int32(len(o.Change.Deletes)))
			}
			if w%3 == 2 {
				try(t, s, group(program(of)))
			}
			wantNothingDangles(t, s)
		}
	})
	if placed.Load() == 0 || deleted.Load() == 0 {
		t.Errorf("%d were put and %d deleted: nothing raced", placed.Load(), deleted.Load())
	}
}

// wantNothingDangles scans for records that refer to missing ones.
func wantNothingDangles(t *testing.T, s store.Store) {
	t.Helper()
	there := map[string]bool{}
	version, err := s.Scan(ctx, func(r store.Record, _ *store.Derived) error {
		there[r.Meta().Name] = true
		for _, to := range r.Refers {
			if !there[to.Name] {
				t.Errorf("%s refers to %s, which is not there", r.Meta().Name, to.Name)
			}
		}
		return nil
	})
	if err != nil {
		t.Errorf("scanning: %d, %v", version, err)
	}
}

// register is the state of one name in testLinearizable: the value put last, and whether there is a record.
type register struct {
	value string // empty when there is no record
}

// registerCall is a Get, or a Commit of one step under a condition on another name.
type registerCall struct {
	name   string
	write  bool
	value  string // to put; empty deletes
	create bool   // only if there is none
	with   string // another name that must have a record; empty for none
}

// registerAnswer is the value read, or whether the group was accepted.
type registerAnswer struct {
	value string
	held  bool
}

// registers is the sequential model of testLinearizable's calls. Its state is the names with values, in the order of
// registerNames.
var registers = porcupine.Model{
	Init: func() any { return [len(registerNames)]register{} },
	Step: func(state, input, output any) (bool, any) {
		s, call, answer := state.([len(registerNames)]register), input.(registerCall), output.(registerAnswer)
		at := registerIndex(call.name)
		if !call.write {
			return s[at].value == answer.value, s
		}
		holds := (!call.create || s[at].value == "") && (call.value != "" || s[at].value != "") &&
			(call.with == "" || s[registerIndex(call.with)].value != "")
		if holds {
			s[at].value = call.value
		}
		return holds == answer.held, s
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

var registerNames = [...]string{"advertisers/x", "advertisers/y", "advertisers/z"}

func registerIndex(name string) int {
	for i := range registerNames {
		if registerNames[i] == name {
			return i
		}
	}
	return -1
}

func testLinearizable(t *testing.T, e Engine) {
	s := opened(t, e)
	const clients, calls = 5, 40
	var clock atomic.Int64
	histories := make([][]porcupine.Operation, clients)
	run(clients, func(client int) {
		draw := rand.New(rand.NewPCG(uint64(client), 7))
		for i := range calls {
			call := drawCall(draw, fmt.Sprintf("%d-%d", client, i))
			begun := clock.Add(1)
			answer := call.do(t, s)
			histories[client] = append(histories[client], porcupine.Operation{ClientId: client, Input: call, Call: begun,
				Output: answer, Return: clock.Add(1)})
		}
	})
	var history []porcupine.Operation
	for _, h := range histories {
		history = append(history, h...)
	}
	if result := porcupine.CheckOperationsTimeout(registers, history, patience); result != porcupine.Ok {
		t.Errorf("the history of %d calls is not that of calls one at a time: %s", len(history), result)
		for _, o := range history {
			t.Logf("%d %d-%d %s", o.ClientId, o.Call, o.Return, registers.DescribeOperation(o.Input, o.Output))
		}
	}
}

func drawCall(draw *rand.Rand, value string) registerCall {
	c := registerCall{name: registerNames[draw.IntN(len(registerNames))], write: draw.IntN(5) > 1}
	if !c.write {
		return c
	}
	if draw.IntN(3) > 0 {
		c.value, c.create = value, draw.IntN(2) == 0
	}
	if draw.IntN(2) == 0 {
		c.with = registerNames[draw.IntN(len(registerNames))]
	}
	return c
}

// do makes the call and returns its answer.
func (c *registerCall) do(t *testing.T, s store.Store) registerAnswer {
	if !c.write {
		r, err := s.Get(ctx, c.name)
		if hexbid.KindOf(err) == hexbid.NotFound && err != nil {
			return registerAnswer{}
		}
		if err != nil {
			t.Error(err)
			return registerAnswer{}
		}
		return registerAnswer{value: r.Resource.(*hexbid.Advertiser).DisplayName}
	}
	step := remove(c.name)
	if c.value != "" {
		step = put(c.name, c.value)
	}
	if c.create {
		step.IfVersion = 0
	}
	g := group(step)
	if c.with != "" {
		g.Conditions = []store.Condition{{Name: c.with, Is: store.Exists}}
	}
	return registerAnswer{held: try(t, s, g).Err == nil}
}
