package exchange

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/store"
)

var olgasSubject = hexbid.Identity{Issuer: "https://id.example", Subject: "4711"}

// aliased returns a user who is known by a name in certificates and a subject.
func aliased(name string) *hexbid.User {
	return &hexbid.User{Meta: hexbid.Meta{Name: name}, Role: hexbid.Auditor,
		CertificateNames: []string{"own." + strings.TrimPrefix(name, "users/"), "shared.example"},
		Identities:       []hexbid.Identity{olgasSubject}}
}

// wantTaken checks the refusal of a user for the aliases that another one has.
func wantTaken(t *testing.T, err error, holder string) {
	t.Helper()
	all, _ := hexbid.ErrorsOf(err)
	if hexbid.KindOf(err) != hexbid.AlreadyExists || len(all) == 0 ||
		!strings.HasPrefix(all[0].Field, "user.certificate_names[1]") || !strings.Contains(err.Error(), holder) {
		t.Errorf("want a refusal that names the field and %q, got %v", holder, err)
	}
}

func TestAnAliasStandsForOneCaller(t *testing.T) {
	b, _, _ := openTenants(t)
	if _, err := b.Create(ctx, aliased("users/first"), false); err != nil {
		t.Fatal(err)
	}
	_, err := b.Create(ctx, aliased("users/second"), false)
	wantTaken(t, err, "users/first")
	if all, _ := hexbid.ErrorsOf(err); len(all) != 2 || all[1].Field != "user.identities[0].subject" {
		t.Errorf("want both fields named, got %v", err)
	}
	_, err = b.Create(ctx, aliased("users/second"), true)
	wantTaken(t, err, "users/first")
	client := &hexbid.Client{Meta: hexbid.Meta{Name: "clients/c"}, Identities: []hexbid.Identity{olgasSubject}}
	if _, err := b.Create(ctx, client, false); hexbid.KindOf(err) != hexbid.AlreadyExists ||
		!strings.Contains(err.Error(), "client.identities[0].subject") {
		t.Errorf("a client takes a user's subject: %v", err)
	}

	// The first gives it back: as it is edited, and as it is deleted.
	edit := func(r hexbid.Resource) (hexbid.Resource, error) {
		next := *r.(*hexbid.User)
		next.DisplayName, next.Identities = "still there", nil
		return &next, nil
	}
	if _, err := b.Update(ctx, "users/first", store.AnyVersion, false, edit); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Create(ctx, client, false); err != nil {
		t.Errorf("a subject that was given back: %v", err)
	}
	if err := b.Delete(ctx, "users/first", store.AnyVersion, false); err != nil {
		t.Fatal(err)
	}
	second := aliased("users/second")
	second.Identities = nil
	if _, err := b.Create(ctx, second, false); err != nil {
		t.Errorf("a name that was given back: %v", err)
	}
}

// Neither writer sees the other in the directory, so the engine decides.
func TestOfTwoWritersWithOneAliasOneIsRefused(t *testing.T) {
	b, _, _ := openTenants(t)
	if _, err := b.Create(ctx, aliased("users/first"), false); err != nil {
		t.Fatal(err)
	}
	b.directory.Replace(b.store.Version(), nil)
	_, err := b.Create(ctx, aliased("users/second"), false)
	wantTaken(t, err, "another user")
	if err := b.Delete(ctx, "users/first", store.AnyVersion, false); err != nil {
		t.Fatal(err)
	}

	const writers = 8
	errs := make([]error, writers)
	var group sync.WaitGroup
	for i := range writers {
		group.Go(func() { _, errs[i] = b.Create(ctx, aliased(fmt.Sprintf("users/w%d", i)), false) })
	}
	group.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		wantTaken(t, err, "stands for")
	}
	if won != 1 {
		t.Errorf("%d writers have the alias", won)
	}
}

func TestAnAliasIsListedOnce(t *testing.T) {
	b, _, _ := openTenants(t)
	u := aliased("users/u")
	u.CertificateNames[0], u.Identities = u.CertificateNames[1], append(u.Identities, olgasSubject)
	_, err := b.Create(ctx, u, false)
	if all, _ := hexbid.ErrorsOf(err); len(all) != 2 || all[0].Field != "user.certificate_names[1]" ||
		all[1].Field != "user.identities[1].subject" {
		t.Errorf("aliases listed twice: %v", err)
	}
}
