package server

import (
	"context"
	"maps"
	"slices"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/exchange"
	"github.com/hexbid/hexbid/ledger"
	"github.com/hexbid/hexbid/ledger/journal"
	"github.com/hexbid/hexbid/store"
)

// countedStore counts what a catalogue is asked for: calls, and the records and groups that they handle.
type countedStore struct {
	store.Store
	work *atomic.Int64
}

func (s countedStore) Get(ctx context.Context, name string) (store.Record, error) {
	s.work.Add(1)
	return s.Store.Get(ctx, name)
}

func (s countedStore) ByUID(ctx context.Context, uid hexbid.UID) (store.Record, error) {
	s.work.Add(1)
	return s.Store.ByUID(ctx, uid)
}

func (s countedStore) List(ctx context.Context, q store.ListQuery, visit func(store.Record) bool) (string, error) {
	s.work.Add(1)
	return s.Store.List(ctx, q, func(r store.Record) bool { s.work.Add(1); return visit(r) })
}

func (s countedStore) History(ctx context.Context, q store.HistoryQuery, visit func(*store.Past) bool) (uint64, error) {
	s.work.Add(1)
	matches := q.Matches
	q.Matches = func(h *store.Headline) bool { s.work.Add(1); return matches == nil || matches(h) }
	return s.Store.History(ctx, q, func(p *store.Past) bool { s.work.Add(1); return visit(p) })
}

func (s countedStore) Born(ctx context.Context, uid hexbid.UID) (uint64, error) {
	s.work.Add(1)
	return s.Store.Born(ctx, uid)
}

func (s countedStore) Verdict(ctx context.Context, name string) (store.Verdict, error) {
	s.work.Add(1)
	return s.Store.Verdict(ctx, name)
}

func (s countedStore) Counted(ctx context.Context, owner string, c store.Counter) (int64, error) {
	s.work.Add(1)
	return s.Store.Counted(ctx, owner, c)
}

func (s countedStore) Commit(ctx context.Context, groups []store.Group) ([]store.Outcome, error) {
	s.work.Add(int64(1 + len(groups)))
	return s.Store.Commit(ctx, groups)
}

func (s countedStore) Judge(ctx context.Context, groups []store.Group) ([]store.Outcome, error) {
	s.work.Add(int64(1 + len(groups)))
	return s.Store.Judge(ctx, groups)
}

// countedJournal counts the rows that are read of a ledger.
type countedJournal struct {
	journal.Journal
	work *atomic.Int64
}

func (j countedJournal) View() (journal.View, error) {
	v, err := j.Journal.View()
	return countedView{v, j.work}, err
}

type countedView struct {
	journal.View
	work *atomic.Int64
}

func (v countedView) Get(t journal.Table, key []byte) ([]byte, error) {
	v.work.Add(1)
	return v.View.Get(t, key)
}

func (v countedView) Scan(t journal.Table, from, to []byte, visit journal.Visit) error {
	v.work.Add(1)
	return v.View.Scan(t, from, to, v.counted(visit))
}

func (v countedView) ScanBack(t journal.Table, from, to []byte, visit journal.Visit) error {
	v.work.Add(1)
	return v.View.ScanBack(t, from, to, v.counted(visit))
}

func (v countedView) counted(visit journal.Visit) journal.Visit {
	return func(key, value []byte) (bool, error) {
		v.work.Add(1)
		return visit(key, value)
	}
}

// TestAnothersCostAsMuchAsNobodys: what a member asks about a rival takes as many reads of catalogue and ledger as what
// they ask about an advertiser that is not there, or one or two more. So the time of an answer tells nothing.
func TestAnothersCostAsMuchAsNobodys(t *testing.T) {
	var work atomic.Int64
	x := openMatrixOn(t, countedStore{storeWithMarket(t), &work},
		ledger.Options{Journal: countedJournal{journal.NewMemory(), &work}},
		func(c *exchange.Config) { c.Manual = true }) // nothing else is at work
	looked, total := 0, int64(0) // steps about what is one's own
	methods := methodsOf()
	for _, name := range slices.Sorted(maps.Keys(methods)) {
		m := methods[name]
		for _, role := range []string{"viewer", "admin", "client"} {
			p, _ := x.callerOf(role)
			cost := func(o owner) int64 {
				request := requestOf(t, m, o)
				before := work.Load()
				x.call(t, p, m, request)
				return work.Load() - before
			}
			if proto.Equal(requestOf(t, m, x.other), requestOf(t, m, x.absent)) {
				continue // it is about nobody's
			}
			theirs, nobodys := cost(x.other), cost(x.absent)
			if theirs > 2*nobodys+1 || nobodys > 2*theirs+1 { // nothing is found a step earlier
				t.Errorf("%s by %s takes %d steps about another's, and %d about nobody's", name, role, theirs, nobodys)
			}
			looked, total = looked+1, total+cost(x.own)
		}
	}
	if looked < 100 || total < 200 {
		t.Errorf("%d calls were looked at, and those about what is one's own take %d steps", looked, total)
	}
}
