package bidder

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
)

// ProgramUpdate is the quality of a program: that of its campaigns for which none has been handed in.
type ProgramUpdate struct {
	Program     hexbid.UID
	Withdrawn   bool  // the prior of the program's category counts again
	QualityPPM  int64 // 1 to auction.PPM
	ExploredPPM int64 // as in LiveUpdate
}

// checkPrograms refuses updates that make no sense. Its error names the field.
func checkPrograms(updates []ProgramUpdate) error {
	if len(updates) > MaxLiveUpdates {
		return hexbid.Invalidf("updates", "has %d entries: hand in at most %d at a time", len(updates), MaxLiveUpdates)
	}
	for i := range updates {
		u := &updates[i]
		if u.Program == 0 {
			return hexbid.Invalidf(fmt.Sprintf("updates[%d].program", i), "is missing: give the program's uid")
		}
		if u.Withdrawn {
			continue
		}
		of := LiveUpdate{QualityPPM: u.QualityPPM, ExploredPPM: u.ExploredPPM}
		if field, why := of.qualityFault(); field != "" {
			return hexbid.Invalidf(fmt.Sprintf("updates[%d].%s", i, field), "%s", why)
		}
	}
	return nil
}

// HandInPrograms sets the quality of some programs, until another hand-in changes it or withdraws it. A campaign of a
// program starts with it, so that nobody gains by making a campaign again. It passes changes of the catalogue as HandIn
// does, may name a uid that the index does not have, and returns when searches use it; of a program with thousands of
// campaigns some follow in later publications. Its errors are those of HandIn.
func (x *Indexer) HandInPrograms(ctx context.Context, updates []ProgramUpdate) error {
	if err := checkPrograms(updates); err != nil {
		return err
	}
	return x.hand(ctx, handIn{programs: slices.Clone(updates)})
}

// HandInProgramsFirst is HandInPrograms for use before Load, as HandInFirst is.
func (x *Indexer) HandInProgramsFirst(updates []ProgramUpdate) error {
	if err := checkPrograms(updates); err != nil {
		return err
	}
	x.takePrograms(updates)
	return nil
}

// programQualities is the room of what programs are thought to be worth, by uid. A program that nobody has handed in
// takes no memory. The quality of a uid stays until it is withdrawn, whether or not the index has the program.
// Campaigns follow their program a slice at a time, as they follow balances.
type programQualities struct {
	of        map[hexbid.UID]worth
	turned    map[uint32]struct{} // programs whose campaigns have to follow
	following []uint32            // campaigns of one of them that still have to
}

func newProgramQualities() *programQualities {
	return &programQualities{of: map[hexbid.UID]worth{}, turned: map[uint32]struct{}{}}
}

// reopened returns a copy for an index that is loaded anew.
func (p *programQualities) reopened() *programQualities {
	fresh := newProgramQualities()
	maps.Copy(fresh.of, p.of)
	return fresh
}

// owes reports whether campaigns still have to follow their programs.
func (p *programQualities) owes() bool { return len(p.following)+len(p.turned) > 0 }

// takePrograms applies a hand-in, for the next publication.
func (x *index) takePrograms(updates []ProgramUpdate) {
	for i := range updates {
		u := &updates[i]
		if u.Withdrawn {
			delete(x.programs.of, u.Program)
		} else {
			x.programs.of[u.Program] = worth(0).withQuality(u.QualityPPM, u.ExploredPPM)
		}
		if program, isIndexed := x.records.programOf.get(u.Program); isIndexed {
			x.programs.turned[program] = struct{}{}
		}
	}
}

// followPrograms lets campaigns follow what their programs are thought to be worth.
func (x *index) followPrograms() {
	p := x.programs
	for n := 0; n < mostFollowing && p.owes(); n++ {
		if len(p.following) == 0 {
			p.following = x.campaignsOfATurnedProgram(p.following[:0])
			continue
		}
		last := len(p.following) - 1
		i := p.following[last]
		p.following = p.following[:last]
		if x.records.campaigns.at(i).uid != 0 { // it may have been deleted meanwhile
			x.setFactors(i)
			x.setState(i)
		}
	}
}

// campaignsOfATurnedProgram appends the campaigns of one program whose campaigns have to follow.
func (x *index) campaignsOfATurnedProgram(to []uint32) []uint32 {
	for program := range x.programs.turned {
		delete(x.programs.turned, program)
		return slices.AppendSeq(to, x.records.buyersOf(program))
	}
	return to
}

// priorOf returns what a campaign's quality is until one is handed in: its program's, or the prior of its category. A
// campaign of which nobody knows anything is tried with twice the prior where a search explores.
func (x *index) priorOf(i uint32) worth {
	if of, known := x.programs.of[x.records.programs.at(x.records.details.at(i).program).uid]; known {
		return of
	}
	prior := x.market.PriorPPM[x.records.campaigns.at(i).category]
	return worth(0).withQuality(prior, min(2*prior, auction.PPM))
}

// PriorOf returns the uid of a campaign's program, and the prior of its category. It returns false for a campaign that
// the snapshot does not have.
func (s *Snapshot) PriorOf(campaign hexbid.UID) (program hexbid.UID, ppm int64, there bool) {
	i, there := s.ordinalOf(campaign)
	if !there {
		return 0, 0, false
	}
	return s.programs.at(s.details.at(i).program).uid, s.market.PriorPPM[s.campaigns.at(i).category], true
}
