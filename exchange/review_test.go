package exchange

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

func TestNothingThatAnOwnerDoesShowsWhatTheOperatorHid(t *testing.T) {
	for _, verdict := range []hexbid.ReviewState{hexbid.Hidden, hexbid.InReview} {
		for name, act := range map[string]func(r *reviewed){
			"uploads it again":                func(r *reviewed) { r.put(0) },
			"uploads it twice in a batch":     func(r *reviewed) { r.put(1, 2) },
			"uploads it and back in a batch":  func(r *reviewed) { r.put(1, 0) },
			"changes all of it":               func(r *reviewed) { r.update(1); r.update(2); r.update(3); r.update(4) },
			"deletes it and makes it again":   func(r *reviewed) { r.delete(); r.create(0) },
			"deletes it and uploads it twice": func(r *reviewed) { r.delete(); r.put(0, 1) },
			"deletes all that it has":         func(r *reviewed) { r.delete(program, "advertisers/a"); r.put(0) },
			"deletes it twice":                func(r *reviewed) { r.delete(); r.create(1); r.delete(); r.create(2) },
			"waits for manual review":         func(r *reviewed) { r.restart(true); r.put(1); r.restart(false); r.put(2) },
		} {
			t.Run(fmt.Sprint(verdict, ", ", name), func(t *testing.T) {
				engines(t, func(t *testing.T, r *reviewed) {
					r.put(0)
					r.want(hexbid.Approved)
					r.judge(verdict)
					r.want(verdict)
					act(r)
					r.want(verdict)
					r.restart(false)
					r.want(verdict)
					r.put(3)
					r.want(verdict)
					r.judge(hexbid.Approved)
					r.want(hexbid.Approved)
					r.put(4)
					r.want(hexbid.Approved)
				})
			})
		}
	}
}

func TestUnderManualReviewWhatAnOwnerChangesGoesBackToReview(t *testing.T) {
	for changed := 1; changed <= 4; changed++ {
		for name, act := range map[string]func(r *reviewed){
			"by an upload":          func(r *reviewed) { r.put(changed) },
			"twice in a batch":      func(r *reviewed) { r.put(0, changed) },
			"after another change":  func(r *reviewed) { r.put(4-changed%4, changed) },
			"by an update":          func(r *reviewed) { r.update(changed) },
			"by making it again":    func(r *reviewed) { r.delete(); r.create(changed) },
			"after a start without": func(r *reviewed) { r.restart(false); r.restart(true); r.put(changed) },
		} {
			t.Run(fmt.Sprint("content ", changed, ", ", name), func(t *testing.T) {
				engines(t, func(t *testing.T, r *reviewed) {
					r.restart(true)
					r.put(0)
					r.want(hexbid.InReview)
					r.judge(hexbid.Approved)
					r.want(hexbid.Approved)
					act(r)
					r.want(hexbid.InReview)
					r.restart(true)
					r.judge(hexbid.Approved)
					r.want(hexbid.Approved)
				})
			})
		}
	}
}

func TestUnderManualReviewWhatWasApprovedStands(t *testing.T) {
	for name, act := range map[string]func(r *reviewed){
		"uploaded again":            func(r *reviewed) { r.put(0, 0) },
		"updated by the same":       func(r *reviewed) { r.update(0) },
		"changed and changed back":  func(r *reviewed) { r.put(1); r.want(hexbid.InReview); r.put(0) },
		"deleted and made as it is": func(r *reviewed) { r.delete(); r.restart(true); r.create(0) },
	} {
		t.Run(name, func(t *testing.T) {
			engines(t, func(t *testing.T, r *reviewed) {
				r.restart(true)
				r.put(0)
				r.judge(hexbid.Approved)
				act(r)
				r.want(hexbid.Approved)
			})
		})
	}
}

func TestManualReviewIsTurnedOnAndOff(t *testing.T) {
	engines(t, func(t *testing.T, r *reviewed) {
		r.put(0)
		r.restart(true)
		r.want(hexbid.Approved) // what shows already is not taken away
		r.put(0)
		r.want(hexbid.Approved)
		r.put(1)
		r.want(hexbid.InReview)
		r.put(0) // nobody approved it by hand
		r.want(hexbid.InReview)
		r.restart(false)
		r.want(hexbid.InReview) // until the owner comes again
		r.put(0)
		r.want(hexbid.Approved)
	})
}

func TestAPlaceThatWasHiddenBeforeVerdictsWereKeptApartStaysHidden(t *testing.T) {
	for name, act := range map[string]func(r *reviewed){
		"uploaded twice in a batch": func(r *reviewed) { r.put(1, 2) },
		"made again":                func(r *reviewed) { r.delete(); r.create(0) },
		"made again, twice":         func(r *reviewed) { r.put(1); r.delete(); r.create(0); r.delete(); r.put(0, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			engines(t, func(t *testing.T, r *reviewed) {
				r.put()
				old := version(0)
				old.Review = hexbid.Hidden
				record := store.Declare(old, 0)
				outcomes, err := r.store.Commit(ctx, []store.Group{{Steps: []store.Step{{Put: &record}}}})
				if err != nil || outcomes[0].Err != nil {
					t.Fatal(err, outcomes)
				}
				r.restart(false)
				act(r)
				r.want(hexbid.Hidden)
				r.restart(false)
				r.put(3)
				r.want(hexbid.Hidden)
				r.judge(hexbid.Approved)
				r.put(2)
				r.want(hexbid.Approved)
			})
		})
	}
}

// meddling is a store with which an owner writes whenever anyone has read a record.
type meddling struct {
	store.Store
	meddle func()
}

func (m *meddling) Get(ctx context.Context, name string) (store.Record, error) {
	r, err := m.Store.Get(ctx, name)
	if m.meddle != nil {
		m.meddle()
	}
	return r, err
}

func TestAnOwnerCannotGetBetweenTheOperatorAndAVerdict(t *testing.T) {
	m := &meddling{Store: store.NewMemory()}
	e := openOn(t, m, 1000)
	fill(t, e, place("l", hub))
	writes := 0
	var meddle func()
	meddle = func() {
		m.meddle = nil // the owner's own reads
		defer func() { m.meddle = meddle }()
		writes++
		fill(t, e, version(writes%5))
	}
	m.meddle = meddle
	if _, err := e.Review(ctx, place("l", hub).Name, store.AnyVersion, hexbid.Hidden); err != nil {
		t.Errorf("after %d writes of the owner: %v", writes, err)
	}
	m.meddle = nil
}

// TestWhatIsHiddenStaysHiddenBesideOwnersWhoWriteWithoutEnd hides a place beside
// owners that write it in every way.
func TestWhatIsHiddenStaysHiddenBesideOwnersWhoWriteWithoutEnd(t *testing.T) {
	engines(t, func(t *testing.T, r *reviewed) {
		r.put(0)
		ended := make(chan struct{})
		var owners sync.WaitGroup
		for owner := range 4 {
			owners.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-ended:
						return
					default:
					}
					n := (owner + i) % 5
					// Each may come between another's, and fail: what counts is what shows.
					_ = r.upload(false, n, n+1)
					_, _ = r.Update(ctx, r.watched, store.AnyVersion, false,
						func(hexbid.Resource) (hexbid.Resource, error) { return version(n), nil })
					if owner == 0 {
						_ = r.Delete(ctx, r.watched, store.AnyVersion, false)
						_, _ = r.Create(ctx, version(n), false)
					}
				}
			})
		}
		defer owners.Wait()
		defer close(ended)
		for range 10 {
			for _, verdict := range []hexbid.ReviewState{hexbid.Hidden, hexbid.Approved} {
				for {
					_, err := r.Review(ctx, r.watched, store.AnyVersion, verdict)
					if err == nil {
						break
					}
					if hexbid.KindOf(err) != hexbid.NotFound { // its owner has just deleted it
						t.Fatalf("%s: %v", verdict, err)
					}
				}
				for range 10 {
					if verdict == hexbid.Hidden && r.shows() {
						t.Fatal("a hidden place shows")
					}
				}
			}
		}
	})
}

func TestReviewStates(t *testing.T) {
	const (
		none, inReview, approved, hidden = hexbid.ReviewUnspecified, hexbid.InReview, hexbid.Approved, hexbid.Hidden
		x, y                             = 0, 1 // contents
	)
	for _, c := range []struct {
		verdict hexbid.ReviewState
		of      int
		present hexbid.ReviewState // none: there is no place
		has     int                // its content
		manual  bool
		want    hexbid.ReviewState // of content x
	}{
		{none, x, none, x, false, approved},
		{none, x, none, x, true, inReview},
		{none, x, inReview, x, false, approved},
		{none, x, inReview, x, true, inReview},
		{none, x, approved, x, true, approved},
		{none, x, approved, y, true, inReview},
		{none, x, approved, y, false, approved},
		{hidden, x, none, x, false, hidden},
		{hidden, y, none, x, true, hidden},
		{hidden, x, approved, x, false, hidden}, // never so
		{hidden, y, hidden, x, true, hidden},
		{inReview, x, none, x, false, inReview},
		{inReview, y, inReview, y, false, inReview},
		{inReview, x, inReview, x, true, inReview},
		{approved, x, none, x, true, approved},
		{approved, y, none, x, true, inReview},
		{approved, y, none, x, false, approved},
		{approved, x, inReview, y, true, approved},
		{approved, y, inReview, x, true, inReview},
		{approved, y, approved, y, true, inReview},
		{approved, y, approved, x, true, approved}, // approved without manual review in between
		{approved, y, approved, y, false, approved},
	} {
		verdict := &store.Verdict{State: c.verdict, Of: *version(c.of)}
		var present earlier
		if c.present != none {
			place := version(c.has)
			place.Review = c.present
			present = earlierOf(place, version(x))
		}
		if got := reviewState(verdict, present, version(x), c.manual); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

// TestWhatTheOperatorHidNeverShows follows owner and operator over random courses,
// beside a model of what the operator has said last.
func TestWhatTheOperatorHidNeverShows(t *testing.T) {
	engines(t, func(t *testing.T, r *reviewed) {
		r.put()
		courses := 0
		rapid.Check(t, func(rt *rapid.T) {
			courses++
			r.t, r.watched = rt, fmt.Sprintf("%s/places/l%d", program, courses)
			m := &model{reviewed: r, t: rt}
			for range rapid.IntRange(1, 12).Draw(rt, "acts") {
				m.act()
				if m.verdict == hexbid.Hidden && r.shows() {
					rt.Fatalf("a hidden place shows")
				}
				r.want(m.state)
			}
			if m.state != hexbid.ReviewUnspecified {
				r.delete() // out of the next course's sight
			}
		})
	})
}

// model is what should become of a place.
type model struct {
	*reviewed
	t       *rapid.T
	state   hexbid.ReviewState // unspecified when there is no place
	content int
	verdict hexbid.ReviewState
	judged  int // content that the verdict was about
}

func (m *model) act() {
	switch rapid.SampledFrom([]string{"upload", "upload", "change", "change", "delete", "judge", "judge",
		"restart"}).Draw(m.t, "act") {
	case "upload":
		contents := rapid.SliceOfN(rapid.IntRange(0, 2), 1, 3).Draw(m.t, "contents")
		dry := m.upload(true, contents...)
		for i, o := range m.upload(false, contents...) {
			if o.Err != nil || dry[i].Action != o.Action {
				m.t.Fatalf("row %d: %+v, a dry run said %+v", i, o, dry[i])
			}
			m.becomes(contents[i])
		}
		m.checkNotices(dry[len(dry)-1].Notices)
	case "change":
		m.change(rapid.IntRange(0, 2).Draw(m.t, "content"))
	case "delete":
		if m.state != hexbid.ReviewUnspecified {
			m.delete()
			m.state = hexbid.ReviewUnspecified
		}
	case "judge":
		if m.state != hexbid.ReviewUnspecified {
			m.verdict = rapid.SampledFrom([]hexbid.ReviewState{hexbid.Hidden, hexbid.Hidden, hexbid.Approved,
				hexbid.InReview}).Draw(m.t, "verdict")
			m.judge(m.verdict)
			m.judged, m.state = m.content, m.verdict
		}
	case "restart":
		if rapid.IntRange(0, 3).Draw(m.t, "really") == 0 {
			m.restart(rapid.Bool().Draw(m.t, "manual"))
		}
	}
}

func (m *model) change(n int) {
	if m.state == hexbid.ReviewUnspecified {
		m.create(n)
	} else {
		m.update(n)
	}
	m.becomes(n)
}

// becomes follows one change by the owner.
func (m *model) becomes(n int) {
	was, at := m.state, m.content
	m.state, m.content = hexbid.InReview, n
	if m.verdict == hexbid.Hidden || m.verdict == hexbid.InReview {
		m.state = m.verdict
	} else if !m.manual || m.verdict == hexbid.Approved && m.judged == n || was == hexbid.Approved && at == n {
		m.state = hexbid.Approved
	}
}

// checkNotices looks whether the owner was told why the place does not show.
func (m *model) checkNotices(notices []string) {
	told := strings.Join(notices, "; ")
	want := map[hexbid.ReviewState]string{hexbid.Hidden: "the operator has hidden", hexbid.InReview: "in review"}[m.state]
	if want == "" && told != "" || !strings.Contains(told, want) {
		m.t.Fatalf("of a place that is %s the owner was told %q", m.state, told)
	}
}
