package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/bidder"
	"github.com/hexbid/hexbid/cli"
)

// marketOf returns the market of a config file.
func marketOf(t *testing.T, text string) (market bidder.Market, errs string) {
	t.Helper()
	var stderr bytes.Buffer
	env := cli.Env{Stdout: &bytes.Buffer{}, Stderr: &stderr,
		Commands: commands(func(_ context.Context, c *ServeConfig, _ func(string)) error {
			rules, err := c.BuildMarket()
			if err == nil {
				market, err = bidder.MarketOf(rules)
			}
			return err
		})}
	cli.Run(testContext(t), []string{"serve", "--config", write(t, "hexbid.yaml", text)}, env)
	return market, stderr.String()
}

func TestAConfigFilePinsATableOfDistances(t *testing.T) {
	market, errs := marketOf(t, `market:
  distance:
    ends_m: [1000, 50000]
    factor_ppm: {any: [1000000, 300000, 100000], games: [1000000, 1000000, 900000]}
    without_place_ppm: {games: 800000}
`)
	if errs != "" || !market.DistancePinned || len(market.Distance.EndsM) != 2 {
		t.Fatalf("%q, %+v", errs, market.Distance)
	}
	if d := &market.Distance; d.FactorPPM[1][hexbid.Catering] != 300_000 || d.FactorPPM[1][hexbid.Games] != 1_000_000 ||
		d.WithoutPlacePPM[hexbid.Catering] != 100_000 || d.WithoutPlacePPM[hexbid.Games] != 800_000 {
		t.Errorf("%+v", d)
	}
	market, errs = marketOf(t, "market: {distance: {}}")
	if errs != "" || !market.DistancePinned || market.Distance.Count() {
		t.Errorf("an empty table: %q, %+v", errs, market.Distance)
	}
	for text, word := range map[string]string{
		"{ends_m: [1000], factor_ppm: {any: [1000000]}}":                           "one more than there are ends",
		"{ends_m: [1000], factor_ppm: {catering: [1000000, 500000]}}":              "none for shopping",
		"{ends_m: [1000], factor_ppm: {any: [500000, 600000]}}":                    "no factor rises",
		"{ends_m: [1000], factor_ppm: {any: [9, 8], sheep: [9, 8]}}":               "sheep",
		"{ends_m: [1000], factor_ppm: {any: [9, 8]}, without_place_ppm: {any: 9}}": "without_place_ppm",
		"{ends_m: [1000, 500], factor_ppm: {any: [9, 8, 7]}}":                      "ends_m[1]",
		"{ends_m: [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16], factor_ppm: {}}":       "at most 15",
	} {
		if _, errs := marketOf(t, "market: {distance: "+text+"}"); !strings.Contains(errs, word) {
			t.Errorf("%s: %q, want %q", text, errs, word)
		}
	}
}
