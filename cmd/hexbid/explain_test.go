package main

import (
	"fmt"
	"strings"
	"testing"
)

const explainedDocument = `kind: advertiser
name: advertisers/%[1]s
display_name: A
---
kind: program
name: advertisers/%[1]s/programs/p
display_name: P
category: catering
hosts: [wechat, alipay]
---
kind: campaign
name: advertisers/%[1]s/campaigns/c
display_name: C
program: advertisers/%[1]s/programs/p
pricing: cpc
bid: %[2]s
host_bids: [%[3]s]
daily_budget: %[4]s
area.everywhere: true
`

func TestExplainTellsWhatToSetInTheWordsOfFiles(t *testing.T) {
	s := boot(t, nil)
	apply := func(owner, bid, hosts, budget string) {
		s.mustRun(t, fmt.Sprintf(explainedDocument, owner, bid, hosts, budget), "apply", "-f", "-")
	}
	at := []string{"--lat", "30.2553", "--lng", "120.1640", "--age", "30", "--host", "wechat", "--slots", "1"}
	explain := func() string {
		return s.mustRun(t, "", append([]string{"explain", "advertisers/b/campaigns/c"}, at...)...)
	}
	apply("a", "2.00", "", "100")
	for _, test := range []struct{ bid, hosts, budget, says, set, hostsSet, budgetSet string }{
		{"1.50", "wechat 10%", "10", "Set bid to 20.00001 and daily_budget to 20.00001 or more: that wins slot 1", "20.00001",
			"wechat 10%", "20.00001"},
		{"1.50", "wechat 10%", "100", "Set bid to 20.00001: that wins slot 1", "20.00001", "wechat 10%", "100"},
		{"150", "alipay 600%, wechat 0.01%", "1000", "Set host_bids of wechat to 1.3334%: that wins slot 1", "150",
			"alipay 600%, wechat 1.3334%", "1000"},
		{"2.00", "", "100", "Set bid to 2.000001: that wins slot 1", "2.000001", "", "100"},
	} {
		apply("b", test.bid, test.hosts, test.budget)
		told := explain()
		for range 50 { // with equal scores it wins some requests
			if strings.Contains(told, "does not show") {
				break
			}
			told = explain()
		}
		if !strings.Contains(told, "advertisers/b/campaigns/c does not show (outbid): slot 1, the last, went to ") ||
			!strings.Contains(told, test.says) {
			t.Errorf("a bid of %s, %q: %s\nwant %s", test.bid, test.hosts, told, test.says)
		}
		apply("b", test.set, test.hostsSet, test.budgetSet)
		if told := explain(); !strings.Contains(told, "advertisers/b/campaigns/c shows: won slot 1") {
			t.Errorf("followed: %s", told)
		}
	}
}
