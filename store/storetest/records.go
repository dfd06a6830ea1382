package storetest

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

var records = []conduct{
	{"a record comes back as it was put", testRoundTrip},
	{"a group is all or nothing", testAtomic},
	{"a step names the version in force", testVersions},
	{"a uid is never used twice", testUIDs},
	{"an undone delete revives its uid", testRevive},
	{"a verdict stands until the next", testVerdicts},
	{"a verdict can be given without touching the place", testJudgeStep},
	{"what no engine could keep is refused", testIllFormed},
	{"a closed store refuses", testClosed},
	{"a context that has ended changes nothing", testEndedContext},
}

// fullRecords returns records with a value in most fields. Each refers to the ones before it.
func fullRecords() []*store.Record {
	at := noon.Add(-time.Hour)
	resources := []hexbid.Resource{
		&hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/a", CreatedAt: at, UpdatedAt: at}, DisplayName: "甲",
			State: hexbid.Active},
		&hexbid.Program{Meta: hexbid.Meta{Name: "advertisers/a/programs/p", CreatedAt: at}, DisplayName: "程序",
			Category: hexbid.Catering, Hosts: []hexbid.Host{hexbid.WeChat, hexbid.Alipay}, OS: []hexbid.OS{hexbid.IOS},
			MinimumAge: 18, Keywords: []string{"咖啡"}},
		&hexbid.Place{Meta: hexbid.Meta{Name: "advertisers/a/programs/p/places/l"},
			Point: hexbid.Point{Lat: 30.25, Lng: 120.16}, Review: hexbid.Approved},
		&hexbid.Campaign{Meta: hexbid.Meta{Name: "advertisers/a/campaigns/c"}, Program: "advertisers/a/programs/p",
			Pricing: hexbid.CPC, Bid: 1_200_000, DailyBudget: 50_000_000, Start: at,
			Hours: []hexbid.WeeklyHours{{Day: 1, Start: 2, End: 3}},
			Area: hexbid.Area{AroundPlacesM: 500, Circles: []hexbid.Circle{{Center: hexbid.Point{Lat: 1, Lng: 2}, RadiusM: 3}},
				Cells: []uint64{0x89309ab36abffff}, Regions: []string{"330100"}},
			Audience: hexbid.Audience{Ages: []hexbid.AgeRange{{Min: 18, Max: 30}}},
			Cap:      hexbid.FrequencyCap{Impressions: 3, Window: time.Hour}},
		&hexbid.User{Meta: hexbid.Meta{Name: "users/a", CreatedAt: at}, DisplayName: "甲", Role: hexbid.Member,
			Memberships:      []hexbid.Membership{{Advertiser: "advertisers/a", UID: 1, Level: hexbid.LevelAdmin}},
			CertificateNames: []string{"a.example"}, Identities: []hexbid.Identity{{Issuer: "https://i", Subject: "a"}}},
		&hexbid.Client{Meta: hexbid.Meta{Name: "clients/a"}, SeesPrices: true, RendersOnly: true,
			EventsOf: []hexbid.ClientGrant{{Client: "clients/b", UID: 3}}},
		&hexbid.Key{Meta: hexbid.Meta{Name: "clients/a/keys/k"}, CredentialID: "abc", SecretHash: [32]byte{1, 2},
			Expires: at},
		&hexbid.Key{Meta: hexbid.Meta{Name: "users/a/keys/k"}, CredentialID: "abd", SecretHash: [32]byte{3}},
		&hexbid.Market{Meta: hexbid.Meta{Name: "market", CreatedAt: at}, Increment: 7, Mechanism: hexbid.MechanismVCG,
			Priors:   []hexbid.CategoryPrior{{Category: hexbid.Catering, PPM: 30_000}},
			Reserves: []hexbid.Reserve{{Region: "330100", PerThousand: 5}},
			Distance: &hexbid.DistanceTable{EndsM: []float64{500},
				Factors: []hexbid.CategoryDistance{{FactorPPM: []int64{3, 2}}}}},
	}
	all := make([]*store.Record, len(resources))
	for i, r := range resources {
		record := store.Declare(r, 4)
		all[i] = &record
	}
	return all
}

func putAll(all []*store.Record) (steps []store.Step) {
	for _, r := range all {
		steps = append(steps, store.Step{Put: r})
	}
	return steps
}

// asStored returns a record as the store reads it: with its numbers, and without the fields that errors name.
func asStored(r *store.Record, uid hexbid.UID, version uint64) store.Record {
	stored := store.WithMeta(*r, uid, version)
	stored.Refers = nil
	for _, to := range r.Refers {
		stored.Refers = append(stored.Refers, store.Reference{Name: to.Name})
	}
	return stored
}

func testRoundTrip(t *testing.T, e Engine) {
	s := opened(t, e)
	change := mustCommit(t, s, putAll(fullRecords())...)
	if len(change.Puts) != len(fullRecords()) || len(change.Deletes) != 0 {
		t.Fatalf("the change has %d puts and %d deletes", len(change.Puts), len(change.Deletes))
	}
	for i, put := range fullRecords() {
		want := asStored(put, hexbid.UID(i+1), change.Version)
		if got := change.Puts[i]; !reflect.DeepEqual(got, store.Written{Record: want}) {
			t.Errorf("committed %+v\nwant %+v", got, want)
		}
		if got := mustGet(t, s, put.Meta().Name); !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v of %+v\nwant %+v of %+v", got, got.Resource, want, want.Resource)
		}
		if byUID, err := s.ByUID(ctx, want.Meta().UID); err != nil || !reflect.DeepEqual(byUID, want) {
			t.Errorf("by uid %d: got %+v, %v", want.Meta().UID, byUID.Resource, err)
		}
		if !reflect.DeepEqual(put.Resource.Metadata(), fullRecords()[i].Meta()) {
			t.Errorf("the caller's record has become %+v", put.Meta())
		}
	}
}

func testAtomic(t *testing.T, e Engine) {
	s := opened(t, e)
	mustCommit(t, s, put("advertisers/a", "first"))
	refused(t, s, hexbid.NotFound, group(put("advertisers/b", "b"), program("advertisers/a/programs/p"),
		put("advertisers/a", "second"), remove("advertisers/none")))
	wantGone(t, s, "advertisers/b", "advertisers/a/programs/p")
	if r := mustGet(t, s, "advertisers/a"); r.Resource.(*hexbid.Advertiser).DisplayName != "first" {
		t.Error("a record was changed by the failed group")
	}
	// The refused group left no reference; otherwise the store would refuse this delete.
	gone := mustGet(t, s, "advertisers/a")
	mustCommit(t, s, remove("advertisers/a"))
	mustCommit(t, s, put("advertisers/a", "another"))
	_, err := s.ByUID(ctx, gone.Meta().UID)
	wantKind(t, err, hexbid.NotFound)
	// A step sees the effects of the steps before it.
	if change := mustCommit(t, s, put("advertisers/c", "c"),
		remove("advertisers/c")); len(change.Puts)+len(change.Deletes) != 0 {
		t.Errorf("put then deleted in one group: %+v", change)
	}
	wantGone(t, s, "advertisers/c")
	testTwiceInOneGroup(t, s)
}

// testTwiceInOneGroup writes a name several times in one group.
func testTwiceInOneGroup(t *testing.T, s store.Store) {
	t.Helper()
	before := mustGet(t, s, "advertisers/a")
	replaced := mustCommit(t, s, put("advertisers/a", "x"), put("advertisers/a", "y"))
	if len(replaced.Puts) != 1 || !reflect.DeepEqual(replaced.Puts[0].Before, before) ||
		replaced.Puts[0].Resource.(*hexbid.Advertiser).DisplayName != "y" {
		t.Errorf("replaced twice: %+v", replaced)
	}
	before = mustGet(t, s, "advertisers/a")
	again := mustCommit(t, s, remove("advertisers/a"), put("advertisers/a", "z"))
	if len(again.Puts) != 1 || len(again.Deletes) != 1 || !reflect.DeepEqual(again.Deletes[0], before) ||
		again.Puts[0].Before.Resource != nil || again.Puts[0].Meta().UID <= before.Meta().UID {
		t.Errorf("deleted and put again in a group: %+v", again)
	}
	_, err := s.ByUID(ctx, before.Meta().UID)
	wantKind(t, err, hexbid.NotFound)
	if _, err := s.ByUID(ctx, again.Puts[0].Meta().UID); err != nil {
		t.Error(err)
	}
	var many []store.Step // so many names that an engine may look them up in another way
	for i := range 20 {
		many = append(many, put("advertisers/a", fmt.Sprint(i)), put(fmt.Sprint("advertisers/many-", i), "x"))
	}
	if change := mustCommit(t, s, many...); len(change.Puts) != 21 ||
		change.Puts[0].Resource.(*hexbid.Advertiser).DisplayName != "19" {
		t.Errorf("one name 20 times among others: %d puts, %+v", len(change.Puts), change.Puts[0].Resource)
	}
}

func testVersions(t *testing.T, e Engine) {
	s := opened(t, e)
	first := mustCommit(t, s, create("advertisers/a"))
	wantField(t, refused(t, s, hexbid.AlreadyExists, group(create("advertisers/a"))), "name")
	update := put("advertisers/a", "y")
	update.IfVersion = first.Version
	second := mustCommit(t, s, update)
	if second.Version <= first.Version || s.Version() != second.Version {
		t.Errorf("version %d after %d, the store's is %d", second.Version, first.Version, s.Version())
	}
	wantField(t, refused(t, s, hexbid.Stale, group(update)), "etag")
	refused(t, s, hexbid.Stale, group(store.Step{Delete: "advertisers/a", IfVersion: first.Version}))
	refused(t, s, hexbid.Stale, group(store.Step{Delete: "advertisers/a", IfVersion: store.InThisCommit}))
	update = put("advertisers/none", "z")
	update.IfVersion = 7
	refused(t, s, hexbid.NotFound, group(update))
	update.IfVersion = store.InThisCommit
	refused(t, s, hexbid.NotFound, group(update))
	refused(t, s, hexbid.NotFound, group(store.Step{Delete: "advertisers/none"}))
	mustCommit(t, s, store.Step{Delete: "advertisers/a", IfVersion: second.Version})
}

func testUIDs(t *testing.T, e Engine) {
	s := opened(t, e)
	seen := map[hexbid.UID]bool{}
	for range 3 {
		r := mustCommit(t, s, put("advertisers/a", "x")).Puts[0]
		if seen[r.Meta().UID] || r.Meta().UID == 0 {
			t.Fatalf("uid %d was used before", r.Meta().UID)
		}
		seen[r.Meta().UID] = true
		if again := mustCommit(t, s, put("advertisers/a", "y")).Puts[0]; again.Meta().UID != r.Meta().UID {
			t.Errorf("an update changed the uid from %d to %d", r.Meta().UID, again.Meta().UID)
		}
		mustCommit(t, s, remove("advertisers/a"))
	}
}

func testRevive(t *testing.T, e Engine) {
	s := opened(t, e)
	uid := mustCommit(t, s, create("advertisers/a")).Puts[0].Meta().UID
	other := mustCommit(t, s, create("advertisers/b")).Puts[0].Meta().UID
	revive := func(name string, uid hexbid.UID) store.Group {
		step := put(name, "again")
		step.Revive = uid
		return group(step)
	}
	refused(t, s, hexbid.AlreadyExists, revive("advertisers/a", uid)) // the name is taken
	refused(t, s, hexbid.AlreadyExists, revive("advertisers/c", uid)) // the uid is in use
	refused(t, s, hexbid.Invalid, revive("advertisers/c", other+1))   // never assigned
	mustCommit(t, s, remove("advertisers/a"))
	again := mustHold(t, s, revive("advertisers/a", uid))
	if got := mustGet(t, s, "advertisers/a"); got.Meta().UID != uid || got.Meta().Version != again.Version {
		t.Errorf("revived as %+v", got.Meta())
	}
	if r, err := s.ByUID(ctx, uid); err != nil || r.Meta().Name != "advertisers/a" {
		t.Errorf("by its uid: %+v, %v", r, err)
	}
	refused(t, s, hexbid.AlreadyExists, revive("advertisers/c", uid))
	// The same holds within a commit: the next group revives the uid that one group frees, and no third group can.
	outcomes := commit(t, s, group(remove("advertisers/b")), revive("advertisers/c", other),
		revive("advertisers/d", other))
	if outcomes[0].Err != nil || outcomes[1].Err != nil {
		t.Errorf("freed and revived in a commit: %v, %v", outcomes[0].Err, outcomes[1].Err)
	}
	wantKind(t, outcomes[2].Err, hexbid.AlreadyExists)
	if next := mustCommit(t, s, create("advertisers/e")).Puts[0].Meta().UID; next <= other {
		t.Errorf("uid %d is given out after %d", next, other)
	}
}

const placeName = "advertisers/a/programs/p/places/l"

// parents returns steps that put the records which the place of placeName refers to.
func parents() []store.Step {
	return []store.Step{put("advertisers/a", "a"), program("advertisers/a/programs/p")}
}

// judged returns a step that puts a place with a verdict on it.
func judged(state hexbid.ReviewState, displayName string) store.Step {
	step := putting(&hexbid.Place{Meta: hexbid.Meta{Name: placeName}, DisplayName: displayName, Review: state})
	step.Verdict = &store.Verdict{State: state, At: noon,
		Of: hexbid.Place{DisplayName: displayName, Point: hexbid.Point{Lat: 30.25, Lng: 120.16}}}
	return step
}

func mustVerdict(t testing.TB, s store.Store, name string) store.Verdict {
	t.Helper()
	v, err := s.Verdict(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// wantVerdict checks the verdict on the place of placeName, nil for none.
func wantVerdict(t testing.TB, s store.Store, want *store.Verdict, version uint64, when string) {
	t.Helper()
	expected := store.Verdict{}
	if want != nil {
		expected = *want
		expected.Version = version
	}
	if got := mustVerdict(t, s, placeName); !reflect.DeepEqual(got, expected) {
		t.Errorf("%s: the verdict is %+v, want %+v", when, got, expected)
	}
}

func testVerdicts(t *testing.T, e Engine) {
	s := opened(t, e)
	mustCommit(t, s, parents()...)
	hidden := judged(hexbid.Hidden, "one")
	wantVerdict(t, s, nil, 0, "at first")
	change := mustCommit(t, s, hidden)
	version := change.Version
	if want := []store.PastVerdict{{Name: placeName}}; !reflect.DeepEqual(change.Verdicts, want) {
		t.Errorf("the change tells the verdicts %+v, want %+v", change.Verdicts, want)
	}
	wantVerdict(t, s, hidden.Verdict, version, "given")
	plain := hidden
	plain.Verdict = nil
	mustCommit(t, s, plain)
	mustCommit(t, s, remove(placeName))
	wantVerdict(t, s, hidden.Verdict, version, "after a change and a deletion without one")
	wantGone(t, s, placeName)
	mustCommit(t, s, plain)
	wantVerdict(t, s, hidden.Verdict, version, "of the place made again")

	refused(t, s, hexbid.NotFound, group(judged(hexbid.Approved, "two"), remove("advertisers/none")))
	stray := put("advertisers/a", "a")
	stray.Verdict = hidden.Verdict
	refused(t, s, hexbid.Invalid, group(judged(hexbid.Approved, "two"), stray))
	wantVerdict(t, s, hidden.Verdict, version, "after groups that failed")

	last := remove(placeName)
	last.Verdict = judged(hexbid.InReview, "three").Verdict
	change = mustCommit(t, s, judged(hexbid.Approved, "two"), last)
	wantVerdict(t, s, last.Verdict, change.Version, "the last of a group")
	if len(change.Verdicts) != 1 || change.Verdicts[0].Version != version || change.Verdicts[0].State != hexbid.Hidden {
		t.Errorf("a change tells the verdicts before it as %+v", change.Verdicts)
	}
	if v := mustVerdict(t, s, placeName+"2"); v != (store.Verdict{}) {
		t.Errorf("another name has %+v", v)
	}
}

func testJudgeStep(t *testing.T, e Engine) {
	s := opened(t, e)
	mustCommit(t, s, append(parents(), place(placeName, hexbid.InReview))...)
	before := mustGet(t, s, placeName)
	step := store.Step{Judge: placeName, Verdict: judged(hexbid.Hidden, "x").Verdict}
	change := mustCommit(t, s, step)
	if len(change.Puts)+len(change.Deletes) != 0 || len(change.Verdicts) != 1 || change.Verdicts[0].Name != placeName {
		t.Errorf("the change is %+v", change)
	}
	wantVerdict(t, s, step.Verdict, change.Version, "given alone")
	if after := mustGet(t, s, placeName); !reflect.DeepEqual(after, before) {
		t.Errorf("the place has become %+v", after)
	}
	// A verdict is accepted beside a put of its place in the same group, and on a name without a place.
	both := mustCommit(t, s, step, place(placeName, hexbid.Hidden))
	if len(both.Puts) != 1 || !reflect.DeepEqual(both.Puts[0].Before, before) {
		t.Errorf("judged and put: %+v", both)
	}
	mustCommit(t, s, remove(placeName))
	gone := mustCommit(t, s, step)
	wantVerdict(t, s, step.Verdict, gone.Version, "of a place that is gone")
	refused(t, s, hexbid.Invalid, group(store.Step{Judge: placeName}))
	refused(t, s, hexbid.Invalid, group(store.Step{Judge: "advertisers/a", Verdict: step.Verdict}))
}

func testIllFormed(t *testing.T, e Engine) {
	s := opened(t, e)
	declaring := func(change func(*store.Record)) store.Step {
		step := put("advertisers/a", "a")
		change(step.Put)
		return step
	}
	counting := func(c ...store.Count) store.Step { return declaring(func(r *store.Record) { r.Counts = c }) }
	both := put("advertisers/a", "a")
	both.Delete = "advertisers/a"
	derived := remove("advertisers/a")
	derived.Derived = &store.Derived{}
	mustCommit(t, s, put("advertisers/a", "a"))
	for what, step := range map[string]store.Step{
		"nothing":                     {},
		"no resource":                 {Put: &store.Record{}},
		"two things":                  both,
		"derived of a delete":         derived,
		"no name":                     put("", "a"),
		"any name":                    put("advertisers/-", "a"),
		"a name of another kind":      put("advertisers/a/programs/p", "a"),
		"a delete of no name":         remove("advertisers"),
		"a delete of any name":        remove("advertisers/-"),
		"a zero byte in a counter":    counting(store.Count{Owner: "a\x00b", Counter: store.Places, By: 1}),
		"no owner of a counter":       counting(store.Count{Counter: store.Places, By: 1}),
		"no counter":                  counting(store.Count{Owner: "advertisers/a", By: 1}),
		"a counter that is not there": counting(store.Count{Owner: "advertisers/a", Counter: 200, By: 1}),
		"a factor that is not there": counting(store.Count{Owner: "advertisers/a", Counter: store.Places, By: 1,
			TimesOwner: "x", Times: 200}),
		"a factor without an owner": counting(store.Count{Owner: "advertisers/a", Counter: store.Places, By: 1,
			Times: store.Around}),
		"a factor that it changes": counting(store.Count{Owner: "x", Counter: store.Places, By: 1, TimesOwner: "y",
			Times: store.Around},
			store.Count{Owner: "y", Counter: store.Around, By: 1}),
		"counts beyond 64 bits": counting(store.Count{Owner: "x", Counter: store.Places, By: 1 << 62},
			store.Count{Owner: "x", Counter: store.Places, By: 1 << 62}),
		"counts beyond 64 bits, below": counting(store.Count{Owner: "x", Counter: store.Places, By: -1 << 63},
			store.Count{Owner: "x", Counter: store.Places, By: -1}),
		"references without end": declaring(func(r *store.Record) { r.Refers = make([]store.Reference, 1000) }),
		"counts without end":     declaring(func(r *store.Record) { r.Counts = make([]store.Count, 1000) }),
	} {
		t.Run(what, func(t *testing.T) { refused(t, s, hexbid.Invalid, group(step)) })
	}
	testProductBeyond64Bits(t, s)
	refused(t, s, hexbid.Invalid, store.Group{Conditions: []store.Condition{{Name: "advertisers/a", Is: 99}}})
	if n := counted(t, s, "x", store.Places); n != 0 {
		t.Errorf("refused groups have counted %d", n)
	}
}

// testProductBeyond64Bits multiplies a count by a counter until the product leaves 64 bits.
func testProductBeyond64Bits(t *testing.T, s store.Store) {
	factor := put("advertisers/a", "a")
	factor.Put.Counts = []store.Count{{Owner: "x", Counter: store.Around, By: 1 << 40}}
	mustCommit(t, s, factor)
	product := put("advertisers/b", "b")
	product.Put.Counts = []store.Count{{Owner: "y", Counter: store.Places, By: 1 << 40, TimesOwner: "x",
		Times: store.Around}}
	refused(t, s, hexbid.Invalid, group(product))
}

func testClosed(t *testing.T, e Engine) {
	s := opened(t, e)
	feed := s.Watch(0)
	change := mustCommit(t, s, put("advertisers/a", "a"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := s.Commit(ctx, each(put("advertisers/a", "x")))
	wantKind(t, err, hexbid.Unavailable)
	_, err = s.Judge(ctx, each(put("advertisers/a", "x")))
	wantKind(t, err, hexbid.Unavailable)
	wantKind(t, s.KeepDerived(ctx, []store.Derived{{UID: 1, Version: change.Version}}), hexbid.Unavailable)
	_, err = s.Get(ctx, "advertisers/a")
	wantKind(t, err, hexbid.Unavailable)
	_, err = s.ByUID(ctx, 1)
	wantKind(t, err, hexbid.Unavailable)
	_, err = s.Verdict(ctx, placeName)
	wantKind(t, err, hexbid.Unavailable)
	_, err = s.Counted(ctx, "advertisers/a", store.Entries)
	wantKind(t, err, hexbid.Unavailable)
	_, err = s.List(ctx, store.ListQuery{Kind: hexbid.KindAdvertiser}, func(store.Record) bool { return true })
	wantKind(t, err, hexbid.Unavailable)
	_, err = s.Scan(ctx, func(store.Record, *store.Derived) error { return nil })
	wantKind(t, err, hexbid.Unavailable)
	wantKind(t, s.Log(ctx, 0, func(*store.Change) bool { return true }), hexbid.Unavailable)
	// A feed delivers the changes that it holds in memory, and then ends.
	for range 2 {
		if _, err = feed.Next(soon(t)); err != nil {
			break
		}
	}
	wantKind(t, err, hexbid.Unavailable)
	if err := s.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

func testEndedContext(t *testing.T, e Engine) {
	s := opened(t, e)
	if _, err := s.Commit(stopped(), each(put("advertisers/a", "a"))); !isCanceled(err) {
		t.Errorf("a commit whose context has ended: %v", err)
	}
	if _, err := s.Judge(stopped(), each(put("advertisers/a", "a"))); !isCanceled(err) {
		t.Errorf("a judgement whose context has ended: %v", err)
	}
	wantGone(t, s, "advertisers/a")
	if s.Version() != 0 {
		t.Errorf("version %d", s.Version())
	}
}
