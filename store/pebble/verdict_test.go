package pebble

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

const judgedPlace = "advertisers/a/programs/p/places/l"

// judged is the step of a round: it puts or deletes a place together with a verdict
// on it. Both carry the number of the round.
func judged(round int) store.Step {
	place := hexbid.Place{Meta: hexbid.Meta{Name: judgedPlace}, DisplayName: strconv.Itoa(round), Review: hexbid.Hidden}
	op := store.Step{IfVersion: store.AnyVersion, Verdict: &store.Verdict{State: hexbid.Hidden, Of: place}}
	if deletes(round) {
		op.Delete = judgedPlace
	} else {
		op.Put = &store.Record{Resource: &place}
	}
	return op
}

func deletes(round int) bool { return round%3 == 2 }

// roundOf is the round that a store is in; -1 before the first. The verdict and the
// place must agree on it.
func roundOf(t *testing.T, s *Store) int {
	t.Helper()
	v, err := s.Verdict(context.Background(), judgedPlace)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Get(context.Background(), judgedPlace)
	gone := hexbid.KindOf(err) == hexbid.NotFound
	if err != nil && !gone {
		t.Fatal(err)
	}
	if v.Version == 0 {
		if !gone {
			t.Fatalf("a place without a verdict: %+v", r.Resource)
		}
		return -1
	}
	round, err := strconv.Atoi(v.Of.DisplayName)
	if err != nil || gone != deletes(round) || !gone && (r.Resource.(*hexbid.Place).DisplayName != v.Of.DisplayName ||
		r.Meta().Version != v.Version) {
		t.Fatalf("a verdict %+v on a place %+v", v, r.Resource)
	}
	return round
}

// TestAVerdictAndItsPlaceAgreeAfterACrashAtAnyInstant cuts the power before every
// operation that writes, with none, half or all of what was not synced on the disk.
func TestAVerdictAndItsPlaceAgreeAfterACrashAtAnyInstant(t *testing.T) {
	const rounds = 12
	mem := vfs.NewCrashableMem()
	type crash struct {
		fs    *vfs.MemFS
		acked int
	}
	var (
		hooked     sync.Mutex // guards what follows
		crashes    []crash
		operations int
		random     = seeded()
		acked      = -1
	)
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		hooked.Lock()
		defer hooked.Unlock()
		operations++
		known := acked // before the clone: what is acknowledged meanwhile need not be in it
		crashes = append(crashes, crash{mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: operations % 3 * 50,
			RNG: random}), known})
		return nil
	}))
	s := open(t, Options{Dir: "d/c", FS: fs, Log: quiet})
	for round := range rounds {
		if _, err := commit(s, []store.Step{judged(round)}); err != nil {
			t.Fatal(err)
		}
		hooked.Lock()
		acked = round
		hooked.Unlock()
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if len(crashes) < 3*rounds {
		t.Fatalf("only %d crashes", len(crashes))
	}
	for i, c := range crashes {
		s := open(t, Options{Dir: "d/c", FS: c.fs, Log: quiet})
		if round := roundOf(t, s); round < c.acked {
			t.Errorf("crash %d: round %d of %d acknowledged", i, round, c.acked)
		}
		if _, err := s.Scan(context.Background(), func(store.Record, *store.Derived) error { return nil }); err != nil {
			t.Errorf("crash %d: %v", i, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestALostOrDamagedVerdictIsNoticed(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]struct {
		harm func(s *Store, older []byte) error
		want string
	}{
		"gone": {func(s *Store, _ []byte) error { return s.folder.DB.Delete(verdictKey(judgedPlace), pebble.Sync) },
			"does not add up"},
		"an older one": {func(s *Store, older []byte) error {
			return s.folder.DB.Set(verdictKey(judgedPlace), older,
				pebble.Sync)
		}, "does not add up"},
		"of another name": {func(s *Store, older []byte) error {
			return s.folder.DB.Set(verdictKey(judgedPlace+"x"), older,
				pebble.Sync)
		}, "does not add up"},
		"damaged": {func(s *Store, _ []byte) error {
			return s.folder.DB.Set(verdictKey(judgedPlace), []byte{0xff},
				pebble.Sync)
		}, "is damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, Options{Dir: "d/c", FS: vfs.NewMem(), Log: quiet})
			defer s.Close()
			var older []byte
			for round := range 2 {
				if _, err := commit(s, []store.Step{judged(round)}); err != nil {
					t.Fatal(err)
				}
				if _, err := s.Scan(ctx, func(store.Record, *store.Derived) error { return nil }); err != nil {
					t.Fatal(err)
				}
				if round == 0 {
					older, _ = s.folder.Read(verdictKey(judgedPlace))
				}
			}
			if err := c.harm(s, older); err != nil {
				t.Fatal(err)
			}
			showAll(s)
			_, err := s.Scan(ctx, func(store.Record, *store.Derived) error { return nil })
			wantRefusal(t, err, c.want)
			if hexbid.KindOf(err) != hexbid.DataLoss {
				t.Errorf("kind %d", hexbid.KindOf(err))
			}
		})
	}
}

func FuzzDecodeVerdict(f *testing.F) {
	value, err := encodeVerdict(&store.Verdict{State: hexbid.Hidden, Version: 3})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(value)
	s := &Store{}
	f.Fuzz(func(t *testing.T, value []byte) {
		_, err := s.decodeVerdict(value)
		if e := (*hexbid.Error)(nil); err != nil && !errors.As(err, &e) {
			t.Errorf("%v is no *hexbid.Error", err)
		}
	})
}
