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
