package main

import (
	"strings"
	"syscall"
	"testing"
	"time"

	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
)

func TestPeopleOfTheDemoMarketSpendBudgets(t *testing.T) {
	p := startProcess(t, "--demo", "--demo-traffic", "--reserve", "5", "--auction-budget", "10s", "--data", t.TempDir())
	books, ctx := pb.NewLedgerServiceClient(p.dial(t)), testContext(t)
	for {
		spent, err := books.ListCampaignSpend(ctx, &pb.ListCampaignSpendRequest{Parent: "advertisers/-",
			Order: pb.CampaignSpendOrder_CAMPAIGN_SPEND_ORDER_SPENT_TODAY})
		if err != nil {
			t.Fatal(err)
		}
		if top := spent.GetCampaigns(); len(top) > 0 {
			if today := top[0].GetToday(); today.GetChargedMicros() <= 0 || today.GetImpressions() == 0 {
				t.Errorf("the campaign that spent the most: %v", top[0])
			}
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-p.ended; err != nil || !strings.Contains(p.output.String(), "people stop playing") {
		t.Errorf("it ended with %v\n%s", err, p.output)
	}
}

func TestPeopleNeedTheDemoMarketAndAPortWithoutTLS(t *testing.T) {
	for want, change := range map[string]func(*ServeConfig){
		"add --demo":           func(c *ServeConfig) { c.Demo = false },
		"leave out --tls-cert": func(c *ServeConfig) { c.TLSCert = "cert.pem" },
	} {
		config := DefaultServeConfig()
		config.Listen, config.MetricsListen, config.HTTPListen = "127.0.0.1:0", "", ""
		config.Demo, config.DemoTraffic = true, true
		change(&config)
		if err := NewMain(config).Open(testContext(t)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}
