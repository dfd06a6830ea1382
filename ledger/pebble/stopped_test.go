package pebble_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/audit"
	"github.com/hexbid/hexbid/ledger/fold"
	"github.com/hexbid/hexbid/ledger/pebble"
	"github.com/hexbid/hexbid/token"
)

// spend opens the ledger in a folder and records some clicks. The caller closes both.
func spend(t *testing.T, dir string, clicks int) (*pebble.Journal, *ledger.Ledger, fold.Point) {
	t.Helper()
	ctx := context.Background()
	j, err := pebble.Open(pebble.Options{Dir: dir, Currency: "CNY", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(ctx, ledger.Options{Journal: j, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.SetTerms(ctx, 1, []fold.Terms{{Campaign: 1, Advertiser: 2, Name: "advertisers/a/campaigns/c",
		DailyBudget: 1 << 40, Zone: "UTC"}}, []fold.AdvertiserTerms{{Advertiser: 2,
		Name: "advertisers/a"}}); err != nil {
		t.Fatal(err)
	}
	var last fold.Point
	for i := range clicks {
		now := time.Now().Truncate(time.Millisecond)
		answers, err := l.Record(ctx, []ledger.Event{{Kind: hexbid.Click, EventID: "e",
			Name: token.Name{Sequence: uint64(now.UnixNano()) + uint64(i)},
			Award: &token.Award{Campaign: 1, Advertiser: 2, Price: 1000, Slot: 1, MarketVersion: 1, IssuedAt: now,
				ClickExpiry: now.Add(time.Hour), Basis: auction.Basis{Mechanism: hexbid.MechanismFirstPrice,
					Pricing: hexbid.CPC,
					Bid:     1000, MultiplierPPM: auction.PPM, QualityPPM: 1000, Factors: []int64{1}}}}})
		if err != nil || answers[0].Outcome != hexbid.EventCharged {
			t.Fatalf("%+v, %v", answers, err)
		}
		last = fold.Point{Sequence: answers[0].Sequence, Tail: answers[0].Hash}
	}
	return j, l, last
}

// content is a print of every file of a folder and beside it.
func content(t *testing.T, dir string) map[string]string {
	t.Helper()
	prints := map[string]string{}
	if err := filepath.WalkDir(filepath.Dir(dir), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		info, _ := entry.Info()
		prints[path] = fmt.Sprintf("%x", sha256.Sum256(b))
		if entry.Name() != "LOCK" { // which is empty, and held
			prints[path] += info.ModTime().String()
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return prints
}

// verify verifies a stopped journal as the command does.
func verify(t *testing.T, dir string, known ...audit.Known) (*audit.Report, error) {
	t.Helper()
	s, err := pebble.OpenStopped(dir)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	known = append(known, audit.Known{Point: s.End(), By: "the end", Within: true})
	if witness, ok := s.Witness(); ok {
		known = append(known, audit.Known{Point: witness, By: "the witness"})
	}
	return audit.Verify(context.Background(), audit.Options{View: s, Known: known, Now: time.Now()})
}

func copyFolder(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

func TestAStoppedJournalIsVerifiedAndLeftAsItIs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ledger")
	j, l, last := spend(t, dir, 40)
	if _, err := pebble.OpenStopped(dir); hexbid.KindOf(err) != hexbid.Unavailable {
		t.Errorf("while a server has it open: %v", err)
	}
	killed := filepath.Join(t.TempDir(), "ledger") // the files as a kill leaves them
	copyFolder(t, filepath.Dir(dir), filepath.Dir(killed))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{dir, killed} {
		before := content(t, at)
		r, err := verify(t, at, audit.Known{Point: last, By: "--expect"})
		if err != nil || !r.OK() || !r.TailWitnessed || r.Charges != 40 {
			t.Fatalf("%+v, %v", r, err)
		}
		after := content(t, at)
		for path := range after {
			if after[path] != before[path] {
				t.Errorf("%s was %q, and is %q", path, before[path], after[path])
			}
		}
		if len(after) != len(before) {
			t.Errorf("%d files before, %d after", len(before), len(after))
		}
	}
	j, l, _ = spend(t, dir, 0) // a server opens it again
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAStoppedJournalWithoutItsTailIsToldByTheWitness(t *testing.T) {
	early, late := filepath.Join(t.TempDir(), "ledger"), filepath.Join(t.TempDir(), "ledger")
	j, l, _ := spend(t, late, 20)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	copyFolder(t, filepath.Dir(late), filepath.Dir(early))
	j, l, _ = spend(t, late, 1)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	witness, err := os.ReadFile(late + ".witness")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(early+".witness", witness, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := verify(t, early)
	if err != nil || r.OK() || r.Faults[0].Sequence != r.Last.Sequence+1 || !strings.Contains(r.Faults[0].Expected,
		"witness") {
		t.Errorf("an older copy with the present witness: %+v, %v", r, err)
	}
	if err := os.Remove(early + ".witness"); err != nil {
		t.Fatal(err)
	}
	if r, err = verify(t, early); err != nil || !r.OK() || r.TailWitnessed {
		t.Errorf("an older copy without a witness: %+v, %v", r, err)
	}
}

// Wherever a byte of a file flips that Pebble reads, the verification says so or the journal does not open. It never
// ends the process.
func TestFlippedBytesOfFilesAreFound(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ledger")
	j, l, _ := spend(t, dir, 30)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
	tables, _ := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(logs) == 0 {
		t.Fatal(logs, tables, err)
	}
	slices.Sort(logs) // what the older ones hold is in tables too
	found, flips := 0, 0
	for _, path := range append(logs[len(logs)-1:], tables...) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for at := 3; at < len(b); at += max(1, len(b)/40) {
			if b[at] == 0 {
				continue // room that was never written
			}
			b[at] ^= 4
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			flips++
			if r, err := verify(t, dir); err != nil || !r.OK() {
				found++
			} else {
				t.Logf("%s: byte %d of %d flipped is not found", filepath.Base(path), at, len(b))
			}
			b[at] ^= 4
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if flips < 20 || found < flips*9/10 {
		t.Errorf("%d of %d flips are found", found, flips)
	}
	if r, err := verify(t, dir); err != nil || !r.OK() {
		t.Errorf("at the end: %+v, %v", r, err)
	}
}

func TestAFolderWithoutALedgerIsNotMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ledger")
	if _, err := pebble.OpenStopped(dir); hexbid.KindOf(err) != hexbid.NotFound {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder was made: %v", err)
	}
}
