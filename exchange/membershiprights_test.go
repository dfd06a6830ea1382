package exchange

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hexbid/hexbid"
)

// An admin decides who is a member of the own advertiser, and ends no membership at another, whether that is there or
// was deleted.
func TestAnAdminEndsNoMembershipAtAnotherAdvertiser(t *testing.T) {
	b, own, other := openTenants(t)
	if _, err := b.SetMembership(ctx, "users/m", other.advertiser(), hexbid.LevelEditor); err != nil {
		t.Fatal(err)
	}
	for _, of := range []tenant{other, {id: "z"}} {
		for level := hexbid.LevelNone; level < hexbid.LevelCount; level++ {
			_, err := b.SetMembership(memberOf(own, hexbid.LevelAdmin), "users/m", of.advertiser(), level)
			if err == nil || hexbid.KindOf(err) != hexbid.NotFound {
				t.Errorf("%s at %s: %v", level, of.advertiser(), err)
			}
		}
	}
	if m, _ := b.directory.Principal("users/m"); m.Grants.Advertisers[other.advertiser()].Level != hexbid.LevelEditor {
		t.Errorf("the membership is %+v", m.Grants)
	}
}

// What an admin is told of a user who cannot be a member says nothing of who there is.
func TestAnAdminDoesNotLearnWhoWorksForTheOperator(t *testing.T) {
	b, own, _ := openTenants(t)
	for name, role := range map[string]hexbid.Role{"users/o": hexbid.Operator, "users/x": hexbid.Auditor} {
		if _, err := b.Create(ctx, &hexbid.User{Meta: hexbid.Meta{Name: name}, Role: role}, false); err != nil {
			t.Fatal(err)
		}
	}
	told := func(user string, level hexbid.Level) string {
		_, err := b.SetMembership(memberOf(own, hexbid.LevelAdmin), user, own.advertiser(), level)
		if err == nil {
			return "nothing"
		}
		return fmt.Sprint(hexbid.KindOf(err), strings.ReplaceAll(err.Error(), user, "users/n"))
	}
	for level := hexbid.LevelNone; level < hexbid.LevelCount; level++ {
		for _, user := range []string{"users/o", "users/x"} {
			if got, want := told(user, level), told("users/n", level); got != want {
				t.Errorf("%s as %s: %q, of a user who is not there %q", user, level, got, want)
			}
		}
	}
}
