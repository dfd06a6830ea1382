package exchange

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// countingStore counts the reads of each name.
type countingStore struct {
	store.Store
	mu   sync.Mutex // guards gets
	gets map[string]int
}

func (s *countingStore) Get(ctx context.Context, name string) (store.Record, error) {
	s.mu.Lock()
	s.gets[name]++
	s.mu.Unlock()
	return s.Store.Get(ctx, name)
}

// Whose an advertiser is, is looked up by the batch and not by the row.
func TestAMembersUploadLooksItsAdvertiserUpByTheBatch(t *testing.T) {
	s := &countingStore{Store: store.NewMemory(), gets: map[string]int{}}
	e, err := Open(ctx, DefaultConfig(), s, open(t, nil).keys)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	own := tenant{id: "a"}
	if err := firstRejection(e.Import(ctx, own.resources(), false)); err != nil {
		t.Fatal(err)
	}
	a, err := e.Get(ctx, own.advertiser())
	if err != nil {
		t.Fatal(err)
	}
	own.uid = a.Metadata().UID
	lookups := func(rows int) int {
		var all []hexbid.Resource
		for i := range rows {
			l := place("l", hub)
			l.Name = fmt.Sprintf("%s/places/of-%d-%d", own.program(), rows, i)
			all = append(all, l)
		}
		s.mu.Lock()
		s.gets = map[string]int{}
		s.mu.Unlock()
		if err := firstRejection(e.Import(memberOf(own, hexbid.LevelEditor), all, false)); err != nil {
			t.Fatal(err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.gets[own.advertiser()]
	}
	// Workers that begin together may each look it up.
	if few, many := lookups(10), lookups(1000); many > 20+2*runtime.GOMAXPROCS(0) {
		t.Errorf("the advertiser was read %d times for 10 rows, and %d for 1,000", few, many)
	}
}

// Rights that end while an upload goes on end for the rows that are not stored yet, whatever was prepared before.
func TestRightsThatEndDuringAnUploadEndForItsRows(t *testing.T) {
	for what, c := range map[string]struct {
		end  func(b *billed, own tenant) error
		kind hexbid.ErrorKind
	}{
		"removed": {func(b *billed, own tenant) error {
			_, err := b.SetMembership(ctx, "users/m", own.advertiser(), hexbid.LevelNone)
			return err
		}, hexbid.NotFound},
		"lower level": {func(b *billed, own tenant) error {
			_, err := b.SetMembership(ctx, "users/m", own.advertiser(), hexbid.LevelViewer)
			return err
		}, hexbid.Denied},
		"suspended": {func(b *billed, _ tenant) error {
			_, err := b.Update(ctx, "users/m", store.AnyVersion, false, func(r hexbid.Resource) (hexbid.Resource, error) {
				next := *r.(*hexbid.User)
				next.Suspended = true
				return &next, nil
			})
			return err
		}, hexbid.Denied},
		"another advertiser's rights": {func(b *billed, _ tenant) error {
			_, err := b.SetMembership(ctx, "users/m", "advertisers/b", hexbid.LevelViewer)
			return err
		}, 0},
	} {
		t.Run(what, func(t *testing.T) {
			b, own, _ := openTenants(t)
			if _, err := b.SetMembership(ctx, "users/m", own.advertiser(), hexbid.LevelEditor); err != nil {
				t.Fatal(err)
			}
			caller, there := b.directory.Principal("users/m")
			if !there {
				t.Fatal("no such user")
			}
			caller.Key = "users/m/keys/k"
			mine := hexbid.WithPrincipal(ctx, caller)
			u, err := b.NewUpload(mine, false)
			if err != nil {
				t.Fatal(err)
			}
			defer u.Close()
			l := place("l", hub)
			l.Name = own.program() + "/places/new"
			batch, err := u.Prepare(mine, []Incoming{{Resource: l}})
			if err != nil {
				t.Fatal(err)
			}
			if err := c.end(b, own); err != nil {
				t.Fatal(err)
			}
			batch.Commit(mine)
			o := batch.Outcomes(mine)[0]
			_, err = b.Get(ctx, l.Name)
			if stored := err == nil; stored != (c.kind == 0) || stored != (o.Err == nil) || !stored &&
				hexbid.KindOf(o.Err) != c.kind {
				t.Errorf("stored is %v, the outcome %v", stored, o.Err)
			}
		})
	}
}
