package exchange

import (
	"context"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/store"
)

// asRole returns a context whose calls are for a caller of a role without rights of its own.
func asRole(role hexbid.Role) context.Context {
	return hexbid.WithPrincipal(ctx, hexbid.Principal{Role: role, ID: "users/x", UID: 9, Grants: &hexbid.Grants{}})
}

func TestOperatorsAuditorsAndTheProgramSeeAll(t *testing.T) {
	b, own, _ := openTenants(t)
	all := map[hexbid.Role]bool{hexbid.Operator: true, hexbid.System: true, hexbid.Auditor: true}
	for role := hexbid.Nobody; role <= hexbid.RoleCount; role++ {
		caller := asRole(role)
		if seesAll(caller) != all[role] || sees(caller, own.uid) != all[role] || (lastRecord(caller, 7) == 7) != all[role] {
			t.Errorf("%s sees all: %t, an advertiser: %t", role, seesAll(caller), sees(caller, own.uid))
		}
		for _, name := range []string{own.advertiser(), own.campaign(), "users/m"} {
			if _, err := b.catalogue(caller).Get(caller, name); (err == nil) != all[role] {
				t.Errorf("%s reads %s: %v", role, name, err)
			}
		}
	}
	memberless := hexbid.WithPrincipal(ctx, hexbid.Principal{Role: hexbid.Searcher, ID: "clients/x",
		Grants: hexbid.PrincipalOf(memberOf(own, hexbid.LevelAdmin)).Grants})
	if sees(memberless, own.uid) {
		t.Error("a client with grants of a member sees an advertiser")
	}
}

// A batch shares what it has found out about its caller, and about no other.
func TestWhatABatchSharesIsItsCallersAlone(t *testing.T) {
	b, own, other := openTenants(t)
	shared := b.sharingOwn(memberOf(own, hexbid.LevelViewer))
	if _, err := b.catalogue(shared).Get(shared, own.campaign()); err != nil {
		t.Fatal(err)
	}
	for what, p := range map[string]hexbid.Principal{
		"another member":     hexbid.PrincipalOf(memberOf(other, hexbid.LevelViewer)),
		"without membership": {Role: hexbid.Member, ID: "users/m", UID: 1, Grants: &hexbid.Grants{}},
		"a client":           {Role: hexbid.Searcher, ID: "users/m", UID: 1},
	} {
		caller := hexbid.WithPrincipal(shared, p)
		if r, err := b.catalogue(caller).Get(caller, own.campaign()); err == nil {
			t.Errorf("%s reads %v", what, r)
		}
	}
}

// Who is a member nowhere has no rights to lists either.
func TestAMemberOfNothingMayNotList(t *testing.T) {
	b, _, _ := openTenants(t)
	nowhere := asRole(hexbid.Member)
	for _, about := range []string{"", "advertisers/-", "advertisers/-/programs/-"} {
		if err := b.admit(nowhere, access.ListCampaigns, about); hexbid.KindOf(err) != hexbid.Denied || err == nil {
			t.Errorf("%q: %v", about, err)
		}
	}
	if _, err := b.List(nowhere, store.ListQuery{Kind: hexbid.KindAdvertiser}, func(hexbid.Resource) bool {
		return true
	}); hexbid.KindOf(err) != hexbid.Denied || err == nil {
		t.Errorf("all advertisers: %v", err)
	}
}

// What a refusal asks for is something that its reader can get.
func TestARefusalSaysWhatWouldBeRight(t *testing.T) {
	b, own, other := openTenants(t)
	auditor := asRole(hexbid.Auditor)
	_, err := b.Update(auditor, own.advertiser(), store.AnyVersion, false, nil)
	if got := err.Error(); got != "auditor users/x may not do this: auditors read, and change nothing" {
		t.Errorf("an auditor who writes is told %q", got)
	}
	for _, validate := range []bool{false, true} {
		for _, of := range []tenant{other, {id: "z"}} {
			for _, o := range b.Import(memberOf(own, hexbid.LevelAdmin), of.resources()[1:], validate) {
				all, _ := hexbid.ErrorsOf(o.Err)
				for _, one := range all {
					if want := "\"" + of.advertiser(); one.Kind != hexbid.NotFound || one.Detail[:len(want)] != want ||
						one.Detail[len(one.Detail)-len(adviceElsewhere):] != adviceElsewhere {
						t.Errorf("%s, only validated %t: %q", o.Resource.Metadata().Name, validate, one.Detail)
					}
				}
				if len(all) == 0 {
					t.Errorf("%s is stored", o.Resource.Metadata().Name)
				}
			}
		}
	}
}

const adviceElsewhere = "belongs to no advertiser of which you are a member: name one of yours (whoami lists them)"

// Who could write into another's keys would have the other's rights.
func TestARotationIssuesAKeyOfItsOwnerAlone(t *testing.T) {
	b, _, _ := openTenants(t)
	o := &hexbid.User{Meta: hexbid.Meta{Name: "users/o"}, Role: hexbid.Operator}
	if _, err := b.Create(ctx, o, false); err != nil {
		t.Fatal(err)
	}
	mine := hexbid.WithPrincipal(ctx, hexbid.Principal{Role: hexbid.Member, ID: "users/m", UID: 1})
	if _, _, err := b.IssueKey(mine, &hexbid.Key{Meta: hexbid.Meta{Name: "users/m/keys/k"}}); err != nil {
		t.Fatal(err)
	}
	rotate := func(old, next string) error {
		_, text, err := b.RotateKey(mine, Rotation{Old: old, New: &hexbid.Key{Meta: hexbid.Meta{Name: next}}})
		if err != nil && text != "" {
			t.Errorf("%s to %s: a key's text beside %v", old, next, err)
		}
		return err
	}
	for _, next := range []string{"users/o/keys/k", "users/z/keys/k", "clients/c/keys/k", "users/o", "advertisers/a",
		"users/-/keys/k", "market", ""} {
		if err := rotate("users/m/keys/k", next); err == nil {
			t.Errorf("a key of one's own became %q", next)
		}
		if err := rotate(next, "users/m/keys/l"); err == nil {
			t.Errorf("%q became a key of one's own", next)
		}
	}
	if err := rotate("users/m/keys/k", "users/m/keys/l"); err != nil {
		t.Error(err)
	}
	var keys []string
	for _, owner := range []string{"m", "o"} {
		if _, err := b.List(ctx, store.ListQuery{Kind: hexbid.KindKey, Parent: hexbid.Name{Kind: hexbid.KindUser,
			User: owner}}, func(r hexbid.Resource) bool {
			keys = append(keys, r.Metadata().Name)
			return true
		}); err != nil {
			t.Fatal(err)
		}
	}
	if len(keys) != 2 {
		t.Errorf("there are the keys %q", keys)
	}
}

// No change of today touches two advertisers. One that did would show each of them its own part.
func TestAMemberSeesTheOwnPartOfAChange(t *testing.T) {
	b, own, other := openTenants(t)
	var g store.Group
	for i, x := range []tenant{other, own} {
		present := must(b.Get(ctx, x.campaign())).(*hexbid.Campaign)
		next := *present
		next.Bid++
		d, err := b.prepare(&next, nil)
		if err != nil {
			t.Fatal(err)
		}
		part := b.putting(b.stampOf(ctx), d, present.Version)
		if i == 0 {
			g = part
			continue
		}
		g.Steps, g.Conditions = append(g.Steps, part.Steps...), append(g.Conditions, part.Conditions...)
	}
	if _, err := b.commit(ctx, g, false); err != nil {
		t.Fatal(err)
	}
	if all := latest(t, b.Exchange, own.campaign()); len(all.Of) != 2 {
		t.Fatalf("an operator sees the parts %+v", all.Of)
	}
	caller := memberOf(own, hexbid.LevelAdmin)
	for name, c := range map[string]Change{"a list": changesFor(t, caller, b.Exchange, ChangeQuery{})[0],
		"the change": *must(b.Change(caller, latest(t, b.Exchange, own.campaign()).Name))} {
		if len(c.Of) != 1 || c.Of[0].Name != own.campaign() {
			t.Errorf("%s shows %+v", name, c.Of)
		}
	}
	if _, err := b.Undo(caller, latest(t, b.Exchange, own.campaign()).Name, false); err != nil {
		t.Fatal(err)
	}
	wanted := g.Steps[0].Put.Resource.(*hexbid.Campaign).Bid
	if bid := must(b.Get(ctx, other.campaign())).(*hexbid.Campaign).Bid; bid != wanted {
		t.Errorf("an undo of one's own part left the other at %s", bid)
	}
}

// The operator's verdict on a rival's place is the rival's to know.
func TestVerdictsAndCountsOfAnotherAreNotTold(t *testing.T) {
	b, own, other := openTenants(t)
	caller := memberOf(own, hexbid.LevelAdmin)
	for _, x := range []tenant{own, other} {
		if _, err := b.Review(ctx, x.place(), store.AnyVersion, hexbid.Hidden); err != nil {
			t.Fatal(err)
		}
		verdict, err := b.catalogue(caller).Verdict(ctx, x.place())
		if err != nil || (verdict.State != 0) != (x == own) {
			t.Errorf("of %s the verdict is %+v, %v", x.id, verdict, err)
		}
		places, err := b.catalogue(caller).Counted(ctx, x.advertiser(), store.Places)
		if err != nil || (places != 0) != (x == own) {
			t.Errorf("%s has %d places, %v", x.id, places, err)
		}
		if r, err := b.catalogue(caller).ByUID(ctx, x.of); (err == nil) != (x == own) {
			t.Errorf("by its uid %s shows %v, %v", x.id, r.Resource, err)
		}
	}
}

// Whatever a door has let by, a group that touches anything of another's is refused whole.
func TestAGroupThatTouchesAnothersIsRefusedWhole(t *testing.T) {
	b, own, other := openTenants(t)
	o := &hexbid.User{Meta: hexbid.Meta{Name: "users/o"}, Role: hexbid.Operator}
	if _, err := b.Create(ctx, o, false); err != nil {
		t.Fatal(err)
	}
	caller, before := memberOf(own, hexbid.LevelAdmin), b.store.Version()
	key := func(name string) store.Step {
		k := &hexbid.Key{Meta: hexbid.Meta{Name: name}}
		_, k.CredentialID, k.SecretHash = b.config.Pepper.NewKey()
		put := must(b.prepare(k, nil)).record()
		return store.Step{Put: &put}
	}
	deletion := func(name string) store.Step { return store.Step{Delete: name, IfVersion: store.AnyVersion} }
	for what, steps := range map[string][]store.Step{
		"another's campaign":                {deletion(other.campaign())},
		"one's own and another's":           {deletion(own.campaign()), deletion(other.campaign())},
		"another's and one's own":           {deletion(other.campaign()), deletion(own.campaign())},
		"a key of another's":                {key("users/o/keys/k")},
		"a key of one's own and another's":  {key("users/m/keys/k"), key("users/o/keys/k")},
		"another user":                      {deletion("users/o")},
		"a key of one's own and a campaign": {key("users/m/keys/k"), deletion(other.campaign())},
	} {
		for _, validate := range []bool{true, false} {
			s := b.stampOf(caller)
			if _, err := b.commit(caller, s.group(steps...), validate); err == nil {
				t.Errorf("%s, only validated %t: it is taken", what, validate)
			}
		}
	}
	if after := b.store.Version(); after != before {
		t.Errorf("the catalogue is at %d, and was at %d", after, before)
	}
}
