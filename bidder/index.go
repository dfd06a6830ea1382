package bidder

import (
	"context"
	"log/slog"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/targeting"
)

// index holds everything that an Indexer computes from a catalogue, in rooms. Each room is a type that owns its fields
// and has a file and tests of its own:
//
//	records     what the catalogue says
//	live        what campaigns are worth right now
//	balances    what advertisers can pay
//	programs    what campaigns are worth of which nothing has been handed in
//	words       which campaigns and programs a token leads to
//	sites       where places are
//	marks       where the one place of a program is, in the records of its campaigns
//	surrounds   the coverings around places
//	postings    which lists a campaign stands in (with lists, which it owns)
//
// A change that concerns only its own record enters the rooms at once. Its effects on other records may change many
// times before anyone sees them, so they wait for the next publication.
type index struct {
	market *Market
	coming *Market // comes into force when caps bound the scores by it; nil for none
	clock  func() time.Time
	log    *slog.Logger

	version uint64    // of the catalogue
	quarter time.Time // that schedules are evaluated ahead for

	records   *records
	live      *liveStates
	balances  *balances
	programs  *programQualities
	words     wordWriter
	sites     *sites
	marks     *marks
	surrounds *surrounds
	postings  *postings

	rules     ruleSet
	interner  geoindex.Interner
	reserves  []reserveRule
	distances *distances

	turnedOwners    map[uint32]struct{} // advertisers whose campaigns still have to follow a pause or a cap
	changedPrograms map[uint32]struct{} // whose campaigns and sites still have the old gates and tags
	publications    uint64
}

func newIndex(market *Market, clock func() time.Time, log *slog.Logger, live *liveStates, b *balances) *index {
	r := newRecords()
	s := newSurrounds(r)
	return &index{market: market, clock: clock, log: log, quarter: clock().Truncate(targeting.Quarter),
		reserves: compileReserves(market.Reserves), distances: compileDistances(&market.Distance),
		records: r, live: live, balances: b, programs: newProgramQualities(), words: newWordWriter(),
		sites: newSites(r), marks: newMarks(r), surrounds: s, postings: newPostings(r, s, market.Distance.Count(), log),
		turnedOwners: map[uint32]struct{}{}, changedPrograms: map[uint32]struct{}{}}
}

// load indexes every record of a store. The next publication shows them.
func (x *index) load(ctx context.Context, from Catalogue) error {
	reported, n := time.Now(), 0
	s := supply{catalogue: from, log: x.log}
	var version uint64
	err := s.run(ctx, func(ctx context.Context, send func(*parcel) error) (err error) {
		version, err = s.scan(ctx, send)
		return err
	}, func(p *parcel) error {
		for i := range p.updates {
			n += len(p.updates[i].puts)
			x.applyAll(&p.updates[i])
		}
		if len(x.postings.waiting) >= mostWaiting {
			x.postAhead()
		}
		if time.Since(reported) > time.Second {
			reported = time.Now()
			x.log.Info("indexing the catalogue", "records", n)
		}
		return nil
	})
	if err != nil {
		return err
	}
	x.version = version
	x.live.open()
	x.balances.open()
	return nil
}

// logLoaded logs what a load has indexed, and how long it took with its publication.
func (x *index) logLoaded(started time.Time) {
	size := &x.records.size
	x.log.Info("indexed the catalogue", "version", x.version, "campaigns", size.campaigns, "programs", size.programs,
		"places", size.places, "took", time.Since(started).Round(time.Millisecond))
}

// apply indexes a change. It skips a change that the scan already included.
func (x *index) apply(u *update) {
	if u.version <= x.version {
		return // the scan has included it
	}
	x.applyAll(u)
	x.version = u.version
}

// applyAll indexes the records of an update: it puts a record after those that it refers to, and deletes it before
// them.
func (x *index) applyAll(u *update) {
	for kind := hexbid.KindCampaign; kind >= hexbid.KindAdvertiser && len(u.deletes) > 0; kind-- {
		for _, r := range u.deletes {
			if store.KindOf(r) == kind {
				x.delete(r)
			}
		}
	}
	for kind := hexbid.KindAdvertiser; kind <= hexbid.KindCampaign; kind++ {
		for i := range u.puts {
			if r := &u.puts[i]; store.KindOf(r.resource) == kind {
				x.putOrLeaveOut(r)
			}
		}
	}
}

// putOrLeaveOut indexes a record. A stored record was valid when it was written. If it cannot be indexed all the same,
// the index leaves it out and the market goes on without it.
func (x *index) putOrLeaveOut(r *incoming) {
	err := r.err
	if err == nil {
		err = x.put(r)
	}
	if err != nil {
		x.log.Error("a record cannot be indexed", "name", r.resource.Metadata().Name, "error", err)
		x.delete(r.resource)
	}
}

func (x *index) put(r *incoming) error {
	switch v := r.resource.(type) {
	case *hexbid.Advertiser:
		x.putAdvertiser(v)
	case *hexbid.Program:
		return x.putProgram(v)
	case *hexbid.Place:
		return x.putPlace(v)
	case *hexbid.Campaign:
		return x.putCampaign(v, r.covering)
	}
	return nil
}

func (x *index) putAdvertiser(a *hexbid.Advertiser) {
	i, before, turned := x.records.putAdvertiser(a)
	if turned {
		x.turnedOwners[i] = struct{}{}
	}
	if before == a.UID {
		return
	}
	if before != 0 {
		x.balances.leave(i, before)
	}
	x.balances.arrive(i, a.UID)
}

func (x *index) putProgram(p *hexbid.Program) error {
	i, before, now, err := x.records.putProgram(p)
	if err != nil {
		return err
	}
	if before.text != now.text {
		x.words.name(i, before.text, now.text)
	}
	isNew := before.uid == 0 // so no campaign or site refers to it yet
	if !isNew && (before.text != now.text || before.gate != now.gate || before.tags != now.tags) {
		x.changedPrograms[i] = struct{}{}
	}
	return nil
}

func (x *index) putPlace(p *hexbid.Place) error {
	parent, err := x.records.parentOf(p.Name)
	if err != nil {
		return err
	}
	x.deletePlace(p.UID)
	if p.Review == hexbid.Approved {
		x.marks.note(parent)
		i := x.records.addPlace(p, parent)
		x.sites.come(i)
		x.surrounds.come(i)
	}
	return nil
}

// delete takes a resource out of the index, if it is there.
func (x *index) delete(r hexbid.Resource) {
	meta := r.Metadata()
	switch r.(type) {
	case *hexbid.Advertiser:
		if i, known := x.records.dropAdvertiser(meta.Name); known {
			delete(x.turnedOwners, i)
			x.balances.leave(i, meta.UID)
		}
	case *hexbid.Program:
		if i, was, known := x.records.dropProgram(meta.Name); known {
			x.words.name(i, was.text, "")
			delete(x.changedPrograms, i)
			x.marks.drop(i)
		}
	case *hexbid.Place:
		x.deletePlace(meta.UID)
	case *hexbid.Campaign:
		if i, indexed := x.records.campaignOf.get(meta.UID); indexed {
			x.deleteCampaign(i)
		}
	}
}

// deletePlace removes a place. A place in review or hidden is not in the index, so there is nothing to remove.
func (x *index) deletePlace(uid hexbid.UID) {
	i, shown := x.records.placeOf.get(uid)
	if !shown {
		return
	}
	x.surrounds.leave(i)
	x.marks.note(x.records.places.at(i).program)
	x.sites.leave(i)
	x.records.dropPlace(i)
}

// take applies a hand-in to the live states, for the next publication.
func (x *index) take(owner Owner, updates []LiveUpdate) {
	for i := range updates {
		ordinal, isIndexed := x.records.campaignOf.get(updates[i].Campaign)
		if x.live.update(owner, &updates[i], isIndexed) {
			x.followLive(ordinal)
		}
	}
}
