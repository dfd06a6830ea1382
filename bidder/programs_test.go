package bidder

import (
	"errors"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
)

// TestACampaignStartsWithItsProgramsQuality, whether the campaign or the quality comes first, until a quality of its
// own is handed in, and again when that is withdrawn.
func TestACampaignStartsWithItsProgramsQuality(t *testing.T) {
	m := newChainMarket(t)
	everywhere := hexbid.Area{Everywhere: true}
	first, later, other := chainCampaign("p", 0, everywhere, hexbid.Area{}),
		chainCampaign("p", 1, everywhere, hexbid.Area{}), chainCampaign("q", 2, everywhere, hexbid.Area{})
	m.put(t, first)
	m.put(t, other)
	uid, program := m.uidOf(t, first.Name), m.uidOf(t, first.Program)
	m.indexer.takePrograms([]ProgramUpdate{{Program: program, QualityPPM: 5_000, ExploredPPM: 8_000}, {Program: 1 << 40,
		QualityPPM: 1}})
	m.put(t, later)
	of := func(name string) LiveState {
		live, _ := m.live(m.uidOf(t, name))
		return live
	}
	want := LiveState{PacingPPM: auction.PPM, ParticipationPPM: auction.PPM, QualityPPM: 5_000, QualityIsPrior: true,
		ExploredPPM: 8_000}
	if got := of(first.Name); got != want {
		t.Errorf("the campaign that was there is %+v", got)
	}
	if got := of(later.Name); got != want {
		t.Errorf("the one that came later is %+v", got)
	}
	if got := of(other.Name); got.QualityPPM != prior {
		t.Errorf("the one of another program is %+v", got)
	}
	m.handIn(t, OwnerQuality, LiveUpdate{Campaign: uid, QualityPPM: 70_000})
	m.indexer.takePrograms([]ProgramUpdate{{Program: program, QualityPPM: 6_000}})
	if got := of(first.Name); got.QualityPPM != 70_000 || got.QualityIsPrior {
		t.Errorf("the one with a quality of its own is %+v", got)
	}
	if got := of(later.Name); got.QualityPPM != 6_000 || got.ExploredPPM != 6_000 {
		t.Errorf("after the program's next quality it is %+v", got)
	}
	m.handIn(t, OwnerQuality, LiveUpdate{Campaign: uid, Withdrawn: true})
	if got := of(first.Name); got.QualityPPM != 6_000 {
		t.Errorf("after its own was withdrawn it is %+v", got)
	}
	m.indexer.takePrograms([]ProgramUpdate{{Program: program, Withdrawn: true}})
	if got := of(first.Name); got.QualityPPM != prior || got.ExploredPPM != 2*prior {
		t.Errorf("after the program's was withdrawn it is %+v", got)
	}
	if again := m.indexer.programs.reopened(); len(again.of) != 1 {
		t.Errorf("an index loaded anew has %d programs", len(again.of))
	}
}

// TestCampaignsOfALargeProgramFollowInSlices, so that no hand-in holds publications up.
func TestCampaignsOfALargeProgramFollowInSlices(t *testing.T) {
	m, n := newChainMarket(t), mostFollowing+100
	for i := range n {
		m.put(t, chainCampaign("p", i, hexbid.Area{Everywhere: true}, hexbid.Area{}))
	}
	program := m.uidOf(t, chainCampaign("p", 0, hexbid.Area{}, hexbid.Area{}).Program)
	m.indexer.publish()
	m.indexer.takePrograms([]ProgramUpdate{{Program: program, QualityPPM: 5_000}})
	followed := func() (count int) {
		m.indexer.publish()
		for i := range m.indexer.records.all() {
			if m.indexer.records.campaigns.at(i).worth.qualityPPM() == 5_000 {
				count++
			}
		}
		return count
	}
	if some := followed(); some == 0 || some > mostFollowing || !m.indexer.programs.owes() {
		t.Errorf("%d campaigns followed in one publication, want 1 to %d", some, mostFollowing)
	}
	if all := followed(); all != n || m.indexer.programs.owes() {
		t.Errorf("%d of %d campaigns followed in two publications", all, n)
	}
}

func TestAProgramsQualityIsChecked(t *testing.T) {
	for field, u := range map[string]ProgramUpdate{"updates[0].program": {QualityPPM: 1},
		"updates[0].quality_ppm":  {Program: 1},
		"updates[0].explored_ppm": {Program: 1, QualityPPM: 5, ExploredPPM: 11}, "": {Program: 1, Withdrawn: true}} {
		err := checkPrograms([]ProgramUpdate{u})
		if got := fieldOf(err); got != field {
			t.Errorf("%+v: %v", u, err)
		}
	}
	if err := checkPrograms(make([]ProgramUpdate, MaxLiveUpdates+1)); hexbid.KindOf(err) != hexbid.Invalid {
		t.Error(err)
	}
}

// fieldOf returns the field that an error names.
func fieldOf(err error) string {
	var of *hexbid.Error
	if errors.As(err, &of) {
		return of.Field
	}
	return ""
}
