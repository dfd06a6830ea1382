package exchange

import (
	"context"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/token"
)

func asClient(uid hexbid.UID, others ...hexbid.UID) context.Context {
	return hexbid.WithPrincipal(context.Background(), hexbid.Principal{Role: hexbid.Searcher, ID: "clients/app", UID: uid,
		Grants: &hexbid.Grants{EventsOf: others}})
}

func TestTokensAreReturnedByWhomTheyWereGivenTo(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	operator := hexbid.WithPrincipal(t.Context(), hexbid.Principal{Role: hexbid.Operator})
	for _, c := range []struct {
		what  string
		by    context.Context
		named string
		of    token.Award
		may   bool
	}{
		{"its own", asClient(3), "", token.Award{ClientID: "app", ClientUID: 3}, true},
		{"its own, whatever the header says", asClient(3), "other", token.Award{ClientID: "app", ClientUID: 3}, true},
		{"another's, by its name in the header", asClient(3), "other", token.Award{ClientID: "other", ClientUID: 4}, false},
		{"of an earlier client with the name", asClient(3), "", token.Award{ClientID: "app", ClientUID: 2}, false},
		{"another's, by grant", asClient(3, 9, 4), "", token.Award{ClientID: "other", ClientUID: 4}, true},
		{"another's, whose name alone is known, by grant", asClient(3, 4), "",
			token.Award{ClientID: "other", IssuedAt: now}, false},
		{"by its name, for a week", asClient(3), "", token.Award{ClientID: "app", IssuedAt: now.Add(-namesCount)}, true},
		{"by its name, later", asClient(3), "", token.Award{ClientID: "app", IssuedAt: now.Add(-namesCount - 1)}, false},
		{"nobody's", asClient(3), "", token.Award{IssuedAt: now}, false},
		{"by who names itself", operator, "app", token.Award{ClientID: "app", ClientUID: 3}, true},
		{"by who names itself otherwise", operator, "", token.Award{ClientID: "app", ClientUID: 3}, false},
	} {
		by := returnerOf(c.by, c.named, now)
		if got := by.mayReturn(&c.of); got != c.may {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}

func TestASearchOfAClientHasTokensWithItsUID(t *testing.T) {
	b := openBank(t)
	b.put(campaign("c"))
	r := at(hub)
	r.ClientID = "somebody else"
	out, err := b.Search(asClient(77), r, time.Now())
	if err != nil || len(out.Sponsored) == 0 {
		t.Fatalf("%d sponsored results, %v", len(out.Sponsored), err)
	}
	award, _, err := b.keys.Ring().OpenAward(out.Sponsored[0].Token)
	if err != nil || award.ClientID != "app" || award.ClientUID != 77 {
		t.Errorf("the token is of %q, uid %d, %v", award.ClientID, award.ClientUID, err)
	}
}

func TestTheDirectoryFollowsWhatIsWritten(t *testing.T) {
	b := openBank(t)
	e := b.Exchange
	app := &hexbid.Client{Meta: hexbid.Meta{Name: "clients/app"}, RendersOnly: true}
	if _, err := e.Create(ctx, app, false); err != nil {
		t.Fatal(err)
	}
	if !e.Directory().RendersOnly("app") {
		t.Error("a client is not known when its write returns")
	}
	b.restart()
	if !b.Directory().RendersOnly("app") {
		t.Error("a client is not known after a start")
	}
	if err := b.Delete(ctx, "clients/app", 0xffffffffffffffff, false); err != nil {
		t.Fatal(err)
	}
	if b.Directory().RendersOnly("app") {
		t.Error("a client is known when its deletion returns")
	}
}
