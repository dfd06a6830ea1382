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
