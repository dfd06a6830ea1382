package exchange

import (
	"context"
	"strings"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/store"
)

// Get reads a resource.
func (e *Exchange) Get(ctx context.Context, name string) (hexbid.Resource, error) {
	if err := admit(ctx); err != nil {
		return nil, err
	}
	r, err := e.store.Get(ctx, name)
	return r.Resource, err
}

// List shows resources to visit in order of name, as store.Store says.
func (e *Exchange) List(ctx context.Context, q store.ListQuery, visit func(hexbid.Resource) (more bool)) (next string, err error) {
	if err := admit(ctx); err != nil {
		return "", err
	}
	return e.store.List(ctx, q, func(r store.Record) bool { return visit(r.Resource) })
}

// Create adds a resource; it returns when it is durable and searchable. When the
// context ends between the two, the write is a success all the same, for nothing
// takes it back; Searchable tells. With validateOnly it checks everything and changes
// nothing.
func (e *Exchange) Create(ctx context.Context, r hexbid.Resource, validateOnly bool) (hexbid.Resource, error) {
	if err := admit(ctx); err != nil {
		return nil, err
	}
	return e.write(ctx, r, 0, validateOnly)
}

// Searchable says whether searches see a resource as a write has returned it.
func (e *Exchange) Searchable(r hexbid.Resource) bool {
	return e.indexer.Snapshot().Version >= r.Metadata().Version
}

// Change makes the next state of a resource from the present one, which it
// must not alter.
type Change func(present hexbid.Resource) (hexbid.Resource, error)

// Update replaces a resource by what change makes of it; when it was created
// stays. A version other than store.AnyVersion must be the one in force. When
// another write comes between and any version will do, it is tried again. It returns
// as Create does.
func (e *Exchange) Update(ctx context.Context, name string, ifVersion uint64, validateOnly bool, change Change) (hexbid.Resource, error) {
	if err := admit(ctx); err != nil {
		return nil, err
	}
	const tries = 5
	for try := 1; ; try++ {
		present, err := e.store.Get(ctx, name)
		if err != nil {
			return nil, err
		}
		if ifVersion != store.AnyVersion && ifVersion != present.Meta().Version {
			return nil, staleError(name)
		}
		next, err := change(present.Resource)
		if err != nil {
			return nil, err
		}
		next.Metadata().CreatedAt = present.Meta().CreatedAt
		r, err := e.write(ctx, next, present.Meta().Version, validateOnly)
		if hexbid.KindOf(err) == hexbid.Stale && ifVersion == store.AnyVersion && try < tries {
			continue
		}
		return r, err
	}
}

func staleError(name string) error {
	return hexbid.Errorf(hexbid.Stale, "etag", "%q has changed since it was read: read it again", name)
}

func (e *Exchange) write(ctx context.Context, r hexbid.Resource, ifVersion uint64, validateOnly bool) (hexbid.Resource, error) {
	record, err := e.prepare(ctx, r, nil)
	if err != nil {
		return nil, err
	}
	change, err := func() (store.Change, error) {
		e.catalogue.Lock()
		defer e.catalogue.Unlock()
		if err := e.checkReferences(ctx, r, func(name string) (bool, error) { return e.exists(ctx, name) }); err != nil {
			return store.Change{}, err
		}
		return e.commitOne(ctx, store.Op{Put: record, IfVersion: ifVersion}, validateOnly)
	}()
	if err != nil {
		return nil, err
	}
	if validateOnly {
		return r, nil
	}
	_ = e.indexer.WaitFor(ctx, change.Version) // durable, searchable or not
	return change.Puts[0].Resource, nil
}

// commitOne judges and commits one step; with validateOnly it judges it only. A
// context that has ended by then changes nothing. The catalogue must be held.
func (e *Exchange) commitOne(ctx context.Context, op store.Op, validateOnly bool) (store.Change, error) {
	if err := ctx.Err(); err != nil {
		return store.Change{}, err
	}
	before, err := e.present(ctx, op.Name())
	if err != nil {
		return store.Change{}, err
	}
	if err := store.CheckCondition(&op, versionOf(before)); err != nil {
		return store.Change{}, err
	}
	if err := e.settle(ctx, &op, before); err != nil {
		return store.Change{}, err
	}
	var after store.Record
	if op.Put != nil {
		after = *op.Put
	}
	counts := e.usage.tally()
	if err := counts.replace(op.Name(), before, after); err != nil || validateOnly {
		return store.Change{}, err
	}
	change, err := e.store.Commit(ctx, []store.Op{op})
	if err == nil {
		counts.commit()
	}
	return change, err
}

// settle works out what a step says about a place's review. The catalogue must be held.
func (e *Exchange) settle(ctx context.Context, op *store.Op, before store.Record) (err error) {
	switch {
	case op.Verdict != nil: // the operator's own
	case op.Put == nil:
		op.Verdict, err = e.verdictToKeep(ctx, before.Resource)
	default:
		err = e.settleReview(ctx, op.Put.Resource, before.Resource, earlierOf(before.Resource, op.Put.Resource))
	}
	return err
}

// checkVersion judges a step without committing it.
func (e *Exchange) checkVersion(ctx context.Context, op *store.Op) error {
	r, err := e.present(ctx, op.Name())
	if err != nil {
		return err
	}
	return store.CheckCondition(op, versionOf(r))
}

// present is the record of a name, the zero Record when there is none.
func (e *Exchange) present(ctx context.Context, name string) (store.Record, error) {
	r, err := e.store.Get(ctx, name)
	if hexbid.KindOf(err) == hexbid.NotFound {
		return store.Record{}, nil
	}
	return r, err
}

// versionOf is the version of a record, 0 of the zero Record.
func versionOf(r store.Record) uint64 {
	if r.Resource == nil {
		return 0
	}
	return r.Meta().Version
}

// exists says whether there is a record of a name.
func (e *Exchange) exists(ctx context.Context, name string) (bool, error) {
	r, err := e.present(ctx, name)
	return r.Resource != nil, err
}

// prepare checks all that a resource alone can tell, stamps it and covers a
// campaign's area: the costly part of a write, outside any lock. What is known
// to be wrong with it is part of the error.
func (e *Exchange) prepare(ctx context.Context, r hexbid.Resource, known error) (*store.Record, error) {
	if err := e.check(r, known); err != nil {
		return nil, err
	}
	meta := r.Metadata()
	meta.UpdatedAt = e.config.Clock().UTC()
	if meta.CreatedAt.IsZero() {
		meta.CreatedAt = meta.UpdatedAt
	}
	record := &store.Record{Resource: r}
	if c, ok := r.(*hexbid.Campaign); ok {
		return record, cover(record, c)
	}
	return record, nil
}

// Check tells everything that is wrong with a resource, as far as it alone and
// the market's rules tell. What is known already, of fields that could not be
// converted, comes first, and nothing else is said about those fields.
func (e *Exchange) Check(ctx context.Context, r hexbid.Resource, known error) error {
	if err := admit(ctx); err != nil {
		return err
	}
	return e.check(r, known)
}

// check is Check for who has been admitted.
func (e *Exchange) check(r hexbid.Resource, known error) error {
	_, name := hexbid.ParseNameOf(store.KindOf(r), "name", r.Metadata().Name)
	found := hexbid.JoinErrors(name, r.Validate())
	if c, ok := r.(*hexbid.Campaign); ok {
		found = hexbid.JoinErrors(found, e.checkMinimumBid(c, hexbid.JoinErrors(known, found)), checkRegions("campaign.area", &c.Area), checkRegions("campaign.excluded_area", &c.Excluded))
	}
	return hexbid.JoinErrors(known, hexbid.WithoutFields(found, known))
}

// checkMinimumBid holds a bid that is sound so far to the market's minimum.
func (e *Exchange) checkMinimumBid(c *hexbid.Campaign, soFar error) error {
	errs, _ := hexbid.ErrorsOf(soFar)
	for _, err := range errs {
		if strings.HasPrefix(err.Field, "campaign.bid") || strings.HasPrefix(err.Field, "campaign.pricing") || strings.HasPrefix(err.Field, "campaign.host_bids") {
			return nil
		}
	}
	minimum := e.config.Market.MinimumBid[c.Pricing]
	if lowest, _ := c.BidRange(); lowest < minimum {
		return hexbid.Invalidf("campaign.bid_micros", "%s is below this market's minimum of %s for %s", lowest.Micros(), minimum.Micros(), c.Pricing)
	}
	return nil
}

func checkRegions(field string, a *hexbid.Area) error {
	var errs []error
	for _, code := range a.Regions {
		if _, err := geoindex.RegionByCode(code); err != nil {
			errs = append(errs, hexbid.Invalidf(field+".regions", "%v", err))
		}
	}
	return hexbid.JoinErrors(errs...)
}

// cover works out where a campaign is posted, but for the discs around its program's
// places: those are the index's, for they change when a place does.
func cover(record *store.Record, c *hexbid.Campaign) error {
	area, err := geoindex.CompileArea(&c.Area, &c.Excluded, nil)
	if err != nil {
		return err
	}
	record.Covering = area.Cover()
	return nil
}

// checkReferences looks for what a resource refers to; exists says whether a
// name is there. The catalogue must be held when a commit follows.
func (e *Exchange) checkReferences(ctx context.Context, r hexbid.Resource, exists func(name string) (bool, error)) error {
	name, err := hexbid.ParseName(r.Metadata().Name)
	if err != nil {
		return hexbid.Invalidf("name", "%v", err)
	}
	var parent, program error
	if up := name.Parent(); up.Kind != 0 {
		parent = checkExists("name", up.String(), exists)
	}
	if c, ok := r.(*hexbid.Campaign); ok {
		program = checkExists("campaign.program", c.Program, exists)
	}
	return hexbid.JoinErrors(parent, program)
}

func checkExists(field, name string, exists func(name string) (bool, error)) error {
	there, err := exists(name)
	if err == nil && !there {
		return hexbid.Errorf(hexbid.NotFound, field, "%q does not exist: create it first", hexbid.Shorten(name))
	}
	return err
}

// Delete removes a resource that nothing else needs; it returns when no search
// finds it any more, or when it is durably gone and the context ends. The operator's
// verdict on a place stays.
func (e *Exchange) Delete(ctx context.Context, name string, ifVersion uint64, validateOnly bool) error {
	if err := admit(ctx); err != nil {
		return err
	}
	n, err := hexbid.ParseName(name)
	if err != nil {
		return hexbid.Invalidf("name", "%v", err)
	}
	change, err := func() (store.Change, error) {
		e.catalogue.Lock()
		defer e.catalogue.Unlock()
		op := store.Op{Delete: name, IfVersion: ifVersion}
		if err := e.checkVersion(ctx, &op); err != nil {
			return store.Change{}, err
		}
		if err := e.checkUnused(ctx, n); err != nil {
			return store.Change{}, err
		}
		return e.commitOne(ctx, op, validateOnly)
	}()
	if err == nil && !validateOnly {
		_ = e.indexer.WaitFor(ctx, change.Version) // durable, searchable or not
	}
	return err
}

// checkUnused refuses to remove what another resource needs, and names one.
func (e *Exchange) checkUnused(ctx context.Context, n hexbid.Name) error {
	var needs []store.ListQuery
	switch n.Kind {
	case hexbid.KindAdvertiser:
		needs = []store.ListQuery{{Kind: hexbid.KindCampaign, Parent: n}, {Kind: hexbid.KindProgram, Parent: n}}
	case hexbid.KindProgram:
		needs = []store.ListQuery{{Kind: hexbid.KindPlace, Parent: n}}
		if err := e.checkNoBuyer(ctx, n); err != nil {
			return err
		}
	}
	for _, q := range needs {
		user, err := e.first(ctx, q, func(hexbid.Resource) bool { return true })
		if err != nil {
			return err
		}
		if user != "" {
			return inUseError(n.String(), user)
		}
	}
	return nil
}

// first is the name of the first resource of a list that is as it should be;
// empty when there is none.
func (e *Exchange) first(ctx context.Context, q store.ListQuery, is func(hexbid.Resource) bool) (name string, err error) {
	_, err = e.store.List(ctx, q, func(r store.Record) bool {
		if is(r.Resource) {
			name = r.Meta().Name
		}
		return name == ""
	})
	return name, err
}

func inUseError(name, user string) error {
	return hexbid.Errorf(hexbid.InUse, "name", "%q is needed by %q: delete that first", name, user)
}

// namesForAnError bounds what is looked at, while the catalogue is held, to name a
// campaign in an error.
const namesForAnError = 1000

// checkNoBuyer refuses to remove a program that campaigns buy for, and names one if
// it is soon found. The count tells, for an advertiser may have many campaigns of
// other programs.
func (e *Exchange) checkNoBuyer(ctx context.Context, program hexbid.Name) error {
	buyers := e.usage.buyersOf(program.String())
	if buyers == 0 {
		return nil
	}
	buyer, err := e.first(ctx, store.ListQuery{Kind: hexbid.KindCampaign, Parent: program.Owner(), Names: namesForAnError},
		func(r hexbid.Resource) bool { return r.(*hexbid.Campaign).Program == program.String() })
	if err != nil {
		return err
	}
	if buyer == "" {
		return hexbid.Errorf(hexbid.InUse, "name", "%q is needed by campaigns, %d in all: delete those first", program.String(), buyers)
	}
	return inUseError(program.String(), buyer)
}

// Serving says whether a campaign takes part in auctions at present, and why not.
type Serving func(*hexbid.Campaign) (serving bool, reason string)

// Serving judges campaigns under a context. It remembers the advertisers that it has
// looked up, so one is for the campaigns of one call.
func (e *Exchange) Serving(ctx context.Context) (Serving, error) {
	if err := admit(ctx); err != nil {
		return nil, err
	}
	return e.servingWith(ctx, nil), nil
}

// servingWith is Serving; with a trial, what that has accepted counts as stored.
func (e *Exchange) servingWith(ctx context.Context, t *trial) Serving {
	paused := map[string]bool{}
	return func(c *hexbid.Campaign) (bool, string) {
		name, _ := hexbid.ParseName(c.Name) // stored names parse
		owner := name.Owner().String()
		if _, known := paused[owner]; !known {
			paused[owner] = e.isPaused(ctx, owner, t)
		}
		return e.serving(c, paused[owner], t)
	}
}

func (e *Exchange) isPaused(ctx context.Context, advertiser string, t *trial) bool {
	if paused, known := t.pauses(advertiser); known {
		return paused
	}
	r, err := e.store.Get(ctx, advertiser)
	a, ok := r.Resource.(*hexbid.Advertiser)
	return err == nil && ok && a.State == hexbid.Paused
}

// approvedIn is the number of approved places of a program, those that a trial has
// accepted included.
func (e *Exchange) approvedIn(program string, t *trial) int64 {
	if t != nil {
		return t.counts.approvedIn(program)
	}
	return e.usage.approvedIn(program)
}

func (e *Exchange) serving(c *hexbid.Campaign, ownerPaused bool, t *trial) (bool, string) {
	now := e.config.Clock()
	if c.State == hexbid.Paused {
		return false, "the campaign is paused"
	}
	if ownerPaused {
		return false, "the advertiser is paused"
	}
	if rule := e.heldBackBy(c.UID); rule != bidder.Shown {
		return false, (&bidder.Verdict{Rule: rule}).Reason(nil)
	}
	if !c.Start.IsZero() && now.Before(c.Start) {
		return false, "its flight begins at " + c.Start.UTC().Format(time.RFC3339)
	}
	if !c.End.IsZero() && !now.Before(c.End) {
		return false, "its flight ended at " + c.End.UTC().Format(time.RFC3339)
	}
	if c.Area.OnlyAroundPlaces() && e.approvedIn(c.Program, t) == 0 {
		return false, "it serves around the program's places, and none is approved"
	}
	return true, ""
}
