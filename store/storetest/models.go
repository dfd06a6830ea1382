package storetest

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

var models = []conduct{
	{"any groups leave what a plain model says", testModel},
}

// testModel commits groups drawn at random, a few to a commit. It compares the store with a model that computes
// everything anew each time.
func testModel(t *testing.T, e Engine) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{store: e.Open(t, store.DefaultRetention), records: map[string]store.Record{},
			verdicts: map[string]store.Verdict{}, derived: map[string]string{}}
		defer func() { _ = m.store.Close() }()
		for range rapid.IntRange(1, 12).Draw(rt, "commits") {
			m.commit(rt, drawGroups(rt, m))
			if e.Reopen != nil && rapid.IntRange(0, 9).Draw(rt, "restart") == 0 {
				m.store = e.Reopen(t, m.store)
			}
			m.compare(rt)
		}
	})
}

// model is what the store must hold, in the simplest form.
type model struct {
	store    store.Store
	records  map[string]store.Record
	verdicts map[string]store.Verdict
	derived  map[string]string // values, by name
	uids     []hexbid.UID      // every uid seen, in order
	log      []store.Change    // without hashes and without derived data
}

// clone returns a copy of the model, so that a refused group leaves the original as it was.
func (m *model) clone() *model {
	c := *m
	c.records, c.verdicts, c.derived = maps.Clone(m.records), maps.Clone(m.verdicts), maps.Clone(m.derived)
	return &c
}

// commit commits groups to the store and to the model. Judge must have given the same outcomes.
func (m *model) commit(t *rapid.T, groups []store.Group) {
	judged, err := m.store.Judge(ctx, groups)
	if err != nil {
		t.Fatal(err)
	}
	begun := m.store.Version()
	outcomes, err := m.store.Commit(ctx, groups)
	if err != nil {
		t.Fatal(err)
	}
	for i := range groups {
		g, o := &groups[i], &outcomes[i]
		after := m.clone()
		want := after.do(g, begun, &o.Change)
		if kindOf(o.Err) != kindOf(want) || kindOf(judged[i].Err) != kindOf(want) {
			t.Fatalf("group %d %s: the outcome is %v, judged it was %v, the model says %v", i, describe(g),
				o.Err, judged[i].Err, want)
		}
		if want == nil {
			after.keep(t, &o.Change)
			*m = *after
		}
	}
}

// kindOf returns the kind of an error, and for no error a number that no kind has.
func kindOf(err error) int {
	if err == nil {
		return -1
	}
	return int(hexbid.KindOf(err))
}

// describe lists a group's steps by name.
func describe(g *store.Group) string {
	text := ""
	for i := range g.Steps {
		s := &g.Steps[i]
		verb := "put"
		if s.Put == nil {
			verb = "delete"
		}
		if s.Judge != "" {
			verb = "judge"
		}
		text += fmt.Sprintf("[%s %s if %d revive %d]", verb, s.Name(), s.IfVersion, s.Revive)
	}
	return fmt.Sprintf("%s if %+v within %+v", text, g.Conditions, g.Limits)
}

// do applies a group. The model is of no use after an error. Versions above begun were assigned in this commit. The
// change that the store made tells which version and uids the store assigned.
func (m *model) do(g *store.Group, begun uint64, made *store.Change) error {
	version := max(made.Version, begun+1)
	for i := range g.Conditions {
		if err := m.holds(&g.Conditions[i], begun); err != nil {
			return err
		}
	}
	before := m.clone()
	var touched []string
	for i := range g.Steps {
		if !slices.Contains(touched, g.Steps[i].Name()) {
			touched = append(touched, g.Steps[i].Name())
		}
		if err := m.step(&g.Steps[i], begun, version, made); err != nil {
			return err
		}
	}
	for _, name := range touched {
		if err := m.refers(name, before); err != nil {
			return err
		}
	}
	for _, l := range g.Limits {
		if now := m.counts(l.Owner, l.Counter); now > l.AtMost && now > before.counts(l.Owner, l.Counter) {
			return hexbid.Errorf(hexbid.Exhausted, "", "%d", now)
		}
	}
	m.tell(g, before, touched, version)
	return nil
}

// tell appends a group's change to the model's log.
func (m *model) tell(g *store.Group, before *model, touched []string, version uint64) {
	c := store.Change{Version: version, At: g.At, Who: g.Who, From: g.From, Key: g.Key, Undoes: g.Undoes}
	for _, name := range touched {
		was, now := before.records[name], m.records[name]
		replaced := was.Resource != nil && now.Resource != nil && was.Meta().UID == now.Meta().UID
		if was.Resource != nil && !replaced {
			c.Deletes = append(c.Deletes, was)
		}
		if now.Resource != nil && now.Meta().Version == version {
			w := store.Written{Record: now}
			if replaced {
				w.Before = was
			}
			c.Puts = append(c.Puts, w)
		}
		if v := m.verdicts[name]; v.Version == version {
			c.Verdicts = append(c.Verdicts, store.PastVerdict{Name: name, Verdict: before.verdicts[name]})
		}
	}
	m.log = append(slices.Clone(m.log), c)
}

// holds judges a condition.
func (m *model) holds(c *store.Condition, begun uint64) error {
	r, there := m.records[c.Name]
	var current uint64
	if there {
		current = r.Meta().Version
	}
	switch c.Is {
	case store.HasVersion:
		return sameVersion(c.Version, current, begun)
	case store.Exists:
		if !there {
			return hexbid.Errorf(hexbid.NotFound, "", "")
		}
	case store.Unreferenced:
		if m.isReferred(c.Name) {
			return hexbid.Errorf(hexbid.InUse, "", "")
		}
	case store.HasVerdict:
		if sameVersion(c.Version, m.verdicts[c.Name].Version, begun) != nil {
			return hexbid.Errorf(hexbid.Stale, "", "")
		}
	}
	return nil
}

func sameVersion(wanted, current, begun uint64) error {
	switch {
	case wanted == store.AnyVersion, wanted == current, wanted == store.InThisCommit && current > begun:
		return nil
	case wanted == 0:
		return hexbid.Errorf(hexbid.AlreadyExists, "", "")
	case current == 0:
		return hexbid.Errorf(hexbid.NotFound, "", "")
	}
	return hexbid.Errorf(hexbid.Stale, "", "")
}

func (m *model) isReferred(name string) bool {
	for _, r := range m.records {
		for _, to := range r.Refers {
			if to.Name == name {
				return true
			}
		}
	}
	return false
}

// refers judges the references to and from a name that the group touched.
func (m *model) refers(name string, before *model) error {
	r, there := m.records[name]
	for _, to := range r.Refers {
		if _, there := m.records[to.Name]; !there {
			return hexbid.Errorf(hexbid.NotFound, "", "")
		}
	}
	if _, was := before.records[name]; was && !there && m.isReferred(name) {
		return hexbid.Errorf(hexbid.InUse, "", "")
	}
	return nil
}

func (m *model) step(s *store.Step, begun, version uint64, made *store.Change) error {
	name := s.Name()
	if s.Verdict != nil {
		v := *s.Verdict
		v.Version = version
		m.verdicts[name] = v
	}
	if s.Judge != "" {
		return nil
	}
	current, there := m.records[name]
	var now uint64
	if there {
		now = current.Meta().Version
	}
	if s.Put == nil && !there {
		return hexbid.Errorf(hexbid.NotFound, "", "")
	}
	if err := sameVersion(s.IfVersion, now, begun); err != nil {
		return err
	}
	delete(m.derived, name)
	if s.Put == nil {
		delete(m.records, name)
		return nil
	}
	uid, err := m.uidFor(s, made)
	if err != nil {
		return err
	}
	m.records[name] = asStored(s.Put, uid, version)
	if s.Derived != nil {
		m.derived[name] = string(s.Derived.Value)
	}
	return nil
}

// uidFor returns the uid of a put. It takes a new uid from the store's change; compare judges those.
func (m *model) uidFor(s *store.Step, made *store.Change) (hexbid.UID, error) {
	current, there := m.records[s.Name()]
	switch {
	case s.Revive != 0 && (there || m.nameOf(s.Revive) != ""):
		return 0, hexbid.Errorf(hexbid.AlreadyExists, "", "")
	case s.Revive > m.lastUID():
		return 0, hexbid.Errorf(hexbid.Invalid, "", "")
	case s.Revive != 0:
		return s.Revive, nil
	case there:
		return current.Meta().UID, nil
	}
	for i := range made.Puts {
		if made.Puts[i].Meta().Name == s.Name() {
			return made.Puts[i].Meta().UID, nil
		}
	}
	return provisionalUID, nil
}

// provisionalUID is the uid of a record that does not outlast its group.
const provisionalUID = 1 << 60

func (m *model) nameOf(uid hexbid.UID) string {
	for name, r := range m.records {
		if r.Meta().UID == uid {
			return name
		}
	}
	return ""
}

// keep compares a change of the store with the model's, and checks that its new uids are new.
func (m *model) keep(t *rapid.T, made *store.Change) {
	want := m.log[len(m.log)-1]
	if !reflect.DeepEqual(plain(*made), want) {
		t.Fatalf("the change is\n%+v\nthe model's\n%+v", plain(*made), want)
	}
	uids := slices.Clone(m.uids)
	for i := range made.Puts {
		uid := made.Puts[i].Meta().UID
		if at, seen := slices.BinarySearch(uids, uid); !seen {
			uids = slices.Insert(uids, at, uid)
		}
		if !slices.Contains(m.uids, uid) && uid <= m.lastUID() {
			t.Fatalf("%s gets uid %d after %d", made.Puts[i].Meta().Name, uid, m.lastUID())
		}
	}
	m.uids = uids
}

// lastUID returns the highest uid seen.
func (m *model) lastUID() hexbid.UID {
	if len(m.uids) == 0 {
		return 0
	}
	return m.uids[len(m.uids)-1]
}

// plain returns a change without hashes and without derived data.
func plain(c store.Change) store.Change {
	c.Hash, c.Previous = [32]byte{}, [32]byte{}
	c.Puts = slices.Clone(c.Puts)
	for i := range c.Puts {
		c.Puts[i].Derived = nil
	}
	return c
}

// counts computes a counter from the records. It computes products from the places and campaigns that exist.
func (m *model) counts(owner string, c store.Counter) (n int64) {
	for name, r := range m.records {
		for _, count := range r.Counts {
			if count.Owner == owner && count.Counter == c && count.Times == 0 {
				n += count.By
			}
		}
		if p, ok := r.Resource.(*hexbid.Place); ok && p.Review == hexbid.Approved && c == store.Entries {
			parsed, _ := hexbid.ParseName(name)
			if parsed.Owner().String() == owner {
				n += store.EntriesAPlace * m.campaignsAround(parsed.Parent().String())
			}
		}
	}
	return n
}

func (m *model) campaignsAround(program string) (n int64) {
	for _, r := range m.records {
		if c, ok := r.Resource.(*hexbid.Campaign); ok && c.Program == program && c.Area.AroundPlacesM > 0 {
			n++
		}
	}
	return n
}

// compare compares everything that the store shows with the model.
func (m *model) compare(t *rapid.T) {
	for _, name := range drawnNames {
		got, err := m.store.Get(ctx, name)
		if want, there := m.records[name]; !reflect.DeepEqual(got, want) || (err == nil) != there {
			t.Fatalf("%s is %+v, %v; want %+v", name, got, err, want)
		}
		if v, err := m.store.Verdict(ctx, name); err != nil || !reflect.DeepEqual(v, m.verdicts[name]) {
			t.Fatalf("the verdict on %s is %+v, %v; want %+v", name, v, err, m.verdicts[name])
		}
		for c := store.Entries; c <= store.Buyers; c++ {
			if n, err := m.store.Counted(ctx, name, c); err != nil || n != m.counts(name, c) {
				t.Fatalf("counter %d of %s is %d, %v; want %d", c, name, n, err, m.counts(name, c))
			}
		}
	}
	for _, uid := range m.uids {
		r, err := m.store.ByUID(ctx, uid)
		if want := m.nameOf(uid); (err == nil) != (want != "") || err == nil && r.Meta().Name != want {
			t.Fatalf("uid %d is %+v, %v; want %q", uid, r, err, want)
		}
	}
	m.compareScan(t)
	m.compareLog(t)
	m.compareHistory(t)
}

func (m *model) compareScan(t *rapid.T) {
	scanned := 0
	version, err := m.store.Scan(ctx, func(r store.Record, d *store.Derived) error {
		scanned++
		want, is := m.derived[r.Meta().Name]
		if !reflect.DeepEqual(r, m.records[r.Meta().Name]) || is != (d != nil) || is && string(d.Value) != want {
			t.Fatalf("scanned %+v with %+v, want %+v with %q", r, d, m.records[r.Meta().Name], want)
		}
		return nil
	})
	if err != nil || scanned != len(m.records) || version != m.store.Version() {
		t.Fatalf("scanned %d records of version %d: %v; want %d of %d", scanned, version, err, len(m.records),
			m.store.Version())
	}
}

// compareLog reads the log and a feed from a drawn version on.
func (m *model) compareLog(t *rapid.T) {
	from := rapid.IntRange(0, len(m.log)).Draw(t, "from")
	var after uint64
	if from > 0 {
		after = m.log[from-1].Version
	}
	feed := m.store.Watch(after)
	at := from
	var last [32]byte
	if err := m.store.Log(ctx, after, func(c *store.Change) bool {
		if at >= len(m.log) || !reflect.DeepEqual(plain(*c), m.log[at]) || at > from && c.Previous != last {
			t.Fatalf("change %d of the log is\n%+v\nof %d", at, *c, len(m.log))
		}
		for i := range c.Puts {
			m.compareDerived(t, &c.Puts[i])
		}
		fed, err := feed.Next(ctx)
		if err != nil || !reflect.DeepEqual(plain(fed), m.log[at]) || fed.Hash != c.Hash {
			t.Fatalf("change %d of the feed is\n%+v, %v", at, fed, err)
		}
		at, last = at+1, c.Hash
		return true
	}); err != nil || at != len(m.log) {
		t.Fatalf("%d changes are in the log, want %d: %v", at, len(m.log), err)
	}
}

// compareDerived compares derived data in the log with what the store holds now.
func (m *model) compareDerived(t *rapid.T, w *store.Written) {
	now := m.records[w.Meta().Name]
	value, is := m.derived[w.Meta().Name]
	is = is && now.Meta().Version == w.Meta().Version
	if is != (w.Derived != nil) || is && string(w.Derived.Value) != value {
		t.Fatalf("of version %d of %s %+v is derived, want %q", w.Meta().Version, w.Meta().Name, w.Derived, value)
	}
}
