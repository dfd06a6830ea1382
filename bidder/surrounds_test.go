package bidder

import (
	"maps"
	"testing"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
)

// TestFollowTellsEveryChangeOfASurround keeps what was told of each surround, and compares it
// with the places covered anew.
func TestFollowTellsEveryChangeOfASurround(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRecords()
		s := newSurrounds(r)
		r.putAdvertiser(&hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/a"}})
		program, _, _, err := r.putProgram(chainProgram("p"))
		if err != nil {
			t.Fatal(err)
		}
		for campaign := range uint32(6) {
			s.add(campaign)
		}
		told := map[*surround]map[geoindex.Key]geoindex.Posting{} // of those that were filled
		for range rapid.IntRange(1, 6).Draw(t, "publications") {
			for range rapid.IntRange(1, 12).Draw(t, "steps") {
				stepSurrounds(t, r, s, program)
			}
			around := s.follow(func(c surroundChange) {
				for _, cell := range c.cells {
					if told[c.surround][cell.before.Key] != cell.before && cell.before.Touched != 0 {
						t.Fatalf("under %x stood %+v, told is %+v", cell.before.Key, told[c.surround][cell.before.Key], cell)
					}
					if told[c.surround][cell.now.Key] = cell.now; cell.now.Touched == 0 {
						delete(told[c.surround], cell.now.Key)
					}
				}
			})
			campaign := uint32(rapid.IntRange(0, 5).Draw(t, "to be posted"))
			if of := around.filledOf(campaign); of != nil && told[of] == nil {
				told[of] = cellsOf(of)
			}
			checkSurrounds(t, r, s, program, told)
		}
	})
}

// stepSurrounds has a place come or go, or a campaign go around places at some radius.
func stepSurrounds(t *rapid.T, r *records, s *surrounds, program uint32) {
	uid := hexbid.UID(rapid.IntRange(1, 8).Draw(t, "uid"))
	i, there := r.placeOf.get(uid)
	switch {
	case rapid.IntRange(0, 2).Draw(t, "step") == 0:
		radiusM := rapid.SampledFrom([]float64{0, 800, 2500}).Draw(t, "radius")
		s.join(uint32(rapid.IntRange(0, 5).Draw(t, "campaign")), s.number(program, radiusM))
	case there:
		s.leave(i)
		r.dropPlace(i)
	default:
		s.come(r.addPlace(&hexbid.Place{Meta: hexbid.Meta{UID: uid}, Point: drawChainPoint(t)}, program))
	}
}

func cellsOf(s *surround) map[geoindex.Key]geoindex.Posting {
	cells := map[geoindex.Key]geoindex.Posting{}
	s.each(func(p geoindex.Posting) { cells[p.Key] = p })
	return cells
}

func checkSurrounds(t *rapid.T, r *records, s *surrounds, program uint32,
	told map[*surround]map[geoindex.Key]geoindex.Posting) {
	for of := s.ofProgram[program]; of != nil; of = of.next {
		for place, campaign := range of.members {
			if m := *s.members.at(campaign); s.of(campaign) != of || int(m.place) != place {
				t.Fatalf("campaign %d is member %d, and says %+v", campaign, place, m)
			}
		}
		if len(of.members) == 0 {
			t.Fatal("a surround without members is left")
		}
		if of.alone != r.onlyPlaceOf(program) {
			t.Fatalf("members know %+v of the places, it is %+v", of.alone, r.onlyPlaceOf(program))
		}
		if !of.filled {
			continue
		}
		fresh := &surround{}
		for place := range r.placesOf(program) {
			fresh.add(geoindex.CoverDisc(r.places.at(place).vec, of.radiusM))
		}
		want := cellsOf(fresh)
		if got := cellsOf(of); !maps.Equal(got, want) || !maps.Equal(told[of], want) {
			t.Fatalf("at %v m: has %v\ntold %v\nwant %v", of.radiusM, got, told[of], want)
		}
	}
}
