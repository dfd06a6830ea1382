package exchange

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/store"
)

// listless is a store whose lists fail while it is broken.
type listless struct {
	store.Store
	broken atomic.Bool
	lists  atomic.Int64
}

func (s *listless) List(ctx context.Context, q store.ListQuery, visit func(store.Record) bool) (string, error) {
	s.lists.Add(1)
	if s.broken.Load() {
		return "", hexbid.Errorf(hexbid.Unavailable, "data", "the disk reads nothing")
	}
	return s.Store.List(ctx, q, visit)
}

func TestADirectoryThatLosesTheStoreRefusesUntilItFollowsAgain(t *testing.T) {
	s := &listless{Store: store.NewMemory()}
	e, err := Open(ctx, DefaultConfig(), s, open(t, nil).keys)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := e.Create(ctx, &hexbid.User{Meta: hexbid.Meta{Name: "users/a"}, Role: hexbid.Auditor}, false); err != nil {
		t.Fatal(err)
	}
	_, text, err := e.IssueKey(ctx, &hexbid.Key{Meta: hexbid.Meta{Name: "users/a/keys/k"}})
	if err != nil {
		t.Fatal(err)
	}
	refusal := func() access.Refusal {
		_, r := e.Directory().Authenticate(ctx, access.Credentials{Bearer: text}, e.Now())
		return r
	}
	if r := refusal(); r != access.NotRefused {
		t.Fatal(r)
	}

	s.broken.Store(true)
	tape := store.NewTape(s.Version(), nil)
	follow, stop := context.WithCancel(context.Background())
	defer stop()
	e.running.Go(func() { e.followDirectory(follow, tape.Feed(s.Version())) })
	before := s.lists.Load()
	tape.Close(errors.New("the log of changes cannot be read"))
	waitFor(t, "credentials are refused", func() bool { return refusal() == access.Behind })
	waitFor(t, "the store is read again and again", func() bool { return s.lists.Load() > before+3 })
	if err := access.Behind.Error(); hexbid.KindOf(err) != hexbid.Unavailable {
		t.Errorf("a caller learns %v", err)
	}
	s.broken.Store(false)
	waitFor(t, "credentials are taken", func() bool { return refusal() == access.NotRefused })
}

// The directory may lag for a moment, however often callers change, but no change may wait.
func TestLatenessIsOfOneChange(t *testing.T) {
	start := time.Unix(1000, 0)
	for what, looks := range map[string][]struct {
		at       time.Duration
		due, has uint64
		lost     bool
		late     bool
	}{
		"it follows": {{0, 5, 5, false, false}, {time.Hour, 5, 900, false, false}},
		"it lags a moment": {{0, 5, 4, false, false}, {700 * time.Millisecond, 5, 4, false, false},
			{900 * time.Millisecond, 5, 5, false, false}},
		"it stands still": {{0, 5, 4, false, false}, {700 * time.Millisecond, 9, 4, false, false},
			{800 * time.Millisecond, 9, 4, false, true}, {time.Hour, 9, 8, false, false}, {2 * time.Hour, 9, 8, false, true},
			{3 * time.Hour, 9, 9, false, false}},
		"it follows a busy store": {{0, 5, 4, false, false}, {700 * time.Millisecond, 9, 5, false, false},
			{1400 * time.Millisecond, 12, 9, false, false}, {2100 * time.Millisecond, 20, 12, false, false}},
		"it has lost the store": {{0, 5, 5, true, false}, {700 * time.Millisecond, 5, 5, true, false},
			{900 * time.Millisecond, 5, 5, true, true}, {time.Hour, 5, 5, true, true}, {2 * time.Hour, 5, 5, false, false},
			{3 * time.Hour, 5, 5, true, false}},
	} {
		var l lateness
		for i, look := range looks {
			l.committed(look.due)
			l.lost.Store(look.lost)
			if late := l.look(start.Add(look.at), look.has); late != look.late {
				t.Errorf("%s: look %d says %v", what, i, late)
			}
		}
	}
}

// A change of callers that the directory does not hear of is noticed too.
func TestACommittedChangeOfCallersIsDue(t *testing.T) {
	b, _, _ := openTenants(t)
	u, before := &hexbid.User{Meta: hexbid.Meta{Name: "users/u"}, Role: hexbid.Auditor}, b.callersLate.due.Load()
	if _, err := b.Create(ctx, u, true); err != nil || b.callersLate.due.Load() != before {
		t.Errorf("a dry run is due: %d, %v", b.callersLate.due.Load(), err)
	}
	if _, err := b.Create(ctx, u, false); err != nil {
		t.Fatal(err)
	}
	created := b.callersLate.due.Load()
	if created <= before || created > b.directory.Version() {
		t.Errorf("version %d is due, and the directory has %d", created, b.directory.Version())
	}
	if err := b.Delete(ctx, "users/u", store.AnyVersion, false); err != nil || b.callersLate.due.Load() <= created {
		t.Errorf("after the deletion version %d is due: %v", b.callersLate.due.Load(), err)
	}
}
