package bidder

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
)

// plainRecords is what records are compared with: the nouns that there are, by number.
type plainRecords struct {
	owners    map[int]bool // paused
	programs  map[int]int  // to their owner
	places    map[hexbid.UID]int
	campaigns map[hexbid.UID]int // to their program
}

func ownerOf(i int) string          { return fmt.Sprintf("advertisers/a%d", i) }
func programOf(owner, i int) string { return fmt.Sprintf("%s/programs/p%d", ownerOf(owner), i) }

// step makes a random change to both.
func (p *plainRecords) step(t *rapid.T, r *records) {
	i := rapid.IntRange(0, 5).Draw(t, "number")
	uid := hexbid.UID(rapid.IntRange(1, 12).Draw(t, "uid"))
	owner, hasProgram := p.programs[i]
	switch rapid.IntRange(0, 7).Draw(t, "step") {
	case 0:
		state := rapid.SampledFrom([]hexbid.ServingState{hexbid.Active, hexbid.Paused}).Draw(t, "state")
		if _, _, turned := r.putAdvertiser(&hexbid.Advertiser{Meta: hexbid.Meta{Name: ownerOf(i)},
			State: state}); turned != (p.owners[i] != (state == hexbid.Paused)) {
			t.Fatalf("advertiser %d turned: %v", i, turned)
		}
		p.owners[i] = state == hexbid.Paused
	case 1:
		if of := i % 2; !hasProgram {
			_, known := p.owners[of]
			_, _, _, err := r.putProgram(&hexbid.Program{Meta: hexbid.Meta{Name: programOf(of, i), UID: hexbid.UID(100 + i)}})
			if (err == nil) != known {
				t.Fatalf("program %d, its owner is known: %v, %v", i, known, err)
			}
			if known {
				p.programs[i] = of
			}
		}
	case 2, 3:
		if _, there := p.places[uid]; hasProgram && !there {
			p.places[uid] = i
			r.addPlace(&hexbid.Place{Meta: hexbid.Meta{UID: uid}, Point: hexbid.Point{Lat: float64(uid)}},
				r.byName[keyOf(programOf(owner, i))])
		}
	case 4:
		if at, there := r.placeOf.get(uid); there {
			r.dropPlace(at)
			delete(p.places, uid)
		}
	case 5, 6:
		if before, there := p.campaigns[uid]; hasProgram && (!there || p.programs[before] == owner) {
			at, isNew := r.campaignSlot(uid)
			if isNew == there {
				t.Fatalf("campaign %d is new: %v", uid, isNew)
			}
			r.setProgram(at, r.byName[keyOf(programOf(owner, i))], isNew)
			p.campaigns[uid] = i
		}
	case 7:
		if at, there := r.campaignOf.get(uid); there {
			r.dropCampaign(at)
			delete(p.campaigns, uid)
		}
	}
	p.dropUnused(r, i)
}

// dropUnused drops a program that nothing belongs to, as a store would allow it.
func (p *plainRecords) dropUnused(r *records, i int) {
	owner, there := p.programs[i]
	used := slices.Contains(slices.Collect(maps.Values(p.places)), i) ||
		slices.Contains(slices.Collect(maps.Values(p.campaigns)), i)
	if there && !used && len(p.places)%3 == 0 {
		r.dropProgram(programOf(owner, i))
		delete(p.programs, i)
	}
}

// check compares all chains and counts.
func (p *plainRecords) check(t *rapid.T, r *records) {
	if got := [3]int{r.size.campaigns, r.size.programs, r.size.places}; got != [3]int{len(p.campaigns), len(p.programs),
		len(p.places)} {
		t.Fatalf("%v are counted of %v", got, p)
	}
	owned := map[int][]hexbid.UID{}
	for i, owner := range p.programs {
		at := r.byName[keyOf(programOf(owner, i))]
		var places, buyers []hexbid.UID
		for place := range r.placesOf(at) {
			places = append(places, r.places.at(place).uid)
		}
		for campaign := range r.buyersOf(at) {
			buyers = append(buyers, r.campaigns.at(campaign).uid)
		}
		sameUIDs(t, "places", places, p.places, i)
		sameUIDs(t, "campaigns", buyers, p.campaigns, i)
		if only := r.onlyPlaceOf(at); only.is != (len(places) == 1) {
			t.Fatalf("program %d has %d places, the only one: %v", i, len(places), only)
		}
		owned[owner] = append(owned[owner], buyers...)
	}
	for owner := range p.owners {
		n := 0
		for range r.ownedBy(r.byName[keyOf(ownerOf(owner))]) {
			n++
		}
		if n != len(owned[owner]) {
			t.Fatalf("advertiser %d has %d campaigns, want %d", owner, n, len(owned[owner]))
		}
	}
	if n := len(slices.Collect(r.all())); n != len(p.campaigns) {
		t.Fatalf("%d campaigns are there, want %d", n, len(p.campaigns))
	}
}

func sameUIDs(t *rapid.T, what string, got []hexbid.UID, all map[hexbid.UID]int, program int) {
	var want []hexbid.UID
	for uid, of := range all {
		if of == program {
			want = append(want, uid)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("program %d has the %s %v, want %v", program, what, got, want)
	}
}

func TestRecordsLeadToWhatTheCatalogueSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRecords()
		p := &plainRecords{map[int]bool{}, map[int]int{}, map[hexbid.UID]int{}, map[hexbid.UID]int{}}
		for of := range 2 {
			p.owners[of], p.programs[of], p.programs[of+2] = false, of, of
			r.putAdvertiser(&hexbid.Advertiser{Meta: hexbid.Meta{Name: ownerOf(of)}})
			for _, i := range []int{of, of + 2} {
				if _, _, _, err := r.putProgram(&hexbid.Program{Meta: hexbid.Meta{Name: programOf(of, i),
					UID: hexbid.UID(100 + i)}}); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			p.step(t, r)
			p.check(t, r)
		}
	})
}
