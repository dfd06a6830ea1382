package exchange

import (
	"context"
	"maps"
	"reflect"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/ledger/receipt"
	"github.com/hexbid/hexbid/store"
)

// doors are the exported methods of an exchange that read or write for a caller.
var doors = map[string]func(context.Context, *Exchange) error{
	"Admit": func(ctx context.Context, e *Exchange) error { return e.Admit(ctx, access.ListRegions) },
	"Get": func(ctx context.Context, e *Exchange) error {
		_, err := e.Get(ctx, program)
		return err
	},
	"List": func(ctx context.Context, e *Exchange) error {
		_, err := e.List(ctx, store.ListQuery{Kind: hexbid.KindAdvertiser}, func(hexbid.Resource) bool { return true })
		return err
	},
	"Create": func(ctx context.Context, e *Exchange) error {
		_, err := e.Create(ctx, place("new", hub), false)
		return err
	},
	"Update": func(ctx context.Context, e *Exchange) error {
		_, err := e.Update(ctx, program+"/places/l", store.AnyVersion, false,
			func(hexbid.Resource) (hexbid.Resource, error) { return place("l", hub), nil })
		return err
	},
	"Delete": func(ctx context.Context, e *Exchange) error {
		return e.Delete(ctx, "advertisers/a/campaigns/c", store.AnyVersion, true)
	},
	"Review": func(ctx context.Context, e *Exchange) error {
		_, err := e.Review(ctx, program+"/places/l", store.AnyVersion, hexbid.Approved)
		return err
	},
	"Check": func(ctx context.Context, e *Exchange) error { return e.Check(ctx, place("l", hub), nil) },
	"Serving": func(ctx context.Context, e *Exchange) error {
		_, err := e.Serving(ctx)
		return err
	},
	"HandIn": func(ctx context.Context, e *Exchange) error {
		return e.HandIn(ctx, bidder.OwnerLedger, []bidder.LiveUpdate{{Campaign: 1}})
	},
	"HandInAdvertisers": func(ctx context.Context, e *Exchange) error {
		return e.HandInAdvertisers(ctx, []bidder.AdvertiserUpdate{{Advertiser: 1}})
	},
	"LiveStates": func(ctx context.Context, e *Exchange) error {
		_, err := e.LiveStates(ctx)
		return err
	},
	"Import": func(ctx context.Context, e *Exchange) error {
		return e.Import(ctx, []hexbid.Resource{place("another", hub)}, false)[0].Err
	},
	"Holdings": func(ctx context.Context, e *Exchange) error {
		_, _, err := e.Holdings(ctx, "advertisers/a")
		return err
	},
	"NewUpload": func(ctx context.Context, e *Exchange) error {
		u, err := e.NewUpload(ctx, true)
		if err == nil {
			u.Close()
		}
		return err
	},
	"Search": func(ctx context.Context, e *Exchange) error {
		_, err := e.Search(ctx, at(hub), time.Now())
		return err
	},
	"ForecastMarket": func(ctx context.Context, e *Exchange) error {
		_, err := e.ForecastMarket(ctx, &hexbid.Market{})
		return err
	},
	"MarketInForce": func(ctx context.Context, e *Exchange) error {
		_, err := e.MarketInForce(ctx)
		return err
	},
	"Explain": func(ctx context.Context, e *Exchange) error {
		_, err := e.Explain(ctx, "advertisers/a/campaigns/c", at(hub))
		return err
	},
	"RecordEvents": func(ctx context.Context, e *Exchange) error {
		_, err := e.RecordEvents(ctx, &hexbid.EventReport{Events: []hexbid.Event{{Kind: hexbid.Click, Token: "t", ID: "1"}}})
		return err
	},
	"CampaignSpend": func(ctx context.Context, e *Exchange) error {
		_, err := e.CampaignSpend(ctx, hexbid.Account{Name: "advertisers/a/campaigns/c"})
		return err
	},
	"ListCampaignSpend": func(ctx context.Context, e *Exchange) error {
		_, err := e.ListCampaignSpend(ctx, SpendQuery{Advertiser: "advertisers/-", Limit: 1})
		return err
	},
	"AdvertiserBalance": func(ctx context.Context, e *Exchange) error {
		_, err := e.AdvertiserBalance(ctx, hexbid.Account{Name: "advertisers/a"})
		return err
	},
	"Transfer": func(ctx context.Context, e *Exchange) error {
		_, err := e.Transfer(ctx, &hexbid.Transfer{Advertiser: hexbid.Account{Name: "advertisers/a"}, Type: hexbid.TopUp,
			RequestID: "r", Amount: 1})
		return err
	},
	"Credit": func(ctx context.Context, e *Exchange) error {
		_, err := e.Credit(ctx, &hexbid.CreditOrder{Advertiser: hexbid.Account{Name: "advertisers/a"}, RequestID: "r",
			Reason: "why", Campaign: hexbid.Account{Name: "advertisers/a/campaigns/c"}, Amount: 1})
		return err
	},
	"Statement": func(ctx context.Context, e *Exchange) error {
		_, err := e.Statement(ctx, hexbid.Account{Name: "advertisers/a"}, "2026-11")
		return err
	},
	"Charges": func(ctx context.Context, e *Exchange) error {
		_, err := e.Charges(ctx, hexbid.Account{Name: "advertisers/a/campaigns/c"}, receipt.ChargeQuery{Limit: 1})
		return err
	},
	"Roots": func(ctx context.Context, e *Exchange) error {
		_, err := e.Roots(ctx, time.Time{}, time.Time{}, 1)
		return err
	},
	"WatchAlerts": func(ctx context.Context, e *Exchange) error {
		_, err := e.WatchAlerts(ctx, "advertisers/-")
		return err
	},
	"ExportViewer": func(ctx context.Context, e *Exchange) error {
		_, err := e.ExportViewer(ctx, "somebody", "")
		return err
	},
	"ViewerHistory": func(ctx context.Context, e *Exchange) error {
		_, err := e.ViewerHistory(ctx, "somebody")
		return err
	},
	"IssueKey": func(ctx context.Context, e *Exchange) error {
		_, _, err := e.IssueKey(ctx, &hexbid.Key{Meta: hexbid.Meta{Name: "users/a/keys/k"}})
		return err
	},
	"RotateKey": func(ctx context.Context, e *Exchange) error {
		_, _, err := e.RotateKey(ctx, Rotation{Old: "users/a/keys/first",
			New: &hexbid.Key{Meta: hexbid.Meta{Name: "users/a/keys/l"}}})
		return err
	},
	"SetMembership": func(ctx context.Context, e *Exchange) error {
		_, err := e.SetMembership(ctx, "users/a", "advertisers/a", hexbid.LevelEditor)
		return err
	},
	"Changes": func(ctx context.Context, e *Exchange) error {
		_, err := e.Changes(ctx, &ChangeQuery{}, func(*Change) bool { return true })
		return err
	},
	"Change": func(ctx context.Context, e *Exchange) error {
		_, err := e.Change(ctx, "changes/"+e.changeIDs.Of(1))
		return err
	},
	"Undo": func(ctx context.Context, e *Exchange) error {
		_, err := e.Undo(ctx, "changes/"+e.changeIDs.Of(3), true)
		return err
	},
	"EraseViewerHistory": func(ctx context.Context, e *Exchange) error { return e.EraseViewerHistory(ctx, "somebody") },
	"Backup": func(ctx context.Context, e *Exchange) error {
		_, err := e.Backup(ctx, "/nowhere")
		return err
	},
}

// without are the exported methods that are no doors, and why.
var without = map[string]string{
	"Close":         "ends the process's own exchange",
	"Step":          "does in virtual time what the process's own goroutines do",
	"Size":          "counts for the operator's metrics",
	"LedgerTurns":   "counts for the operator's metrics",
	"Alerts":        "counts for the operator's metrics",
	"AwardsOut":     "counts for the operator's metrics",
	"ViewerStats":   "counts for the operator's metrics",
	"Quality":       "counts for the operator's metrics",
	"Filtered":      "counts for the operator's metrics",
	"OverDelivery":  "counts for the operator's metrics",
	"CacheHitRatio": "counts for the operator's metrics",
	"Now":           "tells the time",
	"Directory":     "is for the server, which asks it who calls",
	"Etag":          "enciphers what a door has returned",
	"SealPosition":  "seals what a door has returned",
	"OpenPosition":  "opens what a caller sent",
	"VersionOf":     "deciphers what a caller sent",
	"Searchable":    "says of a resource that a door has returned whether it is published",
}

func TestEveryDoorRefusesACallerWithoutRights(t *testing.T) {
	b := openBank(t)
	e := b.Exchange
	e.config.Backup = func(context.Context, string) (hexbid.Backup, error) { return hexbid.Backup{}, nil }
	b.put(campaign("c"))
	if _, err := e.Create(ctx, &hexbid.User{Meta: hexbid.Meta{Name: "users/a"}, Role: hexbid.Member}, false); err != nil {
		t.Fatal(err)
	}
	if _, _, err := e.IssueKey(ctx, &hexbid.Key{Meta: hexbid.Meta{Name: "users/a/keys/first"}}); err != nil {
		t.Fatal(err)
	}
	charge := b.click().Sequence
	doors := maps.Clone(doors)
	doors["Receipt"] = func(ctx context.Context, e *Exchange) error {
		_, err := e.Receipt(ctx, charge)
		return err
	}
	waitFor(t, "the index follows", func() bool { return e.Size().Version == e.store.Version() })
	before := e.Size()
	methods := reflect.TypeFor[*Exchange]()
	for i := range methods.NumMethod() {
		name := methods.Method(i).Name
		if _, none := without[name]; none {
			continue
		}
		door, known := doors[name]
		if !known {
			t.Errorf("%s is no door that this test knows: list it", name)
			continue
		}
		for _, nobody := range []context.Context{context.Background(), hexbid.WithPrincipal(ctx, hexbid.Principal{}),
			hexbid.WithPrincipal(ctx, hexbid.Principal{Role: 200, ID: "tests", Origin: hexbid.InProcess})} {
			if err := door(nobody, e); hexbid.KindOf(err) != hexbid.Denied {
				t.Errorf("%s for %s: %v", name, hexbid.PrincipalOf(nobody), err)
			}
		}
	}
	if after := e.Size(); after != before {
		t.Errorf("the market was %v and is %v", before, after)
	}
	for name, door := range doors { // so that it is not something else that refuses
		for _, role := range []hexbid.Role{hexbid.Operator, hexbid.System} {
			if err := door(hexbid.WithPrincipal(t.Context(), hexbid.Principal{Role: role}), e); err != nil &&
				hexbid.KindOf(err) != hexbid.AlreadyExists {
				t.Errorf("%s for the role %s: %v", name, role, err)
			}
		}
	}
}

type depth int // of a context that carries much

func TestAskingForRightsAllocatesNothing(t *testing.T) {
	e := new(Exchange)
	deep, cancel := context.WithCancel(ctx)
	defer cancel()
	for i := range 10 {
		deep = context.WithValue(deep, depth(i), i)
	}
	if n := testing.AllocsPerRun(100, func() {
		if err := e.admit(deep, access.SearchNearby, ""); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAskingForRights(b *testing.B) {
	e := new(Exchange)
	for b.Loop() {
		if err := e.admit(ctx, access.SearchNearby, ""); err != nil {
			b.Fatal(err)
		}
	}
}
