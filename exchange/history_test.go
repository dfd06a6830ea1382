package exchange

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/wire"
)

// told reads all changes that a caller gets.
func changesFor(t testing.TB, ctx context.Context, e *Exchange, q ChangeQuery) (all []Change) {
	t.Helper()
	for {
		next, err := e.Changes(ctx, &q, func(c *Change) bool { all = append(all, *c); return true })
		if err != nil {
			t.Fatal(err)
		}
		if q.Before = next; next == 0 {
			return all
		}
	}
}

// latest returns the newest change of a resource.
func latest(t testing.TB, e *Exchange, name string) Change {
	t.Helper()
	all := changesFor(t, ctx, e, ChangeQuery{Resource: name})
	if len(all) == 0 {
		t.Fatalf("%s has no history", name)
	}
	return all[0]
}

// operatorOf returns a context whose calls are an operator's, with a credential.
func operatorOf(user string) context.Context {
	return hexbid.WithPrincipal(ctx, hexbid.Principal{Role: hexbid.Operator, ID: user, Origin: "10.0.0.7:51514",
		Key: user + "/keys/k"})
}

func setBid(ctx context.Context, e *Exchange, name string, bid hexbid.Money) error {
	_, err := e.Update(ctx, name, store.AnyVersion, false, func(present hexbid.Resource) (hexbid.Resource, error) {
		next := *present.(*hexbid.Campaign)
		next.Bid = bid
		return &next, nil
	})
	return err
}

func TestAHistoryTellsWhoChangedWhatFromWhere(t *testing.T) {
	e := open(t, nil)
	fill(t, e, campaign("c"), campaign("d"))
	name := campaign("c").Name
	if err := setBid(operatorOf("users/alice"), e, name, 2_000_000); err != nil {
		t.Fatal(err)
	}
	if err := e.Delete(operatorOf("users/bob"), name, store.AnyVersion, false); err != nil {
		t.Fatal(err)
	}
	all := changesFor(t, ctx, e, ChangeQuery{Resource: name})
	if len(all) != 3 || all[0].Of[0].After != nil || all[2].Of[0].Before != nil {
		t.Fatalf("%+v", all)
	}
	edit := &all[1]
	if edit.By != (Actor{hexbid.Operator, "users/alice", "10.0.0.7:51514", "users/alice/keys/k"}) || !edit.At.Equal(now) ||
		edit.Of[0].Before.(*hexbid.Campaign).Bid != 1_000_000 || edit.Of[0].After.(*hexbid.Campaign).Bid != 2_000_000 {
		t.Errorf("%+v of %+v", edit, edit.Of[0])
	}
	for q, want := range map[*ChangeQuery]int{
		{Principal: "users/bob"}: 1, {Principal: "operator"}: 2, {Principal: "system"}: 4, {Kind: "campaign"}: 4,
		{Kind: "program"}: 1, {Owner: "advertisers/a"}: 6, {Owner: "users/alice"}: 0, {Resource: name, Kind: "place"}: 0,
		{From: now}: 6, {From: now.Add(1)}: 0, {To: now}: 0, {To: now.Add(1), Principal: "users/alice"}: 1,
		{Resource: name, Owner: "users/alice"}: 0, {Resource: name, Owner: "advertisers/a"}: 3,
	} {
		if got := changesFor(t, ctx, e, *q); len(got) != want {
			t.Errorf("%+v tells %d changes, want %d", *q, len(got), want)
		}
	}
	one, err := e.Change(ctx, edit.Name)
	if err != nil || !reflect.DeepEqual(one, edit) {
		t.Errorf("%+v, %v", one, err)
	}
}

func TestAHistoryRefusesFiltersThatMeanNothing(t *testing.T) {
	e := open(t, nil)
	for field, q := range map[string]ChangeQuery{
		"resource": {Resource: "advertisers/-/campaigns/c"}, "owner": {Owner: "advertisers/a/campaigns/c"},
		"principal": {Principal: "alice"}, "kind": {Kind: strings.Repeat("x", 1<<20)},
		"end_time": {From: now, To: now.Add(-1)},
	} {
		_, err := e.Changes(ctx, &q, func(*Change) bool { return true })
		all, _ := hexbid.ErrorsOf(err)
		if len(all) != 1 || all[0].Field != field || all[0].Kind != hexbid.Invalid || len(err.Error()) > 400 {
			t.Errorf("%s: %.300v", field, err)
		}
	}
	for _, name := range []string{"", "changes/", "changes/x", "advertisers/a", "changes/" + e.changeIDs.Of(1<<40),
		"changes/" + e.changeIDs.Of(0), "changes/" + e.changeIDs.Of(^uint64(0))} {
		want := hexbid.NotFound
		if !strings.HasPrefix(name, "changes/") {
			want = hexbid.Invalid
		}
		for _, door := range []func() error{
			func() error { _, err := e.Change(ctx, name); return err },
			func() error { _, err := e.Undo(ctx, name, false); return err }} {
			if err := door(); err == nil || hexbid.KindOf(err) != want {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
}

func TestMembersSeeTheHistoryOfTheirOwn(t *testing.T) {
	e := open(t, nil)
	own, other := tenant{id: "a"}, tenant{id: "b"}
	for _, x := range []*tenant{&own, &other} {
		if err := firstRejection(e.Import(operatorOf("users/op"), x.resources(), false)); err != nil {
			t.Fatal(err)
		}
		x.uid = must(e.Get(ctx, x.advertiser())).Metadata().UID
	}
	editor, viewer, admin := memberOf(own, hexbid.LevelEditor), memberOf(own, hexbid.LevelViewer),
		memberOf(own, hexbid.LevelAdmin)
	if err := setBid(editor, e, own.campaign(), 2_000_000); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Create(ctx, &hexbid.User{Meta: hexbid.Meta{Name: "users/m"}, Role: hexbid.Member}, false); err != nil {
		t.Fatal(err)
	}
	all := changesFor(t, viewer, e, ChangeQuery{})
	if len(all) != 5 {
		t.Fatalf("a member sees %d changes", len(all))
	}
	for i := range all {
		by := all[i].By
		if want := (Actor{Role: hexbid.Operator}); i > 0 && by != want {
			t.Errorf("an operator shows as %+v", by)
		}
		if !strings.HasPrefix(all[i].Of[0].Name, "advertisers/a") {
			t.Errorf("a member sees %s", all[i].Of[0].Name)
		}
	}
	colleague := hexbid.PrincipalOf(viewer)
	colleague.ID = "users/n"
	if by := changesFor(t, hexbid.WithPrincipal(ctx, colleague), e, ChangeQuery{})[0].By; by.ID != "users/m" ||
		by.Origin != "" || by.Role != hexbid.Member {
		t.Errorf("a colleague shows as %+v", by)
	}
	colleague.Grants = hexbid.PrincipalOf(admin).Grants
	if by := changesFor(t, hexbid.WithPrincipal(ctx, colleague), e, ChangeQuery{})[0].By; by.Origin != hexbid.InProcess {
		t.Errorf("an admin sees %+v", by)
	}
	for _, q := range []ChangeQuery{{Owner: other.advertiser()}, {Resource: other.campaign()}, {Owner: "users/m"},
		{Resource: "users/m"}, {Principal: "users/op"}, {Kind: "user"}} {
		if got := changesFor(t, admin, e, q); len(got) > 0 {
			t.Errorf("%+v shows a member %+v", q, got)
		}
	}
	theirs, absent := latest(t, e, other.campaign()).Name, "changes/"+strings.Repeat("a", 26)
	for _, door := range []func(string) error{
		func(name string) error { _, err := e.Change(admin, name); return err },
		func(name string) error { _, err := e.Undo(admin, name, false); return err }} {
		there, gone := door(theirs), door(absent)
		if there == nil || strings.ReplaceAll(there.Error(), theirs, absent) != gone.Error() {
			t.Errorf("another's change answers %v, one that is not there %v", there, gone)
		}
	}
	searcher := hexbid.WithPrincipal(ctx, hexbid.Principal{Role: hexbid.Searcher, ID: "clients/c"})
	_, err := e.Changes(searcher, &ChangeQuery{}, func(*Change) bool { return true })
	if hexbid.KindOf(err) != hexbid.Denied {
		t.Errorf("a client: %v", err)
	}
}

// What other tenants do alters nothing of what a member sees.
func TestAHistoryTellsNothingOfOthers(t *testing.T) {
	b, own, other := openTenants(t)
	caller := memberOf(own, hexbid.LevelAdmin)
	see := func() (seen string) {
		for _, c := range changesFor(t, caller, b.Exchange, ChangeQuery{}) {
			c.Version = 0 // never shown
			seen += fmt.Sprintf("%s %v %+v %s", c.Name, c.At, c.By, c.Undoes)
		}
		return seen
	}
	before := see()
	for i := range 20 {
		if err := setBid(ctx, b.Exchange, other.campaign(), hexbid.Money(1_000_001+i)); err != nil {
			t.Fatal(err)
		}
	}
	if after := see(); after != before || before == "" {
		t.Errorf("it was\n%s\nand is\n%s", before, after)
	}
}

func TestANameMadeAgainBeginsAHistory(t *testing.T) {
	b, own, _ := openTenants(t)
	for _, name := range []string{own.campaign(), own.place(), own.program(), own.advertiser()} {
		if err := b.Delete(ctx, name, store.AnyVersion, false); err != nil {
			t.Fatal(err)
		}
	}
	if err := firstRejection(b.Import(ctx, own.resources(), false)); err != nil {
		t.Fatal(err)
	}
	former := own
	own.uid = must(b.Get(ctx, own.advertiser())).Metadata().UID
	for _, q := range []ChangeQuery{{}, {Owner: own.advertiser()}, {Resource: own.campaign()}} {
		if all := changesFor(t, memberOf(former, hexbid.LevelAdmin), b.Exchange, q); len(all) > 0 {
			t.Errorf("%+v shows a former member %d changes", q, len(all))
		}
		want := 4
		if q.Resource != "" {
			want = 1
		}
		if all := changesFor(t, memberOf(own, hexbid.LevelAdmin), b.Exchange, q); len(all) != want {
			t.Errorf("%+v shows a member %d changes, want %d", q, len(all), want)
		}
	}
	if all := changesFor(t, ctx, b.Exchange, ChangeQuery{Owner: own.advertiser()}); len(all) < 12 {
		t.Errorf("an operator sees %d changes of both", len(all))
	}
}

func TestNoSecretIsInAHistory(t *testing.T) {
	e := open(t, nil)
	fill(t, e)
	must(e.Create(ctx, &hexbid.User{Meta: hexbid.Meta{Name: "users/u"}, Role: hexbid.Operator}, false))
	key, text, err := e.IssueKey(ctx, &hexbid.Key{Meta: hexbid.Meta{Name: "users/u/keys/k"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Delete(ctx, "users/u/keys/k", store.AnyVersion, false); err != nil {
		t.Fatal(err)
	}
	all := changesFor(t, ctx, e, ChangeQuery{Owner: "users/u"})
	if len(all) != 3 {
		t.Fatalf("%d changes", len(all))
	}
	for i := range all {
		for _, r := range all[i].Of {
			shown := fmt.Sprint(wire.FieldChanges(r.Before, r.After, 0))
			if strings.Contains(shown, text[20:]) || strings.Contains(shown, string(key.SecretHash[:])) ||
				strings.Contains(shown, "hash") {
				t.Errorf("%s shows %s", r.Name, shown)
			}
		}
	}
}

// editedMarket edits resources at random.
type editedMarket struct {
	*Exchange
	names []string
}

func newEditedMarket(t testing.TB, manual bool) *editedMarket {
	e := open(t, func(c *Config) { c.ManualReview = manual })
	fill(t, e, place("l", hub), place("m", hub), campaign("c"), campaign("d"))
	return &editedMarket{e, []string{"advertisers/a", program, program + "/places/l", program + "/places/m",
		"advertisers/a/campaigns/c", "advertisers/a/campaigns/d", "advertisers/a/programs/q"}}
}

// edit makes one change, if the market takes it.
func (m *editedMarket) edit(t *rapid.T) {
	name := rapid.SampledFrom(m.names).Draw(t, "name")
	present, err := m.Get(ctx, name)
	switch verb := rapid.IntRange(0, 9).Draw(t, "verb"); {
	case err != nil:
		_, err = m.Create(ctx, m.drawn(t, name, nil), false)
	case verb == 0:
		err = m.Delete(ctx, name, store.AnyVersion, false)
	case verb < 3 && kindOf(name) == hexbid.KindPlace:
		state := rapid.SampledFrom([]hexbid.ReviewState{hexbid.Approved, hexbid.Hidden, hexbid.InReview}).Draw(t, "state")
		_, err = m.Review(ctx, name, store.AnyVersion, state)
	default:
		_, err = m.Update(ctx, name, store.AnyVersion, false, func(hexbid.Resource) (hexbid.Resource, error) {
			return m.drawn(t, name, present), nil
		})
	}
	if kind := hexbid.KindOf(err); err != nil && kind != hexbid.InUse && kind != hexbid.NotFound &&
		kind != hexbid.AlreadyExists {
		t.Fatal(err)
	}
}

// drawn returns a resource with some other fields than the present one, which may be nil.
func (m *editedMarket) drawn(t *rapid.T, name string, present hexbid.Resource) hexbid.Resource {
	text := rapid.SampledFrom([]string{"one", "two", "three"}).Draw(t, "text")
	number := rapid.IntRange(1, 4).Draw(t, "number")
	flag := rapid.Bool().Draw(t, "flag")
	switch kindOf(name) {
	case hexbid.KindAdvertiser:
		next := hexbid.Advertiser{Meta: hexbid.Meta{Name: name}, DisplayName: text}
		if flag {
			next.Cap = hexbid.FrequencyCap{Impressions: number, Window: 24 * time.Hour}
		}
		return &next
	case hexbid.KindProgram:
		return &hexbid.Program{Meta: hexbid.Meta{Name: name}, DisplayName: text, Category: hexbid.Catering,
			Hosts: []hexbid.Host{hexbid.WeChat}, Keywords: []string{"a", "b", "c", "d"}[:number]}
	case hexbid.KindPlace:
		return &hexbid.Place{Meta: hexbid.Meta{Name: name}, Point: hexbid.Point{Lat: hub.Lat + float64(number)/1000,
			Lng: hub.Lng}, Address: text}
	}
	next := campaign("c")
	if now, ok := present.(*hexbid.Campaign); ok {
		copied := *now
		next = &copied
	}
	next.Meta = hexbid.Meta{Name: name}
	switch number {
	case 1:
		next.Bid += hexbid.Money(len(text)) * 1000
	case 2:
		next.DisplayName = text
	case 3:
		next.Area = hexbid.Area{Circles: []hexbid.Circle{{Center: hub, RadiusM: float64(100 * len(text))}}}
	case 4:
		next.Area = hexbid.Area{Polygons: []hexbid.Polygon{{{{Lat: 30, Lng: 120}, {Lat: 30, Lng: 120.0123456789012},
			{Lat: 30.1, Lng: 120.01}, {Lat: 30, Lng: 120}}}}}
		next.Excluded = hexbid.Area{Regions: []string{"330100"}}
		next.Area.Polygons = next.Area.Polygons[:1]
	}
	return next
}

// content returns every resource's fields, uid and verdict, but what every write changes.
func (m *editedMarket) content(t testing.TB) map[string]string {
	all := map[string]string{}
	if _, err := m.store.Scan(ctx, func(r store.Record, _ *store.Derived) error {
		uid := r.Meta().UID
		part := store.WithMeta(store.Record{Resource: r.Resource}, 0, 0).Resource
		*part.Metadata() = hexbid.Meta{Name: r.Meta().Name, CreatedAt: r.Meta().CreatedAt}
		all[r.Meta().Name] = fmt.Sprintf("%d %+v %+v", uid, part, verdictState(m, r.Meta().Name))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func verdictState(m *editedMarket, name string) hexbid.ReviewState {
	if kindOf(name) != hexbid.KindPlace {
		return 0
	}
	return must(m.store.Verdict(ctx, name)).State
}

// Changes told from the first on are what is stored.
func TestAHistoryFoldedFromItsBeginningIsTheCatalogue(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newEditedMarket(t, rapid.Bool().Draw(rt, "manual"))
		defer m.Close()
		for range rapid.IntRange(1, 20).Draw(rt, "edits") {
			m.edit(rt)
		}
		all := changesFor(t, ctx, m.Exchange, ChangeQuery{})
		slices.Reverse(all)
		state := map[string]hexbid.Resource{}
		verdicts := map[string]hexbid.ReviewState{}
		for i := range all {
			for _, r := range all[i].Of {
				before := state[r.Name]
				if r.Verdict == nil && !reflect.DeepEqual(before, r.Before) {
					rt.Fatalf("%s was %+v, and the change says %+v", r.Name, before, r.Before)
				}
				if v := r.Verdict; v != nil {
					if verdicts[r.Name] != v.Before {
						rt.Fatalf("the verdict on %s was %v, and the change says %v", r.Name, verdicts[r.Name], v.Before)
					}
					verdicts[r.Name] = v.After
				}
				if state[r.Name] = r.After; r.After == nil {
					delete(state, r.Name)
				}
			}
		}
		for _, name := range m.names {
			stored, err := m.Get(ctx, name)
			if (err == nil) != (state[name] != nil) || err == nil && !reflect.DeepEqual(stored, state[name]) {
				rt.Fatalf("%s is %+v, folded it is %+v", name, stored, state[name])
			}
			if verdictState(m, name) != verdicts[name] {
				rt.Fatalf("the verdict on %s is %v, folded it is %v", name, verdictState(m, name), verdicts[name])
			}
		}
	})
}
