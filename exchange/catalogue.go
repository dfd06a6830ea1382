package exchange

import (
	"context"
	"strings"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/geoindex"
	"github.com/hexbid/hexbid/store"
)

// Get reads a resource.
func (e *Exchange) Get(ctx context.Context, name string) (hexbid.Resource, error) {
	if err := e.admit(ctx, access.On(access.Get, kindOf(name)), name); err != nil {
		return nil, err
	}
	r, err := e.catalogue(ctx).Get(ctx, name)
	return r.Resource, err
}

// List calls visit with the matching resources in order of name, as store.Store documents.
func (e *Exchange) List(ctx context.Context, q store.ListQuery,
	visit func(hexbid.Resource) (more bool)) (next string, err error) {
	if err := e.admit(ctx, access.On(access.List, q.Kind), q.Parent.String()); err != nil {
		return "", err
	}
	return e.catalogue(ctx).List(ctx, q, func(r store.Record) bool { return visit(r.Resource) })
}

// Create adds a resource. It returns when the write is durable, its budget and status are in the ledger, and searches
// see it. If the context ends before searches do, Create still succeeds, because nothing undoes the write; Searchable
// tells the caller. If the ledger does not have it by then, the error is Unavailable, and the write stays stored. With
// validateOnly it checks everything and changes nothing.
func (e *Exchange) Create(ctx context.Context, r hexbid.Resource, validateOnly bool) (hexbid.Resource, error) {
	if err := e.admit(ctx, access.On(access.Create, store.KindOf(r)), r.Metadata().Name); err != nil {
		return nil, err
	}
	if err := e.complete(ctx, r, nil); err != nil {
		return nil, err
	}
	d, err := e.prepare(r, nil)
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		written, err := e.put(ctx, d, store.Record{}, validateOnly)
		if !cameBetween(err, try) {
			return written, err
		}
	}
}

// Searchable reports whether searches see a resource in the version that a write returned.
func (e *Exchange) Searchable(r hexbid.Resource) bool {
	return e.indexer.Snapshot().Version >= r.Metadata().Version
}

// Etag returns the etag of a resource in its version.
func (e *Exchange) Etag(r hexbid.Resource) string { return e.etags.Of(r.Metadata()) }

// VersionOf returns the version that an etag is of. No version of any resource is that of an etag which was made up.
func (e *Exchange) VersionOf(etag string) (uint64, error) { return e.etags.Open(etag) }

// Edit makes the next state of a resource from the present one, which it must not alter.
type Edit func(present hexbid.Resource) (hexbid.Resource, error)

// Update replaces a resource with the result of edit and keeps its creation time. An ifVersion other than
// store.AnyVersion must be the present version. With store.AnyVersion, Update tries again when another write comes
// between. It returns as Create does.
func (e *Exchange) Update(ctx context.Context, name string, ifVersion uint64, validateOnly bool,
	edit Edit) (hexbid.Resource, error) {
	if err := e.admit(ctx, access.On(access.Update, kindOf(name)), name); err != nil {
		return nil, err
	}
	return e.update(ctx, name, ifVersion, validateOnly, edit)
}

// update is Update for a caller already admitted.
func (e *Exchange) update(ctx context.Context, name string, ifVersion uint64, validateOnly bool,
	edit Edit) (hexbid.Resource, error) {
	for try := 1; ; try++ {
		present, err := e.read(ctx, name, ifVersion)
		if err != nil {
			return nil, err
		}
		next, err := edit(present.Resource)
		if err != nil {
			return nil, err
		}
		next.Metadata().CreatedAt = present.Meta().CreatedAt
		if err := e.complete(ctx, next, present.Resource); err != nil {
			return nil, err
		}
		d, err := e.prepare(next, nil)
		if err != nil {
			return nil, err
		}
		written, err := e.put(ctx, d, present, validateOnly)
		if !cameBetween(err, try) {
			return written, err
		}
	}
}

// tries bounds how often a write is tried while other writes keep coming between its read and its commit.
const tries = 5

// cameBetween reports whether another write came between and the caller may try again.
func cameBetween(err error, try int) bool { return hexbid.KindOf(err) == hexbid.Stale && try < tries }

// read returns the record of a name. The record must have the version ifVersion, unless that is store.AnyVersion.
func (e *Exchange) read(ctx context.Context, name string, ifVersion uint64) (store.Record, error) {
	present, err := e.catalogue(ctx).Get(ctx, name)
	if err == nil && ifVersion != store.AnyVersion && ifVersion != present.Meta().Version {
		err = hexbid.Errorf(hexbid.Stale, "etag", "%q has changed since it was read: read it again", name)
	}
	return present, err
}

// put commits a draft in place of present, the zero Record for none, and waits until it is searchable. The error is
// Stale when another write, or a verdict on a place, came between.
func (e *Exchange) put(ctx context.Context, d *draft, present store.Record,
	validateOnly bool) (hexbid.Resource, error) {
	found := earlierOf(present.Resource, d.resource)
	conditions, err := e.applyVerdict(ctx, d.resource, present.Resource, found)
	if err != nil {
		return nil, err
	}
	g := e.putting(e.stampOf(ctx), d, versionOf(present))
	g.Conditions = conditions
	change, err := e.commit(ctx, g, validateOnly)
	if err != nil {
		return nil, err
	}
	if validateOnly {
		keepUID(d.resource, present)
		return d.resource, nil
	}
	if err := e.settled(ctx, &g, change.Version); err != nil {
		return nil, err
	}
	return change.Puts[0].Resource, nil
}

// putting returns the group that puts a draft.
func (e *Exchange) putting(s stamp, d *draft, ifVersion uint64) store.Group {
	record := d.record()
	g := s.group(store.Step{Put: &record, IfVersion: ifVersion, Derived: d.derived})
	g.Limits = limitsOf(&record, &e.config.AdvertiserQuota)
	return g
}

// stamp says when, on whose behalf, by what way and with what credential a write arrives, and which change it undoes.
type stamp struct {
	at             time.Time
	who, from, key string
	undoes         uint64
}

func (e *Exchange) stampOf(ctx context.Context) stamp {
	caller := hexbid.PrincipalOf(ctx)
	who := hexbid.Principal{Role: caller.Role, ID: caller.ID}.String()
	return stamp{at: e.config.Clock().UTC(), who: who, from: caller.Origin, key: caller.Key}
}

// group returns a group of steps with the stamp.
func (s *stamp) group(steps ...store.Step) store.Group {
	return store.Group{Steps: steps, At: s.at, Who: s.who, From: s.from, Key: s.key, Undoes: s.undoes}
}

// commit commits a group, or with validateOnly judges it. If the context has already ended, commit changes nothing.
func (e *Exchange) commit(ctx context.Context, g store.Group, validateOnly bool) (store.Change, error) {
	commit := e.commitGroups
	switch {
	case validateOnly:
		commit = e.catalogue(ctx).Judge
	case concernsCallers(&g):
		commit = e.catalogue(ctx).Commit
	}
	outcomes, err := commit(ctx, []store.Group{g})
	if err != nil {
		return store.Change{}, err
	}
	if outcomes[0].Err == nil && !validateOnly && concernsCallers(&g) {
		e.callersLate.committed(outcomes[0].Change.Version)
	}
	return e.told(ctx, &g, &outcomes[0])
}

// commitGroups commits groups, unless the ledger cannot take what they change.
func (e *Exchange) commitGroups(ctx context.Context, groups []store.Group) ([]store.Outcome, error) {
	if err := e.terms.admit(); err != nil {
		return nil, err
	}
	return e.catalogue(ctx).Commit(ctx, groups)
}

// searchable waits until the ledger has a version of the catalogue and searches see it. It fails if the ledger does not
// take the version, because the limits of that version are then not in force. If the context ends while only searches
// are behind, it succeeds: nothing undoes the write any more.
func (e *Exchange) searchable(ctx context.Context, version uint64) error {
	if err := e.terms.settle(ctx, version); err != nil {
		return err
	}
	_ = e.indexer.WaitFor(ctx, version)
	return nil
}

// settled returns when a group that was committed is in force: searches see it or follow it, or callers are known by
// it.
func (e *Exchange) settled(ctx context.Context, g *store.Group, version uint64) error {
	if concernsCallers(g) {
		return e.inForce(ctx, version)
	}
	if concernsMarket(g) {
		e.market.waitFor(ctx, version)
	}
	return e.searchable(ctx, version)
}

// present returns the record of a name, the zero Record when there is none.
func (e *Exchange) present(ctx context.Context, name string) (store.Record, error) {
	r, err := e.catalogue(ctx).Get(ctx, name)
	if hexbid.KindOf(err) == hexbid.NotFound {
		return store.Record{}, nil
	}
	return r, err
}

// versionOf returns the version of a record, 0 for the zero Record.
func versionOf(r store.Record) uint64 {
	if r.Resource == nil {
		return 0
	}
	return r.Meta().Version
}

// draft is a resource that is ready to be put: checked, stamped, and complete with its derivations.
type draft struct {
	resource hexbid.Resource
	declared store.Record   // by the resource, unless its review state or its quota changes
	derived  *store.Derived // for a campaign
}

// record returns the record that the engine stores.
func (d *draft) record() store.Record {
	switch d.resource.(type) {
	case *hexbid.Place, *hexbid.Advertiser: // whose review state or quota may have come since
		return store.Declare(d.resource, 0)
	}
	return d.declared
}

// prepare makes a draft: it checks everything that the resource alone shows, stamps it, and covers a campaign's area.
// This is the costly part of a write. The error includes what is already known to be wrong.
func (e *Exchange) prepare(r hexbid.Resource, known error) (*draft, error) {
	if err := e.check(r, known); err != nil {
		return nil, err
	}
	meta := r.Metadata()
	meta.UpdatedAt = e.config.Clock().UTC()
	if meta.CreatedAt.IsZero() {
		meta.CreatedAt = meta.UpdatedAt
	}
	c, isCampaign := r.(*hexbid.Campaign)
	if !isCampaign {
		return &draft{resource: r, declared: store.Declare(r, 0)}, nil
	}
	derived, cells, err := bidder.Derive(c)
	return &draft{resource: r, declared: store.Declare(r, cells), derived: derived}, err
}

// Check returns everything that is wrong with a resource, as far as the resource and the market's rules show. known
// holds errors of fields that could not be converted. They come first, and Check adds nothing about those fields.
func (e *Exchange) Check(ctx context.Context, r hexbid.Resource, known error) error {
	if err := e.admit(ctx, access.On(access.Update, store.KindOf(r)), r.Metadata().Name); err != nil {
		return err
	}
	return e.check(r, known)
}

// check is Check for a caller already admitted.
func (e *Exchange) check(r hexbid.Resource, known error) error {
	_, name := hexbid.ParseNameOf(store.KindOf(r), "name", r.Metadata().Name)
	found := hexbid.JoinErrors(name, r.Validate())
	if c, ok := r.(*hexbid.Campaign); ok {
		found = hexbid.JoinErrors(found, e.checkMinimumBid(c, hexbid.JoinErrors(known, found)),
			checkRegions("campaign.area", &c.Area), checkRegions("campaign.excluded_area", &c.Excluded))
	}
	if m, ok := r.(*hexbid.Market); ok && found == nil {
		found = CheckMarket(m)
	}
	return hexbid.JoinErrors(known, hexbid.WithoutFields(found, known))
}

// checkMinimumBid compares a bid with the market's minimum, if the bid has no error so far.
func (e *Exchange) checkMinimumBid(c *hexbid.Campaign, soFar error) error {
	errs, _ := hexbid.ErrorsOf(soFar)
	for _, err := range errs {
		if strings.HasPrefix(err.Field, "campaign.bid") || strings.HasPrefix(err.Field, "campaign.pricing") ||
			strings.HasPrefix(err.Field, "campaign.host_bids") {
			return nil
		}
	}
	minimum := e.market.operator.Load().MinimumBid[c.Pricing]
	if lowest, _ := c.BidRange(); lowest < minimum {
		return hexbid.Invalidf("campaign.bid_micros", "%s is below this market's minimum of %s for %s", lowest.Micros(),
			minimum.Micros(), c.Pricing)
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

// checkReferences looks up what a record refers to; exists reports whether a name is stored. The engine judges
// references again at the commit. This check lets a row and a dry run report all errors at once.
func (e *Exchange) checkReferences(ctx context.Context, refers []store.Reference,
	exists func(name string) (bool, error)) error {
	var missing []error
	for i := range refers {
		there, err := exists(refers[i].Name)
		if err == nil && !there {
			err = e.missingReference(ctx, refers[i].Field, refers[i].Name)
		}
		if err != nil {
			missing = append(missing, err)
		}
	}
	return hexbid.JoinErrors(missing...)
}

// missingReference returns the error for a reference to a name that has no record for the caller. Its cause is an error
// of the store.
func (e *Exchange) missingReference(ctx context.Context, field, name string) error {
	if own := e.own(ctx); own != nil {
		return own.missingReference(ctx, field, name)
	}
	return store.MissingReference(field, name)
}

// Delete removes a resource that nothing else needs, a user or a client with all its keys. It returns when no search
// finds the resource any more. If the context ends earlier, it returns as Create does. The operator's verdict on a
// place stays.
func (e *Exchange) Delete(ctx context.Context, name string, ifVersion uint64, validateOnly bool) error {
	if err := e.admit(ctx, access.On(access.Delete, kindOf(name)), name); err != nil {
		return err
	}
	n, err := hexbid.ParseName(name)
	if err != nil {
		return hexbid.Invalidf("name", "%v", err)
	}
	if n.Kind == hexbid.KindMarket {
		return hexbid.Errorf(hexbid.InUse, "name", "the market stays as long as the deployment: update it")
	}
	for try := 1; ; try++ {
		g, err := e.deletion(ctx, n, ifVersion)
		if err != nil {
			return err
		}
		if n.Kind == hexbid.KindPlace {
			if err := e.keepVerdict(ctx, &g); err != nil {
				return err
			}
		}
		change, err := e.commit(ctx, g, validateOnly)
		if cameBetween(err, try) && len(g.Conditions) > 0 || keysChanged(err, n, try) {
			continue
		}
		if err != nil || validateOnly {
			return err
		}
		return e.settled(ctx, &g, change.Version)
	}
}

// Serving reports whether a campaign takes part in auctions at present, and why not.
type Serving func(*hexbid.Campaign) (serving bool, reason string)

// Serving returns a function that judges campaigns under a context. The function remembers the advertisers and programs
// that it has looked up, so use it for the campaigns of one call only.
func (e *Exchange) Serving(ctx context.Context) (Serving, error) {
	if err := e.admit(ctx, access.GetCampaign, ""); err != nil {
		return nil, err
	}
	return e.servingWith(ctx, nil), nil
}

// servingWith is Serving. With a dry run, it treats what the dry run has accepted as stored.
func (e *Exchange) servingWith(ctx context.Context, run *dryRun) Serving {
	paused, approved := map[string]bool{}, map[string]int64{}
	approvedIn := func(program string) (n int64, err error) {
		n, known := approved[program]
		if known {
			return n, nil
		}
		if n, err = e.approvedIn(ctx, program, run); err == nil {
			approved[program] = n
		}
		return n, err
	}
	return func(c *hexbid.Campaign) (bool, string) {
		name, _ := hexbid.ParseName(c.Name) // stored names parse
		owner := name.Owner().String()
		if _, known := paused[owner]; !known {
			paused[owner] = e.isPaused(ctx, owner, run)
		}
		return e.serving(c, paused[owner], approvedIn)
	}
}

func (e *Exchange) isPaused(ctx context.Context, advertiser string, run *dryRun) bool {
	if paused, known := run.pauses(advertiser); known {
		return paused
	}
	r, err := e.catalogue(ctx).Get(ctx, advertiser)
	a, ok := r.Resource.(*hexbid.Advertiser)
	return err == nil && ok && a.State == hexbid.Paused
}

// approvedIn counts the approved places of a program, those that a dry run has accepted included.
func (e *Exchange) approvedIn(ctx context.Context, program string, run *dryRun) (int64, error) {
	if run != nil {
		return run.counts.approvedIn(ctx, program)
	}
	return e.catalogue(ctx).Counted(ctx, program, store.Approved)
}

func (e *Exchange) serving(c *hexbid.Campaign, ownerPaused bool,
	approvedIn func(program string) (int64, error)) (bool, string) {
	if c.State == hexbid.Paused {
		return false, "the campaign is paused"
	}
	if ownerPaused {
		return false, "the advertiser is paused"
	}
	if rule := e.heldBackBy(c.UID); rule != bidder.Shown {
		return false, (&bidder.Verdict{Rule: rule}).Reason(nil)
	}
	if reason := flightReason(c, e.config.Clock()); reason != "" {
		return false, reason
	}
	if !c.Area.OnlyAroundPlaces() {
		return true, ""
	}
	switch approved, err := approvedIn(c.Program); {
	case err != nil:
		return false, "it serves around the program's places, which cannot be read at present"
	case approved == 0:
		return false, "it serves around the program's places, and none is approved"
	}
	return true, ""
}
