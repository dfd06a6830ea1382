package hexbid

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestMoneyReadsBackAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := Money(rapid.Int64Range(0, math.MaxInt64/2).Draw(t, "micros"))
		if back, err := ParseMoney(m.String()); err != nil || back != m {
			t.Fatalf("%d writes as %s and reads as %d, %v", m, m, back, err)
		}
	})
	for text, want := range map[string]Money{"1.20": 1_200_000, "12": 12_000_000, "0.000001": 1, " 0.5 ": 500_000,
		"007": 7_000_000} {
		if got, err := ParseMoney(text); err != nil || got != want {
			t.Errorf("%q reads as %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", ".", "1.", ".5", "-1", "+1", "1e3", "1.2.3", "1,20", "0.0000001", "9223372036855",
		"99999999999999999999", "１", "NaN"} {
		if got, err := ParseMoney(text); err == nil {
			t.Errorf("%q reads as %d", text, got)
		}
	}
	if got := Money(-1_230_000).String(); got != "-1.23" {
		t.Errorf("a debt writes as %s", got)
	}
	if got := Money(math.MinInt64).String(); got != "-9223372036854.775808" {
		t.Errorf("the largest debt writes as %s", got)
	}
}

func TestNamesParseToThemselves(t *testing.T) {
	for _, s := range []string{"advertisers/a", "advertisers/a-1/programs/p", "advertisers/a/programs/p/places/l",
		"advertisers/a/campaigns/c", "advertisers/-/programs/-"} {
		if n, err := ParseName(s); err != nil || n.String() != s {
			t.Errorf("%q parses to %q, %v", s, n, err)
		}
	}
	for _, s := range []string{"", "advertisers", "advertisers/", "advertisers/A", "advertisers/a/", "programs/p",
		"advertisers/a/places/l", "advertisers/-a",
		"advertisers/a/campaigns/c/places/l", "advertisers/" + strings.Repeat("x", 64), "advertisers/a\x00"} {
		if n, err := ParseName(s); err == nil {
			t.Errorf("%q parses to %+v", s, n)
		}
	}
}

func TestABidOnAHostNeverOverflows(t *testing.T) {
	c := Campaign{Bid: MaxBidCPM, HostBids: []HostBid{{Host: Alipay, MultiplierPPM: MaxHostMultiplierPPM},
		{Host: QQ, MultiplierPPM: 1}}}
	if got := c.BidOn(Alipay); got != 10*MaxBidCPM {
		t.Errorf("tenfold is %d", got)
	}
	if lowest, highest := c.BidRange(); lowest != 1_000_000 || highest != 10*MaxBidCPM {
		t.Errorf("from %d to %d", lowest, highest)
	}
}
