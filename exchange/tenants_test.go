package exchange

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/ledger/receipt"
	"github.com/hexbid/hexbid/store"
)

// tenant holds the names of what one advertiser has, or would have if there were one of that id.
type tenant struct {
	id     string
	uid    hexbid.UID // of the advertiser
	of     hexbid.UID // of its campaign
	charge uint64     // sequence of a charge
}

func (x tenant) advertiser() string { return "advertisers/" + x.id }
func (x tenant) program() string    { return x.advertiser() + "/programs/p" }
func (x tenant) place() string      { return x.program() + "/places/l" }
func (x tenant) campaign() string   { return x.advertiser() + "/campaigns/c" }

// resources returns what an advertiser of the id has, made anew.
func (x tenant) resources() []hexbid.Resource {
	l, c := place("l", hub), campaign("c")
	l.Name, c.Name, c.Program = x.place(), x.campaign(), x.program()
	return []hexbid.Resource{
		&hexbid.Advertiser{Meta: hexbid.Meta{Name: x.advertiser()}, DisplayName: "advertiser " + x.id},
		&hexbid.Program{Meta: hexbid.Meta{Name: x.program()}, DisplayName: "program", Category: hexbid.Catering,
			Hosts: []hexbid.Host{hexbid.WeChat}}, l, c}
}

// ofTenants are the doors that are about what an advertiser has. A door returns what it answers.
var ofTenants = map[string]func(context.Context, *Exchange, tenant) (any, error){
	"Get": func(ctx context.Context, e *Exchange, x tenant) (any, error) { return e.Get(ctx, x.campaign()) },
	"List": func(ctx context.Context, e *Exchange, x tenant) (any, error) {
		var names []string
		name, _ := hexbid.ParseName(x.advertiser())
		next, err := e.List(ctx, store.ListQuery{Kind: hexbid.KindCampaign, Parent: name}, func(r hexbid.Resource) bool {
			names = append(names, r.Metadata().Name)
			return true
		})
		return fmt.Sprint(names, next), err
	},
	"Create a program": func(ctx context.Context, e *Exchange, x tenant) (any, error) {
		r := x.resources()[1]
		r.Metadata().Name += "2"
		return e.Create(ctx, r, false)
	},
	"Create a campaign that is there": func(ctx context.Context, e *Exchange, x tenant) (any, error) {
		return e.Create(ctx, x.resources()[3], false)
	},
	"Create an advertiser": func(ctx context.Context, e *Exchange, x tenant) (any, error) {
		return e.Create(ctx, x.resources()[0], false)
	},
	"Create, to validate": func(ctx context.Context, e *Exchange, x tenant) (any, error) {
		return e.Create(ctx, x.resources()[3], true)
	},
	"Update": func(ctx context.Context, e *Exchange, x tenant) (any, error) {
		return e.Update(ctx, x.campaign(), store.AnyVersion, false, func(hexbid.Resource) (hexbid.Resource, error) {
			return x.resources()[3], nil
		})
	},
	"Update the advertiser": func(ctx context.Context, e *Exchange, x tenant) (any, error) {
		return e.Update(ctx, x.advertiser(), store.AnyVersion, false, func(hexbid.Resource) (hexbid.Resource, error) {
			return x.resources()[0], nil
		})
	},
	"Delete": func(ctx context.Context, e *Exchange, x tenant) (any, error) {
		return nil, e.Delete(ctx, x.campaign(), store.AnyVersion, false)
	},
	"Delete, to validate": func(ctx context.Context, e *Exchange, x tenant) (any, error) {
		return nil, e.Delete(ctx, x.place(), store.AnyVersion, true)
	},
	"Delete the advertiser": func(ctx context.Context, e *Exchange, x tenant) (any, error) {
		return nil, e.Delete(ctx, x.advertiser(), store.AnyVersion, false)
	},
	"Review": func(ctx context.Context, e *Exchange, x tenant) (any, error) {
		return e.Review(ctx, x.place(), store.AnyVersion, hexbid.Hidden)
	},
	"Import": func(ctx context.Context, e *Exchange, x tenant) (any, error) {
		return nil, firstRejection(e.Import(ctx, x.resources(), false))
	},
	"Import of a campaign": func(ctx context.Context, e *Exchange, x tenant) (any, error) {
		return nil, firstRejection(e.Import(ctx, x.resources()[3:], false))
	},
	"Import, to validate": func(ctx context.Context, e *Exchange, x tenant) (any, error) {
		return nil, firstRejection(e.Import(ctx, x.resources(), true))
	},
	"Import of a place, to validate": func(ctx context.Context, e *Exchange, x tenant) (any, error) {
		return nil, firstRejection(e.Import(ctx, x.resources()[2:3], true))
	},
	"Explain": func(ctx context.Context, e *Exchange, x tenant) (any, error) {
		return e.Explain(ctx, x.campaign(), at(hub))
	},
	"CampaignSpend": func(ctx context.Context, e *Exchange, x tenant) (any, error) {
		return e.CampaignSpend(ctx, hexbid.Account{Name: x.campaign()})
	},
	"CampaignSpend by uid": func(ctx context.Context, e *Exchange, x tenant) (any, error) {
		return e.CampaignSpend(ctx, hexbid.Account{UID: x.of})
	},
	"ListCampaignSpend": func(ctx context.Context, e *Exchange, x tenant) (any, error) {
		return e.ListCampaignSpend(ctx, SpendQuery{Advertiser: x.advertiser(), Limit: 10})
	},
	"ListCampaignSpend of today": func(ctx context.Context, e *Exchange, x tenant) (any, error) {
		return e.ListCampaignSpend(ctx, SpendQuery{Advertiser: x.advertiser(), Limit: 10, SpentToday: true})
	},
	"AdvertiserBalance": func(ctx context.Context, e *Exchange, x tenant) (any, error) {
		return e.AdvertiserBalance(ctx, hexbid.Account{Name: x.advertiser()})
	},
	"AdvertiserBalance by uid": func(ctx context.Context, e *Exchange, x tenant) (any, error) {
		return e.AdvertiserBalance(ctx, hexbid.Account{UID: x.uid})
	},
	"Transfer": func(ctx context.Context, e *Exchange, x tenant) (any, error) {
		return e.Transfer(ctx, &hexbid.Transfer{Advertiser: hexbid.Account{Name: x.advertiser()}, Type: hexbid.TopUp,
			RequestID: "r", Amount: 1})
	},
	"Statement": func(ctx context.Context, e *Exchange, x tenant) (any, error) {
		return e.Statement(ctx, hexbid.Account{Name: x.advertiser()}, "2026-11")
	},
	"Statement by uid": func(ctx context.Context, e *Exchange, x tenant) (any, error) {
		return e.Statement(ctx, hexbid.Account{UID: x.uid}, "2026-11")
	},
	"Charges": func(ctx context.Context, e *Exchange, x tenant) (any, error) {
		return e.Charges(ctx, hexbid.Account{Name: x.campaign()}, receipt.ChargeQuery{Limit: 10})
	},
	"Charges by uid": func(ctx context.Context, e *Exchange, x tenant) (any, error) {
		return e.Charges(ctx, hexbid.Account{UID: x.of}, receipt.ChargeQuery{Limit: 10})
	},
	"Receipt": func(ctx context.Context, e *Exchange, x tenant) (any, error) { return e.Receipt(ctx, x.charge) },
	"WatchAlerts": func(ctx context.Context, e *Exchange, x tenant) (any, error) {
		return e.WatchAlerts(ctx, x.advertiser())
	},
	"SetMembership": func(ctx context.Context, e *Exchange, x tenant) (any, error) {
		return e.SetMembership(ctx, "users/m", x.advertiser(), hexbid.LevelAdmin)
	},
}

func firstRejection(outcomes []Outcome) error {
	for _, o := range outcomes {
		if o.Err != nil {
			return o.Err
		}
	}
	return nil
}

// openTenants opens a bank with the advertisers a and b, alike but for their names and uids, each with a charge.
func openTenants(t *testing.T) (b *billed, own, other tenant) {
	b = openBank(t)
	if err := firstRejection(b.Import(ctx, append(tenant{id: "a"}.resources(), tenant{id: "b"}.resources()...),
		false)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Create(ctx, &hexbid.User{Meta: hexbid.Meta{Name: "users/m"}, Role: hexbid.Member}, false); err != nil {
		t.Fatal(err)
	}
	uidOf := func(name string) hexbid.UID {
		r, err := b.Get(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		return r.Metadata().UID
	}
	complete := func(id string) tenant {
		x := tenant{id: id}
		x.uid, x.of = uidOf(x.advertiser()), uidOf(x.campaign())
		return x
	}
	own, other = complete("a"), complete("b")
	for _, won := range mustSearch(t, b.Exchange, at(hub)).Sponsored {
		b.clock.pass(time.Second)
		result := b.report("app", hexbid.Event{Kind: hexbid.Click, Token: won.Token, ID: fmt.Sprint(won.Campaign)})[0]
		switch won.Campaign {
		case own.of:
			own.charge = result.Sequence
		case other.of:
			other.charge = result.Sequence
		}
	}
	if own.charge == 0 || other.charge == 0 {
		t.Fatal("not both were charged")
	}
	return b, own, other
}

// memberOf returns a context whose calls are for a member of an advertiser.
func memberOf(x tenant, level hexbid.Level) context.Context {
	return hexbid.WithPrincipal(ctx, hexbid.Principal{Role: hexbid.Member, ID: "users/m", UID: 1, Origin: hexbid.InProcess,
		Grants: &hexbid.Grants{Advertisers: map[string]hexbid.Membership{
			x.advertiser(): {Advertiser: x.advertiser(), UID: x.uid, Level: level}}}})
}

// Whatever a member asks about another advertiser is answered in the words about an advertiser that does not exist.
func TestAnotherTenantDoesNotExist(t *testing.T) {
	b, own, other := openTenants(t)
	absent := tenant{id: "z", uid: 1 << 40, of: 1<<40 + 1, charge: 1 << 40}
	likeAbsent := strings.NewReplacer("advertisers/b", "advertisers/z", fmt.Sprint(other.uid), fmt.Sprint(absent.uid),
		fmt.Sprint(other.of), fmt.Sprint(absent.of), fmt.Sprint("record ", other.charge, " "),
		fmt.Sprint("record ", absent.charge, " "))
	for _, level := range []hexbid.Level{hexbid.LevelViewer, hexbid.LevelEditor, hexbid.LevelAdmin} {
		caller := memberOf(own, level)
		for name, door := range ofTenants {
			before := b.store.Version()
			there, errThere := door(caller, b.Exchange, other)
			_, errAbsent := door(caller, b.Exchange, absent)
			if errThere == nil && name != "List" {
				t.Errorf("%s by the %s: answers %+v", name, level, there)
				continue
			}
			if errThere != nil && (likeAbsent.Replace(errThere.Error()) != errAbsent.Error() ||
				hexbid.KindOf(errThere) != hexbid.KindOf(errAbsent)) {
				t.Errorf("%s by the %s:\n%v\nand of an advertiser that is not there\n%v", name, level, errThere, errAbsent)
			}
			if errThere == nil && there != "[]" {
				t.Errorf("%s by the %s shows %v", name, level, there)
			}
			if after := b.store.Version(); after != before {
				t.Errorf("%s by the %s changes the catalogue", name, level)
			}
		}
	}
	for _, r := range other.resources() {
		if _, err := b.Get(ctx, r.Metadata().Name); err != nil {
			t.Error(err)
		}
	}
}

// A level has its rights over what is its own, and no others.
func TestLevels(t *testing.T) {
	least := map[string]hexbid.Level{"Get": hexbid.LevelViewer, "List": hexbid.LevelViewer, "Explain": hexbid.LevelViewer,
		"Create a program": hexbid.LevelEditor, "Create a campaign that is there": hexbid.LevelEditor,
		"Create, to validate": hexbid.LevelEditor, "Update": hexbid.LevelEditor, "Update the advertiser": hexbid.LevelAdmin,
		"Delete": hexbid.LevelEditor, "Delete, to validate": hexbid.LevelEditor, "Import": hexbid.LevelAdmin,
		"Import of a campaign": hexbid.LevelEditor, "Import, to validate": hexbid.LevelAdmin,
		"Import of a place, to validate": hexbid.LevelEditor, "CampaignSpend": hexbid.LevelViewer,
		"CampaignSpend by uid": hexbid.LevelViewer, "ListCampaignSpend": hexbid.LevelViewer,
		"ListCampaignSpend of today": hexbid.LevelViewer, "AdvertiserBalance": hexbid.LevelViewer,
		"AdvertiserBalance by uid": hexbid.LevelViewer, "Statement": hexbid.LevelViewer,
		"Statement by uid": hexbid.LevelViewer, "Charges": hexbid.LevelViewer, "Charges by uid": hexbid.LevelViewer,
		"Receipt": hexbid.LevelViewer, "WatchAlerts": hexbid.LevelViewer, "SetMembership": hexbid.LevelAdmin}
	for name, door := range ofTenants {
		b, own, _ := openTenants(t)
		for level := hexbid.LevelNone; level < hexbid.LevelCount; level++ {
			_, err := door(memberOf(own, level), b.Exchange, own)
			want := least[name] != hexbid.LevelNone && level >= least[name]
			if denied := err != nil && hexbid.KindOf(err) == hexbid.Denied; denied == want {
				t.Errorf("%s of one's own as %s: %v", name, level, err)
			} else if want && err != nil && hexbid.KindOf(err) != hexbid.AlreadyExists {
				t.Errorf("%s of one's own as %s: %v", name, level, err)
			}
			if want && name == "Delete" {
				break // it is gone
			}
		}
	}
}

// A wildcard stands for what is the caller's own.
func TestWildcardsShowOnesOwn(t *testing.T) {
	b, own, other := openTenants(t)
	for _, x := range []tenant{own, other} {
		caller := memberOf(x, hexbid.LevelViewer)
		var seen []string
		for kind := hexbid.KindAdvertiser; kind <= hexbid.KindCampaign; kind++ {
			q := store.ListQuery{Kind: kind}
			if kind == hexbid.KindPlace {
				q.Parent = hexbid.Name{Kind: hexbid.KindProgram, Advertiser: hexbid.AnyID, Program: hexbid.AnyID}
			} else if kind.HasParent() {
				q.Parent = hexbid.Name{Kind: hexbid.KindAdvertiser, Advertiser: hexbid.AnyID}
			}
			if next, err := b.List(caller, q, func(r hexbid.Resource) bool {
				seen = append(seen, r.Metadata().Name)
				return true
			}); err != nil || next != "" {
				t.Fatal(next, err)
			}
		}
		if want := []string{x.advertiser(), x.program(), x.place(), x.campaign()}; !reflect.DeepEqual(seen, want) {
			t.Errorf("%s sees %q", x.id, seen)
		}
		for _, today := range []bool{false, true} {
			page, err := b.ListCampaignSpend(caller, SpendQuery{Advertiser: "advertisers/-", Limit: 10, SpentToday: today})
			if err != nil || len(page.Campaigns) != 1 || page.Campaigns[0].UID != x.of {
				t.Errorf("%s, today %t: %+v, %v", x.id, today, page, err)
			}
		}
		w, err := b.WatchAlerts(caller, "advertisers/-")
		if err != nil || !w.isOf(x.uid) || w.isOf(own.uid) && w.isOf(other.uid) {
			t.Errorf("%s watches %v, %v", x.id, w, err)
		}
	}
}

// Who was a member of an advertiser is no member of one that is made under its name later.
func TestANameMadeAgainIsAnotherTenant(t *testing.T) {
	b, own, _ := openTenants(t)
	caller := memberOf(own, hexbid.LevelAdmin)
	for _, r := range []string{own.campaign(), own.place(), own.program(), own.advertiser()} {
		if err := b.Delete(ctx, r, store.AnyVersion, false); err != nil {
			t.Fatal(err)
		}
	}
	if err := firstRejection(b.Import(ctx, own.resources(), false)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Get", "Update", "Delete", "CampaignSpend", "Import of a campaign",
		"Update the advertiser"} {
		if got, err := ofTenants[name](caller, b.Exchange, own); err == nil || hexbid.KindOf(err) != hexbid.NotFound {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	// those of the old one
	for _, name := range []string{"AdvertiserBalance by uid", "Charges by uid", "Statement by uid"} {
		if _, err := ofTenants[name](caller, b.Exchange, own); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAuditorsReadEverythingAndChangeNothing(t *testing.T) {
	b, own, other := openTenants(t)
	auditor := hexbid.WithPrincipal(ctx, hexbid.Principal{Role: hexbid.Auditor, ID: "users/x", Origin: hexbid.InProcess})
	changes := map[string]bool{"Create a program": true, "Create a campaign that is there": true,
		"Create an advertiser": true, "Create, to validate": true, "Update": true, "Update the advertiser": true,
		"Delete": true, "Delete, to validate": true, "Delete the advertiser": true, "Review": true, "Import": true,
		"Import of a campaign": true, "Import, to validate": true, "Import of a place, to validate": true,
		"Transfer": true, "SetMembership": true}
	for name, door := range ofTenants {
		for _, x := range []tenant{own, other} {
			if _, err := door(auditor, b.Exchange, x); changes[name] != (hexbid.KindOf(err) == hexbid.Denied && err != nil) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
