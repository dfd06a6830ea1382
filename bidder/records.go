package bidder

import (
	"crypto/sha256"
	"iter"
	"slices"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder/auction"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/targeting"
)

// records is the room of what the catalogue says: a record for each campaign, program, place and advertiser by its
// ordinal, the names and uids that lead to ordinals, and two kinds of chains. One leads from a program to its places
// and campaigns, the other from an advertiser to its programs. Other rooms read it. It knows nothing of them.
type records struct {
	campaigns   pagedWriter[campaign]
	details     pagedWriter[detail]
	specifics   sparseWriter[specifics]
	programs    pagedWriter[program]
	places      pagedWriter[place]
	advertisers pagedWriter[advertiser]
	caps        sparseWriter[hexbid.FrequencyCap] // of advertisers
	terms       growing[terms]                    // by campaign
	accounts    growing[account]                  // by advertiser

	ordinals   struct{ campaigns, programs, places, advertisers ordinals }
	campaignOf *sharedUIDs // snapshots look uids up in it too
	placeOf    uidMap
	programOf  uidMap
	ownerOf    uidMap                                            // advertisers
	byName     map[nameKey]uint32                                // programs and advertisers, which other records name
	size       struct{ campaigns, capped, programs, places int } // capped: campaigns with a cap
}

// terms holds the fields of a campaign that only the index's writer needs.
type terms struct {
	audience targeting.Mask // without its program's gate
	paused   bool
}

// account holds the fields of an advertiser that only the index's writer needs.
type account struct {
	paused   bool
	programs uint32 // start of the chain of them
}

// nameKey is half of the SHA-256 of a name, so that the index need not hold millions of names.
type nameKey [16]byte

func keyOf(name string) nameKey {
	sum := sha256.Sum256([]byte(name))
	return nameKey(sum[:16])
}

func newRecords() *records {
	return &records{campaignOf: &sharedUIDs{uids: newUIDMap()}, placeOf: newUIDMap(),
		programOf: newUIDMap(), ownerOf: newUIDMap(),
		byName: map[nameKey]uint32{}}
}

// parentOf returns the ordinal of the parent of a named resource.
func (r *records) parentOf(name string) (uint32, error) {
	n, _ := hexbid.ParseName(name) // stored names parse
	i, known := r.byName[keyOf(n.Parent().String())]
	if !known {
		return 0, hexbid.Errorf(hexbid.Internal, "name", "what %q belongs to is not indexed", name)
	}
	return i, nil
}

// putAdvertiser stores an advertiser. It returns the uid that its name had before, 0 for none, and reports whether
// something has turned that its campaigns follow: the advertiser was paused or resumed, or got or lost a frequency cap.
func (r *records) putAdvertiser(a *hexbid.Advertiser) (i uint32, before hexbid.UID, turned bool) {
	key := keyOf(a.Name)
	i, known := r.byName[key]
	if !known {
		i = r.ordinals.advertisers.take()
		r.byName[key] = i
		r.accounts.clear(i)
	} else if before = r.advertisers.at(i).uid; before != a.UID {
		r.ownerOf.drop(before)
	}
	r.advertisers.edit(i).uid = a.UID
	r.ownerOf.set(a.UID, i)
	owner, paused := r.accounts.at(i), a.State == hexbid.Paused
	turned = r.setOwnersCap(i, a.Cap) || owner.paused != paused
	owner.paused = paused
	return i, before, turned
}

// setOwnersCap stores the frequency cap of an advertiser and reports whether the advertiser got or lost one.
func (r *records) setOwnersCap(i uint32, cap hexbid.FrequencyCap) (turned bool) {
	now := someCap(cap)
	before := r.caps.get(r.advertisers.at(i).cap)
	if before == nil && now == nil || before != nil && now != nil && *before == *now {
		return false
	}
	r.caps.set(&r.advertisers.edit(i).cap, now)
	return (before == nil) != (now == nil)
}

// someCap returns a cap to store, nil for one that limits nothing.
func someCap(cap hexbid.FrequencyCap) *hexbid.FrequencyCap {
	if cap.Impressions == 0 {
		return nil
	}
	return &cap
}

func (r *records) dropAdvertiser(name string) (i uint32, known bool) {
	key := keyOf(name)
	if i, known = r.byName[key]; known {
		delete(r.byName, key)
		r.setOwnersCap(i, hexbid.FrequencyCap{})
		r.ownerOf.drop(r.advertisers.at(i).uid)
		r.accounts.clear(i)
		r.ordinals.advertisers.giveBack(i)
	}
	return i, known
}

// putProgram stores a program and returns its record before and now.
func (r *records) putProgram(p *hexbid.Program) (i uint32, before, now program, err error) {
	owner, err := r.parentOf(p.Name)
	if err != nil {
		return 0, before, now, err
	}
	key := keyOf(p.Name)
	i, known := r.byName[key]
	if !known {
		i = r.ordinals.programs.take()
		r.byName[key] = i
		join(&r.programs, &r.accounts.at(owner).programs, i)
		r.size.programs++
	}
	slot, gate := r.programs.edit(i), targeting.Gate(p)
	before, now = *slot, *slot
	now.uid, now.version, now.category, now.gate, now.text, now.tags = p.UID, p.Version, p.Category, gate.Mask(),
		textOf(p), siteTags(p)
	*slot = now
	if before.uid != 0 && before.uid != p.UID {
		r.programOf.drop(before.uid)
	}
	r.programOf.set(p.UID, i)
	return i, before, now, nil
}

// textOf returns the text that words are looked for in: the program's names and keywords, and its category in both
// languages.
func textOf(p *hexbid.Program) targeting.Text {
	texts := append([]string{p.DisplayName, p.Category.String(), p.Category.Chinese()}, p.AlternativeNames...)
	return targeting.NewText(append(texts, p.Keywords...)...)
}

func (r *records) dropProgram(name string) (i uint32, was program, known bool) {
	key := keyOf(name)
	if i, known = r.byName[key]; !known {
		return 0, was, false
	}
	if owner, err := r.parentOf(name); err == nil {
		leave(&r.programs, &r.accounts.at(owner).programs, i)
	}
	slot := r.programs.edit(i)
	was, *slot = *slot, program{}
	r.programOf.drop(was.uid)
	delete(r.byName, key)
	r.ordinals.programs.giveBack(i)
	r.size.programs--
	return i, was, true
}

func (r *records) addPlace(p *hexbid.Place, parent uint32) (i uint32) {
	i, v := r.ordinals.places.take(), geoindex.VecOf(p.Point)
	r.placeOf.set(p.UID, i)
	*r.places.edit(i) = place{uid: p.UID, version: p.Version, program: parent, vec: v, cell: geoindex.CellAt(v),
		text: targeting.NewText(p.DisplayName)}
	of := r.programs.edit(parent)
	join(&r.places, &of.places, i)
	of.placed++
	r.size.places++
	return i
}

func (r *records) dropPlace(i uint32) {
	p := *r.places.at(i)
	of := r.programs.edit(p.program)
	leave(&r.places, &of.places, i)
	of.placed--
	*r.places.edit(i) = place{}
	r.ordinals.places.giveBack(i)
	r.placeOf.drop(p.uid)
	r.size.places--
}

// campaignSlot returns the ordinal of a campaign, a new one for an unknown uid.
func (r *records) campaignSlot(uid hexbid.UID) (i uint32, isNew bool) {
	i, known := r.campaignOf.get(uid)
	if known {
		return i, false
	}
	i = r.ordinals.campaigns.take()
	r.campaignOf.set(uid, i)
	*r.campaigns.edit(i), *r.details.edit(i) = campaign{uid: uid}, detail{}
	r.terms.clear(i)
	r.size.campaigns++
	return i, true
}

// setProgram moves a campaign into its program's chain.
func (r *records) setProgram(campaign, program uint32, isNew bool) {
	if before := r.details.at(campaign).program; !isNew {
		if before == program {
			return // most changes keep the program
		}
		leave(&r.details, &r.programs.edit(before).buyers, campaign)
	}
	r.details.edit(campaign).program = program
	join(&r.details, &r.programs.edit(program).buyers, campaign)
}

func (r *records) dropCampaign(i uint32) {
	d := r.details.edit(i)
	leave(&r.details, &r.programs.edit(d.program).buyers, i)
	r.specifics.set(&d.specifics, nil)
	r.setBits(i, 0)
	r.campaignOf.drop(r.campaigns.at(i).uid)
	*r.campaigns.edit(i), *r.details.edit(i) = campaign{}, detail{}
	r.terms.clear(i)
	r.ordinals.campaigns.giveBack(i)
	r.size.campaigns--
}

// specificsOf returns a campaign's specifics.
func (r *records) specificsOf(campaign uint32) *specifics {
	return r.details.at(campaign).ask(sparse[specifics]{r.specifics.paged})
}

// setSpecifics stores a campaign's specifics, or none for a plain campaign.
func (r *records) setSpecifics(campaign uint32, own specifics) {
	if !own.arePlain() {
		stored := own
		r.specifics.set(&r.details.edit(campaign).specifics, &stored)
	} else if r.details.at(campaign).specifics != 0 {
		r.specifics.set(&r.details.edit(campaign).specifics, nil)
	}
}

// setBits stores a campaign's bits and counts the capped campaigns.
func (r *records) setBits(i uint32, now campaignBits) {
	c := r.campaigns.edit(i)
	if now.isCapped() != c.has.isCapped() {
		if r.size.capped++; c.has.isCapped() {
			r.size.capped -= 2
		}
	}
	c.has = now
}

// bestScore returns the best ordinary score that a campaign can have at present on any host. Learned factors only
// lower what it gets in a search; a search that explores raises it to at most the double.
func (r *records) bestScore(i uint32) int64 {
	c := r.campaigns.at(i)
	_, score := auction.Pace(c.pricing, r.highestBid(i), c.worth.multiplierPPM(), c.worth.qualityPPM())
	return score
}

// highestBid returns a campaign's highest bid on any host.
func (r *records) highestBid(i uint32) hexbid.Money {
	if bids := r.specificsOf(i).hostBids; bids != nil {
		return slices.Max(bids[:])
	}
	return r.campaigns.at(i).bid
}

// onlyPlaceOf returns the one place of a program, or the zero value when it has none or several.
func (r *records) onlyPlaceOf(program uint32) onlyPlace {
	if p := r.programs.at(program); p.placed == 1 {
		return onlyPlace{true, r.places.at(p.places - 1).vec}
	}
	return onlyPlace{}
}

// placesOf yields the approved places of a program.
func (r *records) placesOf(program uint32) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for at := r.programs.at(program).places; at != 0 && yield(at-1); {
			at = r.places.at(at - 1).next
		}
	}
}

// buyersOf yields the campaigns that buy for a program.
func (r *records) buyersOf(program uint32) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for at := r.programs.at(program).buyers; at != 0 && yield(at-1); {
			at = r.details.at(at - 1).next
		}
	}
}

// ownedBy yields the campaigns of an advertiser.
func (r *records) ownedBy(advertiser uint32) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for at := r.accounts.at(advertiser).programs; at != 0; at = r.programs.at(at - 1).next {
			for campaign := range r.buyersOf(at - 1) {
				if !yield(campaign) {
					return
				}
			}
		}
	}
}

// all yields the ordinals of all campaigns.
func (r *records) all() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for i := range r.ordinals.campaigns.next {
			if r.campaigns.at(i).uid != 0 && !yield(i) {
				return
			}
		}
	}
}

// freezeInto shares the present records with a snapshot.
func (r *records) freezeInto(s *Snapshot) {
	s.Campaigns, s.Programs, s.Places = r.size.campaigns, r.size.programs, r.size.places
	s.campaigns, s.details, s.specifics = r.campaigns.freeze(), r.details.freeze(), r.specifics.freeze()
	s.programs, s.places, s.advertisers = r.programs.freeze(), r.places.freeze(), r.advertisers.freeze()
	s.caps, s.capped = r.caps.freeze(), r.size.capped
	s.campaignOf = r.campaignOf
}
