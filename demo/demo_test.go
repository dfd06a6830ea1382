package demo

import (
	"reflect"
	"strings"
	"testing"

	"github.com/hexbid/hexbid"
)

func TestTheMarketIsWholeAndAlwaysTheSame(t *testing.T) {
	market, err := Resources()
	if err != nil {
		t.Fatal(err)
	}
	again, _ := Resources()
	if !reflect.DeepEqual(market, again) {
		t.Error("two calls give two markets")
	}
	seen, counts := map[string]bool{}, map[hexbid.ResourceKind]int{}
	for _, r := range market {
		name := r.Metadata().Name
		n, err := hexbid.ParseName(name)
		if err != nil || seen[name] {
			t.Fatalf("%q: %v, seen before: %v", name, err, seen[name])
		}
		if err := r.Validate(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if parent := n.Parent(); parent.Kind != 0 && !seen[parent.String()] {
			t.Fatalf("%q comes before its parent", name)
		}
		if c, ok := r.(*hexbid.Campaign); ok && !seen[c.Program] {
			t.Fatalf("%q comes before its program", name)
		}
		seen[name] = true
		counts[n.Kind]++
	}
	t.Logf("%d advertisers, %d programs, %d places, %d campaigns", counts[hexbid.KindAdvertiser],
		counts[hexbid.KindProgram], counts[hexbid.KindPlace], counts[hexbid.KindCampaign])
	if counts[hexbid.KindCampaign] < 3000 || counts[hexbid.KindPlace] < 1600 {
		t.Errorf("a market of %v is too small", counts)
	}
}

func TestAChainIsOneProgramWithManyPlaces(t *testing.T) {
	shops, err := realShops()
	if err != nil {
		t.Fatal(err)
	}
	least := map[string]int{"星巴克": 60, "肯德基": 54, "麦当劳": 37, "必胜客": 16} // 52 are named 星巴克, the others by an alias
	for _, s := range shops {
		if n, wanted := least[s.name]; wanted {
			if len(s.places) < n {
				t.Errorf("%s has %d places, want at least %d", s.name, len(s.places), n)
			}
			delete(least, s.name)
		}
	}
	if len(least) > 0 {
		t.Errorf("no programs of %v", least)
	}
}

func TestWhatIsSyntheticSaysSo(t *testing.T) {
	market, err := Resources()
	if err != nil {
		t.Fatal(err)
	}
	labelled := 0
	for _, r := range market {
		switch v := r.(type) {
		case *hexbid.Program:
			if strings.Contains(v.Name, "synthetic") != strings.HasSuffix(v.DisplayName, "(synthetic)") {
				t.Errorf("%s is shown as %q", v.Name, v.DisplayName)
			}
		case *hexbid.Place:
			if strings.Contains(v.Name, "synthetic") {
				labelled++
				if v.Address != "synthetic position" {
					t.Errorf("%s has address %q", v.Name, v.Address)
				}
			}
		}
	}
	if labelled < 200 {
		t.Errorf("only %d synthetic places", labelled)
	}
}
