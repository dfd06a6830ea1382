package exchange

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/store"
)

// Change is something that one caller did at one moment, as its reader may see it.
type Change struct {
	Name    string // changes/{c}; empty for a change that was not made
	Version uint64 // for positions in a list alone: it tells how much others change
	At      time.Time
	By      Actor
	Undoes  string // changes/{c}; empty for none
	Of      []ChangedResource
	// Damaged reports that the log's record of it was altered or is missing: only the name is known. Without a name it
	// stands for all the changes, or none, that a damaged part of a file hides.
	Damaged bool
}

// Actor is who made a change.
type Actor struct {
	Role            hexbid.Role
	ID, Origin, Key string
}

// ChangedResource is what a change did to one resource. Before is nil for one that was created, After for one that was
// deleted. Both are nil where the operator's verdict alone changed.
type ChangedResource struct {
	Name          string
	Before, After hexbid.Resource
	Verdict       *ChangedVerdict  // nil when it stayed
	Lost          *store.LostEntry // all that is known, if what it became was in a record that is damaged; else nil
}

// ChangedVerdict is the operator's verdict on a place, before and after a change.
type ChangedVerdict struct{ Before, After hexbid.ReviewState }

// ChangeQuery asks for changes. What is zero filters nothing.
type ChangeQuery struct {
	Resource  string // a resource name
	Owner     string // an advertiser, a user or a client
	Principal string // a user, a client, or the name of a role
	Kind      string // of resources, as in "campaign"
	From, To  time.Time
	Before    uint64 // Version where an earlier page ended
}

// changesLooked bounds the changes that one page looks at.
const changesLooked = 10_000

// changePrefix begins the name of a change.
const changePrefix = "changes/"

// Changes calls visit with the changes that a query asks for, the newest first, until visit returns false. Next is the
// Before that continues, 0 at the end. A call looks at a bounded number of changes, so it may end before it has found
// any, with a next.
func (e *Exchange) Changes(ctx context.Context, q *ChangeQuery, visit func(*Change) (more bool)) (next uint64,
	err error) {
	if err := e.admit(ctx, access.ListChanges, ""); err != nil {
		return 0, err
	}
	asked, err := e.askHistory(ctx, q)
	if err != nil {
		return 0, err
	}
	return e.catalogue(ctx).History(ctx, asked, func(p *store.Past) bool { return visit(e.shown(ctx, p)) })
}

// askHistory checks a query and returns what to ask of the store.
func (e *Exchange) askHistory(ctx context.Context, q *ChangeQuery) (asked store.HistoryQuery, err error) {
	kind, err := kindNamed(q.Kind)
	err = hexbid.JoinErrors(err, checkResource(q.Resource), checkOwner(q.Owner), checkPrincipal(q.Principal))
	if !q.From.IsZero() && !q.To.IsZero() && q.To.Before(q.From) {
		err = hexbid.JoinErrors(err, hexbid.Invalidf("end_time", "is before start_time: nothing lies between them"))
	}
	if err != nil {
		return asked, err
	}
	asked = store.HistoryQuery{Before: q.Before, Looks: changesLooked}
	switch {
	case q.Resource != "" && (q.Owner == "" || store.OwnerOf(q.Resource) == q.Owner):
		asked.Of = []store.Thread{{Name: q.Resource}}
	case q.Resource != "":
		asked.Of = []store.Thread{} // it is not the owner's
	case q.Owner != "":
		asked.Of = []store.Thread{{Name: q.Owner, Whole: true}}
	}
	asked.Matches = func(h *store.Headline) bool {
		return (q.From.IsZero() || !h.At.Before(q.From)) && (q.To.IsZero() || h.At.Before(q.To)) &&
			(kind == 0 || slices.ContainsFunc(h.Names, func(name string) bool { return kindOf(name) == kind })) &&
			(q.Principal == "" || e.isBy(ctx, h, q.Principal))
	}
	return asked, nil
}

// kindNamed returns the kind of resource of a name, 0 for the empty one.
func kindNamed(name string) (hexbid.ResourceKind, error) {
	if name == "" {
		return 0, nil
	}
	var known []string
	for kind := hexbid.ResourceKind(1); kind < hexbid.KindEnd; kind++ {
		if kind.String() == name {
			return kind, nil
		}
		known = append(known, kind.String())
	}
	return 0, hexbid.Invalidf("kind", "%q is no kind of resource: use %s", hexbid.Shorten(name), strings.Join(known, ", "))
}

func checkResource(name string) error {
	if name == "" {
		return nil
	}
	n, err := hexbid.ParseName(name)
	if err != nil {
		return hexbid.Invalidf("resource", "%v", err)
	}
	if n.HasWildcard() {
		return hexbid.Invalidf("resource", "%q: name one resource, or an owner of many", hexbid.Shorten(name))
	}
	return nil
}

func checkOwner(name string) error {
	if name == "" {
		return nil
	}
	n, err := hexbid.ParseName(name)
	if err != nil || n.HasWildcard() || n.Owner().String() != name {
		return hexbid.Invalidf("owner", "%q owns nothing: name an advertiser, a user or a client", hexbid.Shorten(name))
	}
	return nil
}

func checkPrincipal(name string) error {
	if _, isRole := roleNamed(name); isRole || name == "" {
		return nil
	}
	if n, err := hexbid.ParseName(name); err == nil && !n.HasWildcard() &&
		(n.Kind == hexbid.KindUser || n.Kind == hexbid.KindClient) {
		return nil
	}
	return hexbid.Invalidf("principal", "%q is no caller: name users/{u}, clients/{c} or a role, as operator",
		hexbid.Shorten(name))
}

// roleNamed returns the role of a name.
func roleNamed(name string) (hexbid.Role, bool) {
	for role := hexbid.Nobody; role < hexbid.RoleCount; role++ {
		if role.String() == name {
			return role, true
		}
	}
	return hexbid.Nobody, false
}

// Change returns the change of a name.
func (e *Exchange) Change(ctx context.Context, name string) (*Change, error) {
	if err := e.admit(ctx, access.GetChange, ""); err != nil {
		return nil, err
	}
	past, err := e.pastOf(ctx, name)
	if err != nil {
		return nil, err
	}
	return e.shown(ctx, past), nil
}

// pastOf reads the change of a name. For one that the caller may not see, it answers as for one that does not exist.
func (e *Exchange) pastOf(ctx context.Context, name string) (past *store.Past, err error) {
	id, ok := strings.CutPrefix(name, changePrefix)
	if !ok {
		return nil, hexbid.Invalidf("name", "%q is no name of a change: write changes/{c}", hexbid.Shorten(name))
	}
	const none = ^uint64(0) - 1 // no change has it
	version, ok := e.changeIDs.Open(id)
	if !ok || version > none {
		version = none // the same work is done, so that its time does not tell which ids are genuine
	}
	_, err = e.catalogue(ctx).History(ctx, store.HistoryQuery{Before: version + 1, Looks: 1}, func(p *store.Past) bool {
		past = p
		return false
	})
	switch {
	case err != nil:
	case past == nil || past.Version != version && !past.Stretch:
		err = store.Missing("name", name)
	case past.Stretch: // which may hide it
		err = hexbid.Errorf(hexbid.DataLoss, "name", "a file of the history is damaged, and whether %q is in it "+
			"cannot be told: restore the catalogue from a copy", hexbid.Shorten(name))
	}
	return past, err
}

// nameOfChange returns the name of the change of a version, empty for none.
func (e *Exchange) nameOfChange(version uint64) string {
	if version == 0 {
		return ""
	}
	return changePrefix + e.changeIDs.Of(version)
}

// shown returns a change as the caller may see it. The catalogue has left out resources that they do not see.
func (e *Exchange) shown(ctx context.Context, p *store.Past) *Change {
	switch {
	case p.Stretch:
		return &Change{Version: p.Version, Damaged: true}
	case p.Damaged:
		return &Change{Name: e.nameOfChange(p.Version), Version: p.Version, Damaged: true}
	}
	c := &Change{Name: e.nameOfChange(p.Version), Version: p.Version, At: p.At, Undoes: e.nameOfChange(p.Undoes)}
	of := func(name string) *ChangedResource {
		for i := range c.Of {
			if c.Of[i].Name == name {
				return &c.Of[i]
			}
		}
		c.Of = append(c.Of, ChangedResource{Name: name})
		return &c.Of[len(c.Of)-1]
	}
	for i := range p.Deletes {
		of(p.Deletes[i].Meta().Name).Before = p.Deletes[i].Resource
	}
	for i := range p.Puts {
		r := of(p.Puts[i].Meta().Name)
		if r.After = p.Puts[i].Resource; p.Puts[i].Before.Resource != nil {
			r.Before = p.Puts[i].Before.Resource
		}
	}
	for i := range p.Verdicts {
		v := &ChangedVerdict{Before: p.Verdicts[i].State}
		if i < len(p.Set) {
			v.After = p.Set[i].State
		}
		of(p.Verdicts[i].Name).Verdict = v
	}
	for i := range p.Lost {
		of(p.Lost[i].Name).Lost = &p.Lost[i]
	}
	c.By = e.actorOf(ctx, &p.Change, c.Of)
	return c
}

// whoSaid takes apart what stamps say of who did something.
func whoSaid(who string) Actor {
	word, id, _ := strings.Cut(who, " ")
	role, _ := roleNamed(word)
	return Actor{Role: role, ID: id}
}

// actorOf returns who made a change, as far as the caller may know it: of others than members, a member sees the role.
// From where and by which credential a member called is for that member and for admins of the advertiser.
func (e *Exchange) actorOf(ctx context.Context, c *store.Change, of []ChangedResource) Actor {
	actor, reader := whoSaid(c.Who), hexbid.PrincipalOf(ctx)
	if reader.Role != hexbid.Member {
		actor.Origin, actor.Key = c.From, c.Key
		return actor
	}
	if actor.Role != hexbid.Member {
		return Actor{Role: actor.Role}
	}
	if actor.ID == reader.ID || len(of) > 0 && isAdminOf(reader.Grants, store.OwnerOf(of[0].Name)) {
		actor.Origin, actor.Key = c.From, c.Key
	}
	return actor
}

func isAdminOf(g *hexbid.Grants, advertiser string) bool {
	return g != nil && g.Advertisers[advertiser].Level >= hexbid.LevelAdmin
}

// isBy reports whether a principal made a change, as far as the caller may know that.
func (e *Exchange) isBy(ctx context.Context, h *store.Headline, principal string) bool {
	actor := e.actorOf(ctx, &store.Change{Who: h.Who}, nil)
	return actor.ID == principal || actor.Role.String() == principal
}
