package bidder

import (
	"crypto/sha256"
	"maps"
	"weak"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/targeting"
)

// account is what only the indexer needs of an advertiser.
type account struct {
	paused   bool
	programs uint32 // where the chain of them starts
}

// nameKey stands for a name: half of its SHA-256, so that millions of names
// need not be held.
type nameKey [16]byte

func keyOf(name string) nameKey {
	sum := sha256.Sum256([]byte(name))
	return nameKey(sum[:16])
}

// apply indexes one batch. What a record refers to is put before it and
// deleted after it.
func (x *Indexer) apply(change *store.Change) {
	if change.Version <= x.next.Version {
		return // the scan has seen it
	}
	for kind := hexbid.KindCampaign; kind >= hexbid.KindAdvertiser; kind-- {
		for i := range change.Deletes {
			if r := &change.Deletes[i]; store.KindOf(r.Resource) == kind {
				x.delete(r)
			}
		}
	}
	for kind := hexbid.KindAdvertiser; kind <= hexbid.KindCampaign; kind++ {
		for i := range change.Puts {
			if r := &change.Puts[i]; store.KindOf(r.Resource) == kind {
				if err := x.put(r); err != nil {
					// What is stored was valid when it was written; the market
					// goes on without it.
					x.log.Error("a record cannot be indexed", "name", r.Meta().Name, "error", err)
				}
			}
		}
	}
	x.next.Version = change.Version
}

func (x *Indexer) put(r *store.Record) error {
	switch v := r.Resource.(type) {
	case *hexbid.Advertiser:
		x.putAdvertiser(v)
	case *hexbid.Program:
		return x.putProgram(v)
	case *hexbid.Place:
		return x.putPlace(v)
	case *hexbid.Campaign:
		return x.putCampaign(r, v)
	}
	return nil
}

func (x *Indexer) putAdvertiser(a *hexbid.Advertiser) {
	key := keyOf(a.Name)
	i, known := x.byName[key]
	if !known {
		i = x.ordinals.advertisers.take()
		x.byName[key] = i
		*x.accounts.edit(i) = account{}
	}
	*x.advertisers.edit(i) = a.UID
	owner, paused := x.accounts.edit(i), a.State == hexbid.Paused
	if owner.paused == paused {
		return
	}
	owner.paused = paused
	for program := owner.programs; program != 0; program = x.programs.at(program - 1).next {
		for c := x.programs.at(program - 1).buyers; c != 0; c = x.details.at(c - 1).next {
			x.setState(c - 1)
		}
	}
}

// parentOf finds what a resource belongs to.
func (x *Indexer) parentOf(name string) (uint32, error) {
	n, _ := hexbid.ParseName(name) // stored names parse
	i, known := x.byName[keyOf(n.Parent().String())]
	if !known {
		return 0, hexbid.Errorf(hexbid.Internal, "name", "what %q belongs to is not indexed", name)
	}
	return i, nil
}

func (x *Indexer) putProgram(p *hexbid.Program) error {
	owner, err := x.parentOf(p.Name)
	if err != nil {
		return err
	}
	key := keyOf(p.Name)
	i, known := x.byName[key]
	if !known {
		i = x.ordinals.programs.take()
		x.byName[key] = i
		join(&x.programs, &x.accounts.edit(owner).programs, i)
		x.next.Programs++
	}
	slot, gate := x.programs.edit(i), targeting.Gate(p)
	before := *slot
	*slot = program{uid: p.UID, version: p.Version, category: p.Category, gate: gate.Mask(),
		text: textOf(p), tags: siteTags(p), places: before.places, buyers: before.buyers, links: before.links}
	if before.text != slot.text {
		x.wordEdits.name(before.text.Tokens(), i, false)
		x.wordEdits.name(slot.text.Tokens(), i, true)
	}
	for at := slot.places; at != 0; at = x.places.at(at - 1).next { // their tags follow the program
		x.removeSite(at - 1)
		x.insertSite(at - 1)
	}
	for c := slot.buyers; c != 0; c = x.details.at(c - 1).next {
		x.reindex(c - 1)
	}
	return nil
}

// textOf is what words are looked for in: the program's names and keywords, and
// its category in both languages.
func textOf(p *hexbid.Program) targeting.Text {
	texts := append([]string{p.DisplayName, p.Category.String(), p.Category.Chinese()}, p.AlternativeNames...)
	return targeting.NewText(append(texts, p.Keywords...)...)
}

func (x *Indexer) putPlace(p *hexbid.Place) error {
	parent, err := x.parentOf(p.Name)
	if err != nil {
		return err
	}
	if i, there := x.placeOf.get(p.UID); there {
		x.deletePlace(p.UID, i)
	}
	if p.Review == hexbid.Approved {
		i := x.ordinals.places.take()
		x.placeOf.set(p.UID, i)
		v := geoindex.VecOf(p.Point)
		*x.places.edit(i) = place{uid: p.UID, version: p.Version, program: parent, point: p.Point, vec: v, cell: geoindex.CellAt(v), text: targeting.NewText(p.DisplayName)}
		join(&x.places, &x.programs.edit(parent).places, i)
		x.insertSite(i)
		x.next.Places++
	}
	x.recoverAround(parent)
	return nil
}

// recoverAround compiles and covers anew the campaigns that go around the
// places of a program.
func (x *Indexer) recoverAround(program uint32) {
	for c := x.programs.at(program).buyers; c != 0; c = x.details.at(c - 1).next {
		i := c - 1
		around := x.arounds.get(x.kept.at(i).around)
		if around == nil {
			continue
		}
		area, err := x.compileArea(around, program)
		if err != nil {
			x.log.Error("a campaign's area cannot be compiled again", "uid", x.campaigns.at(i).uid, "error", err)
			continue
		}
		x.unpost(i)
		x.coverings.set(i, geoindex.PackCovering(nil, area.Cover()))
		x.setArea(i, area)
		x.setState(i)
	}
}

func (x *Indexer) compileArea(a *around, program uint32) (*geoindex.Area, error) {
	return geoindex.CompileArea(&a.in, &a.out, x.placesOf(program), &x.interner)
}

// placesOf are the points of a program's approved places.
func (x *Indexer) placesOf(program uint32) []hexbid.Point {
	var points []hexbid.Point
	for at := x.programs.at(program).places; at != 0; at = x.places.at(at - 1).next {
		points = append(points, x.places.at(at-1).point)
	}
	return points
}

func (x *Indexer) insertSite(at uint32) {
	p := x.places.at(at)
	parent := x.programs.at(p.program)
	x.editSites().Insert(geoindex.Site{Rank: uint64(parent.uid), Tie: uint64(p.uid), Note: uint64(parent.gate), Ordinal: at, Group: p.program},
		p.vec, p.cell, geoindex.Marks{Tags: parent.tags, Has: parent.text.Bits() | p.text.Bits()})
}

func (x *Indexer) removeSite(at uint32) { x.editSites().Delete(at, x.places.at(at).cell) }

func (x *Indexer) editSites() *geoindex.Edit {
	if x.siteEdit == nil {
		x.siteEdit = x.next.sites.Edit()
	}
	return x.siteEdit
}

func (x *Indexer) delete(r *store.Record) {
	meta := r.Meta()
	switch r.Resource.(type) {
	case *hexbid.Advertiser:
		i := x.byName[keyOf(meta.Name)]
		delete(x.byName, keyOf(meta.Name))
		*x.accounts.edit(i) = account{}
		x.ordinals.advertisers.giveBack(i)
	case *hexbid.Program:
		x.deleteProgram(meta.Name)
	case *hexbid.Place:
		if i, shown := x.placeOf.get(meta.UID); shown { // not in review or hidden
			parent := x.places.at(i).program
			x.deletePlace(meta.UID, i)
			x.recoverAround(parent)
		}
	case *hexbid.Campaign:
		if i, indexed := x.campaignOf.get(meta.UID); indexed {
			x.deleteCampaign(i)
		}
	}
}

func (x *Indexer) deleteProgram(name string) {
	key := keyOf(name)
	i, indexed := x.byName[key]
	if !indexed {
		return
	}
	if owner, err := x.parentOf(name); err == nil {
		leave(&x.programs, &x.accounts.edit(owner).programs, i)
	}
	slot := x.programs.edit(i)
	x.wordEdits.name(slot.text.Tokens(), i, false)
	*slot = program{}
	delete(x.byName, key)
	x.ordinals.programs.giveBack(i)
	x.next.Programs--
}

func (x *Indexer) deletePlace(uid hexbid.UID, i uint32) {
	x.removeSite(i)
	leave(&x.places, &x.programs.edit(x.places.at(i).program).places, i)
	*x.places.edit(i) = place{}
	x.ordinals.places.giveBack(i)
	x.placeOf.drop(uid)
	x.next.Places--
}

// ruleSet keeps one copy of equal rules, as long as a campaign uses it: audiences repeat.
type ruleSet struct {
	known   map[targeting.Rule]weak.Pointer[targeting.Rule]
	sweepAt int // size from which the dead are swept out
}

const smallestSweep = 1024

func (s *ruleSet) intern(r targeting.Rule) *targeting.Rule {
	if same := s.known[r].Value(); same != nil {
		return same
	}
	if len(s.known) >= s.sweepAt {
		maps.DeleteFunc(s.known, func(_ targeting.Rule, p weak.Pointer[targeting.Rule]) bool { return p.Value() == nil })
		s.sweepAt = max(smallestSweep, 2*len(s.known))
	}
	if s.known == nil {
		s.known = map[targeting.Rule]weak.Pointer[targeting.Rule]{}
	}
	s.known[r] = weak.Make(&r)
	return &r
}

// hostBids is the bid by host; nil when all are the same.
func hostBids(c *hexbid.Campaign) *[hexbid.HostCount]hexbid.Money {
	if len(c.HostBids) == 0 {
		return nil
	}
	var bids [hexbid.HostCount]hexbid.Money
	for host := range bids {
		bids[host] = c.BidOn(hexbid.Host(host))
	}
	return &bids
}
