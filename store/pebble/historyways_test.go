package pebble

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
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

// TestTheWayToALaterChangeIsBounded puts as many reviews and edits between a change and the one that tells what it
// made, from both sides, as a call does not look at, and asks for a caller who has gone.
func TestTheWayToALaterChangeIsBounded(t *testing.T) {
	s := open(t, Options{Dir: "d/c", FS: vfs.NewMem()})
	const many = 1000
	edit := mixed(t, s, "e")[0]
	mixed(t, s, strings.Repeat("r", many)) // the edits behind have as many reviews before them
	review := mixed(t, s, "r")[0]
	mixed(t, s, strings.Repeat("e", many)+strings.Repeat("r", many)+strings.Repeat("e", many))
	r := reading(t, s)
	for version, chainOf := range map[uint64]func() *chain{
		edit: func() *chain { return &r.records }, review: func() *chain { return &r.verdicts }} {
		r.ways = r.newWays()
		r.most = 256
		past, err := r.past(context.Background(), version, nil)
		if err != nil || len(past.Lost) != 1 || r.looks > 2*(firstLooks+r.most) {
			t.Errorf("version %d is told as %+v, %v, after %d looks", version, past, err, r.looks)
		}
		r.ways = r.newWays()
		r.most = 4 * many
		past, err = r.past(context.Background(), version, nil)
		if err != nil || len(past.Lost) != 0 || r.looks > 8*many {
			t.Errorf("version %d with enough looks is told as %+v, %v, after %d looks", version, past, err, r.looks)
		}
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := r.nextOf(gone, chainOf(), version, judgedPlace); err != context.Canceled {
			t.Errorf("version %d for a caller who has gone: %v", version, err)
		}
	}
}

// mixed commits edits of a place for each e, and reviews for each r. It returns the versions.
func mixed(t *testing.T, s *Store, letters string) (versions []uint64) {
	t.Helper()
	groups := make([]store.Group, len(letters))
	for i, letter := range letters {
		place := hexbid.Place{Meta: hexbid.Meta{Name: judgedPlace}, DisplayName: strconv.Itoa(i)}
		groups[i].Steps = []store.Step{{IfVersion: store.AnyVersion, Put: &store.Record{Resource: &place}}}
		if letter == 'r' {
			groups[i].Steps = []store.Step{{Judge: judgedPlace, Verdict: &store.Verdict{State: hexbid.Hidden, Of: place}}}
		}
	}
	outcomes, err := s.Commit(context.Background(), groups)
	if err != nil {
		t.Fatal(err)
	}
	for i := range outcomes {
		if outcomes[i].Err != nil {
			t.Fatal(outcomes[i].Err)
		}
		versions = append(versions, outcomes[i].Change.Version)
	}
	return versions
}

// TestAnyNumberOfReviewsBetweenTwoEditsCostsLittle lists a place that was made, reviewed many times, and edited, from
// the end, from the middle, and from where the oldest page begins. Every change is told as it was.
func TestAnyNumberOfReviewsBetweenTwoEditsCostsLittle(t *testing.T) {
	s := open(t, Options{Dir: "d/c", FS: vfs.NewMem()})
	defer s.Close()
	const reviews = 20_000
	first := mixed(t, s, "e")[0]
	for range reviews / 5000 {
		mixed(t, s, strings.Repeat("r", 5000))
	}
	last := mixed(t, s, "e")[0]
	for before, most := range map[uint64]int{first + 1: 1, first + 3: 3, last/2 + 1: 50, last + 1: 50} {
		v := s.look()
		r, err := v.readHistory()
		if err != nil {
			t.Fatal(err)
		}
		for version := before - 1; version > max(before, 51)-51 && version >= first; version-- {
			past, err := r.past(context.Background(), version, nil)
			if err != nil || len(past.Lost) > 0 || len(past.Puts)+len(past.Set) != 1 {
				t.Fatalf("version %d is told as %+v, %v", version, past, err)
			}
		}
		if r.looks > firstLooks+2*most {
			t.Errorf("a page before %d looks at %d later changes", before, r.looks)
		}
		r.close()
		v.release()
	}
}

// TestAHistoryPassesOverWhatTheLogHasDropped counts Pebble's own steps where all changes of a name were dropped a
// moment ago.
func TestAHistoryPassesOverWhatTheLogHasDropped(t *testing.T) {
	s := open(t, Options{Dir: "d/c", FS: vfs.NewMem(), Retention: store.Retention{Age: 1 << 60, Bytes: 10_000}})
	const edits = 4000
	mixed(t, s, strings.Repeat("e", edits))
	others := make([]store.Group, 500)
	for i := range others {
		step := advertiser("advertisers/b")
		step.IfVersion = store.AnyVersion
		others[i].Steps = []store.Step{step}
	}
	if _, err := s.Commit(context.Background(), others); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the edits are dropped", func() bool { return s.synced.Load().clock.log.start > edits })
	r := reading(t, s)
	for _, of := range []store.Thread{{Name: judgedPlace}, {Name: "advertisers/a", Whole: true}} {
		iter := r.threadOf(&of).iter
		iter.ResetStats()
		if stop, err := r.below(&of, r.log.view.clock.version+1); err != nil || stop != (store.Stop{}) {
			t.Fatalf("%+v, %v", stop, err)
		}
		if steps := iter.Stats(); steps.ReverseStepCount[pebble.InternalIterCall] > 100 {
			t.Errorf("%+v takes %v", of, &steps)
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
