package pebble

import (
	"context"
	"strconv"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// reviewed commits reviews of a place, each followed by as many edits. The verdict of each review carries its number.
// It returns the versions of the reviews.
func reviewed(t *testing.T, s *Store, reviews, edits int) (versions []uint64) {
	t.Helper()
	for i := range reviews {
		of := hexbid.Place{Meta: hexbid.Meta{Name: judgedPlace}, DisplayName: strconv.Itoa(i)}
		groups := []store.Group{{Steps: []store.Step{{Judge: judgedPlace,
			Verdict: &store.Verdict{State: hexbid.Hidden, Of: of}}}}}
		for range edits {
			place := of
			groups = append(groups, store.Group{Steps: []store.Step{
				{IfVersion: store.AnyVersion, Put: &store.Record{Resource: &place}}}})
		}
		outcomes, err := s.Commit(context.Background(), groups)
		if err != nil || outcomes[0].Err != nil {
			t.Fatal(err, outcomes)
		}
		versions = append(versions, outcomes[0].Change.Version)
	}
	return versions
}

// reading opens a reader of the history of a store, which the test closes.
func reading(t *testing.T, s *Store) *historyReader {
	t.Helper()
	v := s.look()
	reader, err := v.readHistory()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.close(); v.release(); s.Close() })
	return reader
}

// wantVerdict fails the test unless a reader tells that the change of a version set the verdict of a number.
func wantVerdict(t *testing.T, r *historyReader, version uint64, number int) {
	t.Helper()
	past, err := r.past(context.Background(), version, nil)
	if err != nil || len(past.Lost) > 0 || len(past.Set) != 1 || past.Set[0].Version != version ||
		past.Set[0].Of.DisplayName != strconv.Itoa(number) {
		t.Fatalf("review %d tells %+v, %v", number, past, err)
	}
}

// TestAVerdictIsFoundWithoutTheEditsThatFollowed counts the changes that a reader decodes besides the review itself.
func TestAVerdictIsFoundWithoutTheEditsThatFollowed(t *testing.T) {
	for _, reviews := range []int{1, 2} {
		s := open(t, Options{Dir: "d/c", FS: vfs.NewMem()})
		versions := reviewed(t, s, reviews, 2000)
		r := reading(t, s)
		wantVerdict(t, r, versions[0], 0)
		if later := r.log.later.decoded; later != reviews-1 {
			t.Errorf("of %d reviews the first is told by %d later changes", reviews, later)
		}
	}
}

// TestAPageOfManyReviewsDecodesEachOnceMore reads a page from the newest review to the oldest.
func TestAPageOfManyReviewsDecodesEachOnceMore(t *testing.T) {
	const reviews = 300
	s := open(t, Options{Dir: "d/c", FS: vfs.NewMem()})
	versions := reviewed(t, s, reviews, 1)
	r := reading(t, s)
	for i := reviews - 1; i >= 0; i-- {
		r.log.later.kept = nil // as if the changes between were large
		wantVerdict(t, r, versions[i], i)
	}
	if later := r.log.later.decoded; later != reviews-1 {
		t.Errorf("a page of %d reviews decodes %d later changes", reviews, later)
	}
}

// TestASearchForAVerdictIsBounded searches both ways with room for a few changes, and for a caller who has gone.
func TestASearchForAVerdictIsBounded(t *testing.T) {
	s := open(t, Options{Dir: "d/c", FS: vfs.NewMem()})
	versions := reviewed(t, s, 40, 40)
	r := reading(t, s)
	for name, find := range map[string]func(context.Context, uint64, string, int) (store.Verdict, error){
		"behind": r.verdictBehind, "ahead": r.verdictAhead} {
		r.log.later.kept = nil
		before := r.log.later
		_, err := find(context.Background(), versions[0], judgedPlace, before.read+1000)
		if hexbid.KindOf(err) != hexbid.DataLoss || r.log.later.decoded-before.decoded > 20 {
			t.Errorf("%s: %d changes are decoded, %v", name, r.log.later.decoded-before.decoded, err)
		}
		r.log.later.kept = nil
		if _, err := find(context.Background(), versions[0], judgedPlace, r.log.later.read+1<<20); err != nil {
			t.Errorf("%s: with enough room: %v", name, err)
		}
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := find(ended, versions[0], judgedPlace, 1<<30); err != context.Canceled {
			t.Errorf("%s: for a caller who has gone: %v", name, err)
		}
	}
}

// TestADamagedReviewHidesNoVerdictButTheOneBefore begins a page behind each review, with a later one damaged.
func TestADamagedReviewHidesNoVerdictButTheOneBefore(t *testing.T) {
	s := open(t, Options{Dir: "d/c", FS: vfs.NewMem()})
	versions := reviewed(t, s, 5, 3)
	tamper(t, s, versions[3])
	for i := range 2 {
		v := s.look()
		r, err := v.readHistory()
		if err != nil {
			t.Fatal(err)
		}
		wantVerdict(t, r, versions[i], i)
		r.close()
		v.release()
	}
	past, err := reading(t, s).past(context.Background(), versions[2], nil)
	if err != nil || len(past.Lost) != 1 || len(past.Set) != 0 {
		t.Errorf("the review before the damaged one tells %+v, %v", past, err)
	}
}
