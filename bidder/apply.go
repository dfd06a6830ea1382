package bidder

import (
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/targeting"
)

// apply indexes one batch. What a record refers to is put before it and
// deleted after it.
func (x *Indexer) apply(change *store.Change) {
	if change.Version <= x.version {
		return // the scan has seen it
	}
	for i := len(change.Deletes) - 1; i >= 0; i-- {
		x.delete(change.Deletes[i].Meta().Name)
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
	x.version = change.Version
}

func (x *Indexer) put(r *store.Record) error {
	switch v := r.Resource.(type) {
	case *hexbid.Advertiser:
		x.putAdvertiser(v)
	case *hexbid.Program:
		x.putProgram(v)
	case *hexbid.Place:
		x.putPlace(v)
	case *hexbid.Campaign:
		return x.putCampaign(r, v)
	}
	return nil
}

// ordinalOf finds a name's ordinal, or takes a new one.
func (x *Indexer) ordinalOf(name string, from *ordinals) (i uint32, isNew bool) {
	i, known := x.byName[name]
	if !known {
		i = from.take()
		x.byName[name] = i
	}
	return i, !known
}

func (x *Indexer) putAdvertiser(a *hexbid.Advertiser) {
	i, isNew := x.ordinalOf(a.Name, &x.ordinals.advertisers)
	if isNew {
		x.advertisers[i] = &advertiserState{uid: a.UID, campaigns: map[uint32]bool{}}
	}
	state, paused := x.advertisers[i], a.State == hexbid.Paused
	if state.paused == paused {
		return
	}
	state.paused = paused
	for c := range state.campaigns {
		x.setEligibility(c)
	}
}

func (x *Indexer) putProgram(p *hexbid.Program) {
	i, isNew := x.ordinalOf(p.Name, &x.ordinals.programs)
	if isNew {
		x.counts.programs++
		x.buyers[i] = map[uint32]bool{}
	}
	x.programNouns[i] = p
	slot := x.programs.edit(i)
	*slot = program{name: p.Name, uid: p.UID, version: p.Version, category: p.Category,
		gate: x.rules.intern(targeting.Gate(p)), text: textOf(p), places: slot.places}
	if isNew {
		return
	}
	for _, at := range slot.places { // their tags follow the program
		x.removeSite(at)
		x.insertSite(at)
	}
	x.reindexBuyers(i, func(*hexbid.Campaign) bool { return true })
}

// textOf is what words are looked for in: the program's names and keywords, and
// its category in both languages.
func textOf(p *hexbid.Program) []string {
	texts := append([]string{p.DisplayName, p.Category.String(), p.Category.Chinese()}, p.AlternativeNames...)
	return targeting.TextTokens(append(texts, p.Keywords...)...)
}

// reindexBuyers indexes campaigns of a program again.
func (x *Indexer) reindexBuyers(program uint32, which func(*hexbid.Campaign) bool) {
	for c := range x.buyers[program] {
		r := x.campaignNouns[c]
		if noun := r.Resource.(*hexbid.Campaign); which(noun) {
			if err := x.putCampaign(r, noun); err != nil {
				x.log.Error("a campaign cannot be indexed again", "name", noun.Name, "error", err)
			}
		}
	}
}

func goesAroundPlaces(c *hexbid.Campaign) bool {
	return c.Area.AroundPlacesM > 0 || c.Excluded.AroundPlacesM > 0
}

func (x *Indexer) putPlace(p *hexbid.Place) {
	name, _ := hexbid.ParseName(p.Name) // stored names parse
	parent, known := x.byName[name.Parent().String()]
	if !known {
		return // a program cannot be deleted before its places
	}
	if _, there := x.byName[p.Name]; there {
		x.deletePlace(p.Name)
	}
	if p.Review == hexbid.Approved {
		i, _ := x.ordinalOf(p.Name, &x.ordinals.places)
		v := geoindex.VecOf(p.Point)
		*x.places.edit(i) = place{name: p.Name, uid: p.UID, version: p.Version, program: parent, point: p.Point, text: targeting.TextTokens(p.DisplayName),
			site: geoindex.Site{Vec: v, Cell: geoindex.CellAt(v), Tie: uint64(p.UID), Ordinal: i, Group: parent}}
		slot := x.programs.edit(parent)
		slot.places = append(slices.Clone(slot.places), i)
		x.insertSite(i)
		x.counts.places++
	}
	x.reindexBuyers(parent, goesAroundPlaces)
}

func (x *Indexer) insertSite(at uint32) {
	p := x.places.edit(at)
	parent := x.programs.at(p.program)
	p.site.Rank, p.site.Tags = uint64(parent.uid), siteTags(x.programNouns[p.program])
	p.site.Has = targeting.Signature(parent.text) | targeting.Signature(p.text)
	x.editSites().Insert(p.site)
}

func (x *Indexer) removeSite(at uint32) { x.editSites().Delete(at, x.places.at(at).site.Cell) }

func (x *Indexer) editSites() *geoindex.Edit {
	if x.siteEdit == nil {
		x.siteEdit = x.sites.Edit()
	}
	return x.siteEdit
}

// placesOf are the points of a program's approved places.
func (x *Indexer) placesOf(program uint32) []hexbid.Point {
	var points []hexbid.Point
	for _, at := range x.programs.at(program).places {
		points = append(points, x.places.at(at).point)
	}
	return points
}

// PlacesFingerprint stands for a set of places, in any order; a covering that
// goes around them holds as long as it does not change.
func PlacesFingerprint(points []hexbid.Point) (sum uint64) {
	for _, p := range points {
		var b [16]byte
		for i, bits := range []uint64{math.Float64bits(p.Lat), math.Float64bits(p.Lng)} {
			for j := range 8 {
				b[8*i+j] = byte(bits >> (8 * j))
			}
		}
		sum += xxhash.Sum64(b[:])
	}
	return sum
}

func (x *Indexer) putCampaign(r *store.Record, c *hexbid.Campaign) error {
	buys, known := x.byName[c.Program]
	if !known {
		return hexbid.Errorf(hexbid.Internal, "campaign.program", "%q is not indexed", c.Program)
	}
	places := x.placesOf(buys)
	area, err := geoindex.CompileArea(&c.Area, &c.Excluded, places, &x.interner)
	if err != nil {
		return err
	}
	schedule, err := targeting.CompileSchedule(c)
	if err != nil {
		return err
	}
	covering := r.Covering
	if len(covering) == 0 || goesAroundPlaces(c) && r.CoveredPlaces != PlacesFingerprint(places) {
		covering = area.Cover()
	}
	name, _ := hexbid.ParseName(c.Name) // stored names parse
	owner := x.byName[name.Owner().String()]
	i, isNew := x.ordinalOf(c.Name, &x.ordinals.campaigns)
	if isNew {
		x.counts.campaigns++
	} else {
		x.unpost(i)
		delete(x.buyers[x.campaigns.at(i).program], i)
	}
	p := x.programs.at(buys)
	quality := x.market.PriorPPM[p.category]
	_, highest := c.BidRange()
	keywords := targeting.CompileKeywords(c.Keywords)
	*x.campaigns.edit(i) = campaign{
		name: c.Name, uid: c.UID, version: c.Version, owner: x.advertisers[owner].uid, advertiser: owner, program: buys, pricing: c.Pricing, category: p.category,
		bid: c.Bid, hostBids: hostBids(c), qualityPPM: quality, pacingPPM: auction.PPM, cap: auction.Score(c.Pricing, highest, quality),
		area: area, rule: x.rules.intern(targeting.Compile(c, *p.gate, keywords, p.text)), schedule: &schedule, keywords: keywords,
	}
	x.campaignNouns[i] = r
	x.buyers[buys][i] = true
	x.advertisers[owner].campaigns[i] = true
	x.setEligibility(i)
	x.post(i, covering)
	return nil
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

// setEligibility works out a campaign's three bits.
func (x *Indexer) setEligibility(i uint32) {
	word, bit := x.eligibility.edit(i/64), uint64(1)<<(i%64)
	word.active, word.timely, word.check = word.active&^bit, word.timely&^bit, word.check&^bit
	c := x.campaigns.at(i)
	if c.name == "" {
		return
	}
	if x.campaignNouns[i].Resource.(*hexbid.Campaign).State != hexbid.Paused && !x.advertisers[c.advertiser].paused {
		word.active |= bit
	}
	some, all := c.schedule.DuringQuarter(x.quarter)
	if some {
		word.timely |= bit
	}
	if some && !all {
		word.check |= bit
	}
}

func (x *Indexer) post(i uint32, covering []geoindex.Posting) {
	c := x.campaigns.at(i)
	for _, p := range covering {
		e := x.editList(p.Key)
		e.add = append(e.add, posting{ordinal: i, full: p.Full, cap: c.cap, rule: c.rule})
	}
	x.postedUnder[i] = covering
}

// unpost takes a campaign off its lists; an addition that no snapshot has seen
// yet is taken back.
func (x *Indexer) unpost(i uint32) {
	for _, p := range x.postedUnder[i] {
		e := x.editList(p.Key)
		e.add = slices.DeleteFunc(e.add, func(p posting) bool { return p.ordinal == i })
		e.remove[i] = true
	}
	delete(x.postedUnder, i)
}

func (x *Indexer) editList(k geoindex.Key) *listEdit {
	e := x.edits[k]
	if e == nil {
		e = &listEdit{remove: map[uint32]bool{}}
		x.edits[k] = e
	}
	return e
}

func (x *Indexer) delete(name string) {
	n, _ := hexbid.ParseName(name) // stored names parse
	i, known := x.byName[name]
	if !known {
		return // a place that is in review or hidden
	}
	switch n.Kind {
	case hexbid.KindAdvertiser:
		delete(x.advertisers, i)
		x.ordinals.advertisers.giveBack(i)
	case hexbid.KindProgram:
		*x.programs.edit(i) = program{}
		delete(x.programNouns, i)
		delete(x.buyers, i)
		x.ordinals.programs.giveBack(i)
		x.counts.programs--
	case hexbid.KindPlace:
		parent := x.places.at(i).program
		x.deletePlace(name)
		x.reindexBuyers(parent, goesAroundPlaces)
		return
	case hexbid.KindCampaign:
		x.deleteCampaign(i)
	}
	delete(x.byName, name)
}

func (x *Indexer) deletePlace(name string) {
	i := x.byName[name]
	x.removeSite(i)
	slot := x.programs.edit(x.places.at(i).program)
	slot.places = slices.DeleteFunc(slices.Clone(slot.places), func(at uint32) bool { return at == i })
	*x.places.edit(i) = place{}
	x.ordinals.places.giveBack(i)
	delete(x.byName, name)
	x.counts.places--
}

func (x *Indexer) deleteCampaign(i uint32) {
	c := *x.campaigns.at(i)
	x.unpost(i)
	delete(x.buyers[c.program], i)
	delete(x.advertisers[c.advertiser].campaigns, i)
	delete(x.campaignNouns, i)
	*x.campaigns.edit(i) = campaign{}
	x.setEligibility(i)
	x.ordinals.campaigns.giveBack(i)
	x.counts.campaigns--
}

// ruleSet keeps one copy of equal rules: audiences repeat. Rules that nothing
// uses any more stay until a restart.
type ruleSet map[targeting.Rule]*targeting.Rule

func (s ruleSet) intern(r targeting.Rule) *targeting.Rule {
	if same, ok := s[r]; ok {
		return same
	}
	s[r] = &r
	return &r
}
