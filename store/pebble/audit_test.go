package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// market commits an advertiser, two programs, places and campaigns, and deletes and
// replaces some.
func market(t *testing.T, s *Store) {
	t.Helper()
	place := func(state hexbid.ReviewState) store.Step {
		step := declared(&hexbid.Place{Meta: hexbid.Meta{Name: "advertisers/a/programs/p/places/l"}, Review: state})
		step.IfVersion = store.AnyVersion
		return step
	}
	around := func(name, program string) store.Step {
		step := declared(&hexbid.Campaign{Meta: hexbid.Meta{Name: name}, Program: program,
			Area: hexbid.Area{AroundPlacesM: 300}})
		step.IfVersion = store.AnyVersion
		step.Derived = &store.Derived{By: 1, Value: []byte("covering")}
		return step
	}
	for _, steps := range [][]store.Step{
		{declared(&hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/a"}}), programStep("advertisers/a/programs/p"),
			programStep("advertisers/a/programs/q")},
		{place(hexbid.InReview), around("advertisers/a/campaigns/c", "advertisers/a/programs/p")},
		{around("advertisers/a/campaigns/d", "advertisers/a/programs/p")},
		{place(hexbid.Approved)},
		{around("advertisers/a/campaigns/d", "advertisers/a/programs/q")},
		{{Delete: "advertisers/a/campaigns/c", IfVersion: store.AnyVersion}},
	} {
		if _, err := commit(s, steps); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWhatBelongsToRecordsIsProvedByAScan harms each kind of key that is no record.
func TestWhatBelongsToRecordsIsProvedByAScan(t *testing.T) {
	const p = "advertisers/a/programs/p"
	for name, c := range map[string]struct {
		harm func(s *Store) error
		want string
	}{
		"a reference is gone": {func(s *Store) error {
			return s.folder.DB.Delete(appendReferenceKey(nil, "advertisers/a/programs/q", "advertisers/a/campaigns/d"),
				pebble.Sync)
		}, "of 10 names by uid and references 9"},
		"a reference too many": {func(s *Store) error {
			return s.folder.DB.Set(appendReferenceKey(nil, p, "advertisers/a/campaigns/d"), nil, pebble.Sync)
		},
			"of 10 names by uid and references 11"},
		"a uid is gone": {func(s *Store) error { return s.folder.DB.Delete(uidKey(1), pebble.Sync) },
			"of 10 names by uid and references 9"},
		"a uid with another name": {func(s *Store) error { return s.folder.DB.Set(uidKey(1), []byte(p), pebble.Sync) },
			"names by uid"},
		"a counter is gone": {func(s *Store) error {
			return s.folder.DB.Delete(appendCounterKey(nil, p, store.Approved),
				pebble.Sync)
		}, "of 7 counters 6"},
		"a counter has another value": {func(s *Store) error {
			return s.folder.DB.Set(appendCounterKey(nil, p, store.Approved), binary.AppendVarint(nil, 2), pebble.Sync)
		}, "of 7 counters 7 are there, or others"},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			s := open(t, Options{Dir: "d/c", FS: fs, Log: quiet})
			market(t, s)
			if _, err := scan(s); err != nil {
				t.Fatal(err)
			}
			if err := c.harm(s); err != nil {
				t.Fatal(err)
			}
			showAll(s)
			_, err := scan(s)
			wantRefusal(t, err, c.want, "does not add up", "--accept-loss")
			if hexbid.KindOf(err) != hexbid.DataLoss {
				t.Errorf("kind %d", hexbid.KindOf(err))
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			mended(t, fs)
		})
	}
}

// mended accepts the loss, after which all that belongs to records agrees with them,
// and the log of changes has begun anew.
func mended(t *testing.T, fs vfs.FS) {
	t.Helper()
	s := open(t, Options{Dir: "d/c", FS: fs, Log: quiet, AcceptLoss: true})
	defer s.Close()
	if _, err := scan(s); err != nil || !s.AcceptedLoss() {
		t.Fatalf("after the loss was accepted: %v", err)
	}
	ctx := context.Background()
	for _, c := range []struct {
		owner   string
		counter store.Counter
		want    int64
	}{
		{"advertisers/a/programs/p", store.Approved, 1}, {"advertisers/a/programs/p", store.Buyers, 0},
		{"advertisers/a/programs/q", store.Buyers, 1}, {"advertisers/a/programs/q", store.Around, 1},
		{"advertisers/a", store.Entries, 0},
	} {
		if n, err := s.Counted(ctx, c.owner, c.counter); err != nil || n != c.want {
			t.Errorf("counter %d of %s is %d, %v: want %d", c.counter, c.owner, n, err, c.want)
		}
	}
	if r, err := s.ByUID(ctx, 1); err != nil || r.Meta().Name != "advertisers/a" {
		t.Errorf("by uid: %+v, %v", r, err)
	}
	_, err := commit(s, []store.Step{{Delete: "advertisers/a/programs/q", IfVersion: store.AnyVersion}})
	if hexbid.KindOf(err) != hexbid.InUse {
		t.Errorf("a program that a campaign refers to: %v", err)
	}
	if err := s.Log(ctx, 0, func(*store.Change) bool { return true }); !store.IsGap(err) {
		t.Errorf("the log from before the loss: %v", err)
	}
	if _, err := commit(s, []store.Step{advertiser("advertisers/after")}); err != nil {
		t.Fatal(err)
	}
	changes := 0
	if err := s.Log(ctx, s.synced.Load().clock.log.start,
		func(*store.Change) bool { changes++; return true }); err != nil || changes != 1 {
		t.Errorf("the log from the loss on: %d changes, %v", changes, err)
	}
}

// TestARelinkThatIsInterruptedIsDoneAgain cuts the power before each write of a start
// that accepts a loss.
func TestARelinkThatIsInterruptedIsDoneAgain(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := open(t, Options{Dir: "d/c", FS: fs, Log: quiet})
	market(t, s)
	if err := errors.Join(s.folder.DB.Delete(uidKey(1), pebble.Sync), s.Close()); err != nil {
		t.Fatal(err)
	}
	var crashes []*vfs.MemFS
	s = open(t, Options{Dir: "d/c", Log: quiet, AcceptLoss: true,
		FS: crashing(fs, func(c *vfs.MemFS) { crashes = append(crashes, c) })})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if len(crashes) < 20 {
		t.Fatalf("only %d crashes", len(crashes))
	}
	for i, c := range crashes {
		s := open(t, Options{Dir: "d/c", FS: c, Log: quiet})
		_, err := scan(s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err == nil {
			continue // it was done
		}
		if hexbid.KindOf(err) != hexbid.DataLoss {
			t.Fatalf("crash %d: %v", i, err)
		}
		s = open(t, Options{Dir: "d/c", FS: c, Log: quiet, AcceptLoss: true})
		if _, err := scan(s); err != nil {
			t.Errorf("crash %d, accepted: %v", i, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
