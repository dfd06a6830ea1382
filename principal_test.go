package hexbid

import (
	"context"
	"testing"
)

func TestAContextThatDoesNotSayWhoCallsIsNobodys(t *testing.T) {
	if p := PrincipalOf(t.Context()); p != (Principal{}) || p.Role != Nobody {
		t.Errorf("it is %s's", p)
	}
}

func TestTheInnermostPrincipalOfAContextCounts(t *testing.T) {
	outer := WithPrincipal(t.Context(), Principal{Role: Operator, Origin: "10.0.0.7:51514"})
	inner, cancel := context.WithCancel(WithPrincipal(outer, Principal{Role: System, ID: "demo", Origin: InProcess}))
	defer cancel()
	for ctx, want := range map[context.Context]string{
		t.Context():                              "nobody",
		outer:                                    "operator from 10.0.0.7:51514",
		inner:                                    "system demo, in process",
		WithPrincipal(outer, Principal{}):        "nobody",
		WithPrincipal(outer, Principal{ID: "x"}): "nobody x",
	} {
		if got := PrincipalOf(ctx).String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestGrantsCoverWhatIsNoMore(t *testing.T) {
	member := func(uid UID, level Level) map[string]Membership {
		return map[string]Membership{"advertisers/a": {Advertiser: "advertisers/a", UID: uid, Level: level}}
	}
	editor := &Grants{Advertisers: member(1, LevelEditor)}
	client := &Grants{Prices: true, EventsOf: []UID{4, 5}}
	both := &Grants{Advertisers: member(1, LevelEditor)}
	both.Advertisers["advertisers/b"] = Membership{Advertiser: "advertisers/b", UID: 2, Level: LevelViewer}
	for _, c := range []struct {
		what        string
		now, before *Grants
		want        bool
	}{
		{"nothing", nil, nil, true}, {"more than nothing", editor, nil, true}, {"nothing of it", nil, editor, false},
		{"the same", &Grants{Advertisers: member(1, LevelEditor)}, editor, true},
		{"a higher level", &Grants{Advertisers: member(1, LevelAdmin)}, editor, true},
		{"a lower level", &Grants{Advertisers: member(1, LevelViewer)}, editor, false},
		{"another of the name", &Grants{Advertisers: member(2, LevelEditor)}, editor, false},
		{"another advertiser too", both, editor, true}, {"one of two", editor, both, false},
		{"none", &Grants{}, editor, false},
		{"the one of two that counts", editor, both.At("advertisers/a"), true},
		{"the other of two", editor, both.At("advertisers/b"), false},
		{"where it is no member", &Grants{}, both.At("advertisers/c"), true},
		{"without memberships", &Grants{}, client.At("advertisers/a"), true},
		{"a client's", &Grants{Prices: true, EventsOf: []UID{4, 5}}, client, true},
		{"more of a client", &Grants{Prices: true, Campaigns: true, EventsOf: []UID{6, 5, 4}}, client, true},
		{"no prices", &Grants{Campaigns: true, EventsOf: []UID{4, 5}}, client, false},
		{"no campaigns", &Grants{}, &Grants{Campaigns: true}, false},
		{"events of one", &Grants{Prices: true, EventsOf: []UID{5}}, client, false},
		{"another way to render", &Grants{RendersOnly: true}, &Grants{}, false},
	} {
		if got := c.now.Cover(c.before); got != c.want {
			t.Errorf("%s: %t", c.what, got)
		}
	}
}
