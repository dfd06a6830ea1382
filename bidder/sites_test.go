package bidder

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
)

// TestSitesFindThePlacesThatRecordsHave has places come and go at random, few and many of a
// program, and compares what a snapshot finds with a look at each place.
func TestSitesFindThePlacesThatRecordsHave(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRecords()
		s := newSites(r)
		r.putAdvertiser(&hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/a"}})
		var programs []uint32
		for _, name := range []string{"p", "q"} {
			i, _, _, err := r.putProgram(chainProgram(name))
			if err != nil {
				t.Fatal(err)
			}
			programs = append(programs, i)
		}
		at := map[hexbid.UID]geoindex.Vec{}
		for range rapid.IntRange(1, 4).Draw(t, "publications") {
			for range rapid.IntRange(1, 25).Draw(t, "steps") {
				uid := hexbid.UID(rapid.IntRange(1, 24).Draw(t, "uid"))
				if i, there := r.placeOf.get(uid); there {
					s.leave(i)
					r.dropPlace(i)
					delete(at, uid)
					continue
				}
				p := &hexbid.Place{Meta: hexbid.Meta{UID: uid}, Point: drawChainPoint(t)}
				i := r.addPlace(p, programs[uid%2])
				s.come(i)
				s.retag(i)
				at[uid] = geoindex.VecOf(p.Point)
			}
			snapshot := &Snapshot{}
			s.endEdits().freezeInto(snapshot)
			checkSites(t, snapshot, programs, at)
		}
	})
}

func checkSites(t *rapid.T, s *Snapshot, programs []uint32, at map[hexbid.UID]geoindex.Vec) {
	from := geoindex.VecOf(drawChainPoint(t))
	for parity, program := range programs {
		nearest, n := math.Inf(1), 0
		for uid, vec := range at {
			if int(uid%2) == parity {
				nearest, n = min(nearest, vec.Chord2(from)), n+1
			}
		}
		found, chord2 := s.nearestPlace(program, from)
		if n == 0 && found != (Ref{}) || n > 0 && (chord2 != nearest || at[found.UID].Chord2(from) != nearest) {
			t.Fatalf("program %d of %d places: the nearest is %+v at %g, want %g", program, n, found, chord2, nearest)
		}
		if hasTree := s.programs.at(program).tree != 0; hasTree && n <= fewPlaces/2 || !hasTree && n > fewPlaces {
			t.Fatalf("program %d of %d places has a tree: %v", program, n, hasTree)
		}
	}
	var walk geoindex.Nearest
	walk.Start(s.sites, from, 4, geoindex.Need{})
	walk.Allow(math.MaxInt)
	seen := 0
	for site, _ := walk.Next(); site != nil; site, _ = walk.Next() {
		seen++
	}
	if seen != len(at) {
		t.Fatalf("the tree has %d sites, want %d", seen, len(at))
	}
}
