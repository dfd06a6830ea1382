package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/exchange"
	"github.com/hexbid/hexbid/store"
)

// TestALaterStartSaysWhichSettingsItDoesNotTake starts with settings, and then with others and with none.
func TestALaterStartSaysWhichSettingsItDoesNotTake(t *testing.T) {
	catalogue := store.NewMemory()
	first := DefaultServeConfig()
	bruteMarket(&first)
	rules, err := first.BuildMarket()
	if err != nil {
		t.Fatal(err)
	}
	stored, err := exchange.FirstMarket(t.Context(), catalogue, rules, time.Now())
	if err != nil || stored.Increment != 10_000 {
		t.Fatalf("%+v, %v", stored, err)
	}
	bare := DefaultServeConfig()
	none, err := bare.BuildMarket()
	if err != nil {
		t.Fatal(err)
	}
	for what, set := range map[string]*hexbid.Market{"the same settings": rules, "no settings": none} {
		if names := notTaken(set, stored); len(names) > 0 {
			t.Errorf("%s: %q are not taken", what, names)
		}
	}
	other := DefaultServeConfig()
	other.Increment, other.Reserve, other.MinimumBidCPC, other.Mechanism = 20_000, 6_000_000, 500_000, "vcg"
	other.Market.PriorPPM = map[string]int64{"catering": 31_000, "games": 5}
	other.Market.PositionFactors = []int64{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}
	other.Market.MechanismByScene = map[string]string{"search": "gsp"}
	other.Market.Reserves = []reserveEntry{{Host: "wechat"}}
	other.Market.Reserves[0].PerThousand.Value = "3"
	other.Market.Distance = &distanceSection{}
	rules, err = other.BuildMarket()
	if err != nil {
		t.Fatal(err)
	}
	names := notTaken(rules, stored)
	for _, want := range []string{"--increment 0.02: the market has 0.01", "--reserve 6.00", "--minimum-bid-cpc 0.50",
		"--mechanism vcg: the market has gsp", "prior_ppm of the file: the market has another for games",
		"position_factors of the file: the market has learned ones", "mechanism_by_scene of the file",
		"3.00 for host wechat", "market.distance"} {
		if !slices.ContainsFunc(names, func(name string) bool { return strings.Contains(name, want) }) {
			t.Errorf("%q lack %q", names, want)
		}
	}
	if len(names) != 9 {
		t.Errorf("%d settings: %q", len(names), names)
	}
}
