package bidder

import (
	"crypto/sha256"
	"maps"
	"weak"

	"github.com/hexbid/hexbid"
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
	x.changedOwners[i] = struct{}{}
}

// followOwners gives the campaigns of advertisers that were paused or are on again
// their states.
func (x *Indexer) followOwners() {
	for i := range x.changedOwners {
		for program := x.accounts.at(i).programs; program != 0; program = x.programs.at(program - 1).next {
			for c := x.programs.at(program - 1).buyers; c != 0; c = x.details.at(c - 1).next {
				x.setState(c - 1)
			}
		}
	}
	x.changedOwners = emptied(x.changedOwners)
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
	*slot = program{uid: p.UID, version: p.Version, category: p.Category, gate: gate.Mask(), text: textOf(p), tags: siteTags(p),
		places: before.places, placed: before.placed, tree: before.tree, buyers: before.buyers, links: before.links}
	if before.text != slot.text {
		x.words.name(i, before.text, slot.text)
	}
	if known && (before.text != slot.text || before.gate != slot.gate || before.tags != slot.tags) {
		x.changedPrograms[i] = struct{}{}
	}
	return nil
}

// followPrograms gives what belongs to programs that have changed what it has of
// them: campaigns the gate, places the tags of their sites.
func (x *Indexer) followPrograms() {
	for i := range x.changedPrograms {
		for c := x.programs.at(i).buyers; c != 0; c = x.details.at(c - 1).next {
			x.reindex(c - 1)
		}
		for at := x.programs.at(i).places; at != 0; at = x.places.at(at - 1).next {
			x.removeSite(at - 1)
			x.insertSite(at - 1)
		}
	}
	x.changedPrograms = emptied(x.changedPrograms)
}

// smallMap is the number of entries up to which a map is used again.
const smallMap = 1 << 10

// emptied is an empty map: the given one, or where it held much another. A walk over a
// map takes as long as the most that it ever held, so a map that a load has filled would
// cost each later publication a walk over the whole catalogue.
func emptied[K comparable, V any](m map[K]V) map[K]V {
	if len(m) > smallMap {
		return map[K]V{}
	}
	clear(m)
	return m
}

// textOf is what words are looked for in: the program's names and keywords, and
// its category in both languages.
func textOf(p *hexbid.Program) targeting.Text {
	texts := append([]string{p.DisplayName, p.Category.String(), p.Category.Chinese()}, p.AlternativeNames...)
	return targeting.NewText(append(texts, p.Keywords...)...)
}

func (x *Indexer) delete(r *store.Record) {
	meta := r.Meta()
	switch r.Resource.(type) {
	case *hexbid.Advertiser:
		i := x.byName[keyOf(meta.Name)]
		delete(x.byName, keyOf(meta.Name))
		delete(x.changedOwners, i)
		*x.accounts.edit(i) = account{}
		x.ordinals.advertisers.giveBack(i)
	case *hexbid.Program:
		x.deleteProgram(meta.Name)
	case *hexbid.Place:
		if i, shown := x.placeOf.get(meta.UID); shown { // not in review or hidden
			x.deletePlace(meta.UID, i)
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
	x.words.name(i, slot.text, "")
	*slot = program{}
	delete(x.byName, key)
	delete(x.changedPrograms, i)
	x.ordinals.programs.giveBack(i)
	x.next.Programs--
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
