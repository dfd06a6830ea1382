package hexbid

import (
	"context"
	"maps"
	"slices"
	"strings"
)

// Role is what a caller is to the deployment. Rights depend on the role.
type Role uint8

// The roles. The numbers are those of the wire contract.
const (
	Nobody   Role = iota // has no rights
	Operator             // a user who runs the deployment
	Auditor              // a user who reads everything and changes nothing
	Member               // a user of one or more advertisers, with rights over those alone
	Searcher             // a search client
	System               // a part of the program itself; Principal.ID names which
	RoleCount
)

var roleNames = [RoleCount]string{"nobody", "operator", "auditor", "member", "client", "system"}

// String returns the role's name in logs and records.
func (r Role) String() string { return nameIn(roleNames[:], uint8(r)) }

// Level is what a member may do for an advertiser. A level has the rights of the levels below it.
type Level uint8

// The levels. The numbers are those of the wire contract.
const (
	LevelNone   Level = iota // has no rights
	LevelViewer              // reads what is the advertiser's
	LevelEditor              // changes programs, places and campaigns
	LevelAdmin               // decides who is a member
	LevelCount
)

var levelNames = [LevelCount]string{"none", "viewer", "editor", "admin"}

// String returns the level's name.
func (l Level) String() string { return nameIn(levelNames[:], uint8(l)) }

// InProcess is the origin of a call that comes from no network.
const InProcess = "in process"

// Principal says who a call is made for, and from where. It travels in the call's context to package exchange, which
// checks its rights. The zero Principal is nobody and has no rights, so a path that forgets to name the caller is
// refused.
type Principal struct {
	Role Role
	// ID distinguishes callers of one role, and is empty where the role is enough. For a User or a Client it is the
	// resource's name.
	ID string
	// UID is that of the User or the Client, 0 for every other caller.
	UID    UID
	Origin string // the peer's network address, or InProcess
	// Key names the credential that proved who calls, for records of changes. It is no secret. It is empty without a
	// credential.
	Key string
	// Grants are the rights of a Member or a Searcher, nil for other roles. They are shared and immutable.
	Grants *Grants
	// Quota is that of the User or the Client, nil for none of its own. It is shared and immutable.
	Quota *CallQuota
}

// Grants are what a member or a search client may do.
type Grants struct {
	Advertisers map[string]Membership // of a member, by the advertiser's name
	Prices      bool                  // a client sees what a sponsored result costs
	Campaigns   bool                  // a client sees which campaign a sponsored result is of
	RendersOnly bool                  // a client reports an impression as soon as it is drawn
	EventsOf    []UID                 // other clients whose tokens a client may return
}

// Members returns the memberships in order of the advertisers' names.
func (g *Grants) Members() []Membership {
	return slices.SortedFunc(maps.Values(g.Advertisers), func(a, b Membership) int {
		return strings.Compare(a.Advertiser, b.Advertiser)
	})
}

// At returns the rights of these grants at one advertiser, by its name: none where there is no membership.
func (g *Grants) At(advertiser string) *Grants {
	at := &Grants{Advertisers: map[string]Membership{}}
	if g == nil {
		return at
	}
	if m, is := g.Advertisers[advertiser]; is {
		at.Advertisers[advertiser] = m
	}
	return at
}

// Cover reports whether grants hold all that others hold, so that who has these may go on as if with the others.
func (g *Grants) Cover(others *Grants) bool {
	switch {
	case g == others || others == nil:
		return true
	case g == nil || g.RendersOnly != others.RendersOnly || others.Prices && !g.Prices || others.Campaigns && !g.Campaigns:
		return false
	}
	for name, was := range others.Advertisers {
		if is := g.Advertisers[name]; is.UID != was.UID || is.Level < was.Level {
			return false
		}
	}
	for _, client := range others.EventsOf {
		if !slices.Contains(g.EventsOf, client) {
			return false
		}
	}
	return true
}

// String describes the principal for logs, as in "operator from 10.0.0.7:51514" or "system demo, in process".
func (p Principal) String() string {
	s := p.Role.String()
	if p.ID != "" {
		s += " " + p.ID
	}
	switch p.Origin {
	case "":
		return s
	case InProcess:
		return s + ", " + InProcess
	}
	return s + " from " + p.Origin
}

type principalKey struct{}

// WithPrincipal returns a context whose calls are made for a principal.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, &p)
}

// PrincipalOf returns the principal that a context carries, or the zero Principal.
func PrincipalOf(ctx context.Context) Principal {
	if p, ok := ctx.Value(principalKey{}).(*Principal); ok {
		return *p
	}
	return Principal{}
}
