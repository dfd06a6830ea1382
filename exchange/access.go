package exchange

import (
	"context"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/store"
)

// Every exported method that reads or writes the market for a caller is a door: it takes the caller's context and calls
// admit first, with the method of the contract that it serves. Package access says in one table who may call what.
//
// A member has rights over the resources of some advertisers. For a member nothing else exists, so the same answers
// come for another advertiser's resource as for one that does not exist. Two things see to that: ownCatalogue hides
// records from doors that read the catalogue, and books.find hides accounts from those that read the ledger. A door
// reads through them alone.

// admit refuses a call whose principal may not call the method on what a name stands for. The name may be empty, or
// that of a parent with wildcards. A member who may call the method for some advertiser is let in: what the door then
// reads shows that other advertisers' resources do not exist.
func (e *Exchange) admit(ctx context.Context, m access.Method, about string) error {
	caller, rule := hexbid.PrincipalOf(ctx), access.RuleOf(m)
	switch {
	case caller.Role == hexbid.Operator || caller.Role == hexbid.System,
		caller.Role == hexbid.Auditor && rule.Auditor, caller.Role == hexbid.Searcher && rule.Client:
		return nil
	}
	return e.admitSome(ctx, caller, rule, about)
}

// Admit refuses a call of a method that needs nothing else of the exchange.
func (e *Exchange) Admit(ctx context.Context, m access.Method) error { return e.admit(ctx, m, "") }

// admitSome is admit for callers whose rights depend on whose a resource is.
func (e *Exchange) admitSome(ctx context.Context, caller hexbid.Principal, rule access.Rule, about string) error {
	switch {
	case caller.Role == hexbid.Member && rule.Member != hexbid.LevelNone:
		return e.admitMember(ctx, &caller, rule.Member, about)
	case caller.Role == hexbid.Nobody:
		return hexbid.Errorf(hexbid.Denied, "",
			"the call is made for %s, who may neither read nor change the market: call as a principal that has rights", caller)
	}
	if rule.Self && isOfSelf(&caller, about) {
		return nil
	}
	if caller.Role == hexbid.Auditor && !rule.Client {
		return hexbid.Errorf(hexbid.Denied, "", "%s may not do this: auditors read, and change nothing",
			callerWords(&caller))
	}
	return hexbid.Errorf(hexbid.Denied, "", "%s may not do this: %s", callerWords(&caller), neededWords(&rule))
}

// callerWords names a caller in a refusal.
func callerWords(p *hexbid.Principal) string {
	return hexbid.Principal{Role: p.Role, ID: p.ID}.String()
}

// neededWords says who may do what a rule is about.
func neededWords(r *access.Rule) string {
	switch {
	case r.Member != hexbid.LevelNone:
		return "operators may, and those who are at least " + r.Member.String() + " of the advertiser"
	case r.Client:
		return "operators and search clients may"
	case r.Self:
		return "operators may, and everyone for themselves"
	}
	return "operators may"
}

// isOfSelf reports whether a name is that of the caller, or of something under it.
func isOfSelf(p *hexbid.Principal, about string) bool {
	n, err := hexbid.ParseName(about)
	return err == nil && p.ID != "" && n.Owner().String() == p.ID
}

// admitMember refuses a member whose level is too low: at the advertiser that a name belongs to, or at every one if the
// name belongs to none in particular.
func (e *Exchange) admitMember(ctx context.Context, caller *hexbid.Principal, least hexbid.Level, about string) error {
	own := e.own(ctx)
	if own == nil {
		return nil
	}
	highest := hexbid.LevelNone
	if owner := ownerOf(about); owner != "" {
		there, err := own.has(ctx, owner)
		if err != nil || !there {
			return err // what the door reads does not exist for the caller
		}
		highest = caller.Grants.Advertisers[owner].Level
	} else if caller.Grants != nil {
		for _, m := range caller.Grants.Advertisers {
			highest = max(highest, m.Level)
		}
	}
	if highest < least {
		return hexbid.Errorf(hexbid.Denied, "", "%s is %s of the advertiser: this takes at least %s", callerWords(caller),
			highest, least)
	}
	return nil
}

// admitRow refuses a row of an upload that its caller may not store. Who sees no advertiser of a name could only create
// one.
func (e *Exchange) admitRow(ctx context.Context, r hexbid.Resource) error {
	name, kind := r.Metadata().Name, store.KindOf(r)
	if own := e.own(ctx); own != nil && kind == hexbid.KindAdvertiser {
		there, err := own.has(ctx, name)
		if err != nil {
			return err
		}
		if !there {
			return e.admit(ctx, access.CreateAdvertiser, name)
		}
	}
	return e.admit(ctx, access.On(access.Update, kind), name)
}

// kindOf returns the kind of resource that a name names, 0 for none.
func kindOf(name string) hexbid.ResourceKind {
	n, _ := hexbid.ParseName(name)
	return n.Kind
}

// ownerOf returns the name of the advertiser that a name belongs to, empty when it belongs to none in particular.
func ownerOf(name string) string {
	n, err := hexbid.ParseName(name)
	if err != nil || n.Advertiser == "" || n.Advertiser == hexbid.AnyID {
		return ""
	}
	return hexbid.Name{Kind: hexbid.KindAdvertiser, Advertiser: n.Advertiser}.String()
}

// catalogue returns the catalogue as the caller sees it. Doors read and write through it.
func (e *Exchange) catalogue(ctx context.Context) store.Store {
	if own := e.own(ctx); own != nil {
		return own
	}
	return e.store
}

// seesAllKey is the context key of work that a door does with the whole catalogue for a caller who sees a part of it.
type seesAllKey struct{}

// seeingAll returns a context for work that its caller may have done on what they do not see.
func seeingAll(ctx context.Context) context.Context {
	return context.WithValue(ctx, seesAllKey{}, true)
}

// own returns the catalogue of a caller for whom most of it does not exist, nil for every other caller.
func (e *Exchange) own(ctx context.Context) *ownCatalogue {
	if seesAll(ctx) || ctx.Value(seesAllKey{}) != nil {
		return nil
	}
	p := hexbid.PrincipalOf(ctx)
	if shared, ok := ctx.Value(ownKey{}).(*ownCatalogue); ok && shared.isOf(&p) {
		return shared
	}
	return newOwnCatalogue(e.store, &p)
}

// seesAll reports whether every advertiser exists for the caller.
func seesAll(ctx context.Context) bool {
	switch hexbid.PrincipalOf(ctx).Role {
	case hexbid.Operator, hexbid.System, hexbid.Auditor:
		return true
	}
	return false
}

// sees reports whether an advertiser exists for the caller.
func sees(ctx context.Context, advertiser hexbid.UID) bool {
	p := hexbid.PrincipalOf(ctx)
	return seesAll(ctx) || p.Role == hexbid.Member && isMemberOf(p.Grants, advertiser)
}

// lastRecord returns the number of the ledger's last record as the caller may know it: 0 for members, because it counts
// what everybody does.
func lastRecord(ctx context.Context, number uint64) uint64 {
	if seesAll(ctx) {
		return number
	}
	return 0
}

func isMemberOf(g *hexbid.Grants, advertiser hexbid.UID) bool {
	if g == nil {
		return false
	}
	for _, m := range g.Advertisers {
		if m.UID == advertiser {
			return true
		}
	}
	return false
}
