package exchange

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/store/pebble"
	"github.com/hexbid/hexbid/wire"
)

// allow sets an advertiser's own quota.
func allow(t rapid.TB, e *Exchange, quota hexbid.Holdings) {
	_, err := e.Update(ctx, "advertisers/a", store.AnyVersion, false,
		func(present hexbid.Resource) (hexbid.Resource, error) {
			a := *present.(*hexbid.Advertiser)
			a.Quota = quota
			return &a, nil
		})
	if err != nil {
		t.Fatal(err)
	}
}

func asMember(level hexbid.Level, e *Exchange) context.Context {
	a, err := e.store.Get(ctx, "advertisers/a")
	if err != nil {
		panic(err)
	}
	return hexbid.WithPrincipal(ctx, hexbid.Principal{Role: hexbid.Member, ID: "users/m", UID: 1, Origin: hexbid.InProcess,
		Grants: &hexbid.Grants{Advertisers: map[string]hexbid.Membership{
			"advertisers/a": {Advertiser: "advertisers/a", UID: a.Meta().UID, Level: level}}}})
}

// wide returns a campaign with a polygon and keywords.
func wide(id string) *hexbid.Campaign {
	c := campaign(id)
	c.Area = hexbid.Area{Polygons: []hexbid.Polygon{{ring(10)}}}
	c.Keywords = []hexbid.Keyword{{Text: "tea", Match: hexbid.MatchBroad}, {Text: "coffee", Match: hexbid.MatchBroad}}
	return c
}

func TestEachQuotaRefusesWhatIsBeyondIt(t *testing.T) {
	for _, c := range []struct {
		quota hexbid.Holdings
		field string
		more  hexbid.Resource
		words []string
	}{
		{hexbid.Holdings{Campaigns: 1}, "name", campaign("more"), []string{"1 campaigns", "at most 1", "quota.campaigns"}},
		{hexbid.Holdings{Places: 1}, "name", spreadPlace(1), []string{"1 places", "at most 1", "quota.places"}},
		{hexbid.Holdings{Vertices: 15}, "campaign.area.polygons", wide("more"),
			[]string{"11 vertices", "have 22", "at most 15"}},
		{hexbid.Holdings{Keywords: 3}, "campaign.keywords", wide("more"), []string{"2 keywords", "have 4", "at most 3"}},
		{hexbid.Holdings{Entries: 20}, "campaign.area", wide("more"), []string{"at most 20", "quota.entries"}},
		{hexbid.Holdings{Bytes: 600}, "name", wide("more"), []string{"bytes", "at most 600"}},
	} {
		e := openOn(t, store.NewMemory(), 1_000_000)
		fill(t, e, spreadPlace(0), wide("c"))
		if _, err := e.Create(ctx, c.more, true); err != nil {
			t.Fatalf("without the quota: %v", err)
		}
		allow(t, e, c.quota)
		for _, validateOnly := range []bool{true, false} {
			_, err := e.Create(ctx, c.more, validateOnly)
			wantRefused(t, err, c.field, c.words...)
			wantRefused(t, e.Import(ctx, []hexbid.Resource{c.more}, validateOnly)[0].Err, c.field, c.words...)
		}
		allow(t, e, hexbid.Holdings{})
		if _, err := e.Create(ctx, c.more, false); err != nil {
			t.Errorf("%+v: once it is lifted: %v", c.quota, err)
		}
		allow(t, e, c.quota) // it has more than that now, and may change and delete what it has
		renamed := wide("c")
		renamed.DisplayName = "d"
		if o := e.Import(ctx, []hexbid.Resource{renamed}, false); o[0].Err != nil {
			t.Errorf("%+v: a change that takes no more: %v", c.quota, o[0].Err)
		}
		if err := e.Delete(ctx, campaign("c").Name, store.AnyVersion, false); err != nil {
			t.Errorf("%+v: %v", c.quota, err)
		}
	}
}

func TestTheMarketsQuotaHoldsWhereAnAdvertiserHasNone(t *testing.T) {
	e := openOn(t, store.NewMemory(), 1000)
	e.config.AdvertiserQuota.Campaigns = 2
	fill(t, e, campaign("1"), campaign("2"))
	_, err := e.Create(ctx, campaign("3"), false)
	wantRefused(t, err, "name", "2 campaigns", "at most 2")
	allow(t, e, hexbid.Holdings{Campaigns: 3})
	if _, err := e.Create(ctx, campaign("3"), false); err != nil {
		t.Error(err)
	}
	has, atMost, err := e.Holdings(ctx, "advertisers/a")
	if err != nil || has.Campaigns != 3 || atMost.Campaigns != 3 || atMost.Entries != 1000 ||
		atMost.Places != DefaultQuota().Places {
		t.Errorf("%+v of %+v, %v", has, atMost, err)
	}
}

func TestADryRunSeesQuotasThatItWouldSet(t *testing.T) {
	for _, validateOnly := range []bool{true, false} {
		e := openOn(t, store.NewMemory(), 1000)
		fill(t, e, campaign("1"))
		owner := func(quota int64) *hexbid.Advertiser {
			return &hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/a"}, DisplayName: "A",
				Quota: hexbid.Holdings{Campaigns: quota}}
		}
		outcomes := e.Import(ctx, []hexbid.Resource{owner(2), campaign("2"), campaign("3"), owner(0), campaign("4")},
			validateOnly)
		for i, want := range []bool{true, true, false, true, true} {
			if (outcomes[i].Err == nil) != want {
				t.Errorf("validate only %v, row %d: %v", validateOnly, i, outcomes[i].Err)
			}
		}
	}
}

func TestWritersAtOnceDoNotPassAQuota(t *testing.T) {
	e := openOn(t, store.NewMemory(), 1_000_000)
	fill(t, e)
	allow(t, e, hexbid.Holdings{Campaigns: 7})
	var accepted atomic.Int32
	var writers sync.WaitGroup
	for i := range 40 {
		writers.Go(func() {
			c := campaign(fmt.Sprint("c", i))
			if i%2 == 0 {
				if _, err := e.Create(ctx, c, false); err == nil {
					accepted.Add(1)
				}
			} else if e.Import(ctx, []hexbid.Resource{c}, false)[0].Err == nil {
				accepted.Add(1)
			}
		})
	}
	writers.Wait()
	if n := accepted.Load(); n != 7 {
		t.Errorf("%d campaigns were accepted of a quota of 7", n)
	}
}

func TestOperatorsAloneSetQuotas(t *testing.T) {
	e := openOn(t, store.NewMemory(), 1000)
	fill(t, e, campaign("1"))
	quota := hexbid.Holdings{Campaigns: 1}
	allow(t, e, quota)
	admin := asMember(hexbid.LevelAdmin, e)
	write := func(q hexbid.Holdings) error {
		_, err := e.Update(admin, "advertisers/a", store.AnyVersion, false,
			func(present hexbid.Resource) (hexbid.Resource, error) {
				a := *present.(*hexbid.Advertiser)
				a.DisplayName, a.Quota = a.DisplayName+"x", q
				return &a, nil
			})
		return err
	}
	upload := func(q hexbid.Holdings, validateOnly bool) error {
		a := &hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/a"}, DisplayName: "again", Quota: q}
		return e.Import(admin, []hexbid.Resource{a}, validateOnly)[0].Err
	}
	for _, q := range []hexbid.Holdings{{Campaigns: 2}, {Campaigns: 1, Places: 1}} {
		for _, err := range []error{write(q), upload(q, true), upload(q, false)} {
			if hexbid.KindOf(err) != hexbid.Denied || !strings.Contains(err.Error(), "advertiser.quota") {
				t.Errorf("%+v: %v", q, err)
			}
		}
	}
	for _, q := range []hexbid.Holdings{{}, quota} { // left out, or sent back as it came
		for _, err := range []error{write(q), upload(q, true), upload(q, false)} {
			if err != nil {
				t.Errorf("%+v: %v", q, err)
			}
		}
	}
	_, err := e.Create(admin, campaign("2"), false)
	wantRefused(t, err, "name", "at most 1")
	if has, atMost, err := e.Holdings(asMember(hexbid.LevelViewer, e), "advertisers/a"); err != nil ||
		has.Campaigns != 1 || atMost.Campaigns != 1 {
		t.Errorf("a viewer: %+v of %+v, %v", has, atMost, err)
	}
	if _, err := e.Create(ctx, &hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/b"}, DisplayName: "B"},
		false); err != nil {
		t.Fatal(err)
	}
	_, _, other := e.Holdings(admin, "advertisers/b")
	_, _, absent := e.Holdings(admin, "advertisers/c")
	if hexbid.KindOf(other) != hexbid.NotFound ||
		strings.ReplaceAll(other.Error(), "advertisers/b", "advertisers/c") != absent.Error() {
		t.Errorf("another's holdings: %v, and of one that is not there: %v", other, absent)
	}
}

// TestHoldingsAreThoseOfWhatIsStored writes at random under small quotas, through restarts, and then counts again.
func TestHoldingsAreThoseOfWhatIsStored(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		mem := vfs.NewMem()
		reopen := func() (*Exchange, *pebble.Store) {
			s, err := pebble.Open(pebble.Options{Dir: "catalogue", FS: mem, Currency: "CNY"})
			if err != nil {
				rt.Fatal(err)
			}
			return openOn(t, s, 1000), s
		}
		e, s := reopen()
		clearAdvertiser(rt, e)
		quota := hexbid.Holdings{Campaigns: 3, Places: 4, Vertices: 40, Entries: 400, Keywords: 6, Bytes: 1500}
		allow(rt, e, quota)
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			r, more := drawHeld(rt), drawHeld(rt)
			switch rapid.SampledFrom([]string{"delete", "create", "upload", "upload", "hide", "restart"}).Draw(rt, "act") {
			case "delete":
				_ = e.Delete(ctx, r.Metadata().Name, store.AnyVersion, false)
			case "create":
				_, _ = e.Create(ctx, r, false)
			case "upload":
				tried := e.Import(ctx, []hexbid.Resource{copyOf(r), copyOf(more)}, true)
				for i, o := range e.Import(ctx, []hexbid.Resource{r, more}, false) {
					if (o.Err == nil) != (tried[i].Err == nil) {
						rt.Fatalf("row %d: %v, and a dry run said %v", i, o.Err, tried[i].Err)
					}
				}
			case "hide":
				_, _ = e.Review(ctx, r.Metadata().Name, store.AnyVersion, hexbid.Hidden)
			case "restart":
				e.Close()
				if err := s.Close(); err != nil {
					rt.Fatal(err)
				}
				e, s = reopen()
			}
			checkHoldings(rt, e, &quota)
		}
		e.Close()
		if err := s.Close(); err != nil {
			rt.Fatal(err)
		}
	})
}

func copyOf(r hexbid.Resource) hexbid.Resource {
	return store.WithMeta(store.Record{Resource: r}, 0, 0).Resource
}

// drawHeld draws a place or a campaign with polygons and keywords, of one of two programs.
func drawHeld(t *rapid.T) hexbid.Resource {
	r := drawCounted(t)
	c, is := r.(*hexbid.Campaign)
	if !is {
		return r
	}
	c.Area.Circles = nil
	if n := rapid.IntRange(0, 2).Draw(t, "polygons"); n > 0 {
		c.Area = hexbid.Area{Polygons: []hexbid.Polygon{{ring(10 * n)}}}
	} else if c.Area.IsEmpty() {
		c.Area.Everywhere = true
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "keywords") {
		c.Keywords = append(c.Keywords, hexbid.Keyword{Text: fmt.Sprint("word", i), Match: hexbid.MatchBroad})
	}
	return c
}

// checkHoldings counts again what is stored.
func checkHoldings(t rapid.TB, e *Exchange, quota *hexbid.Holdings) {
	want := hexbid.Holdings{}
	for _, kind := range []hexbid.ResourceKind{hexbid.KindProgram, hexbid.KindPlace, hexbid.KindCampaign} {
		for _, name := range namesOf(t, e, kind) {
			r, err := e.Get(ctx, name)
			if err != nil {
				t.Fatal(err)
			}
			want.Bytes += int64(wire.ContentBytes(r))
			switch v := r.(type) {
			case *hexbid.Program:
				want.Keywords += int64(len(v.Keywords))
			case *hexbid.Place:
				want.Places++
			case *hexbid.Campaign:
				want.Campaigns++
				want.Keywords += int64(len(v.Keywords))
				for _, p := range v.Area.Polygons {
					want.Vertices += int64(len(p[0]))
				}
			}
		}
	}
	has, _, err := e.Holdings(ctx, "advertisers/a")
	want.Entries = has.Entries // of which another test counts again
	if err != nil || has != want {
		t.Fatalf("%+v, %v; stored are %+v", has, err, want)
	}
	for _, q := range store.Quotas {
		if *q.In(&has) > *q.In(quota) {
			t.Fatalf("%+v passes the quota %+v", has, *quota)
		}
	}
}
