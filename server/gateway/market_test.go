package gateway

import (
	"strings"
	"testing"

	"github.com/hexbid/hexbid"
)

// manyOf returns a JSON list of equal entries.
func manyOf(n int, entry string) string {
	return "[" + strings.TrimSuffix(strings.Repeat(entry+",", n), ",") + "]"
}

// maskOf returns a mask of so many fields.
func maskOf(n int, field string) string {
	return "?update_mask=" + manyOf(n, field)[1:n*(len(field)+1)]
}

// TestAnOversizedMarketIsRefusedByField sends lists that no auction reads and masks without end. Each error is short
// and names the field, and the market stays as it was.
func TestAnOversizedMarketIsRefusedByField(t *testing.T) {
	p := open(t, nil)
	before := p.must("GET", "/v1/market", "").text
	for _, c := range []struct{ query, body, field string }{
		{"", `{"reserves": ` + manyOf(hexbid.MaxReserves+1, `{"category": "CATEGORY_GAMES"}`) + `}`, "market.reserves"},
		{"", `{"reserves": ` + manyOf(100_000, `{}`) + `}`, "market.reserves"},
		{"", `{"reserves": [{"region": "` + strings.Repeat("3", 1<<20) + `"}]}`, "market.reserves[0].region"},
		{"", `{"priors": ` + manyOf(100_000, `{}`) + `}`, "market.priors"},
		{"", `{"position_factors": ` + manyOf(hexbid.MaxSlots+1, `1`) + `}`, "market.position_factors"},
		{"", `{"position_factors": ` + manyOf(1_000_000, `"1"`) + `}`, "market.position_factors"},
		{"", `{"scene_mechanisms": ` + manyOf(100_000, `{}`) + `}`, "market.scene_mechanisms"},
		{"", `{"distance": {"ends_m": ` + manyOf(1_000_000, `5`) + `}}`, "market.distance.ends_m"},
		{"", `{"distance": {"factors": ` + manyOf(100_000, `{}`) + `}}`, "market.distance.factors"},
		{"", `{"distance": {"factors": [{"factor_ppm": ` + manyOf(1_000_000, `5`) + `}]}}`,
			"market.distance.factors[0].factor_ppm"},
		{maskOf(201, "priors"), `{"increment_micros": 5}`, "update_mask"},
		{maskOf(2000, "priors"), `{"increment_micros": 5}`, "update_mask"},
		{"?update_mask=" + strings.Repeat("distance.", 1500) + "x", `{"increment_micros": 5}`, "update_mask"},
		{"?update_mask=" + strings.Repeat("x", 12_000), `{"increment_micros": 5}`, "update_mask"},
	} {
		for _, validate := range []string{"", "validate_only=true"} {
			query := strings.TrimSuffix(c.query+"&"+validate, "&")
			if c.query == "" && validate != "" {
				query = "?" + validate
			}
			a := p.ask("PATCH", "/v1/market"+query, c.body)
			field, _ := a.field(t, "details.0.field_violations.0.field").(string)
			if a.StatusCode != 400 || a.field(t, "code") != 3.0 || field != c.field || len(a.text) > 10_000 {
				t.Errorf("%.60s %.60s: %s names %.60q, want %s: %.300s", query, c.body, a.Status, field, c.field, a.text)
			}
		}
	}
	long := "PATCH /v1/market" + maskOf(maxHeaderBytes/6, "priors") + " HTTP/1.1\r\nHost: localhost\r\n\r\n"
	if got := raw(t, p.address, long, patience); !strings.HasPrefix(got, "HTTP/1.1 431") {
		t.Errorf("a query of %d bytes: %.300q", len(long), got)
	}
	if after := p.must("GET", "/v1/market", "").text; after != before {
		t.Errorf("after updates that were refused: %s\nbefore: %s", after, before)
	}
	p.must("PATCH", "/v1/market"+maskOf(200, "increment_micros"), `{"increment_micros": 7}`)
	if a := p.must("GET", "/v1/market", ""); a.field(t, "increment_micros") != "7" {
		t.Errorf("after an update: %s", a.text)
	}
}
