package storetest

import (
	"errors"
	"reflect"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

var groups = []conduct{
	{"the groups of a commit hold or fail each on its own", testIndependent},
	{"a group sees what the groups before it have done", testInThisCommit},
	{"a refused group leaves nothing to those after it", testRefusedLeavesNothing},
	{"conditions on other names are judged", testConditions},
	{"what a record refers to must be there", testReferences},
	{"what a record refers to cannot be deleted", testInUse},
	{"a reference ends with the record that has it", testReferencesEnd},
	{"counters are the sum of what records count", testCounters},
	{"products of counters stay exact", testProducts},
	{"limits are judged, and what is above one may shrink", testLimits},
	{"judging changes nothing", testJudge},
}

func testIndependent(t *testing.T, e Engine) {
	s := opened(t, e)
	outcomes := commit(t, s, each(create("advertisers/a"), create("advertisers/a"), remove("advertisers/none"),
		create("advertisers/b"),
		program("advertisers/b/programs/p"))...)
	for i, want := range []error{nil, hexbid.Errorf(hexbid.AlreadyExists, "", ""),
		hexbid.Errorf(hexbid.NotFound, "", ""), nil, nil} {
		if got := outcomes[i].Err; (got == nil) != (want == nil) || got != nil && hexbid.KindOf(got) != hexbid.KindOf(want) {
			t.Errorf("outcome %d: %v", i, got)
		}
	}
	first, second, third := outcomes[0].Change, outcomes[3].Change, outcomes[4].Change
	if first.Version == 0 || second.Version <= first.Version || third.Version <= second.Version ||
		s.Version() != third.Version {
		t.Errorf("versions %d, %d and %d, the store's is %d", first.Version, second.Version, third.Version, s.Version())
	}
	if got := mustGet(t, s, "advertisers/b"); got.Meta().Version != second.Version {
		t.Errorf("the record of group %d has version %d", second.Version, got.Meta().Version)
	}
	if len(logged(t, s, 0)) != 3 {
		t.Errorf("the log has %+v", logged(t, s, 0))
	}
	if outcomes := commit(t, s); len(outcomes) != 0 {
		t.Errorf("outcomes of no groups: %+v", outcomes)
	}
}

func testInThisCommit(t *testing.T, e Engine) {
	s := opened(t, e)
	mustCommit(t, s, create("advertisers/old"))
	at := func(name string, version uint64) store.Group {
		step := put(name, "again")
		step.IfVersion = version
		return group(step)
	}
	older := group(put("advertisers/c", "c"))
	older.Conditions = []store.Condition{{Name: "advertisers/a", Is: store.HasVersion, Version: store.InThisCommit}}
	younger := group(put("advertisers/d", "d"))
	younger.Conditions = []store.Condition{{Name: "advertisers/old", Is: store.HasVersion, Version: store.InThisCommit}}
	outcomes := commit(t, s, group(create("advertisers/a")), at("advertisers/a", store.InThisCommit),
		at("advertisers/a", store.InThisCommit),
		at("advertisers/old", store.InThisCommit), group(create("advertisers/b"),
			at("advertisers/b", store.InThisCommit).Steps[0]), older, younger)
	for i, stale := range []bool{false, false, false, true, false, false, true} {
		if (outcomes[i].Err != nil) != stale || stale && hexbid.KindOf(outcomes[i].Err) != hexbid.Stale {
			t.Errorf("outcome %d: %v", i, outcomes[i].Err)
		}
	}
	if before := outcomes[2].Change.Puts[0].Before; before.Resource == nil ||
		before.Meta().Version != outcomes[1].Change.Version {
		t.Errorf("before the third group: %+v", before)
	}
	// The next commit is a different one, so InThisCommit no longer matches.
	refused(t, s, hexbid.Stale, at("advertisers/a", store.InThisCommit))
	// A refused group assigned no version.
	lost := group(put("advertisers/old", "x"), remove("advertisers/none"))
	if outcomes := commit(t, s, lost,
		at("advertisers/old", store.InThisCommit)); hexbid.KindOf(outcomes[1].Err) != hexbid.Stale {
		t.Errorf("after a refused group: %v", outcomes[1].Err)
	}
}

// testRefusedLeavesNothing tests, within one commit, that nothing remains of what a refused group did before its last
// step failed.
func testRefusedLeavesNothing(t *testing.T, e Engine) {
	s := opened(t, e)
	placed := mustCommit(t, s, append(parents(), place(placeName, hexbid.Approved), put("advertisers/free", "x"))...)
	judges := store.Step{Judge: placeName, Verdict: judged(hexbid.Hidden, "x").Verdict}
	lost := group(judges, remove(placeName), program("advertisers/free/programs/q"), put("advertisers/a", "changed"),
		counting("advertisers/e", store.Count{Owner: "x", Counter: store.Places, By: 5}), remove("advertisers/none"))
	unjudged := group(put("advertisers/b", "b"))
	unjudged.Conditions = []store.Condition{{Name: placeName, Is: store.HasVerdict}}
	revives := place(placeName+"2", hexbid.Approved)
	revives.Revive = placed.Puts[2].Meta().UID
	counts := group(counting("advertisers/f", store.Count{Owner: "x", Counter: store.Places, By: 1}))
	counts.Limits = []store.Limit{{Owner: "x", Counter: store.Places, AtMost: 1}}
	update := put("advertisers/a", "again")
	update.IfVersion = placed.Version
	outcomes := commit(t, s, lost, unjudged, group(revives), group(remove("advertisers/a/programs/p")),
		group(remove("advertisers/free")),
		counts, group(update), lost)
	for i, want := range []hexbid.ErrorKind{hexbid.NotFound, 0, hexbid.AlreadyExists, hexbid.InUse, 0, 0, 0,
		hexbid.NotFound} {
		if got := outcomes[i].Err; (got == nil) != (want == 0) || got != nil && hexbid.KindOf(got) != want {
			t.Errorf("outcome %d: %v, want kind %d", i, got, want)
		}
	}
	// The next group sees the effects of a group that was accepted.
	judged := group(put("advertisers/g", "g"))
	judged.Conditions = []store.Condition{{Name: placeName, Is: store.HasVerdict, Version: store.InThisCommit}}
	outcomes = commit(t, s, group(judges), judged, unjudged, group(remove(placeName)), group(revives),
		group(remove(placeName+"2")))
	for i, want := range []hexbid.ErrorKind{0, 0, hexbid.Stale, 0, 0, 0} {
		if got := outcomes[i].Err; (got == nil) != (want == 0) || got != nil && hexbid.KindOf(got) != want {
			t.Errorf("after a group that held, outcome %d: %v, want kind %d", i, got, want)
		}
	}
}

func testConditions(t *testing.T, e Engine) {
	s := opened(t, e)
	version := mustCommit(t, s, append(parents(), judged(hexbid.Hidden, "x"))...).Version
	mustCommit(t, s, create("advertisers/free"))
	for _, c := range []struct {
		store.Condition
		kind hexbid.ErrorKind // 0 when it holds
	}{
		{store.Condition{Name: placeName, Is: store.HasVersion, Version: version}, 0},
		{store.Condition{Name: placeName, Is: store.HasVersion, Version: version + 1}, hexbid.Stale},
		{store.Condition{Name: placeName, Is: store.HasVersion}, hexbid.AlreadyExists},
		{store.Condition{Name: "advertisers/none", Is: store.HasVersion}, 0},
		{store.Condition{Name: "advertisers/none", Is: store.HasVersion, Version: version}, hexbid.NotFound},
		{store.Condition{Name: "advertisers/a", Is: store.Exists}, 0},
		{store.Condition{Name: "advertisers/none", Is: store.Exists}, hexbid.NotFound},
		{store.Condition{Name: "advertisers/free", Is: store.Unreferenced}, 0},
		{store.Condition{Name: "advertisers/none", Is: store.Unreferenced}, 0},
		{store.Condition{Name: "advertisers/a", Is: store.Unreferenced}, hexbid.InUse},
		{store.Condition{Name: placeName, Is: store.HasVerdict, Version: version}, 0},
		{store.Condition{Name: placeName, Is: store.HasVerdict, Version: version + 1}, hexbid.Stale},
		{store.Condition{Name: placeName, Is: store.HasVerdict}, hexbid.Stale},
		{store.Condition{Name: placeName + "2", Is: store.HasVerdict}, 0},
	} {
		c.Field = "a.field"
		g := group(put("advertisers/other", "x"))
		g.Conditions = []store.Condition{{Name: "advertisers/a", Is: store.Exists}, c.Condition}
		if c.kind == 0 {
			mustHold(t, s, g)
			continue
		}
		wantField(t, refused(t, s, c.kind, g), "a.field")
	}
	// Conditions are judged before the group's own steps, and after the groups before.
	g := group(remove("advertisers/free"))
	g.Conditions = []store.Condition{{Name: "advertisers/free", Is: store.Exists}}
	outcomes := commit(t, s, g, g, group(create("advertisers/free")), g)
	for i, want := range []bool{true, false, true, true} {
		if holds := outcomes[i].Err == nil; holds != want {
			t.Errorf("outcome %d: %v", i, outcomes[i].Err)
		}
	}
}

func testReferences(t *testing.T, e Engine) {
	s := opened(t, e)
	buys := campaign("advertisers/a/campaigns/c", "advertisers/a/programs/p", 0)
	err := refused(t, s, hexbid.NotFound, group(buys))
	all, _ := hexbid.ErrorsOf(err)
	if len(all) != 2 || all[0].Field != "name" || all[1].Field != "campaign.program" {
		t.Errorf("of two missing references: %v", err)
	}
	mustCommit(t, s, create("advertisers/a"))
	wantField(t, refused(t, s, hexbid.NotFound, group(buys)), "campaign.program")
	// References are judged at the end of the group, in whatever order its steps stand.
	mustCommit(t, s, buys, program("advertisers/a/programs/p"))
	refused(t, s, hexbid.NotFound, group(place(placeName, hexbid.Approved), remove("advertisers/a/programs/p"),
		remove("advertisers/a/campaigns/c")))
	// A group that depends on another is refused if the other was refused.
	outcomes := commit(t, s, group(create("advertisers/b"), remove("advertisers/none")),
		group(program("advertisers/b/programs/p")),
		group(create("advertisers/b")), group(program("advertisers/b/programs/p")))
	for i, want := range []bool{false, false, true, true} {
		if holds := outcomes[i].Err == nil; holds != want {
			t.Errorf("outcome %d: %v", i, outcomes[i].Err)
		}
	}
	// An update is judged like a create.
	moved := campaign("advertisers/a/campaigns/c", "advertisers/a/programs/none", 0)
	wantField(t, refused(t, s, hexbid.NotFound, group(moved)), "campaign.program")
}

func testInUse(t *testing.T, e Engine) {
	s := opened(t, e)
	mustCommit(t, s, append(parents(), place(placeName, hexbid.Approved),
		campaign("advertisers/a/campaigns/c", "advertisers/a/programs/p", 0))...)
	wantField(t, refused(t, s, hexbid.InUse, group(remove("advertisers/a/programs/p"))), "name")
	refused(t, s, hexbid.InUse, group(remove("advertisers/a")))
	refused(t, s, hexbid.InUse, group(remove("advertisers/a/programs/p"), remove(placeName)))
	refused(t, s, hexbid.InUse, group(remove("advertisers/a/programs/p"), remove("advertisers/a/campaigns/c")))
	// A program that a group deletes and puts again is there at the group's end.
	mustCommit(t, s, remove("advertisers/a/programs/p"), program("advertisers/a/programs/p"))
	refused(t, s, hexbid.InUse, group(remove("advertisers/a/programs/p")))
	// Each delete needs the ones before it. A refused group deletes nothing.
	outcomes := commit(t, s, group(remove(placeName), remove("advertisers/none")),
		group(remove("advertisers/a/programs/p")),
		group(remove(placeName)), group(remove("advertisers/a/programs/p")), group(remove("advertisers/a/campaigns/c")),
		group(remove("advertisers/a/programs/p")), group(remove("advertisers/a")))
	for i, want := range []hexbid.ErrorKind{hexbid.NotFound, hexbid.InUse, 0, hexbid.InUse, 0, 0, 0} {
		if got := outcomes[i].Err; (got == nil) != (want == 0) || got != nil && hexbid.KindOf(got) != want {
			t.Errorf("outcome %d: %v, want kind %d", i, got, want)
		}
	}
	// One group deletes all of them, in whatever order.
	mustCommit(t, s, append(parents(), place(placeName, hexbid.Approved))...)
	mustCommit(t, s, remove("advertisers/a"), remove("advertisers/a/programs/p"), remove(placeName))
	wantGone(t, s, "advertisers/a", "advertisers/a/programs/p", placeName)
}

func testReferencesEnd(t *testing.T, e Engine) {
	s := opened(t, e)
	const p, q = "advertisers/a/programs/p", "advertisers/a/programs/q"
	mustCommit(t, s, put("advertisers/a", "a"), program(p), program(q), campaign("advertisers/a/campaigns/c", p, 0))
	mustCommit(t, s, campaign("advertisers/a/campaigns/c", p, 100)) // which changes no reference
	refused(t, s, hexbid.InUse, group(remove(p)))
	mustCommit(t, s, campaign("advertisers/a/campaigns/c", q, 0))
	refused(t, s, hexbid.InUse, group(remove(q)))
	mustCommit(t, s, remove(p))
	mustCommit(t, s, program(p))
	// A reference changes and changes back within a commit, and within a group.
	outcomes := commit(t, s, each(campaign("advertisers/a/campaigns/c", p, 0), campaign("advertisers/a/campaigns/c", q, 0),
		remove(q), remove(p))...)
	if outcomes[3].Err != nil {
		t.Errorf("deleting what nothing refers to any more: %v", outcomes[3].Err)
	}
	wantKind(t, outcomes[2].Err, hexbid.InUse)
	mustCommit(t, s, program(p), campaign("advertisers/a/campaigns/c", p, 0), campaign("advertisers/a/campaigns/c", q, 0))
	mustCommit(t, s, remove(p))
	mustCommit(t, s, remove("advertisers/a/campaigns/c"))
	mustCommit(t, s, remove(q), remove("advertisers/a"))
}

// counting returns a step that puts an advertiser with counts.
func counting(name string, counts ...store.Count) store.Step {
	step := put(name, name)
	step.Put.Counts = counts
	return step
}

func testCounters(t *testing.T, e Engine) {
	s := opened(t, e)
	places := func(by int64) store.Count { return store.Count{Owner: "x", Counter: store.Places, By: by} }
	want := func(n int64, when string) {
		t.Helper()
		if got := counted(t, s, "x", store.Places); got != n {
			t.Errorf("%s: %d are counted, want %d", when, got, n)
		}
	}
	want(0, "at first")
	mustCommit(t, s, counting("advertisers/a", places(3)))
	want(3, "one")
	mustCommit(t, s, counting("advertisers/b", places(4), places(5),
		store.Count{Owner: "x", Counter: store.Around, By: 7}))
	want(12, "two")
	mustCommit(t, s, counting("advertisers/a", places(-1)))
	want(8, "one replaced")
	mustCommit(t, s, counting("advertisers/a", places(100)), counting("advertisers/a", places(1)))
	want(10, "twice in a group")
	refused(t, s, hexbid.NotFound, group(counting("advertisers/c", places(1000)), remove("advertisers/b"),
		remove("advertisers/none")))
	want(10, "a refused group")
	commit(t, s, each(counting("advertisers/c", places(20)), remove("advertisers/none"), remove("advertisers/b"),
		counting("advertisers/c", places(30)))...)
	want(31, "a commit of several groups")
	if n := counted(t, s, "x", store.Around); n != 0 {
		t.Errorf("%d around", n)
	}
	mustCommit(t, s, remove("advertisers/c"), remove("advertisers/a"))
	want(0, "at last")
	if n := counted(t, s, "X", store.Places); n != 0 {
		t.Errorf("another owner has %d", n)
	}
}

func testProducts(t *testing.T, e Engine) {
	s := opened(t, e)
	mustCommit(t, s, parents()...)
	want := func(approved, around int64, when string) {
		t.Helper()
		if got := counted(t, s, "advertisers/a", store.Entries); got != store.EntriesAPlace*approved*around {
			t.Errorf("%s: %d entries for %d approved places and %d campaigns around them", when, got, approved, around)
		}
	}
	const p, c = "advertisers/a/programs/p", "advertisers/a/campaigns/c"
	mustCommit(t, s, place(p+"/places/1", hexbid.Approved), place(p+"/places/2", hexbid.Approved),
		place(p+"/places/3", hexbid.Hidden))
	mustCommit(t, s, campaign(c+"1", p, 100), campaign(c+"2", p, 200), campaign(c+"3", p, 0))
	want(2, 2, "places, then campaigns")
	mustCommit(t, s, place(p+"/places/3", hexbid.Approved))
	want(3, 2, "one approved")
	mustCommit(t, s, place(p+"/places/1", hexbid.Hidden), campaign(c+"3", p, 5), place(p+"/places/2", hexbid.Approved))
	want(2, 3, "several at once")
	commit(t, s, each(remove(c+"1"), place(p+"/places/1", hexbid.Approved), remove(p+"/places/3"),
		campaign(c+"4", p, 1))...)
	want(2, 3, "several in a commit")
	mustCommit(t, s, remove(p+"/places/1"), remove(c+"2"))
	want(1, 2, "fewer")
	mustCommit(t, s, remove(c+"3"), remove(c+"4"), remove(p+"/places/2"))
	want(0, 0, "none")
}

func testLimits(t *testing.T, e Engine) {
	s := opened(t, e)
	limited := func(atMost int64, steps ...store.Step) store.Group {
		g := group(steps...)
		g.Limits = []store.Limit{{Owner: "y", Counter: store.Places, AtMost: 100},
			{Owner: "x", Counter: store.Places, AtMost: atMost, Field: "a.field"}}
		return g
	}
	places := func(name string, by int64) store.Step {
		return counting(name, store.Count{Owner: "x", Counter: store.Places, By: by})
	}
	mustHold(t, s, limited(10, places("advertisers/a", 10)))
	err := refused(t, s, hexbid.Exhausted, limited(10, places("advertisers/b", 1)))
	var limit *store.LimitError
	if !errors.As(err, &limit) || limit.Before != 10 || limit.After != 11 ||
		limit.Limit != (store.Limit{Owner: "x", Counter: store.Places, AtMost: 10, Field: "a.field"}) {
		t.Errorf("refused by %+v", err)
	}
	wantField(t, err, "a.field")
	// A counter above a lowered limit may stay or shrink, but not grow.
	mustHold(t, s, limited(5, places("advertisers/a", 10), put("advertisers/b", "b")))
	mustHold(t, s, limited(5, places("advertisers/a", 7)))
	refused(t, s, hexbid.Exhausted, limited(5, places("advertisers/a", 8)))
	mustHold(t, s, limited(5, places("advertisers/a", 100), places("advertisers/a", 6)))
	mustHold(t, s, limited(5, places("advertisers/a", 5)))
	refused(t, s, hexbid.Exhausted, limited(5, places("advertisers/a", 6)))
	testOwnLimits(t, s)
	// Within a commit, a group may use what the groups before it left free.
	outcomes := commit(t, s, limited(5, places("advertisers/a", 3)), limited(5, places("advertisers/c", 3)),
		limited(5, places("advertisers/c", 2)), limited(5, places("advertisers/d", 1)))
	for i, want := range []bool{true, false, true, false} {
		if holds := outcomes[i].Err == nil; holds != want {
			t.Errorf("outcome %d: %v", i, outcomes[i].Err)
		}
	}
}

// testOwnLimits sets a limit by a counter, which holds from the next group of the same commit on.
func testOwnLimits(t *testing.T, s store.Store) {
	own := func(name string, campaigns, quota int64) store.Group {
		g := group(counting(name, store.Count{Owner: "z", Counter: store.Campaigns, By: campaigns},
			store.Count{Owner: "z", Counter: store.CampaignQuota, By: quota}))
		g.Limits = []store.Limit{{Owner: "z", Counter: store.Campaigns, AtMost: 3, Own: store.CampaignQuota}}
		return g
	}
	outcomes := commit(t, s, own("advertisers/e", 3, 0), own("advertisers/f", 1, 0), own("advertisers/f", 1, 5),
		own("advertisers/e", 5, 0), own("advertisers/e", 4, 0), own("advertisers/f", 1, 2), own("advertisers/e", 3, 0),
		own("advertisers/e", 4, 0))
	for i, want := range []bool{true, false, true, false, true, true, true, false} {
		if holds := outcomes[i].Err == nil; holds != want {
			t.Errorf("own limit, outcome %d: %v", i, outcomes[i].Err)
		}
	}
	var limit *store.LimitError
	if err := outcomes[7].Err; !errors.As(err, &limit) || limit.Limit.AtMost != 2 || limit.After != 5 {
		t.Errorf("refused by %+v", err)
	}
}

func testJudge(t *testing.T, e Engine) {
	s := opened(t, e)
	mustCommit(t, s, parents()...)
	before := mustGet(t, s, "advertisers/a")
	update := put("advertisers/a", "changed")
	update.IfVersion = before.Meta().Version
	judged := judged(hexbid.Hidden, "x")
	groups := []store.Group{group(update), group(update), group(create("advertisers/b")),
		group(program("advertisers/b/programs/p")), group(judged),
		group(remove("advertisers/a/programs/p")), group(campaign("advertisers/a/campaigns/c", "advertisers/none", 0))}
	feed := s.Watch(s.Version())
	outcomes, err := s.Judge(ctx, groups)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []hexbid.ErrorKind{0, hexbid.Stale, 0, 0, 0, hexbid.InUse, hexbid.NotFound} {
		if got := outcomes[i].Err; (got == nil) != (want == 0) || got != nil && hexbid.KindOf(got) != want {
			t.Errorf("outcome %d: %v, want kind %d", i, got, want)
		}
		if c := &outcomes[i].Change; c.Version != 0 || c.Hash != ([32]byte{}) {
			t.Errorf("outcome %d has version %d", i, c.Version)
		}
	}
	if w := outcomes[0].Change.Puts[0]; w.Meta().UID != before.Meta().UID || w.Meta().Version != 0 ||
		!reflect.DeepEqual(w.Before, before) {
		t.Errorf("judged: %+v", w)
	}
	if w := outcomes[2].Change.Puts[0]; w.Meta().UID != 0 || w.Meta().Version != 0 {
		t.Errorf("judged: %+v", w.Meta())
	}
	// Nothing has changed.
	if after := mustGet(t, s, "advertisers/a"); !reflect.DeepEqual(after, before) {
		t.Errorf("the record has become %+v", after)
	}
	wantGone(t, s, "advertisers/b", placeName)
	wantVerdict(t, s, nil, 0, "judged")
	if n := counted(t, s, "advertisers/a/programs/p", store.Places); n != 0 {
		t.Errorf("%d places are counted", n)
	}
	if c, there := feed.Waiting(); there || len(logged(t, s, 0)) != 1 {
		t.Errorf("a change %+v", c)
	}
	if outcomes := commit(t, s, groups...); outcomes[2].Err != nil || outcomes[2].Change.Puts[0].Meta().UID != 3 {
		t.Errorf("committed afterwards: %+v", outcomes[2])
	}
}
