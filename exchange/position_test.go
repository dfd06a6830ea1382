package exchange

import (
	"testing"

	"github.com/hexbid/hexbid"
)

func TestAPageTokenIsOfOneCallerAndOneList(t *testing.T) {
	b, own, other := openTenants(t)
	caller := memberOf(own, hexbid.LevelViewer)
	text := b.SealPosition(caller, "campaigns", "advertisers/a/campaigns/c")
	if position, err := b.OpenPosition(caller, "campaigns", text); err != nil || position != "advertisers/a/campaigns/c" {
		t.Errorf("%q, %v", position, err)
	}
	stranger := hexbid.WithPrincipal(memberOf(other, hexbid.LevelViewer),
		hexbid.Principal{Role: hexbid.Member, ID: "users/n"})
	for what, open := range map[string]func() (string, error){
		"another list":   func() (string, error) { return b.OpenPosition(caller, "places", text) },
		"another caller": func() (string, error) { return b.OpenPosition(stranger, "campaigns", text) },
		"no caller":      func() (string, error) { return b.OpenPosition(ctx, "campaigns", text) },
		"a made-up text": func() (string, error) { return b.OpenPosition(caller, "campaigns", "advertisers/a/campaigns/c") },
		"half a token":   func() (string, error) { return b.OpenPosition(caller, "campaigns", text[:len(text)/2]) },
		"a search's page": func() (string, error) {
			return b.OpenPosition(caller, "campaigns", b.sealPage(at(hub), &page{}))
		},
	} {
		if position, err := open(); hexbid.KindOf(err) != hexbid.Invalid || position != "" {
			t.Errorf("%s: %q, %v", what, position, err)
		}
	}
}
