package peers

import (
	"errors"
	"slices"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/benchmarks"
)

// TestPeersFindTheSameCircles checks every peer that this machine has.
func TestPeersFindTheSameCircles(t *testing.T) {
	w, err := benchmarks.NewWorkload(1, false)
	if err != nil {
		t.Fatal(err)
	}
	circles, queries := make([]Circle, 20_000), make([]Query, 1000)
	for i := range circles {
		circles[i] = CircleOf(i, w.Campaign(i))
	}
	for i := range queries {
		queries[i] = QueryOf(w.Request(i, 10, 0))
	}
	for _, start := range slices.Concat(InProcess, Networked) {
		p, err := start()
		if errors.Is(err, ErrNotInstalled) {
			t.Logf("skipped: %v", err)
			continue
		}
		if err != nil {
			t.Error(err)
			continue
		}
		if err := p.Load(circles); err != nil {
			t.Errorf("%s: %v", p.Name(), err)
		}
		if err := Check(p, circles, queries); err != nil {
			t.Error(err)
		}
		if err := p.Close(); err != nil {
			t.Errorf("%s: %v", p.Name(), err)
		}
	}
}

func TestACheckSeesWhatIsMissing(t *testing.T) {
	circles := []Circle{{Bid: 5, RadiusM: 100, MaxAge: 120, Genders: 1, Systems: 1},
		{ID: 1, Bid: 4, RadiusM: 100, MaxAge: 120, Genders: 1, Systems: 1}}
	queries := []Query{{At: hexbid.Point{}, Gender: 1, System: 1}}
	if Check(&Scan{circles[:1]}, circles, queries) == nil {
		t.Error("a peer without the second circle passed")
	}
}
