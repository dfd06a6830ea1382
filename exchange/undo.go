package exchange

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/store"
	"github.com/hexbid/hexbid/wire"
)

// An undo is a change like any other, made of what an earlier one found: what that created is deleted, what it deleted
// comes back with its uid, and the fields that it changed get the values from before, while all others stay as they are
// by now. It is refused where that would overwrite what somebody has done since, and takes the rights that the same
// write by hand would take. Changes of users, clients and keys are not undone, so that nothing revoked comes back.

// Undo takes back the change of a name and returns the change that does so, as Update does. With validateOnly it
// changes nothing, and the change that it returns has no name. It is Stale where the change to undo has been
// overtaken.
func (e *Exchange) Undo(ctx context.Context, name string, validateOnly bool) (*Change, error) {
	if err := e.admit(ctx, access.UndoChange, ""); err != nil {
		return nil, err
	}
	past, err := e.pastOf(ctx, name)
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		g, err := e.undoing(ctx, past)
		if err != nil {
			return nil, err
		}
		change, err := e.commit(ctx, g, validateOnly)
		if cameBetween(err, try) {
			continue
		}
		if err == nil && !validateOnly {
			err = e.settled(ctx, &g, change.Version)
		}
		if err != nil {
			return nil, err
		}
		return e.shown(ctx, &store.Past{Change: change, Set: verdictsSet(&g)}), nil
	}
}

// verdictsSet returns the verdicts that a group sets.
func verdictsSet(g *store.Group) (set []store.PastVerdict) {
	for i := range g.Steps {
		if v := g.Steps[i].Verdict; v != nil {
			set = append(set, store.PastVerdict{Name: g.Steps[i].Name(), Verdict: *v})
		}
	}
	return set
}

// undoing returns the group that undoes a change.
func (e *Exchange) undoing(ctx context.Context, past *store.Past) (store.Group, error) {
	if past.Damaged || len(past.Lost) > 0 {
		return store.Group{}, hexbid.Errorf(hexbid.DataLoss, "name", "what the change did is damaged in the log of changes: "+
			"write by hand what should be")
	}
	s := e.stampOf(ctx)
	s.undoes = past.Version
	u := undo{exchange: e, past: past, stamp: s, group: s.group()}
	all := e.shown(ctx, past).Of
	slices.SortStableFunc(all, func(a, b ChangedResource) int { return cmp.Compare(u.order(&a), u.order(&b)) })
	for i := range all {
		if err := u.add(ctx, &all[i]); err != nil {
			return store.Group{}, err
		}
	}
	return u.group, nil
}

// undo is the undoing of one change.
type undo struct {
	exchange *Exchange
	past     *store.Past
	stamp    stamp
	group    store.Group
}

// order sorts resources so that each step finds what it needs: what comes back before what refers to it, and last what
// goes, what refers to others first.
func (u *undo) order(r *ChangedResource) int {
	kind := int(kindOf(r.Name))
	if r.Before == nil && r.After != nil {
		return 2*int(hexbid.KindEnd) - kind
	}
	return kind
}

// add adds what undoes the change of one resource.
func (u *undo) add(ctx context.Context, r *ChangedResource) error {
	var g store.Group
	var err error
	switch {
	case kindOf(r.Name).IsIdentity():
		return hexbid.Errorf(hexbid.InUse, "name", "changed %q: changes of users, clients and keys are not undone, so that "+
			"nothing revoked comes back; change it by hand", r.Name)
	case r.Before == nil && kindOf(r.Name) == hexbid.KindMarket:
		return hexbid.Errorf(hexbid.InUse, "name", "set the first market, which stays as long as the deployment: update it")
	case r.Before == nil && r.After == nil:
		return hexbid.Errorf(hexbid.InUse, "name", "set the verdict on %q: review the place again instead", r.Name)
	case r.Before == nil:
		g, err = u.creation(ctx, r)
	case r.After == nil:
		g, err = u.deletion(ctx, r)
	case r.Before.Metadata().UID != r.After.Metadata().UID:
		return hexbid.Errorf(hexbid.InUse, "name", "put another resource in the place of %q: write it by hand", r.Name)
	default:
		g, err = u.update(ctx, r)
	}
	if err != nil {
		return err
	}
	u.group.Steps = append(u.group.Steps, g.Steps...)
	u.group.Conditions = append(u.group.Conditions, g.Conditions...)
	u.group.Limits = append(u.group.Limits, g.Limits...)
	return nil
}

// overtaken returns the error for a change that something done since keeps from being undone.
func overtaken(format string, args ...any) error {
	return hexbid.Errorf(hexbid.Stale, "name", format, args...)
}

// standing returns the present record of a resource that a change left. It must be the same one still.
func (u *undo) standing(ctx context.Context, r *ChangedResource) (store.Record, error) {
	present, err := u.exchange.present(ctx, r.Name)
	switch {
	case err != nil:
		return present, err
	case present.Resource == nil:
		return present, overtaken("%q has been deleted since: undo that first", r.Name)
	case present.Meta().UID != r.After.Metadata().UID:
		return present, overtaken("%q is another one by now, made since under the same name", r.Name)
	}
	return present, nil
}

// creation returns the group that deletes what was created, if it still is what it was then.
func (u *undo) creation(ctx context.Context, r *ChangedResource) (g store.Group, err error) {
	if err := u.exchange.admit(ctx, access.On(access.Delete, kindOf(r.Name)), r.Name); err != nil {
		return g, err
	}
	present, err := u.standing(ctx, r)
	if err != nil {
		return g, err
	}
	if changed := contentPaths(r.After, present.Resource); len(changed) > 0 {
		return g, overtaken("%q has changed since it was created (%s): undo that first, or delete it by hand", r.Name,
			listed(changed))
	}
	g = u.stamp.group(store.Step{Delete: r.Name, IfVersion: present.Meta().Version})
	if kindOf(r.Name) == hexbid.KindPlace {
		err = u.exchange.keepVerdict(ctx, &g)
	}
	return g, err
}

// deletion returns the group that brings back what was deleted, if nothing has had its name since.
func (u *undo) deletion(ctx context.Context, r *ChangedResource) (g store.Group, err error) {
	e := u.exchange
	if err := e.admit(ctx, access.On(access.Create, kindOf(r.Name)), r.Name); err != nil {
		return g, err
	}
	var last uint64
	if _, err := e.catalogue(ctx).History(ctx, store.HistoryQuery{Of: []store.Thread{{Name: r.Name}}, Looks: 1},
		func(p *store.Past) bool { last = p.Version; return false }); err != nil {
		return g, err
	}
	if last != u.past.Version {
		return g, overtaken("%q has been made again since it was deleted", r.Name)
	}
	next := store.WithMeta(store.Record{Resource: r.Before}, 0, 0).Resource
	d, err := u.draft(ctx, r, next, nil)
	if err != nil {
		return g, err
	}
	conditions, err := e.applyVerdict(ctx, next, nil, earlierOf(r.Before, next))
	if err != nil {
		return g, err
	}
	g = e.putting(u.stamp, d, 0)
	g.Steps[0].Revive, g.Conditions = r.Before.Metadata().UID, conditions
	return g, nil
}

// update returns the group that restores the fields that were changed, if none of them has been changed since.
func (u *undo) update(ctx context.Context, r *ChangedResource) (g store.Group, err error) {
	e := u.exchange
	if err := e.admit(ctx, access.On(access.Update, kindOf(r.Name)), r.Name); err != nil {
		return g, err
	}
	present, err := u.standing(ctx, r)
	if err != nil {
		return g, err
	}
	paths := contentPaths(r.Before, r.After)
	if err := checkUntouched(r, paths, present.Resource); err != nil {
		return g, err
	}
	next, err := wire.Restored(present.Resource, r.Before, paths)
	if err != nil {
		return g, err
	}
	d, err := u.draft(ctx, r, next, present.Resource)
	if err != nil {
		return g, err
	}
	if r.Verdict != nil {
		return u.verdict(ctx, r, d, present)
	}
	found := earlierOf(present.Resource, next)
	if sameContent(r.Before, next) {
		found = earlierOf(r.Before, next) // what was approved then is approved again
	}
	conditions, err := e.applyVerdict(ctx, next, present.Resource, found)
	if err != nil {
		return g, err
	}
	g = e.putting(u.stamp, d, versionOf(present))
	g.Conditions = conditions
	return g, nil
}

// draft prepares the resource that an undo puts. It refuses one whose restored fields the caller may not write: a write
// by hand would keep those as they are.
func (u *undo) draft(ctx context.Context, r *ChangedResource, next, present hexbid.Resource) (*draft, error) {
	wanted := store.WithMeta(store.Record{Resource: next}, 0, 0).Resource
	if err := u.exchange.complete(ctx, next, present); err != nil {
		return nil, err
	}
	if kept := contentPaths(wanted, next); len(kept) > 0 {
		return nil, hexbid.Errorf(hexbid.Denied, "", "%s of %q may be restored by operators alone", listed(kept), r.Name)
	}
	if err := u.needs(ctx, next, present); err != nil {
		return nil, err
	}
	return u.exchange.prepare(next, nil)
}

// needs refuses to restore a reference to a resource that is another one by now, made since under the same name: the
// campaign of an advertiser that was deleted is not its successor's. A resource that is not there is left to the
// commit, whose error names it.
func (u *undo) needs(ctx context.Context, next, present hexbid.Resource) error {
	var kept []store.Reference
	if present != nil {
		kept = store.Declare(present, 0).Refers
	}
	for _, r := range store.Declare(next, 0).Refers {
		if slices.Contains(kept, r) {
			continue
		}
		now, err := u.exchange.present(ctx, r.Name)
		if err != nil {
			return err
		}
		if now.Resource == nil {
			continue
		}
		then, err := u.exchange.uidAt(ctx, r.Name, u.past.Version, now.Meta().UID)
		if err != nil {
			return err
		}
		if then != now.Meta().UID {
			return overtaken("%q, which it needs, is another one by now, made since under the same name", r.Name)
		}
		u.group.Conditions = append(u.group.Conditions, store.Condition{Name: r.Name, Is: store.HasVersion,
			Version: now.Meta().Version, Field: r.Field})
	}
	return nil
}

// uidAt returns the uid that a name had at a version, 0 for none: what the first change of the name since found, or
// its present uid.
func (e *Exchange) uidAt(ctx context.Context, name string, version uint64, present hexbid.UID) (hexbid.UID, error) {
	q := store.HistoryQuery{Of: []store.Thread{{Name: name, After: version}}}
	for {
		next, err := e.catalogue(ctx).History(ctx, q, func(p *store.Past) bool {
			present = foundBy(p, name)
			return true
		})
		if q.Before = next; err != nil || next == 0 {
			return present, err
		}
	}
}

// foundBy returns the uid that a change found under a name, 0 for none or for one that is not known.
func foundBy(p *store.Past, name string) hexbid.UID {
	for i := range p.Lost {
		if p.Lost[i].Name == name {
			return p.Lost[i].Before
		}
	}
	for i := range p.Deletes {
		if m := p.Deletes[i].Meta(); m.Name == name {
			return m.UID
		}
	}
	for i := range p.Puts {
		if m := p.Puts[i].Meta(); m.Name == name && p.Puts[i].Before.Resource != nil {
			return m.UID
		}
	}
	return 0
}

// verdict returns the group that puts a place with the verdict from before, if no other has been given since.
func (u *undo) verdict(ctx context.Context, r *ChangedResource, d *draft, present store.Record) (g store.Group,
	err error) {
	e := u.exchange
	if err := e.admit(ctx, access.ReviewPlace, r.Name); err != nil {
		return g, err
	}
	now, err := e.catalogue(ctx).Verdict(ctx, r.Name)
	if err != nil {
		return g, err
	}
	if now.Version != u.past.Version {
		return g, overtaken("%q has been reviewed again since", r.Name)
	}
	var before store.Verdict
	for i := range u.past.Verdicts {
		if u.past.Verdicts[i].Name == r.Name {
			before = u.past.Verdicts[i].Verdict
		}
	}
	next := d.resource.(*hexbid.Place)
	next.Review = reviewState(&before, earlierOf(r.Before, next), next, e.config.ManualReview)
	g = e.putting(u.stamp, d, versionOf(present))
	g.Steps[0].Verdict = &before
	g.Conditions = []store.Condition{{Name: r.Name, Is: store.HasVerdict, Version: now.Version}}
	return g, nil
}

// checkUntouched refuses to restore fields that have been changed since.
func checkUntouched(r *ChangedResource, paths []string, present hexbid.Resource) error {
	if len(paths) == 0 && r.Verdict == nil {
		return hexbid.Errorf(hexbid.InUse, "name", "changed no field of %q that an undo could restore", r.Name)
	}
	touched := wire.Touched(paths, r.After, present)
	switch {
	case len(touched) == 0:
		return nil
	case len(wire.Touched(paths, r.Before, present)) == 0:
		return overtaken("%q has what it had before already (%s)", r.Name, listed(paths))
	}
	return overtaken("%q has changed since (%s): undo that first, or write by hand what it should be", r.Name,
		listed(touched))
}

// contentPaths returns the fields in which two states of a resource differ. A place's review state is not one of them,
// because it follows from the verdict.
func contentPaths(before, after hexbid.Resource) []string {
	return slices.DeleteFunc(wire.Differences(before, after), func(path string) bool { return path == "review_state" })
}

// listed writes fields in an error.
func listed(paths []string) string {
	const most = 5
	if len(paths) > most {
		return strings.Join(paths[:most], ", ") + " and others"
	}
	return strings.Join(paths, ", ")
}
