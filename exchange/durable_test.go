package exchange

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// lagging is a store whose changes do not come to the index before they are released.
type lagging struct {
	store.Store
	tape      *store.Tape
	committed func() // called when a batch is durable

	mu   sync.Mutex // guards held and free
	held []store.Change
	free bool
}

func (l *lagging) Watch(after uint64) *store.Feed { return l.tape.Feed(after) }

func (l *lagging) Commit(ctx context.Context, groups []store.Group) ([]store.Outcome, error) {
	outcomes, err := l.Store.Commit(ctx, groups)
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range outcomes {
		if outcomes[i].Err == nil {
			l.held = append(l.held, outcomes[i].Change)
		}
	}
	if l.free {
		l.appendHeld()
	}
	if l.committed != nil {
		l.committed()
	}
	return outcomes, err
}

func (l *lagging) appendHeld() {
	for _, change := range l.held {
		l.tape.Append(change, 0)
	}
	l.held = nil
}

func (l *lagging) hold(committed func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.free, l.committed = false, committed
}

func (l *lagging) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.appendHeld()
	l.free, l.committed = true, nil
}

// openLagging opens a market with a place, whose index stands still from then on.
// The context ends while a batch is committed.
func openLagging(t *testing.T) (*Exchange, *lagging, context.Context) {
	t.Helper()
	l := &lagging{Store: store.NewMemory(), tape: store.NewTape(0, nil), free: true}
	e := openOn(t, l, 1000)
	fill(t, e, place("l", hub))
	ending, cancel := context.WithCancel(ctx)
	t.Cleanup(cancel)
	l.hold(cancel)
	return e, l, ending
}

func TestRowsThatAreDurableWhenTheCallEndsAreToldAsWhatTheyAre(t *testing.T) {
	e, l, ending := openLagging(t)
	far := hexbid.Point{Lat: 31.2304, Lng: 121.4737}
	before := e.Size().Version
	b, err := newUpload(e, false).Prepare(ctx,
		append(incomingOf([]hexbid.Resource{place("l", far), place("m", hub), place("m", hub), place("", hub)}),
			Incoming{Resource: place("n", hub), CheckOnly: true}))
	if err != nil {
		t.Fatal(err)
	}
	b.Commit(ending)
	outcomes := b.Outcomes(ending)
	for i, want := range []Action{Updated, Created, Unchanged, Rejected, Created} {
		o := outcomes[i]
		durable := i < 3
		if o.Action != want || (o.Err != nil) != (want == Rejected) ||
			slices.Contains(o.Notices, NotYetSearchable) != durable || durable && e.Searchable(o.Resource) {
			t.Errorf("row %d: %+v; want action %d", i, o, want)
		}
	}
	if ending.Err() == nil || e.Size().Version != before {
		t.Fatal("the index did not stand still")
	}
	l.release()
	if err := e.indexer.WaitFor(ctx, outcomes[0].Resource.Metadata().Version); err != nil || e.Size().Places != 2 ||
		!e.Searchable(outcomes[1].Resource) {
		t.Errorf("%v, %+v", err, e.Size())
	}
	for _, o := range e.Import(ctx, []hexbid.Resource{place("l", far)}, false) {
		if o.Action != Unchanged || len(o.Notices) != 0 {
			t.Errorf("sent again: %+v", o)
		}
	}
}

func TestASingleWriteThatIsDurableWhenTheCallEndsIsASuccess(t *testing.T) {
	for name, write := range map[string]func(context.Context, *Exchange) (hexbid.Resource, error){
		"create": func(ctx context.Context, e *Exchange) (hexbid.Resource, error) {
			return e.Create(ctx, place("m", hub), false)
		},
		"update": func(ctx context.Context, e *Exchange) (hexbid.Resource, error) {
			return e.Update(ctx, place("l", hub).Name, store.AnyVersion, false,
				func(hexbid.Resource) (hexbid.Resource, error) { return version(2), nil })
		},
		"review": func(ctx context.Context, e *Exchange) (hexbid.Resource, error) {
			return e.Review(ctx, place("l", hub).Name, store.AnyVersion, hexbid.Hidden)
		},
		"delete": func(ctx context.Context, e *Exchange) (hexbid.Resource, error) {
			return nil, e.Delete(ctx, place("l", hub).Name, store.AnyVersion, false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			e, l, ending := openLagging(t)
			before := e.Size().Version
			written, err := write(ending, e)
			if err != nil || ending.Err() == nil || e.Size().Version != before {
				t.Fatalf("%v; the call has ended: %v", err, ending.Err())
			}
			if written != nil && (e.Searchable(written) || written.Metadata().Version <= before) {
				t.Errorf("%+v is said to be searchable", written)
			}
			l.release()
			if err := e.indexer.WaitFor(ctx, before+1); err != nil || written != nil && !e.Searchable(written) {
				t.Errorf("never searchable: %+v, %v", written, err)
			}
		})
	}
}

func TestACallThatEndsBeforeTheCommitChangesNothing(t *testing.T) {
	e := open(t, nil)
	fill(t, e, place("l", hub))
	b, err := newUpload(e, false).Prepare(ctx, incomingOf([]hexbid.Resource{place("m", hub)}))
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	before := e.Size()
	b.Commit(gone)
	if o := b.Outcomes(gone)[0]; o.Action != Rejected || hexbid.KindOf(o.Err) != hexbid.Unavailable ||
		!errors.Is(o.Err, context.Canceled) {
		t.Errorf("%+v", o)
	}
	if _, err := e.Create(gone, place("m", hub), false); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := e.Delete(gone, place("l", hub).Name, store.AnyVersion, false); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	fill(t, e) // whatever was changed is searchable after it
	if after := e.Size(); after.Places != before.Places {
		t.Errorf("%+v, before %+v", after, before)
	}
}
