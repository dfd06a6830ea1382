package bidder

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/quality"
	"github.com/hexbid/hexbid/geoindex"
)

// TestAMarkSaysTheBandOfItsPlaceOrNothing compares the bands that records say with those of the places themselves:
// anywhere, and within some tens of metres of where a band ends.
func TestAMarkSaysTheBandOfItsPlaceOrNothing(t *testing.T) {
	looked, unsaid := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		prior := quality.PriorDistances()
		prior.EndsM[0] = rapid.SampledFrom([]float64{500, 400, 5, 0.01}).Draw(t, "first end")
		if rapid.Bool().Draw(t, "far") {
			prior.EndsM[6] = 19_000_000
		}
		d := compileDistances(&prior)
		place := hexbid.Point{Lat: rapid.Float64Range(-90, 90).Draw(t, "lat"),
			Lng: rapid.Float64Range(-180, 180).Draw(t, "lng")}
		center := place
		center.Lat += rapid.SampledFrom([]float64{0, 0.01, 0.3, 7, 90, 179}).Draw(t, "reach") *
			rapid.Float64Range(-1, 1).Draw(t, "part")
		c := campaign{disc: geoindex.NewDisc(geoindex.VecOf(center), 1000)}
		c.disc.SetMark(geoindex.VecOf(place))
		viewer := place
		if end := rapid.IntRange(-1, 4).Draw(t, "end"); end >= 0 {
			viewer.Lat += (prior.EndsM[end] + rapid.Float64Range(-30, 30).Draw(t, "beside")) / hexbid.DegreeM
		} else {
			viewer.Lat += rapid.Float64Range(-180, 180).Draw(t, "elsewhere")
		}
		at := geoindex.VecOf(viewer)
		band, isSure := d.bandOf(&c, at)
		if want := d.band(geoindex.VecOf(place).Chord2(at)); isSure && band != want || band > want {
			t.Fatalf("from %v to %v, marked from %v: band %d, sure: %v, want %d", viewer, place, center, band, isSure, want)
		}
		if looked++; !isSure {
			unsaid++
		}
	})
	if unsaid == 0 || unsaid > looked*3/4 {
		t.Errorf("%d of %d were not said", unsaid, looked)
	}
}

// TestFewBandsAreNotSaid: of viewers in a city, whose distances are even, some two in a hundred.
func TestFewBandsAreNotSaid(t *testing.T) {
	prior := quality.PriorDistances()
	d, c, unsaid := compileDistances(&prior), campaign{disc: geoindex.NewDisc(geoindex.VecOf(hangzhou), 2000)}, 0
	c.disc.SetMark(geoindex.VecOf(hexbid.Point{Lat: hangzhou.Lat, Lng: hangzhou.Lng + 0.01}))
	const looked = 5000
	for metre := range looked {
		at := hexbid.Point{Lat: hangzhou.Lat + float64(metre)/hexbid.DegreeM, Lng: hangzhou.Lng + 0.01}
		if _, isSure := d.bandOf(&c, geoindex.VecOf(at)); !isSure {
			unsaid++
		}
	}
	if unsaid > looked/50 {
		t.Errorf("%d of %d", unsaid, looked)
	}
}

// checkMarks compares the mark of every campaign with what the records say.
func checkMarks(tb testing.TB, s *Snapshot) {
	tb.Helper()
	for i := range s.campaigns.len() {
		c := s.campaigns.at(i)
		if c.uid == 0 {
			continue
		}
		of, want := s.programs.at(s.details.at(i).program), c.disc
		if want.ClearMark(); of.placed == 1 {
			want.SetMark(s.places.at(of.places - 1).vec)
			if c.has&hasArea != 0 && !want.Contains(&geoindex.Position{Vec: s.places.at(of.places - 1).vec}) {
				tb.Fatalf("campaign %d has a disc of its own", c.uid)
			}
		}
		if c.disc != want || c.has&hasNoPlace != 0 != (of.placed == 0) {
			tb.Fatalf("campaign %d has the disc %+v, want %+v; it has no place: %v, want %v", c.uid, c.disc, want,
				c.has&hasNoPlace != 0, of.placed == 0)
		}
	}
}

// TestAPlaceIsFollowedOnlyIfItIsTheOnlyOne counts the campaigns that follow looks at.
func TestAPlaceIsFollowedOnlyIfItIsTheOnlyOne(t *testing.T) {
	m := newChainMarket(t)
	const campaigns = 20
	x := m.indexer.index
	put := func(r hexbid.Resource) {
		t.Helper()
		in := incoming{resource: r}
		in.complete()
		if err := x.put(&in); err != nil {
			t.Fatal(err)
		}
	}
	place := func(uid hexbid.UID, lat float64) *hexbid.Place {
		return &hexbid.Place{Meta: hexbid.Meta{Name: fmt.Sprintf("advertisers/s/programs/p/places/l%d", uid), UID: uid},
			Point: hexbid.Point{Lat: lat, Lng: 120}, Review: hexbid.Approved}
	}
	put(&hexbid.Advertiser{Meta: hexbid.Meta{Name: "advertisers/s", UID: 9001}})
	put(&hexbid.Program{Meta: hexbid.Meta{Name: "advertisers/s/programs/p", UID: 9002}, Category: hexbid.Catering})
	campaign := func(i int) *hexbid.Campaign {
		return &hexbid.Campaign{
			Meta:    hexbid.Meta{Name: fmt.Sprintf("advertisers/s/campaigns/c%d", i), UID: hexbid.UID(9100 + i)},
			Program: "advertisers/s/programs/p", Pricing: hexbid.CPC, Bid: 1_000_000, Area: hexbid.Area{Everywhere: true}}
	}
	for i := range campaigns {
		put(campaign(i))
	}
	for _, step := range []struct {
		change func()
		want   int
		why    string
	}{
		{func() {}, 0, "nothing"},
		{func() { put(place(9003, 30)) }, campaigns, "the first place"},
		{func() { put(place(9003, 30)) }, 0, "the same again"},
		{func() { put(place(9003, 31)); put(place(9003, 30)) }, 0, "there and back"},
		{func() { put(place(9003, 31)); put(campaign(0)); put(place(9003, 30)) }, campaigns, "back, with one that saw it"},
		{func() { put(place(9003, 31)) }, campaigns, "it moves"},
		{func() { put(place(9004, 30)) }, campaigns, "a second"},
		{func() { put(place(9005, 30)); put(place(9006, 30)); put(place(9005, 32)) }, 0, "further ones"},
		{func() { x.deletePlace(9005); x.deletePlace(9006) }, 0, "two are left"},
		{func() { x.deletePlace(9003) }, campaigns, "one is left"},
		{func() { x.deletePlace(9004) }, campaigns, "none is left"},
	} {
		before := x.marks.followed
		step.change()
		m.indexer.publish()
		checkMarks(t, m.indexer.Snapshot())
		if looked := x.marks.followed - before; looked != step.want {
			t.Errorf("%s: %d campaigns were looked at, want %d", step.why, looked, step.want)
		}
	}
}
