package ledgertest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hexbid/hexbid/ledger/journal"
)

var views = []conduct{
	{"a view stays as it is", testViewStays},
	{"a view shows whole batches only, beside a writer", testViewsAreWhole},
	{"scans go both ways between any bounds", testScans},
	{"a scan ends when it is told to", testScanEnds},
	{"nothing that is not synced is seen", testUnsynced},
	{"rows that are kept are seen with the next commit", testKeep},
}

func equal(a, b state) bool { return reflect.DeepEqual(a, b) }

func testViewStays(t testing.TB, e Engine) {
	j := opened(t, e)
	mustCommit(t, j, recording(0, 2))
	mustCommit(t, j, rows(t, j, row(journal.Meta, "k", "before")))
	v := viewed(t, j)
	before := stateOf(t, v)
	mustCommit(t, j, recording(2, 3))
	b := rows(t, j, row(journal.Meta, "k", "after"))
	b.Erase = []journal.Range{{Table: journal.Charges}}
	mustCommit(t, j, b)
	if now := stateOf(t, v); !equal(now, before) {
		t.Errorf("the view shows\n%+v\nat first it showed\n%+v", now, before)
	}
	if now := stateOf(t, viewed(t, j)); equal(now, before) {
		t.Error("a new view shows what an old one does")
	}
}

// testViewsAreWhole reads while a writer adds records in batches of three, each with its row.
func testViewsAreWhole(t testing.TB, e Engine) {
	j := opened(t, e)
	var ended atomic.Bool
	var work sync.WaitGroup
	for range 2 {
		work.Go(func() {
			for seen := uint64(0); !ended.Load(); {
				n := wantRecords(t, j)
				if n < seen || n%3 != 0 {
					t.Errorf("a view ends with record %d after %d: half a batch, or an older state", n, seen)
				}
				seen = n
			}
		})
	}
	for range 100 {
		mustCommit(t, j, recording(last(t, j), 3))
	}
	ended.Store(true)
	work.Wait()
}

func testScans(t testing.TB, e Engine) {
	j := opened(t, e)
	keys := []string{"", "\x00", "a", "a\x00", "ab", "b", "b\xff", "\xff", "\xff\xff"}
	b := &journal.Batch{}
	for _, key := range keys {
		b.Rows = append(b.Rows, row(journal.Members, key, "v"+key), row(journal.Movements, key, "other"),
			row(journal.AdvertiserDays, key, "other"))
	}
	mustCommit(t, j, b)
	v := viewed(t, j)
	limits := [][]byte{nil, {}, []byte("a"), []byte("aa"), []byte("b"), []byte("\xff"), []byte("\xff\xff\xff")}
	for _, from := range limits {
		for _, to := range limits {
			var want pairs
			for _, key := range keys {
				if key >= string(from) && (to == nil || key < string(to)) {
					want = append(want, fmt.Sprintf("%x=v%s", key, key))
				}
			}
			if got := scanned(t, v.Scan, journal.Members, from, to); !slices.Equal(got, want) {
				t.Errorf("from %q to %q there is %v, want %v", from, to, got, want)
			}
			slices.Reverse(want)
			if got := scanned(t, v.ScanBack, journal.Members, from, to); !slices.Equal(got, want) {
				t.Errorf("back from %q to %q there is %v, want %v", to, from, got, want)
			}
		}
	}
}

func testScanEnds(t testing.TB, e Engine) {
	j := opened(t, e)
	mustCommit(t, j, recording(0, 9))
	v := viewed(t, j)
	stop := errors.New("stop")
	for _, scan := range []func(journal.Table, []byte, []byte, journal.Visit) error{v.Scan, v.ScanBack} {
		for _, end := range []error{nil, stop} {
			visits := 0
			err := scan(journal.Records, nil, nil, func(_, _ []byte) (bool, error) {
				visits++
				return visits < 4 || end != nil, map[bool]error{true: end}[visits == 4]
			})
			if visits != 4 || !errors.Is(err, end) {
				t.Errorf("%d visits of 4, error %v, want %v", visits, err, end)
			}
		}
	}
}

func testUnsynced(t testing.TB, e Engine) {
	if e.Holding == nil {
		t.Skip("the engine does not sync")
	}
	j, hold := e.Holding(t)
	defer func() { _ = j.Close() }()
	mustCommit(t, j, recording(0, 2))
	before := stateNow(t, j)
	waits, release := hold()
	var work sync.WaitGroup
	var answered atomic.Bool
	work.Go(func() {
		if err := j.Commit(ctx, recording(2, 2)); err != nil {
			t.Error(err)
		}
		answered.Store(true)
	})
	select {
	case <-waits:
	case <-time.After(patience):
		t.Error("a commit was made without a sync")
	}
	if now := stateNow(t, j); !equal(now, before) || answered.Load() {
		t.Errorf("while a batch is synced there is\n%+v\nbefore it there was\n%+v; answered %v", now, before,
			answered.Load())
	}
	release()
	work.Wait()
	if n := wantRecords(t, j); n != 4 {
		t.Errorf("%d records after the sync", n)
	}
}

func testKeep(t testing.TB, e Engine) {
	j := e.Open(t)
	defer func() { _ = j.Close() }()
	mustCommit(t, j, rows(t, j, row(journal.Tallies, "a", "1"), row(journal.Tallies, "b", "1")))
	before, err := j.View()
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"2", "3"} {
		if err := j.Keep([]journal.Row{row(journal.Tallies, "a", value), gone(journal.Tallies, "b")}); err != nil {
			t.Fatal(err)
		}
	}
	wantTextsNow(t, j, journal.Tallies, map[string]string{"a": "1", "b": "1"})
	mustCommit(t, j, recording(0, 1))
	wantTextsNow(t, j, journal.Tallies, map[string]string{"a": "3", "b": "none"})
	wantTexts(t, before, journal.Tallies, map[string]string{"a": "1", "b": "1"})
	_ = before.Close()
	if err := j.Keep([]journal.Row{row(journal.Tallies, "a", "4")}); err != nil {
		t.Fatal(err)
	}
	mustCommit(t, j, rows(t, j, row(journal.Tallies, "a", "5")))
	wantTextsNow(t, j, journal.Tallies, map[string]string{"a": "5"})
	if e.Crash != nil {
		j = e.Crash(t, j)
		wantTextsNow(t, j, journal.Tallies, map[string]string{"a": "5", "b": "none"})
	}
}
