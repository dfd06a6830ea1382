package exchange

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/store/pebble"
	"github.com/hexbid/hexbid/token"
)

// reviewed is a market in which one place is put, deleted and judged.
type reviewed struct {
	t interface {
		Helper()
		Fatalf(format string, args ...any)
	}
	*Exchange
	keys    *token.Keys
	store   store.Store
	reopen  func(store.Store) store.Store
	manual  bool
	watched string
}

// engines open a market on each engine; Pebble's is opened anew at every restart.
func engines(t *testing.T, test func(t *testing.T, r *reviewed)) {
	t.Helper()
	onDisk := func(dir string) store.Store {
		s, err := pebble.Open(pebble.Options{Dir: dir, Currency: "CNY", Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	t.Run("memory", func(t *testing.T) {
		test(t, newReviewed(t, store.NewMemory(), func(s store.Store) store.Store { return s }))
	})
	t.Run("pebble", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "catalogue")
		test(t, newReviewed(t, onDisk(dir), func(s store.Store) store.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return onDisk(dir)
		}))
	})
}

func newReviewed(t *testing.T, s store.Store, reopen func(store.Store) store.Store) *reviewed {
	keys, err := token.OpenKeys(token.Source{Path: filepath.Join(t.TempDir(), "keys")})
	if err != nil {
		t.Fatal(err)
	}
	r := &reviewed{t: t, keys: keys, store: s, reopen: reopen, watched: program + "/places/l"}
	r.start(false)
	t.Cleanup(func() {
		r.Close()
		_ = r.store.Close()
	})
	return r
}

func (r *reviewed) start(manual bool) {
	r.t.Helper()
	config := DefaultConfig()
	config.Log, config.Cards, config.ManualReview = slog.New(slog.DiscardHandler), plainCards{}, manual
	var err error
	if r.Exchange, err = Open(ctx, config, r.store, r.keys); err != nil {
		r.t.Fatalf("%v", err)
	}
	r.manual = manual
}

// restart goes on with what is stored.
func (r *reviewed) restart(manual bool) {
	r.t.Helper()
	r.Close()
	r.store = r.reopen(r.store)
	r.start(manual)
}

// version makes one of several contents of the place.
func (r *reviewed) version(n int) *hexbid.Place {
	p := version(n)
	p.Name = r.watched
	return p
}

// version makes contents that a viewer can tell apart.
func version(n int) *hexbid.Place {
	p := place("l", hub)
	switch n {
	case 1:
		p.Point.Lat += 0.001
	case 2:
		p.DisplayName = "another"
	case 3:
		p.Address = "1 Road"
	case 4:
		p.OpeningHours = "call 555"
	}
	return p
}

// put uploads contents of the place in one batch.
func (r *reviewed) put(contents ...int) {
	r.t.Helper()
	for _, o := range r.upload(false, contents...) {
		if o.Err != nil {
			r.t.Fatalf("%v", o.Err)
		}
	}
}

func (r *reviewed) upload(validateOnly bool, contents ...int) []Outcome {
	rows := []hexbid.Resource{
		&hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/a"}, DisplayName: "A"},
		&hexbid.Program{Meta: hexbid.Meta{Name: program}, DisplayName: "P", Category: hexbid.Catering,
			Hosts: []hexbid.Host{hexbid.WeChat}},
	}
	for _, n := range contents {
		rows = append(rows, r.version(n))
	}
	return r.Import(ctx, rows, validateOnly)[2:]
}

func (r *reviewed) update(n int) {
	r.t.Helper()
	if _, err := r.Update(ctx, r.watched, store.AnyVersion, false,
		func(hexbid.Resource) (hexbid.Resource, error) { return r.version(n), nil }); err != nil {
		r.t.Fatalf("%v", err)
	}
}

func (r *reviewed) create(n int) {
	r.t.Helper()
	if _, err := r.Create(ctx, r.version(n), false); err != nil {
		r.t.Fatalf("%v", err)
	}
}

func (r *reviewed) delete(names ...string) {
	r.t.Helper()
	for _, name := range append([]string{r.watched}, names...) {
		if err := r.Delete(ctx, name, store.AnyVersion, false); err != nil {
			r.t.Fatalf("%v", err)
		}
	}
}

func (r *reviewed) judge(verdict hexbid.ReviewState) {
	r.t.Helper()
	if _, err := r.Review(ctx, r.watched, store.AnyVersion, verdict); err != nil {
		r.t.Fatalf("%v", err)
	}
}

// shows says whether a search finds the place.
func (r *reviewed) shows() bool {
	r.t.Helper()
	response, err := r.Search(ctx, at(hub), r.config.Clock())
	if err != nil {
		r.t.Fatalf("%v", err)
	}
	return len(response.Nearby) > 0
}

// state is the review state that a read of the place tells; unspecified when it is
// gone.
func (r *reviewed) state() hexbid.ReviewState {
	r.t.Helper()
	found, err := r.Get(ctx, r.watched)
	if hexbid.KindOf(err) == hexbid.NotFound {
		return hexbid.ReviewUnspecified
	}
	if err != nil {
		r.t.Fatalf("%v", err)
	}
	return found.(*hexbid.Place).Review
}

func (r *reviewed) want(state hexbid.ReviewState) {
	r.t.Helper()
	if got, shows := r.state(), r.shows(); got != state || shows != (state == hexbid.Approved) {
		r.t.Fatalf("the place is %s and shows: %v; want %s", got, shows, state)
	}
}
