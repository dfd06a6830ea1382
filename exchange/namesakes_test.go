package exchange

import (
	"slices"
	"testing"

	"github.com/hexbid/hexbid"
)

// An advertiser whose name was another's before is not told of it: neither of its account, nor, by names that it tries,
// of its campaigns. Its own campaigns of before are told.
func TestAMemberIsNotToldWhoHadItsNamesBefore(t *testing.T) {
	b, own, _ := openTenants(t)
	former := own
	remake(t, b.Exchange, own.resources()...)
	uidOf := func(name string) hexbid.UID { return must(b.Get(ctx, name)).Metadata().UID }
	own.uid = uidOf(own.advertiser())
	earlier := uidOf(own.campaign())
	remake(t, b.Exchange, own.resources()[3])
	for who, c := range map[string]struct {
		campaigns, advertisers []hexbid.UID
		by                     tenant
	}{
		"the operator": {campaigns: []hexbid.UID{earlier, former.of}, advertisers: []hexbid.UID{former.uid}},
		"a member":     {campaigns: []hexbid.UID{earlier}, by: own},
	} {
		calls := ctx
		if c.by.id != "" {
			calls = memberOf(c.by, hexbid.LevelAdmin)
		}
		spend := must(b.CampaignSpend(calls, hexbid.Account{Name: own.campaign()}))
		if !slices.Equal(spend.OtherUIDs, c.campaigns) {
			t.Errorf("%s is told that the campaign's name was of %v, want %v", who, spend.OtherUIDs, c.campaigns)
		}
		balance := must(b.AdvertiserBalance(calls, hexbid.Account{Name: own.advertiser()}))
		statement := must(b.Statement(calls, hexbid.Account{Name: own.advertiser()}, "2026-11"))
		for what, got := range map[string][]hexbid.UID{"balance": balance.OtherUIDs, "statement": statement.OtherUIDs} {
			if !slices.Equal(got, c.advertisers) {
				t.Errorf("%s is told by the %s that the name was of %v, want %v", who, what, got, c.advertisers)
			}
		}
	}
}
