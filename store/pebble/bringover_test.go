package pebble

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/cockroachdb/pebble/v2/wal"
	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/folder"
	diskpb "github.com/hexbid/hexbid/proto/hexbid/disk/v1"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/store/pebble/earlier"
)

// holding is what a catalogue holds, in whatever format.
type holding struct {
	records  map[string]hexbid.Resource
	verdicts map[string]store.Verdict
	losses   []store.Loss
}

// heldEarlier reads a folder of an earlier format past the store.
func heldEarlier(t testing.TB, mem *vfs.MemFS) *holding {
	h := &holding{records: map[string]hexbid.Resource{}, verdicts: map[string]store.Verdict{}}
	edited(t, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: seeded()}), func(db *pebble.DB) {
		iter, err := db.NewIter(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer iter.Close()
		for ok := iter.First(); ok; ok = iter.Next() {
			if err := h.add(string(iter.Key()), iter.Value()); err != nil {
				t.Fatalf("%q: %v", iter.Key(), err)
			}
		}
	})
	if len(h.records) < 5 {
		t.Fatalf("only %d records", len(h.records))
	}
	return h
}

func (h *holding) add(key string, value []byte) (err error) {
	switch {
	case strings.HasPrefix(key, "r/"):
		var r earlier.Record
		r, err = earlier.DecodeRecord(hexbid.ResourceKind(key[2]), value)
		h.records[key[nameAt:]] = r.Resource
	case strings.HasPrefix(key, "v/"):
		h.verdicts[key[2:]], err = decodeEarlierVerdict(value)
	case key == string(keyLosses):
		h.losses, err = decodeEarlierLosses(value)
	}
	return err
}

// check looks whether a store holds the same.
func (h *holding) check(s *Store) error {
	ctx, found := context.Background(), map[string]hexbid.Resource{}
	_, err := s.Scan(ctx, func(r store.Record, _ *store.Derived) error {
		found[r.Meta().Name] = r.Resource
		if want := store.Declare(r.Resource, 0); len(want.Refers) != len(r.Refers) || len(want.Counts) != len(r.Counts) {
			return fmt.Errorf("%s declares %v and %v", r.Meta().Name, r.Refers, r.Counts)
		}
		return nil
	})
	if err != nil || !reflect.DeepEqual(found, h.records) {
		return fmt.Errorf("%w: scanned %v, want %v", err, slices.Collect(maps.Keys(found)),
			slices.Collect(maps.Keys(h.records)))
	}
	for name, want := range h.records {
		if r, err := s.ByUID(ctx, want.Metadata().UID); err != nil || !reflect.DeepEqual(r.Resource, want) {
			return fmt.Errorf("%s by its uid: %w, %+v", name, err, r.Resource)
		}
	}
	for name, want := range h.verdicts {
		if v, err := s.Verdict(ctx, name); err != nil || !reflect.DeepEqual(v, want) {
			return fmt.Errorf("the verdict on %s: %w, %+v", name, err, v)
		}
	}
	if !reflect.DeepEqual(s.Losses(), h.losses) {
		return fmt.Errorf("losses %+v, want %+v", s.Losses(), h.losses)
	}
	return nil
}

func TestFoldersOfEveryEarlierFormatAreBroughtOver(t *testing.T) {
	for _, folder := range earlierFolders {
		t.Run(folder, func(t *testing.T) {
			mem := earlierFolder(t, folder)
			want := heldEarlier(t, mem)
			var log bytes.Buffer
			for range 2 {
				s := open(t, Options{Dir: "catalogue", FS: mem, Log: slog.New(slog.NewTextHandler(&log, nil))})
				if err := want.check(s); err != nil {
					t.Fatal(err)
				}
				if format, err := s.folder.Read(keyFormat); err != nil || string(format) != Format {
					t.Errorf("format %q, %v", format, err)
				}
				checkCounters(t, s, folder)
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if !strings.Contains(log.String(), "writing names by uid") ||
				strings.Contains(folder, tallied) && !strings.Contains(log.String(), "counting the catalogue") {
				t.Errorf("the log does not tell of all steps:\n%s", &log)
			}
			if strings.Count(log.String(), want.told(folder)) != 1 {
				t.Errorf("the log does not tell once %q:\n%s", want.told(folder), &log)
			}
		})
	}
}

const hasCome = "has the present format"

// told is what the log says at the end, however many lives it took.
func (h *holding) told(folder string) string {
	return fmt.Sprintf(hasCome+"\" folder=catalogue from=%s to=5 entries=%d ", folder[len("format-"):][:1],
		len(h.records)+len(h.verdicts))
}

// checkCounters looks at what records count since they were brought over, and that they
// are held by what refers to them.
func checkCounters(t *testing.T, s *Store, folder string) {
	t.Helper()
	ctx, program := context.Background(), "advertisers/tea/programs/order"
	cells := map[string]int64{"format-1": 0, "format-2-with-places": 2}[folder] // of coverings without places in them
	if folder == "format-2" || folder == "format-3" {
		cells = 4
	}
	for counter, want := range map[store.Counter]int64{store.Places: 1, store.Approved: 1, store.Around: 1,
		store.Buyers: 2} {
		if n, err := s.Counted(ctx, program, counter); err != nil || n != want {
			t.Errorf("counter %d of the program is %d, want %d (%v)", counter, n, want, err)
		}
	}
	// Of winter a circle, a cell, two regions, three rings, two keywords, and a place; of
	// the other a circle.
	want := cells + 1 + 1 + 2 + 15 + 2 + store.EntriesAPlace + 1
	if n, err := s.Counted(ctx, "advertisers/tea", store.Entries); err != nil || n != want {
		t.Errorf("the advertiser has %d entries, want %d (%v)", n, want, err)
	}
	if _, err := commit(s, []store.Step{{Delete: program,
		IfVersion: store.AnyVersion}}); hexbid.KindOf(err) != hexbid.InUse {
		t.Errorf("a program that others need is deleted: %v", err)
	}
}

// TestAFolderIsBroughtOverWhereverAKillInterruptsIt takes a copy of the disk at every
// operation on it, with and without what was not synced, opens every copy, and of some
// of them takes copies again.
func TestAFolderIsBroughtOverWhereverAKillInterruptsIt(t *testing.T) {
	for _, folder := range earlierFolders {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			mem := earlierFolder(t, folder)
			want := heldEarlier(t, mem)
			killed := killedAtEveryOperation(t, mem)
			halfWay := map[string]int{}
			for i, k := range killed {
				if done := doneIn(t, k.fs); done != "" {
					halfWay[done]++
				}
				again := k.fs
				if i%7 == 0 {
					second := killedAtEveryOperation(t, k.fs.CrashClone(vfs.CrashCloneCfg{}))
					again = second[i%len(second)].fs
				}
				var log bytes.Buffer
				s, err := Open(Options{Dir: "catalogue", FS: again, Currency: "CNY", Log: slog.New(slog.NewTextHandler(&log, nil))})
				if err == nil {
					err = want.check(s)
				}
				if err == nil && strings.Contains(log.String(), hasCome) && !strings.Contains(log.String(), want.told(folder)) {
					err = fmt.Errorf("the log does not tell %q:\n%s", want.told(folder), &log)
				}
				if err != nil {
					t.Fatalf("killed before %s: %v", k.where, err)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if entries := len(want.records) + len(want.verdicts); len(halfWay) != entries {
				t.Errorf("of %d entries, the folder was left after %v", entries, halfWay)
			}
			t.Logf("%d kills, %d of them half-way", len(killed), sum(halfWay))
		})
	}
}

func sum(counts map[string]int) (n int) {
	for _, count := range counts {
		n += count
	}
	return n
}

// killedDisk is a disk as a kill or a power cut leaves it.
type killedDisk struct {
	fs    *vfs.MemFS
	where string
}

// killedAtEveryOperation brings a folder over, one entry a batch, and copies the disk
// before each operation that changes it.
func killedAtEveryOperation(t *testing.T, mem *vfs.MemFS) (killed []killedDisk) {
	t.Helper()
	random := seeded()
	var guard sync.Mutex
	hooked := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		guard.Lock()
		defer guard.Unlock()
		for _, kept := range []int{0, 100} {
			killed = append(killed, killedDisk{mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: kept, RNG: random}),
				fmt.Sprintf("operation %d, of kind %d on %s, with %d %% of what was not synced", len(killed)/2,
					op.Kind, op.Path, kept)})
		}
		return nil
	}))
	s := open(t, Options{Dir: "catalogue", FS: hooked, Log: quiet, entriesABatch: 1})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return killed
}

// doneIn is the last key that was written anew in a folder that is half-way. Such a
// folder has the present format, which programs of the earlier ones refuse.
func doneIn(t *testing.T, mem *vfs.MemFS) (done string) {
	t.Helper()
	edited(t, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: seeded()}), func(db *pebble.DB) {
		value, closer, err := db.Get(keyBringOver)
		if err != nil {
			return
		}
		defer closer.Close()
		state := new(diskpb.BringOver)
		if err := proto.Unmarshal(value, state); err != nil {
			t.Fatal(err)
		}
		format, also, err := db.Get(keyFormat)
		if err != nil || string(format) != Format {
			t.Fatalf("half-way with format %q, %v", format, err)
		}
		_ = also.Close()
		done = string(state.GetDone())
	})
	return done
}

// BenchmarkBringOver brings over 100,000 campaigns a time, on the disk that holds
// temporary files.
func BenchmarkBringOver(b *testing.B) {
	const count = 100_000
	for b.Loop() {
		b.StopTimer()
		b.Chdir(b.TempDir())
		fillEarlier(b, vfs.Default, count, func(m hexbid.Meta) hexbid.Resource {
			m.Name = fmt.Sprintf("advertisers/a%d/campaigns/c%d", m.UID%5000, m.UID)
			return &hexbid.Campaign{Meta: m, DisplayName: m.Name, Program: fmt.Sprintf("advertisers/a%d/programs/p", m.UID%5000),
				Pricing: hexbid.CPC, Bid: 1_000_000, DailyBudget: 100_000_000,
				Area: hexbid.Area{Circles: []hexbid.Circle{{Center: hexbid.Point{Lat: 30.251234, Lng: 120.151234},
					RadiusM: 1834}}},
				Creatives: []hexbid.Creative{{Title: "A cup of tea", Promotion: "半价"}}}
		})
		b.StartTimer()
		s, err := Open(Options{Dir: "catalogue", Currency: "CNY", Log: quiet})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/count, "µs/campaign")
}

func TestNoBatchOfBringingOverIsLarge(t *testing.T) {
	const count = 3*entriesABatch + 7
	mem := manyEarlier(t, count)
	s := open(t, Options{Dir: "catalogue", FS: mem, Log: quiet})
	defer s.Close()
	if _, err := scan(s); err != nil {
		t.Fatal(err)
	}
	rewritten, batches := 0, 0
	for _, steps := range batchesInLogs(t, mem, "r/") {
		if steps > 0 && steps <= entriesABatch {
			rewritten, batches = rewritten+steps, batches+1
		}
	}
	if rewritten != count || batches != 4 {
		t.Errorf("%d of %d records were rewritten in %d batches of at most %d", rewritten, count, batches, entriesABatch)
	}
}

// batchesInLogs counts the keys of a prefix by batch that stands in a log of writes.
func batchesInLogs(t *testing.T, mem vfs.FS, prefix string) (counts []int) {
	t.Helper()
	logs, err := wal.Scan(wal.Dir{FS: mem, Dirname: "catalogue"})
	if err != nil {
		t.Fatal(err)
	}
	for _, log := range logs {
		reader := log.OpenForRead()
		for {
			r, _, err := reader.NextRecord()
			if err != nil {
				break // the end, or half a record
			}
			batch, err := io.ReadAll(r)
			if err != nil {
				break
			}
			counts = append(counts, keysWith(batch, prefix))
		}
		_ = reader.Close()
	}
	return counts
}

// keysWith counts the keys of a prefix in an encoded batch.
func keysWith(batch []byte, prefix string) (n int) {
	steps := batchrepr.Read(batch)
	for {
		_, key, _, ok, err := steps.Next()
		if !ok || err != nil {
			return n
		}
		if strings.HasPrefix(string(key), prefix) {
			n++
		}
	}
}

func TestAnEarlierFolderThatLacksARecordIsLeftAsItIs(t *testing.T) {
	mem := earlierFolder(t, "format-3")
	want := heldEarlier(t, mem)
	edited(t, mem, func(db *pebble.DB) {
		if err := db.Delete(recordKey(hexbid.KindCampaign, "advertisers/tea/campaigns/circle"), pebble.Sync); err != nil {
			t.Fatal(err)
		}
	})
	for range 2 {
		_, err := Open(Options{Dir: "catalogue", FS: mem, Currency: "CNY", Log: quiet})
		wantRefusal(t, err, "does not add up", "of 7 records 6", "--accept-loss")
		edited(t, mem, func(db *pebble.DB) {
			if format, closer, err := db.Get(keyFormat); err != nil || string(format) != "3" || closer.Close() != nil {
				t.Errorf("format %q, %v", format, err)
			}
		})
	}
	delete(want.records, "advertisers/tea/campaigns/circle")
	for life := range 2 {
		s := open(t, Options{Dir: "catalogue", FS: mem, Log: quiet, AcceptLoss: life == 0})
		if len(s.Losses()) != 2 || !strings.Contains(s.Losses()[1].What, "of 7 records 6") {
			t.Fatalf("%+v", s.Losses())
		}
		want.losses = s.Losses()
		if err := want.check(s); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestALossInAFolderThatIsHalfWayIsNoticedAndCanBeAccepted(t *testing.T) {
	mem, lost := earlierFolder(t, "format-3"), "advertisers/tea/programs/order"
	want := heldEarlier(t, mem)
	delete(want.records, lost)
	halfWay := 0
	for _, k := range killedAtEveryOperation(t, mem) {
		if doneIn(t, k.fs) == "" {
			continue
		}
		halfWay++
		edited(t, k.fs, func(db *pebble.DB) {
			if err := db.Delete(recordKey(hexbid.KindProgram, lost), pebble.Sync); err != nil {
				t.Fatal(err)
			}
		})
		_, err := Open(Options{Dir: "catalogue", FS: k.fs, Currency: "CNY", Log: quiet})
		wantRefusal(t, err, "does not add up", "of 7 records 6", "--accept-loss")
		s := open(t, Options{Dir: "catalogue", FS: k.fs, Log: quiet, AcceptLoss: true})
		want.losses = s.Losses()
		if err := want.check(s); err != nil || len(want.losses) != 2 {
			t.Fatalf("killed before %s: %v, losses %+v", k.where, err, want.losses)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if halfWay < 10 {
		t.Errorf("only %d folders were half-way", halfWay)
	}
}

func TestAFolderOfTheThirdFormatNeedsItsWitness(t *testing.T) {
	mem := earlierFolder(t, "format-3")
	if err := mem.Remove(folder.WitnessPath("catalogue")); err != nil {
		t.Fatal(err)
	}
	_, err := Open(Options{Dir: "catalogue", FS: mem, Currency: "CNY", Log: quiet})
	wantRefusal(t, err, folder.WitnessPath("catalogue"), "missing or damaged")
}

func TestAnEarlierRecordInAFolderOfThePresentFormatIsDamage(t *testing.T) {
	mem := manyEarlier(t, 1)
	var before []byte
	edited(t, mem, func(db *pebble.DB) {
		value, closer, err := db.Get(recordKey(hexbid.KindAdvertiser, "advertisers/a0"))
		if err != nil {
			t.Fatal(err)
		}
		before = bytes.Clone(value)
		_ = closer.Close()
	})
	s := open(t, Options{Dir: "catalogue", FS: mem, Log: quiet})
	defer s.Close()
	if err := s.folder.DB.Set(recordKey(hexbid.KindAdvertiser, "advertisers/a0"), before, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	showAll(s)
	if _, err := s.Get(context.Background(), "advertisers/a0"); hexbid.KindOf(err) != hexbid.DataLoss {
		t.Errorf("%v", err)
	}
}

func TestNoValueOfThePresentFormatIsTakenForAnEarlierOne(t *testing.T) {
	for number := range 5 {
		m := &diskpb.Record{Uid: 1, AreaPolygons: make([]byte, number*50), Refers: make([]string, number)}
		b, err := proto.Marshal(m)
		if err != nil || isEarlier(b) {
			t.Errorf("%x: %v", b, err)
		}
	}
	for _, m := range []proto.Message{new(diskpb.Record), new(diskpb.Verdict), new(diskpb.Losses)} {
		fields := m.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			if fields.Get(i).Number() > 15 {
				t.Errorf("%s has a number above 15: a value could begin as CBOR does", fields.Get(i).FullName())
			}
		}
	}
}

// TestBringingOverStopsWithItsContext: the folder is left half-way, and the next start goes on.
func TestBringingOverStopsWithItsContext(t *testing.T) {
	mem := earlierFolder(t, earlierFolders[len(earlierFolders)-1])
	want := heldEarlier(t, mem)
	ctx, stop := context.WithCancel(context.Background())
	hooked := errorfs.Wrap(mem, errorfs.InjectorFunc(func(errorfs.Op) error {
		if doneIn(t, mem) != "" {
			stop()
		}
		return nil
	}))
	s, err := Open(Options{Dir: "catalogue", FS: hooked, Currency: "CNY", Log: quiet, Context: ctx, entriesABatch: 1})
	if err == nil {
		_ = s.Close()
	}
	if !errors.Is(err, context.Canceled) || doneIn(t, mem) == "" {
		t.Fatalf("stopped, %v, and done is %q", err, doneIn(t, mem))
	}
	s = open(t, Options{Dir: "catalogue", FS: mem, Log: quiet})
	defer s.Close()
	if err := want.check(s); err != nil {
		t.Fatal(err)
	}
}
