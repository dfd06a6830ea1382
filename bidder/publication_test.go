package bidder

import (
	"log/slog"
	"reflect"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
)

// TestAMapThatHeldMuchIsNotWalkedAgain: each publication walks the maps of what has
// changed, so none keeps the room of a load.
func TestAMapThatHeldMuchIsNotWalkedAgain(t *testing.T) {
	for held, wantSame := range map[int]bool{1: true, smallMap: true, smallMap + 1: false} {
		m := map[int]bool{}
		for i := range held {
			m[i] = true
		}
		after := emptied(m)
		if same := reflect.ValueOf(after).Pointer() == reflect.ValueOf(m).Pointer(); len(after) > 0 || same != wantSame {
			t.Errorf("after %d: %d are left, the same map: %v", held, len(after), same)
		}
	}
}

// TestANewProgramHasNothingThatFollowsIt: only one that changes makes its campaigns and
// places be looked at, and once for however many changes.
func TestANewProgramHasNothingThatFollowsIt(t *testing.T) {
	market := DefaultMarket()
	x := NewIndexer(&market, time.Now, slog.New(slog.DiscardHandler))
	put := func(r hexbid.Resource) {
		t.Helper()
		if err := x.put(&incoming{resource: r}); err != nil {
			t.Fatal(err)
		}
	}
	put(&hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/a", UID: 1}})
	for i, c := range []struct {
		name string
		want int
	}{{"new", 0}, {"new", 0}, {"other", 1}, {"again", 1}} {
		put(&hexbid.Program{Meta: hexbid.Meta{Name: "advertisers/a/programs/p", UID: 2}, DisplayName: c.name,
			Category: hexbid.Catering, Hosts: []hexbid.Host{hexbid.WeChat}})
		if got := len(x.changedPrograms); got != c.want {
			t.Errorf("after change %d, %q: %d programs have changed, want %d", i, c.name, got, c.want)
		}
	}
	if x.publish(); len(x.changedPrograms) > 0 {
		t.Error("a publication leaves programs to be followed")
	}
}
