package cli

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

// TestAChangedListShowsWhatWentAndWhatCame reads changes of the market as history prints them.
func TestAChangedListShowsWhatWentAndWhatCame(t *testing.T) {
	for _, c := range []struct{ field, before, after, want string }{
		{"priors", `[{"category":"CATEGORY_CATERING","prior_ppm":"30000"},{"category":"CATEGORY_FINANCE","prior_ppm":"12000"},
			{"category":"CATEGORY_GAMES","prior_ppm":"20000"}]`, `[{"category":"CATEGORY_CATERING","prior_ppm":"31000"},
			{"category":"CATEGORY_FINANCE","prior_ppm":"12000"},{"category":"CATEGORY_GAMES","prior_ppm":"20000"}]`,
			`priors:
  - category: "CATEGORY_CATERING", prior_ppm: 30000
  + category: "CATEGORY_CATERING", prior_ppm: 31000
  2 more stay`},
		{"reserves", ``, `[{"per_thousand_micros":"2500000"},{"per_thousand_micros":"2500000"}]`,
			"reserves:\n  + per_thousand: 2.50\n  + per_thousand: 2.50"},
		{"reserves", `[{"region":"330100"},{"per_thousand_micros":"1"}]`,
			`[{"per_thousand_micros":"1"},{"region":"330100"}]`, "reserves:\n  the same entries in another order"},
		{"distance", `{"ends_m":[500,1000],"factors":[{"factor_ppm":["1","1","1"]}]}`,
			`{"ends_m":[500],"factors":[{"factor_ppm":["1","1","1"]}]}`, "distance.ends_m: [500,1000] -> [500]"},
		{"position_factors", ``, `["1000","900"]`, `position_factors: - -> ["1000","900"]`},
		{"increment_micros", `"10000"`, `"20000"`, "increment: 0.01 -> 0.02"},
		{"uid", `"7"`, `"8"`, "uid: 7 -> 8"},
	} {
		got := strings.Join(fieldLines(&pb.FieldChange{Field: c.field, Before: value(t, c.before),
			After: value(t, c.after)}), "\n")
		if want := "    " + strings.ReplaceAll(c.want, "\n", "\n    "); got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	}
}

func value(t *testing.T, json string) *structpb.Value {
	t.Helper()
	if json == "" {
		return nil
	}
	v := new(structpb.Value)
	if err := v.UnmarshalJSON([]byte(json)); err != nil {
		t.Fatal(err)
	}
	return v
}
