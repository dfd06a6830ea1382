package exchange

import (
	"context"
	"errors"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// MaxPlaces is the most places that a program may have.
const MaxPlaces = 20_000

// limitsOf returns the limits on a put of a record: one for each limited counter that the record adds to. The engine
// judges them at the commit, so that two writers cannot both take the last entry. A counter that is above its limit
// already may stay or shrink. entriesAtMost is the most entries of an advertiser in the index.
func limitsOf(r *store.Record, entriesAtMost int64) (limits []store.Limit) {
	field := "campaign.area"
	if _, isPlace := r.Resource.(*hexbid.Place); isPlace {
		field = "place.review_state"
	}
	limits = limitsOfAliases(r)
	hasEntries := false
	for i := range r.Counts {
		switch c := &r.Counts[i]; {
		case c.Counter == store.Places:
			limits = append(limits, store.Limit{Owner: c.Owner, Counter: c.Counter, AtMost: MaxPlaces, Field: "name"})
		case c.Counter == store.Keys:
			limits = append(limits, store.Limit{Owner: c.Owner, Counter: c.Counter, AtMost: hexbid.MaxKeys, Field: "name"})
		case c.Counter == store.Entries && !hasEntries:
			hasEntries = true
			limits = append(limits, store.Limit{Owner: c.Owner, Counter: c.Counter, AtMost: entriesAtMost, Field: field})
		}
	}
	return limits
}

// countedUnder returns the owner and the program whose counters a place, a campaign or a key adds to.
func countedUnder(r hexbid.Resource) (advertiser, program string) {
	name, _ := hexbid.ParseName(r.Metadata().Name) // the name has been checked before
	if c, ok := r.(*hexbid.Campaign); ok {
		return name.Owner().String(), c.Program
	}
	return name.Owner().String(), name.Parent().String()
}

// told translates the outcome of a group into the words of the market.
func (e *Exchange) told(ctx context.Context, g *store.Group, o *store.Outcome) (store.Change, error) {
	var limit *store.LimitError
	if !errors.As(o.Err, &limit) {
		return o.Change, o.Err
	}
	if taken := e.aliasTaken(g.Steps[0].Put.Resource, o.Err); taken != nil {
		return store.Change{}, taken
	}
	r := g.Steps[0].Put.Resource
	_, program := countedUnder(r)
	other := store.Approved
	if _, isPlace := r.(*hexbid.Place); isPlace {
		other = store.Around
	}
	n, err := e.catalogue(ctx).Counted(ctx, program, other) // only the words of the refusal need it
	if err != nil {
		return store.Change{}, err
	}
	return store.Change{}, limitError(r, limit, n)
}

// limitError words the refusal of a place or a campaign by a limit. For a place, others is the number of campaigns
// around its program's places. For a campaign, it is the number of its program's approved places.
func limitError(r hexbid.Resource, limit *store.LimitError, others int64) error {
	const remedy = "delete campaigns, go around fewer places, name fewer or coarser shapes or fewer keywords, or ask " +
		"the operator for more (--advertiser-entries)"
	advertiser, program := countedUnder(r)
	field, before, after, atMost := limit.Limit.Field, limit.Before, limit.After, limit.Limit.AtMost
	if limit.Limit.Counter == store.Places {
		return hexbid.Errorf(hexbid.Exhausted, field,
			"%q has %d places already: at most %d a program; delete some, or share them among several programs",
			program, before, atMost)
	}
	if limit.Limit.Counter == store.Keys {
		return hexbid.Errorf(hexbid.Exhausted, field, "%q has %d keys already: at most %d; revoke some", advertiser, before,
			atMost)
	}
	c, isCampaign := r.(*hexbid.Campaign)
	if !isCampaign {
		return hexbid.Errorf(hexbid.Exhausted, field,
			"approved, it would add %d index entries, %d for each of the %d campaigns around the places of %q, to the %d of "+
				"%q: at most %d; %s",
			after-before, store.EntriesAPlace, others, program, before, advertiser, atMost, remedy)
	}
	if c.Area.AroundPlacesM == 0 {
		others = 0
	}
	return hexbid.Errorf(hexbid.Exhausted, field,
		"it would bring the index entries of %q from %d to %d, %d of them for %d approved places of its program: at most "+
			"%d; %s",
		advertiser, before, after, store.EntriesAPlace*others, others, atMost, remedy)
}
