package pebble

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	diskpb "github.com/hexbid/hexbid/proto/hexbid/disk/v1"
	"github.com/hexbid/hexbid/store"
)

// TestAFolderWithoutHoldingsIsCounted opens a folder as the program before holdings left it.
func TestAFolderWithoutHoldingsIsCounted(t *testing.T) {
	const a, p = "advertisers/a", "advertisers/a/programs/p"
	mem := vfs.NewCrashableMem()
	s := open(t, Options{Dir: "catalogue", FS: mem})
	resources := []hexbid.Resource{
		&hexbid.Advertiser{Meta: hexbid.Meta{Name: a}, DisplayName: "A"},
		&hexbid.Program{Meta: hexbid.Meta{Name: p}, DisplayName: "P", Keywords: []string{"tea"}},
		&hexbid.Place{Meta: hexbid.Meta{Name: p + "/places/l"}, Review: hexbid.Approved},
		&hexbid.Campaign{Meta: hexbid.Meta{Name: a + "/campaigns/c"}, Program: p,
			Area: hexbid.Area{AroundPlacesM: 100, Polygons: []hexbid.Polygon{{make([]hexbid.Point, 5)}}}},
	}
	for _, r := range resources {
		record := store.Declare(r, 0)
		commitOne(t, s, store.Group{Steps: []store.Step{{Put: &record}}})
	}
	want := countersOf(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	edited(t, mem, func(db *pebble.DB) { withoutHoldings(t, db) })
	var log bytes.Buffer
	for range 2 {
		s = open(t, Options{Dir: "catalogue", FS: mem, Log: slog.New(slog.NewTextHandler(&log, nil))})
		if found, err := s.audit(context.Background()); err != nil || found.missing(&s.clock) != "" {
			t.Errorf("%v, %q", err, found.missing(&s.clock))
		}
		for key, n := range want {
			if got, err := s.Counted(context.Background(), key.Owner, key.Counter); err != nil || got != n {
				t.Errorf("counter %d of %s: %d, %v; want %d", key.Counter, key.Owner, got, err, n)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(log.String(), "counting what each advertiser has"); n != 1 {
		t.Errorf("counted %d times:\n%s", n, &log)
	}
	s = open(t, Options{Dir: "catalogue", FS: mem})
	defer s.Close()
	for i := len(resources) - 1; i >= 0; i-- { // each subtracts what was added for it
		commitOne(t, s, store.Group{Steps: []store.Step{{Delete: resources[i].Metadata().Name,
			IfVersion: store.AnyVersion}}})
	}
	if left := countersOf(t, s); len(left) > 0 {
		t.Errorf("nothing is stored, and %v are counted", left)
	}
}

func commitOne(t *testing.T, s *Store, g store.Group) {
	t.Helper()
	if outcomes, err := s.Commit(context.Background(), []store.Group{g}); err != nil || outcomes[0].Err != nil {
		t.Fatal(err, outcomes)
	}
}

// countersOf returns the counters above 0.
func countersOf(t *testing.T, s *Store) map[store.CounterKey]int64 {
	counted := map[store.CounterKey]int64{}
	err := s.reading(func(v *view) error {
		return v.each(context.Background(), counterSpace, func(iter *pebble.Iterator) error {
			owner, counter, err := counterIn(iter.Key())
			if err != nil {
				return err
			}
			counted[store.CounterKey{Owner: owner, Counter: counter}], err = s.decodeCounter(iter.Value())
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return counted
}

// withoutHoldings takes everything out of a folder that says what advertisers have.
func withoutHoldings(t *testing.T, db *pebble.DB) {
	isNew := func(owner string, c store.Counter) bool {
		return c >= store.Campaigns || c == store.Places && !strings.Contains(owner, "/programs/")
	}
	iter, err := db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer iter.Close()
	batch, counters := db.NewBatch(), tally{}
	for ok := iter.First(); ok; ok = iter.Next() {
		switch key := bytes.Clone(iter.Key()); {
		case bytes.HasPrefix(key, []byte("r/")):
			m := new(diskpb.Record)
			if err := proto.Unmarshal(iter.Value(), m); err != nil {
				t.Fatal(err)
			}
			counts := m.Counts
			m.Counts = nil
			for _, c := range counts {
				if !isNew(c.GetOwner(), store.Counter(c.GetCounter())) {
					m.Counts = append(m.Counts, c)
				}
			}
			uid, version := m.GetUid(), m.GetVersion()
			m.Uid, m.Version = 0, 0
			body, err := proto.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			_ = batch.Set(key, appendRecord(nil, &hexbid.Meta{UID: hexbid.UID(uid), Version: version}, body), nil)
		case key[0] == counterSpace:
			owner, counter, err := counterIn(key)
			if err != nil {
				t.Fatal(err)
			}
			if isNew(owner, counter) {
				_ = batch.Delete(key, nil)
				continue
			}
			value, err := new(Store).decodeCounter(iter.Value())
			if err != nil {
				t.Fatal(err)
			}
			counters.add(fingerprintOfCounter(owner, counter, value))
		case bytes.Equal(key, keyClock):
			c, ok := decodeClock(iter.Value())
			if !ok {
				t.Fatal("no clock")
			}
			defer func() {
				c.counters = counters
				_ = batch.Set(keyClock, c.encode(), nil)
				_ = batch.Set(keyFormat, []byte(uncounted), nil)
				if err := batch.Commit(pebble.Sync); err != nil {
					t.Error(err)
				}
			}()
		}
	}
}
