package pebble

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/folder"
	diskpb "github.com/hexbid/hexbid/proto/hexbid/disk/v1"
	"github.com/hexbid/hexbid/store"
)

// logged reads the log after a version.
func logged(t *testing.T, s *Store, after uint64) (all []store.Change) {
	t.Helper()
	if err := s.Log(context.Background(), after, func(c *store.Change) bool {
		all = append(all, *c)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// keysIn counts the keys of a space.
func keysIn(t *testing.T, s *Store, letter byte) (n int) {
	t.Helper()
	v := s.look()
	defer v.release()
	if err := v.each(context.Background(), letter, func(*pebble.Iterator) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestAChangeOnDiskIsTheMessageOfTheContract reads a record of the log, which is put
// together by hand, as the message that it is said to be.
func TestAChangeOnDiskIsTheMessageOfTheContract(t *testing.T) {
	s := open(t, Options{Dir: "d/c", FS: vfs.NewMem()})
	defer s.Close()
	at := time.Date(2026, 11, 22, 1, 2, 3, 4, time.UTC)
	write := func(displayName string) store.Change {
		step := declared(&hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/a"}, DisplayName: displayName})
		step.IfVersion = store.AnyVersion
		outcomes, err := s.Commit(context.Background(),
			[]store.Group{{Steps: []store.Step{step}, At: at, Who: "operator\xff", From: "192.0.2.7",
				Key: "users/u/keys/k", Undoes: 1}})
		if err != nil || outcomes[0].Err != nil {
			t.Fatal(err, outcomes[0].Err)
		}
		return outcomes[0].Change
	}
	first, second := write("one"), write("two")
	value, err := s.folder.Read(changeKey(second.Version))
	if err != nil {
		t.Fatal(err)
	}
	m := new(diskpb.Change)
	if err := proto.Unmarshal(value, m); err != nil {
		t.Fatal(err)
	}
	if len(m.ProtoReflect().GetUnknown()) > 0 || !m.GetAt().AsTime().Equal(at) || m.GetWho() != "operator?" ||
		m.GetFrom() != "192.0.2.7" || m.GetCredential() != "users/u/keys/k" || m.GetUndoes() != 1 ||
		m.GetVersion() != second.Version || string(m.GetPrevious()) != string(first.Hash[:]) || len(m.GetEntries()) != 1 {
		t.Fatalf("the record %v", m)
	}
	e := m.GetEntries()[0]
	if len(e.ProtoReflect().GetUnknown()) > 0 || e.GetName() != "advertisers/a" || e.GetUidBefore() != 1 ||
		e.GetUidAfter() != 1 || e.VerdictBefore != nil ||
		e.GetBefore().GetAdvertiser().GetDisplayName() != "one" || e.GetBefore().GetVersion() != first.Version {
		t.Errorf("the entry %v", e)
	}
}

// TestTheLogIsPrunedInStepsAndLeavesNothingBehind keeps few bytes of many changes.
func TestTheLogIsPrunedInStepsAndLeavesNothingBehind(t *testing.T) {
	const kept = 2000
	fs := vfs.NewMem()
	s := open(t, Options{Dir: "d/c", FS: fs, Retention: store.Retention{Age: time.Hour, Bytes: kept}})
	for first := range 5 {
		groups := make([]store.Group, changesAStep)
		for i := range groups {
			step := advertiser(fmt.Sprintf("advertisers/a%d", i%7))
			step.IfVersion = store.AnyVersion
			groups[i] = store.Group{Steps: []store.Step{step}, At: time.Unix(int64(first), 0)}
		}
		if _, err := s.Commit(context.Background(), groups); err != nil {
			t.Fatal(err)
		}
	}
	settled := func() bool { return s.synced.Load().clock.log.bytes <= kept }
	waitFor(t, "the log is pruned", settled)
	wantWholeLog(t, s)
	if err := s.Log(context.Background(), 0, func(*store.Change) bool { return true }); !store.IsGap(err) {
		t.Errorf("from the beginning: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// A shorter retention holds from the next start on, and the last change stays.
	s = open(t, Options{Dir: "d/c", FS: fs, Retention: store.Retention{Age: time.Hour, Bytes: 1}})
	defer s.Close()
	waitFor(t, "but the last is pruned", func() bool { return s.synced.Load().clock.log.start == s.Version()-1 })
	if changes := wantWholeLog(t, s); changes != 1 {
		t.Errorf("%d changes are left", changes)
	}
}

// wantWholeLog reads the log from its start to its end. Every record and every key by
// name belongs to it.
func wantWholeLog(t *testing.T, s *Store) int {
	t.Helper()
	start := s.synced.Load().clock.log.start
	all := logged(t, s, start)
	if n := keysIn(t, s, changeSpace); n != len(all) {
		t.Errorf("%d records for %d changes", n, len(all))
	}
	if n := keysIn(t, s, historySpace); n != len(all) {
		t.Errorf("%d names for %d changes of one name each", n, len(all))
	}
	if n := keysIn(t, s, ownerSpace); n != len(all) {
		t.Errorf("%d owners for %d changes of one name each", n, len(all))
	}
	if len(all) == 0 || all[len(all)-1].Version != s.Version() {
		t.Errorf("%d changes to version %d", len(all), s.Version())
	}
	return len(all)
}

func TestTheLogIsPrunedByAge(t *testing.T) {
	s := open(t, Options{Dir: "d/c", FS: vfs.NewMem(), Retention: store.Retention{Age: time.Hour, Bytes: 1 << 30}})
	defer s.Close()
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for i, minutes := range []int{0, 10, 50, 75} {
		outcomes, err := s.Commit(context.Background(),
			[]store.Group{{Steps: []store.Step{advertiser(fmt.Sprintf("advertisers/a%d", i))},
				At: noon.Add(time.Duration(minutes) * time.Minute)}})
		if err != nil || outcomes[0].Err != nil {
			t.Fatal(err, outcomes[0].Err)
		}
	}
	waitFor(t, "what is older than an hour is pruned", func() bool { return s.synced.Load().clock.log.start == 2 })
	if got := logged(t, s, 2); len(got) != 2 {
		t.Errorf("%d changes", len(got))
	}
}

// TestAStepOfPruningThatIsOvertakenDoesNothing hands in a step of pruning that another has overtaken.
func TestAStepOfPruningThatIsOvertakenDoesNothing(t *testing.T) {
	s := open(t, Options{Dir: "d/c", FS: vfs.NewMem()})
	defer s.Close()
	for i := range 3 {
		if _, err := commit(s, []store.Step{advertiser(fmt.Sprintf("advertisers/a%d", i))}); err != nil {
			t.Fatal(err)
		}
	}
	before := s.synced.Load().clock
	if err := s.ask(context.Background(), &request{prune: &pruning{from: 1, to: 2, bytes: 10},
		done: make(chan struct{})}); err != nil {
		t.Fatal(err)
	}
	if got := s.synced.Load().clock; !reflect.DeepEqual(got, before) {
		t.Errorf("the clock %+v is %+v", before, got)
	}
	wantWholeLog(t, s)
}

// TestAnEndOrABeginningThatIsMissingIsNoticed takes records off both ends of the log.
func TestAnEndOrABeginningThatIsMissingIsNoticed(t *testing.T) {
	for name, version := range map[string]uint64{"first": 1, "in the middle": 3, "last": 5} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			s := open(t, Options{Dir: "d/c", FS: fs})
			for i := range 5 {
				if _, err := commit(s, []store.Step{advertiser(fmt.Sprintf("advertisers/a%d", i))}); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.folder.DB.Delete(changeKey(version), pebble.Sync); err != nil {
				t.Fatal(err)
			}
			showAll(s)
			err := s.Log(context.Background(), 0, func(*store.Change) bool { return true })
			wantRefusal(t, err, "log of changes", "restore")
			if hexbid.KindOf(err) != hexbid.DataLoss {
				t.Errorf("kind %d", hexbid.KindOf(err))
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			wantLogBegunAnew(t, fs)
		})
	}
}

// wantLogBegunAnew accepts that the log is lost. The records are all there, and what
// is committed from now on is in the log.
func wantLogBegunAnew(t *testing.T, fs vfs.FS) {
	t.Helper()
	s := open(t, Options{Dir: "d/c", FS: fs, Log: quiet, AcceptLoss: true})
	defer s.Close()
	if l := s.Losses(); !s.AcceptedLoss() || len(l) != 1 || !strings.Contains(l[0].What, "the log of changes") {
		t.Errorf("losses %+v", l)
	}
	after := s.Version()
	if version, err := scan(s); err != nil || version != 5 {
		t.Errorf("version %d, %v", version, err)
	}
	if _, err := commit(s, []store.Step{advertiser("advertisers/after")}); err != nil {
		t.Fatal(err)
	}
	if got := logged(t, s, after); len(got) != 1 {
		t.Errorf("%d changes", len(got))
	}
}

// TestChangesOfTheSameNamesAreDecodedOnce counts what a reader of the log decodes
// ahead where every change has the names of the one before.
func TestChangesOfTheSameNamesAreDecodedOnce(t *testing.T) {
	s := open(t, Options{Dir: "d/c", FS: vfs.NewMem()})
	defer s.Close()
	const names, rounds = 200, 5
	for range rounds {
		steps := make([]store.Step, names)
		for i := range steps {
			steps[i] = advertiser(fmt.Sprintf("advertisers/a%d", i))
			steps[i].IfVersion = store.AnyVersion
		}
		if _, err := commit(s, steps); err != nil {
			t.Fatal(err)
		}
	}
	v := s.look()
	defer v.release()
	reader, err := v.readLog(0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.close()
	for range rounds {
		if c, err := reader.next(context.Background()); err != nil || len(c.Puts) != names {
			t.Fatalf("%+v, %v", c, err)
		}
	}
	if reader.later.decoded != rounds-1 {
		t.Errorf("%d changes were decoded ahead of %d", reader.later.decoded, rounds)
	}
}

func FuzzDecodeChange(f *testing.F) {
	head, err := appendHead(nil, &store.Change{At: time.Unix(1, 2), Who: "w", From: "f"})
	if err != nil {
		f.Fatal(err)
	}
	e := entry{name: "advertisers/a", before: 1, after: 2, image: []byte{}, verdict: []byte{}}
	f.Add(appendEnd(appendBytes(head, changeEntries, e.append(nil)), 3, digest{1}))
	s := &Store{folder: new(folder.Folder)}
	f.Fuzz(func(_ *testing.T, value []byte) {
		c, err := decodeChange(value)
		if err != nil {
			return
		}
		for _, e := range c.GetEntries() { // must not panic
			_, _ = s.image(e)
			_ = s.addVerdict(&store.Change{}, e)
		}
	})
}

func FuzzDecodeDerived(f *testing.F) {
	f.Add(encodeDerived(&store.Derived{UID: 1, Version: 2, By: 3, Inputs: 4, Value: []byte("x")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := decodeDerived(b); err == nil && string(encodeDerived(&d)) != string(b) {
			t.Errorf("%x decodes to %+v", b, d)
		}
	})
}

// TestAFolderWithoutAnIndexByOwnerGetsOne takes away what programs before the index did not write.
func TestAFolderWithoutAnIndexByOwnerGetsOne(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, Options{Dir: "d/c", FS: fs})
	for i := range 3000 {
		if _, err := commit(s, []store.Step{advertiser(fmt.Sprintf("advertisers/a%d", i%7))}); err != nil && i < 7 {
			t.Fatal(err)
		}
	}
	tell := func() (told []store.Past, born uint64) {
		t.Helper()
		q := store.HistoryQuery{Of: []store.Thread{{Name: "advertisers/a3", Whole: true}}}
		if _, err := s.History(context.Background(), q, func(p *store.Past) bool {
			told = append(told, *p)
			return true
		}); err != nil {
			t.Fatal(err)
		}
		born, err := s.Born(context.Background(), 4)
		if err != nil {
			t.Fatal(err)
		}
		return told, born
	}
	want, wantBorn := tell()
	batch := s.folder.DB.NewBatch()
	for _, letter := range []byte{ownerSpace, birthSpace} {
		from, end := space(letter)
		_ = batch.DeleteRange(from, end, nil)
	}
	_ = batch.Delete(keyOwners, nil)
	if err := s.folder.Write(batch, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, Options{Dir: "d/c", FS: fs})
	defer s.Close()
	if got, born := tell(); len(want) == 0 || !reflect.DeepEqual(got, want) || born != wantBorn || born == 0 {
		t.Errorf("%d changes, born at %d; before there were %d, and %d", len(got), born, len(want), wantBorn)
	}
}

// TestAPageOfAHistoryCostsTheSameInALongLog counts the bytes that pages of short and long logs read.
func TestAPageOfAHistoryCostsTheSameInALongLog(t *testing.T) {
	costs := map[int]int{}
	for _, changes := range []int{100, 10_000} {
		s := open(t, Options{Dir: "d/c", FS: vfs.NewMem()})
		for first := 0; first < changes; first += 100 {
			groups := make([]store.Group, 100)
			for i := range groups {
				step := advertiser("advertisers/busy")
				if i%50 == 0 && first >= changes-100 || first+i == 0 {
					step = advertiser("advertisers/quiet")
				}
				step.IfVersion = store.AnyVersion
				groups[i] = store.Group{Steps: []store.Step{step}}
			}
			if _, err := s.Commit(context.Background(), groups); err != nil {
				t.Fatal(err)
			}
		}
		v := s.look()
		reader, err := v.readHistory()
		if err != nil {
			t.Fatal(err)
		}
		quiet := []store.Thread{{Name: "advertisers/quiet", Whole: true}}
		descent := store.NewDescent(&store.HistoryQuery{Of: quiet, Looks: 2}, v.clock.version)
		steps := 0
		descent.Below = func(of *store.Thread, before uint64) (store.Stop, error) {
			steps++
			return reader.below(of, before)
		}
		for descent.More() {
			stop, err := descent.Next()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := reader.past(context.Background(), stop.Version, nil); err != nil {
				t.Fatal(err)
			}
		}
		costs[changes] = reader.read + reader.log.later.read + 1000*steps
		reader.close()
		v.release()
		s.Close()
	}
	if costs[100] < 2000 || costs[10_000] > costs[100]+200 {
		t.Errorf("a page costs %v", costs)
	}
}
