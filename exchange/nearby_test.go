package exchange

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
)

// crowd is programs of many places nearer than the only place of one more: whoever
// looks for the next program walks past them all.
func crowd(t *testing.T, e *Exchange) {
	t.Helper()
	fill(t, e)
	for p := range 4 {
		name := fmt.Sprintf("advertisers/a/programs/crowd%d", p)
		batch := []hexbid.Resource{&hexbid.Program{Meta: hexbid.Meta{Name: name}, DisplayName: name,
			Category: hexbid.Shopping, Hosts: []hexbid.Host{hexbid.WeChat}}}
		for l := range 4000 {
			batch = append(batch, &hexbid.Place{Meta: hexbid.Meta{Name: fmt.Sprintf("%s/places/l%d", name, l)},
				Point: hexbid.Point{Lat: hub.Lat + 0.00001*float64(l%100), Lng: hub.Lng + 0.00001*float64(l/100)}})
		}
		for _, o := range e.Import(ctx, batch, false) {
			if o.Err != nil {
				t.Fatal(o.Err)
			}
		}
	}
	fill(t, e, place("far", hexbid.Point{Lat: hub.Lat + 0.02, Lng: hub.Lng}))
}

func TestANearbyListStopsAtItsBudget(t *testing.T) {
	looked, step := 0, time.Duration(0)
	e := open(t, func(c *Config) {
		c.NearbyBudget = time.Millisecond
		c.Stopwatch = func() time.Time { looked++; return now.Add(time.Duration(looked) * step) }
	})
	crowd(t, e)
	whole := mustSearch(t, e, at(hub))
	if len(whole.Nearby) != 5 || whole.NearbyEnd != NearbyWhole {
		t.Fatalf("%d programs, end %d", len(whole.Nearby), whole.NearbyEnd)
	}
	if looked < 4 {
		t.Errorf("the clock was looked at %d times on the way past 16,000 places", looked)
	}
	looked, step = 0, time.Millisecond
	cut := mustSearch(t, e, at(hub))
	if looked != 2 || cut.NearbyEnd != NearbyOutOfTime || cut.NextPageToken != "" {
		t.Errorf("the clock was looked at %d times; end %d, next page %q", looked, cut.NearbyEnd, cut.NextPageToken)
	}
	if n := len(cut.Nearby); n == 0 || n == len(whole.Nearby) || !reflect.DeepEqual(cut.Nearby, whole.Nearby[:n]) {
		t.Errorf("%d programs that are not the nearest of the whole list", n)
	}
}

func TestAShortWalkLooksAtNoClock(t *testing.T) {
	e := open(t, func(c *Config) {
		c.Stopwatch = func() time.Time { t.Error("the clock was looked at"); return now }
	})
	fill(t, e, place("l", hub))
	if r := mustSearch(t, e, at(hub)); len(r.Nearby) != 1 {
		t.Errorf("%d programs", len(r.Nearby))
	}
}

func TestANearbyListEndsWithItsContext(t *testing.T) {
	e := open(t, func(c *Config) { c.Stopwatch = func() time.Time { return now } })
	crowd(t, e)
	stopping, stop := context.WithCancel(ctx)
	looked := 0
	e.config.Stopwatch = func() time.Time {
		if looked++; looked == 2 {
			stop()
		}
		return now
	}
	if _, err := e.Search(stopping, at(hub), time.Now()); !errors.Is(err, context.Canceled) || looked != 2 {
		t.Errorf("after %d turns: %v", looked, err)
	}
}

func TestTheNearbyPagesEndAtAThousandResults(t *testing.T) {
	e := open(t, nil)
	const programs = hexbid.MaxNearbyResults + 50
	var more []hexbid.Resource
	for i := range programs {
		name := fmt.Sprintf("advertisers/a/programs/p%d", i)
		more = append(more, &hexbid.Program{Meta: hexbid.Meta{Name: name}, DisplayName: name, Category: hexbid.Shopping,
			Hosts: []hexbid.Host{hexbid.WeChat}},
			&hexbid.Place{Meta: hexbid.Meta{Name: name + "/places/l"},
				Point: hexbid.Point{Lat: hub.Lat + 0.00001*float64(i), Lng: hub.Lng}})
	}
	fill(t, e, more...)
	r := at(hub)
	r.NearbyLimit = 99
	found, response := 0, (*Response)(nil)
	for page := 0; page == 0 || r.PageToken != ""; page++ {
		if response = mustSearch(t, e, r); response.NearbyEnd != NearbyWhole && response.NextPageToken != "" {
			t.Fatalf("page %d ends the list and has a next one", page)
		}
		found += len(response.Nearby)
		r.PageToken, r.Slots = response.NextPageToken, 3
	}
	if found != hexbid.MaxNearbyResults || response.NearbyEnd != NearbyAtMost {
		t.Errorf("%d results on all pages, end %d", found, response.NearbyEnd)
	}
	r.Category, r.Words = hexbid.Shopping, "p7"
	if response := mustSearch(t, e, r); response.NearbyEnd != NearbyWhole || len(response.Nearby) == 0 {
		t.Errorf("a shorter list: %d results, end %d", len(response.Nearby), response.NearbyEnd)
	}
}
