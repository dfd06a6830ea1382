package pebble

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/folder"
	"github.com/hexbid/hexbid/store"
)

// longHistory makes a folder of several tables, each with several blocks of the log of changes, and closes it.
func longHistory(t *testing.T) *vfs.MemFS {
	t.Helper()
	fs := vfs.NewMem()
	s := open(t, Options{Dir: "d/c", FS: fs, Log: quiet})
	for i := range 400 {
		if _, err := commit(s, []store.Step{{IfVersion: store.AnyVersion, Put: &store.Record{Resource: &hexbid.Advertiser{
			Meta:        hexbid.Meta{Name: fmt.Sprintf("advertisers/a%d", i%4)},
			DisplayName: noise(i)}}}}); err != nil {
			t.Fatal(err)
		}
		if i%100 == 99 {
			if err := s.folder.DB.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return fs
}

// noise is text that Pebble cannot make shorter.
func noise(seed int) string {
	text, random := make([]byte, 300), rand.New(rand.NewPCG(uint64(seed), 0))
	for i := range text {
		text[i] = byte('!' + random.IntN('~'-'!'))
	}
	return string(text)
}

// historyQueries are the kinds of lists.
func historyQueries() map[string]store.HistoryQuery {
	return map[string]store.HistoryQuery{
		"all":      {},
		"a name":   {Of: []store.Thread{{Name: "advertisers/a2"}}},
		"an owner": {Of: []store.Thread{{Name: "advertisers/a1", Whole: true}}},
		"two owners": {Of: []store.Thread{{Name: "advertisers/a0", Whole: true, After: 8},
			{Name: "advertisers/a3", Whole: true}}},
	}
}

// allPages reads a list in pages of at most 50 looks. It fails the test when the list does not end.
func allPages(t *testing.T, s *Store, q store.HistoryQuery) (all []store.Past) {
	t.Helper()
	q.Looks = 50
	for pages := 0; pages < 100; pages++ {
		next, err := s.History(context.Background(), q, func(p *store.Past) bool { all = append(all, *p); return true })
		if err != nil {
			t.Fatalf("a page before %d: %v", q.Before, err)
		}
		if q.Before = next; next == 0 {
			return all
		}
	}
	t.Fatal("the list does not end")
	return nil
}

// TestAFlippedByteInATableCostsTheChangesOfItsBlock flips a byte in many places of each file of a folder, one at a
// time, and reads all lists. Whatever is told is as it was; what is not told is said to be damaged; and a byte of a
// table's data hides few changes.
func TestAFlippedByteInATableCostsTheChangesOfItsBlock(t *testing.T) {
	whole := longHistory(t)
	told := map[string][]store.Past{}
	s := open(t, Options{Dir: "d/c", FS: whole, Log: quiet})
	for name, q := range historyQueries() {
		told[name] = allPages(t, s, q)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := whole.List("d/c")
	if err != nil {
		t.Fatal(err)
	}
	refused, cost := 0, map[int]int{}
	for _, file := range files {
		path := filepath.Join("d/c", file)
		content := readable(t, whole, path)
		for at := 0; at < len(content); at += max(1, len(content)/12) {
			fs := flippedAt(t, whole, path, content, at)
			s, err := Open(Options{Dir: "d/c", FS: fs, Log: quiet, Currency: "CNY"})
			if err != nil {
				refused++
				wantKindAndCure(t, err, file, at)
				continue
			}
			lost := 0
			for name, q := range historyQueries() {
				lost = max(lost, wantNothingWrong(t, told[name], allPages(t, s, q)))
			}
			cost[lost]++
			if lost > 0 && (s.Failure() == nil || !strings.Contains(s.Failure().Error(), path)) {
				t.Errorf("the failure of the store does not name %s: %v", path, s.Failure())
			}
			if t.Failed() {
				t.Fatalf("%s of %d bytes, byte %d flipped, failure %v", file, len(content), at, s.Failure())
			}
			_ = s.Close() // of what the test has damaged
		}
	}
	opened, dear := 0, 0
	for lost, flips := range cost {
		if opened += flips; lost > 20 {
			dear += flips // it hit what leads to the blocks of a table
		}
	}
	if opened < 50 || dear*8 > opened || dear == opened-cost[0] {
		t.Errorf("of %d flips that opened %d cost many changes", opened, dear)
	}
	t.Logf("%d flips are refused at the start; by the most changes that a list does not tell, so many others: %v",
		refused, cost)
}

func flippedAt(t *testing.T, whole *vfs.MemFS, path string, content []byte, at int) vfs.FS {
	t.Helper()
	fs := vfs.NewMem()
	if _, err := vfs.Clone(whole, fs, "d", "d"); err != nil {
		t.Fatal(err)
	}
	content = slices.Clone(content)
	content[at] ^= 0x10
	if err := folder.ReplaceFile(fs, path, content); err != nil {
		t.Fatal(err)
	}
	return fs
}

func wantKindAndCure(t *testing.T, err error, file string, at int) {
	t.Helper()
	if hexbid.KindOf(err) != hexbid.DataLoss || !strings.Contains(err.Error(), "restore") &&
		!strings.Contains(err.Error(), "delete it") {
		t.Errorf("%s, byte %d flipped: %v", file, at, err)
	}
}

// wantNothingWrong compares a list of a damaged log with the list of the whole one. It returns how many changes are not
// told in full.
func wantNothingWrong(t *testing.T, want, got []store.Past) (lost int) {
	t.Helper()
	told := map[uint64]*store.Past{}
	lowest, last := uint64(math.MaxUint64), uint64(math.MaxUint64)
	for i := range got {
		p := &got[i]
		if p.Version > last || p.Version == last && !p.Stretch {
			t.Errorf("%d is told after %d", p.Version, last)
		}
		if last = p.Version; p.Stretch || p.Version == 0 {
			lowest = p.Version
		} else {
			told[p.Version] = p
		}
	}
	for i := range want {
		p := told[want[i].Version]
		delete(told, want[i].Version)
		switch {
		case p == nil && want[i].Version < lowest:
			t.Errorf("change %d is not told, and no damage either", want[i].Version)
		case p == nil || p.Damaged || len(p.Lost) > 0:
			lost++
		case !reflect.DeepEqual(p, &want[i]):
			t.Errorf("told as\n%+v, it was\n%+v", p, &want[i])
		}
	}
	for version := range told {
		t.Errorf("a change %d is told that there was not", version)
	}
	return lost
}
