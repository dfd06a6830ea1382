package exchange

import (
	"context"
	"errors"
	"slices"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// MaxPlaces is the most places that a program may have.
const MaxPlaces = 20_000

// limitsOf returns the limits on a put of a record: one for each limited counter that the record adds to. The engine
// judges them at the commit, so that two writers cannot both take the last entry. A counter that is above its limit
// already may stay or shrink. An advertiser's own quota stands in place of the market's defaults.
func limitsOf(r *store.Record, defaults *hexbid.Holdings) (limits []store.Limit) {
	if len(r.Counts) == 0 {
		return nil
	}
	limits = limitsOfAliases(r)
	advertiser, program := countedUnder(r.Resource)
	for i := range r.Counts {
		switch c := &r.Counts[i]; {
		case c.Counter == store.Keys:
			limits = append(limits, store.Limit{Owner: c.Owner, Counter: c.Counter, AtMost: hexbid.MaxKeys, Field: "name"})
		case c.Counter == store.Places && c.Owner == program:
			limits = append(limits, store.Limit{Owner: c.Owner, Counter: c.Counter, AtMost: MaxPlaces, Field: "name"})
		case c.Owner == advertiser && !hasLimit(limits, c):
			if q := quotaOf(c.Counter); q != nil {
				limits = append(limits, store.Limit{Owner: c.Owner, Counter: c.Counter, AtMost: *q.In(defaults), Own: q.Own,
					Field: quotaField(r.Resource, c.Counter)})
			}
		}
	}
	return limits
}

// hasLimit reports whether there is a limit on the counter of a count already.
func hasLimit(limits []store.Limit, c *store.Count) bool {
	return slices.ContainsFunc(limits, func(l store.Limit) bool { return l.Owner == c.Owner && l.Counter == c.Counter })
}

// quotaOf returns the quota on what a counter of an advertiser counts, nil for none.
func quotaOf(used store.Counter) *store.Quota {
	for i := range store.Quotas {
		if store.Quotas[i].Used == used {
			return &store.Quotas[i]
		}
	}
	return nil
}

// quotaField returns the field that a refusal by a quota names.
func quotaField(r hexbid.Resource, used store.Counter) string {
	kind := store.KindOf(r)
	switch {
	case used == store.Entries && kind == hexbid.KindPlace:
		return "place.review_state"
	case used == store.Entries:
		return "campaign.area"
	case used == store.Vertices:
		return "campaign.area.polygons"
	case used == store.Keywords:
		return kind.String() + ".keywords"
	}
	return "name"
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
	if limit.Limit.Counter != store.Entries {
		return store.Change{}, limitError(r, limit, 0)
	}
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

// limitError words the refusal of a resource by a limit. Where index entries are limited, others is for a place the
// number of campaigns around its program's places, and for a campaign that of its program's approved places.
func limitError(r hexbid.Resource, limit *store.LimitError, others int64) error {
	advertiser, program := countedUnder(r)
	field, before, after, atMost := limit.Limit.Field, limit.Before, limit.After, limit.Limit.AtMost
	switch q := quotaOf(limit.Limit.Counter); {
	case limit.Limit.Counter == store.Keys:
		return hexbid.Errorf(hexbid.Exhausted, field, "%q has %d keys already: at most %d; revoke some", advertiser, before,
			atMost)
	case limit.Limit.Owner == program:
		return hexbid.Errorf(hexbid.Exhausted, field,
			"%q has %d places already: at most %d a program; delete some, or share them among several programs",
			program, before, atMost)
	case q.Used != store.Entries:
		return hexbid.Errorf(hexbid.Exhausted, field,
			"%q has %d %s and would have %d: at most %d; delete or shorten something, or ask the operator for more "+
				"(advertiser.quota.%s)", advertiser, before, q.Field, after, atMost, q.Field)
	}
	return entriesError(r, limit, others)
}

// entriesError is limitError for index entries.
func entriesError(r hexbid.Resource, limit *store.LimitError, others int64) error {
	const remedy = "delete campaigns, go around fewer places, name fewer or coarser shapes or fewer keywords, or ask " +
		"the operator for more (advertiser.quota.entries)"
	advertiser, program := countedUnder(r)
	field, before, after, atMost := limit.Limit.Field, limit.Before, limit.After, limit.Limit.AtMost
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
