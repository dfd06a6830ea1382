package exchange

import (
	"context"
	"fmt"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/store"
)

// Users, clients and keys go through the same doors as the catalogue. This file has what they need besides.

// complete fills in what a caller leaves out of an advertiser, a user, a client, a key or the market. present is the
// stored resource, nil for none.
func (e *Exchange) complete(ctx context.Context, next, present hexbid.Resource) error {
	if err := e.checkAliases(next); err != nil {
		return err
	}
	switch v := next.(type) {
	case *hexbid.Advertiser:
		return keepQuota(ctx, v, present)
	case *hexbid.User:
		return e.completeMemberships(ctx, v.Memberships)
	case *hexbid.Client:
		return e.completeGrants(ctx, v.EventsOf)
	case *hexbid.Market:
		if CheckMarket(v) == nil { // what is wrong is told later
			completeMarket(v)
		}
	case *hexbid.Key:
		before, there := present.(*hexbid.Key)
		if there {
			v.CredentialID, v.SecretHash = before.CredentialID, before.SecretHash
		}
		if v.CredentialID == "" {
			return hexbid.Invalidf("key", "has no secret: keys are issued, not written")
		}
	}
	return nil
}

// completeMemberships looks up the advertisers whose uid is not given.
func (e *Exchange) completeMemberships(ctx context.Context, all []hexbid.Membership) error {
	for i := range all {
		field := fmt.Sprintf("user.memberships[%d].advertiser", i)
		if err := e.completeUID(ctx, hexbid.KindAdvertiser, field, all[i].Advertiser, &all[i].UID); err != nil {
			return err
		}
	}
	return nil
}

// completeGrants looks up the clients whose uid is not given.
func (e *Exchange) completeGrants(ctx context.Context, all []hexbid.ClientGrant) error {
	for i := range all {
		field := fmt.Sprintf("client.events_of[%d].client", i)
		if err := e.completeUID(ctx, hexbid.KindClient, field, all[i].Client, &all[i].UID); err != nil {
			return err
		}
	}
	return nil
}

// completeUID sets a uid that is 0 to that of the resource which has the name at present.
func (e *Exchange) completeUID(ctx context.Context, kind hexbid.ResourceKind, field, name string,
	uid *hexbid.UID) error {
	if *uid != 0 {
		return nil
	}
	if _, err := hexbid.ParseNameOf(kind, field, name); err != nil {
		return err
	}
	r, err := e.catalogue(ctx).Get(ctx, name)
	if hexbid.KindOf(err) == hexbid.NotFound && err != nil {
		return e.missingReference(ctx, field, name)
	}
	if err != nil {
		return err
	}
	*uid = r.Meta().UID
	return nil
}

// IssueKey creates a key and returns it with its text, which is kept nowhere.
func (e *Exchange) IssueKey(ctx context.Context, k *hexbid.Key) (issued *hexbid.Key, text string, err error) {
	if err := e.admit(ctx, access.CreateKey, k.Name); err != nil {
		return nil, "", err
	}
	own := *k
	text, own.CredentialID, own.SecretHash = e.config.Pepper.NewKey()
	r, err := e.Create(ctx, &own, false)
	if err != nil {
		return nil, "", err
	}
	return r.(*hexbid.Key), text, nil
}

// DefaultOverlap is how long a key stays good after another has replaced it, MaxOverlap the longest that it may.
const DefaultOverlap, MaxOverlap = 24 * time.Hour, 30 * 24 * time.Hour

// Rotation replaces the key Old by the key New. Both are good for Overlap, and the old one not beyond its own end.
type Rotation struct {
	Old     string
	New     *hexbid.Key
	Overlap time.Duration
}

// RotateKey issues a key in place of another and returns it with its text. Both writes happen, or neither.
func (e *Exchange) RotateKey(ctx context.Context, o Rotation) (issued *hexbid.Key, text string, err error) {
	if err := e.admit(ctx, access.RotateKey, o.Old); err != nil {
		return nil, "", err
	}
	if store.OwnerOf(o.New.Name) != store.OwnerOf(o.Old) {
		return nil, "", hexbid.Invalidf("name", "%q and %q are not of one user or client", hexbid.Shorten(o.Old),
			hexbid.Shorten(o.New.Name))
	}
	if o.Overlap < 0 || o.Overlap > MaxOverlap {
		return nil, "", hexbid.Invalidf("overlap", "%s is out of range: use 0s to %s", o.Overlap, MaxOverlap)
	}
	next := *o.New
	text, next.CredentialID, next.SecretHash = e.config.Pepper.NewKey()
	for try := 1; ; try++ {
		issued, err := e.rotate(ctx, &o, &next)
		switch {
		case err == nil:
			return issued, text, nil
		case !cameBetween(err, try):
			return nil, "", err
		}
	}
}

func (e *Exchange) rotate(ctx context.Context, o *Rotation, next *hexbid.Key) (*hexbid.Key, error) {
	present, err := e.catalogue(ctx).Get(ctx, o.Old)
	if err != nil {
		return nil, err
	}
	old, ok := present.Resource.(*hexbid.Key)
	if !ok {
		return nil, hexbid.Invalidf("name", "%q is no key", hexbid.Shorten(o.Old))
	}
	ending := *old
	if end := e.config.Clock().UTC().Add(o.Overlap); ending.Expires.IsZero() || end.Before(ending.Expires) {
		ending.Expires = end
	}
	was, err := e.prepare(&ending, nil)
	if err != nil {
		return nil, err
	}
	d, err := e.prepare(next, nil)
	if err != nil {
		return nil, err
	}
	g := e.putting(e.stampOf(ctx), d, 0)
	ends := was.record()
	g.Steps = append(g.Steps, store.Step{Put: &ends, IfVersion: old.Version})
	change, err := e.commit(ctx, g, false)
	if err != nil {
		return nil, err
	}
	if err := e.inForce(ctx, change.Version); err != nil {
		return nil, err
	}
	return change.Puts[0].Resource.(*hexbid.Key), nil
}

// SetMembership sets a user's level at an advertiser and leaves everything else of the user as it is. LevelNone ends
// the membership. For a member there are no users but those who can be members: operators and auditors answer as users
// that do not exist.
func (e *Exchange) SetMembership(ctx context.Context, user, advertiser string,
	level hexbid.Level) (set hexbid.Membership, err error) {
	if err := e.admit(ctx, access.SetMembership, advertiser); err != nil {
		return set, err
	}
	if _, err := hexbid.ParseNameOf(hexbid.KindUser, "user", user); err != nil {
		return set, err
	}
	set = hexbid.Membership{Advertiser: advertiser, Level: level}
	err = e.completeUID(ctx, hexbid.KindAdvertiser, "advertiser", advertiser, &set.UID)
	isGone := err != nil && hexbid.KindOf(err) == hexbid.NotFound && seesAll(ctx) // for others it may be another's
	if err != nil && (level != hexbid.LevelNone || !isGone) {
		return set, err // a membership can end after its advertiser
	}
	_, err = e.update(seeingAll(ctx), user, store.AnyVersion, false,
		func(present hexbid.Resource) (hexbid.Resource, error) {
			next := *present.(*hexbid.User)
			if next.Role != hexbid.Member && !seesAll(ctx) {
				return nil, store.Missing("name", user)
			}
			next.Memberships = withMembership(next.Memberships, set)
			return &next, nil
		})
	return set, err
}

// withMembership returns memberships in which one is replaced, added or, at LevelNone, left out.
func withMembership(all []hexbid.Membership, set hexbid.Membership) (out []hexbid.Membership) {
	for _, m := range all {
		if m.Advertiser != set.Advertiser {
			out = append(out, m)
		}
	}
	if set.Level == hexbid.LevelNone {
		return out
	}
	return append(out, set)
}

// deletion returns the group that deletes a resource; a user and a client go with all their keys.
func (e *Exchange) deletion(ctx context.Context, name hexbid.Name, ifVersion uint64) (g store.Group, err error) {
	s := e.stampOf(ctx)
	g = s.group()
	if name.Kind == hexbid.KindUser || name.Kind == hexbid.KindClient {
		_, err = e.catalogue(ctx).List(ctx, store.ListQuery{Kind: hexbid.KindKey, Parent: name}, func(r store.Record) bool {
			g.Steps = append(g.Steps, store.Step{Delete: r.Meta().Name, IfVersion: store.AnyVersion})
			return true
		})
	}
	g.Steps = append(g.Steps, store.Step{Delete: name.String(), IfVersion: ifVersion})
	return g, err
}

// keysChanged reports whether keys of a user or a client came or went while it was about to be deleted.
func keysChanged(err error, name hexbid.Name, try int) bool {
	kind := hexbid.KindOf(err)
	return err != nil && try < tries && (name.Kind == hexbid.KindUser || name.Kind == hexbid.KindClient) &&
		(kind == hexbid.InUse || kind == hexbid.NotFound)
}
