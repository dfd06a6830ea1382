package exchange

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

// ownCatalogue is the catalogue as a member of some advertisers, or a search client, sees it: with the records of those
// advertisers and of the caller alone. It answers about every other name as about a name that has no record. A group
// that would touch another name fails as it would if the name's advertiser did not exist, and changes nothing.
//
// It serves one call, or one step of a batch of an upload, and looks each advertiser up once.
type ownCatalogue struct {
	store.Store
	caller *hexbid.Principal

	mu    sync.Mutex      // guards the field below
	known map[string]bool // whether an advertiser is one of the caller's; by name
}

func newOwnCatalogue(s store.Store, caller *hexbid.Principal) *ownCatalogue {
	return &ownCatalogue{Store: s, caller: caller, known: map[string]bool{}}
}

// ownKey is the context key of the catalogue that the doors of one step of a batch share.
type ownKey struct{}

// sharingOwn returns a context under which all doors use one catalogue of the caller's, so that a batch does not look
// an advertiser up for each row. What it has found stays as it is: use the context for a moment only.
func (e *Exchange) sharingOwn(ctx context.Context) context.Context {
	if own := e.own(ctx); own != nil {
		return context.WithValue(ctx, ownKey{}, own)
	}
	return ctx
}

// isOf reports whether a catalogue was made for a caller with the same rights.
func (o *ownCatalogue) isOf(p *hexbid.Principal) bool {
	return o.caller.Role == p.Role && o.caller.ID == p.ID && o.caller.UID == p.UID && o.caller.Grants == p.Grants
}

// has reports whether an advertiser of that name is the caller's. An advertiser that was deleted and made again under
// its name has another uid, so former members are no members of it.
func (o *ownCatalogue) has(ctx context.Context, advertiser string) (bool, error) {
	o.mu.Lock()
	there, known := o.known[advertiser]
	o.mu.Unlock()
	if known {
		return there, nil
	}
	if o.caller.Grants == nil {
		return false, nil
	}
	m, member := o.caller.Grants.Advertisers[advertiser]
	if !member {
		return false, nil
	}
	r, err := o.Store.Get(ctx, advertiser)
	if err != nil && hexbid.KindOf(err) != hexbid.NotFound {
		return false, err
	}
	there = err == nil && r.Meta().UID == m.UID
	o.mu.Lock()
	defer o.mu.Unlock()
	o.known[advertiser] = there
	return there, nil
}

// shows reports whether a name may have a record for the caller.
func (o *ownCatalogue) shows(ctx context.Context, name string) (bool, error) {
	if owner := ownerOf(name); owner != "" {
		return o.has(ctx, owner)
	}
	return isOfSelf(o.caller, name), nil
}

// Get implements store.Store.
func (o *ownCatalogue) Get(ctx context.Context, name string) (store.Record, error) {
	shown, err := o.shows(ctx, name)
	if err != nil {
		return store.Record{}, err
	}
	if !shown {
		return store.Record{}, cmp.Or(ctx.Err(), store.Missing("name", name))
	}
	return o.Store.Get(ctx, name)
}

// ByUID implements store.Store.
func (o *ownCatalogue) ByUID(ctx context.Context, uid hexbid.UID) (store.Record, error) {
	r, err := o.Store.ByUID(ctx, uid)
	if err != nil {
		return store.Record{}, err
	}
	shown, err := o.shows(ctx, r.Meta().Name)
	switch {
	case err != nil:
		return store.Record{}, err
	case !shown:
		return store.CheckUID(store.Record{}, uid, nil)
	}
	return r, nil
}

// List implements store.Store.
func (o *ownCatalogue) List(ctx context.Context, q store.ListQuery, visit func(store.Record) bool) (string, error) {
	q.Owners = []string{}
	if o.caller.ID != "" {
		q.Owners = append(q.Owners, o.caller.ID)
	}
	if o.caller.Grants != nil {
		for _, advertiser := range slices.Sorted(maps.Keys(o.caller.Grants.Advertisers)) {
			there, err := o.has(ctx, advertiser)
			if err != nil {
				return "", err
			}
			if there {
				q.Owners = append(q.Owners, advertiser)
			}
		}
	}
	return o.Store.List(ctx, q, visit)
}

// History implements store.Store. It tells what was changed of the caller's advertisers, since these were made: one
// that had the name of another before it does not see the other's history.
func (o *ownCatalogue) History(ctx context.Context, q store.HistoryQuery, visit func(*store.Past) bool) (uint64,
	error) {
	threads, err := o.threads(ctx, q.Of)
	if err != nil {
		return 0, err
	}
	q.Of = threads
	return o.Store.History(ctx, q, func(p *store.Past) bool { return visit(o.ownPart(p)) })
}

// threads returns the threads that the caller sees: of some, or of all for nil.
func (o *ownCatalogue) threads(ctx context.Context, of []store.Thread) ([]store.Thread, error) {
	own := []store.Thread{}
	if of == nil && o.caller.Grants != nil {
		for _, advertiser := range slices.Sorted(maps.Keys(o.caller.Grants.Advertisers)) {
			of = append(of, store.Thread{Name: advertiser, Whole: true})
		}
	}
	for _, t := range of {
		owner := ownerOf(t.Name)
		there, err := o.has(ctx, owner)
		if err != nil {
			return nil, err
		}
		if !there {
			continue
		}
		born, err := o.Store.Born(ctx, o.caller.Grants.Advertisers[owner].UID)
		if err != nil {
			return nil, err
		}
		if born > 0 {
			t.After = max(t.After, born-1)
		}
		own = append(own, t)
	}
	return own, nil
}

// ownPart returns a change without what it did to resources that the caller does not see. The threads that led to it
// have looked its advertisers up.
func (o *ownCatalogue) ownPart(p *store.Past) *store.Past {
	o.mu.Lock()
	defer o.mu.Unlock()
	own := *p
	hidden := func(name string) bool { return !o.known[ownerOf(name)] }
	own.Puts = slices.DeleteFunc(slices.Clone(p.Puts), func(w store.Written) bool { return hidden(w.Meta().Name) })
	own.Deletes = slices.DeleteFunc(slices.Clone(p.Deletes), func(r store.Record) bool { return hidden(r.Meta().Name) })
	own.Verdicts = slices.DeleteFunc(slices.Clone(p.Verdicts), func(v store.PastVerdict) bool { return hidden(v.Name) })
	own.Lost = slices.DeleteFunc(slices.Clone(p.Lost), func(l store.LostEntry) bool { return hidden(l.Name) })
	own.Set = slices.DeleteFunc(slices.Clone(p.Set), func(v store.PastVerdict) bool { return hidden(v.Name) })
	return &own
}

// Verdict implements store.Store.
func (o *ownCatalogue) Verdict(ctx context.Context, name string) (store.Verdict, error) {
	shown, err := o.shows(ctx, name)
	if err != nil || !shown {
		return store.Verdict{}, err
	}
	return o.Store.Verdict(ctx, name)
}

// Counted implements store.Store.
func (o *ownCatalogue) Counted(ctx context.Context, owner string, c store.Counter) (int64, error) {
	shown, err := o.shows(ctx, owner)
	if err != nil || !shown {
		return 0, err
	}
	return o.Store.Counted(ctx, owner, c)
}

// Commit implements store.Store.
func (o *ownCatalogue) Commit(ctx context.Context, groups []store.Group) ([]store.Outcome, error) {
	return o.within(ctx, groups, o.Store.Commit)
}

// Judge implements store.Store.
func (o *ownCatalogue) Judge(ctx context.Context, groups []store.Group) ([]store.Outcome, error) {
	return o.within(ctx, groups, o.Store.Judge)
}

// within passes on the groups that touch nothing but what the caller has, and refuses the others.
func (o *ownCatalogue) within(ctx context.Context, groups []store.Group,
	commit func(context.Context, []store.Group) ([]store.Outcome, error)) ([]store.Outcome, error) {
	outcomes := make([]store.Outcome, len(groups))
	var passed []store.Group
	var places []int
	for i := range groups {
		refusal, err := o.refusalOf(ctx, &groups[i])
		if err != nil {
			return nil, err
		}
		if refusal != nil {
			outcomes[i].Err = refusal
			continue
		}
		passed, places = append(passed, groups[i]), append(places, i)
	}
	if len(passed) == 0 {
		return outcomes, ctx.Err()
	}
	some, err := commit(ctx, passed)
	if err != nil {
		return nil, err
	}
	for i := range some {
		outcomes[places[i]] = some[i]
	}
	return outcomes, nil
}

// refusalOf returns why a group fails for the caller, nil when it touches only what the caller has.
func (o *ownCatalogue) refusalOf(ctx context.Context, g *store.Group) (refusal, err error) {
	var found []error
	for i := range g.Steps {
		step := &g.Steps[i]
		shown, err := o.shows(ctx, step.Name())
		if err != nil {
			return nil, err
		}
		if !shown {
			found = append(found, o.missing(ctx, step))
		}
	}
	return hexbid.JoinErrors(found...), nil
}

// missing returns the error of a step about a name that the caller does not see. Without its advertiser, nothing that
// it refers to exists either.
func (o *ownCatalogue) missing(ctx context.Context, step *store.Step) error {
	if step.Put == nil {
		return store.Missing("name", step.Name())
	}
	if len(step.Put.Refers) == 0 {
		return hexbid.Errorf(hexbid.Denied, "", "%s may not create %q: operators may", callerWords(o.caller),
			hexbid.Shorten(step.Name()))
	}
	var found []error
	for _, r := range step.Put.Refers {
		found = append(found, o.missingReference(ctx, cmp.Or(r.Field, "name"), r.Name))
	}
	return hexbid.JoinErrors(found...)
}

// missingReference returns the error for a reference to a name without a record. The caller could create one only of an
// advertiser that is the caller's. The error says the same whether or not another has the name.
func (o *ownCatalogue) missingReference(ctx context.Context, field, name string) error {
	if owner := ownerOf(name); owner != "" {
		there, err := o.has(ctx, owner)
		if err != nil {
			return err
		}
		if !there {
			return hexbid.Errorf(hexbid.NotFound, field,
				"%q belongs to no advertiser of which you are a member: name one of yours (whoami lists them)",
				hexbid.Shorten(name))
		}
	}
	return store.MissingReference(field, name)
}
