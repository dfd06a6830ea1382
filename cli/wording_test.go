package cli

import (
	"bytes"
	"testing"
)

func TestMessagesOfTheServerAreSaidInTheFilesWordsAndUnits(t *testing.T) {
	for message, want := range map[string]string{
		"5000000000 micros is out of range: use 1 micros to 1000000000 micros for cpc": "5000.00 is " +
			"out of range: use 0.000001 to 1000.00 for cpc",
		"-5 micros is out of range": "-0.000005 is out of range",
		"800000 ppm makes a bid":    "80% makes a bid",
		"2026-01-01T00:00:00Z is not after start_time 2026-01-02T00:00:00Z": "2026-01-01T00:00:00Z is not " +
			"after start 2026-01-02T00:00:00Z",
		"is empty: name circles, h3_cells, regions, polygons, around_places_m or everywhere": "is empty: name circles, " +
			"cells, regions, polygons, around_places_m or everywhere",
		`"start_time 7 micros \" 8 micros" is too long: 9 micros`: `"start_time 7 micros \" 8 micros" is too long: 0.000009`,
		"1 rings wound the wrong way and were turned (RFC 7946, 3.1.6)": "1 rings wound the wrong way " +
			"and were turned (RFC 7946, 3.1.6)",
		`"advertisers/a/programs/p" does not exist: create it first`: `"advertisers/a/programs/p" does not exist: create it first`,
	} {
		if got := fileWords(message); got != want {
			t.Errorf("%q became %q, want %q", message, got, want)
		}
	}
}

func TestFieldsOfTheServerHaveTheFilesNames(t *testing.T) {
	for path, want := range map[string]string{
		"campaign.bid_micros": "bid", "campaign.area.h3_cells": "area.cells",
		"campaign.excluded_area.circles.radius_m":    "exclude.circles.radius_m",
		"campaign.audience.excluded_interests":       "audience.not_interests",
		"campaign.creatives.coupon.valid_until_time": "creatives.coupon.valid_until",
		"campaign.host_bids.multiplier_ppm":          "host_bids", "campaign.weekly_hours.day": "hours",
		"place.latitude": "lat", "program.operating_systems": "os", "name": "name", "campaign.keywords.text": "keywords",
		"campaign.program": "program", "": "",
	} {
		if got := fileField(path); got != want {
			t.Errorf("%q is %q, want %q", path, got, want)
		}
	}
}

func TestEqualNoticesAreCounted(t *testing.T) {
	var n notices
	for i := range 1000 {
		n.add("x.csv", i+2, "was converted")
	}
	n.add("x.csv", 7, "was turned")
	var out bytes.Buffer
	n.print(&out)
	if want := "x.csv:2: notice: was converted (1000 times, here first)\nx.csv:7: notice: was " +
		"turned\n"; out.String() != want {
		t.Errorf("%q", out.String())
	}
}
