package main

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// keyFor issues a key and returns the file that holds it.
func (c *console) keyFor(owner string) string {
	c.t.Helper()
	file := filepath.Join(c.t.TempDir(), "key")
	c.must("", "keys", "create", owner, "--out", file)
	return file
}

// rows fails unless a table has these rows, however wide its columns are.
func (c *console) rows(table string, want ...string) {
	c.t.Helper()
	for _, row := range want {
		found := false
		for line := range strings.Lines(table) {
			found = found || strings.Join(strings.Fields(line), " ") == row
		}
		if !found {
			c.t.Errorf("no row %q in\n%s", row, table)
		}
	}
}

// quotaConsole is a console of the operator of a server with an advertiser, a member of it, an auditor and a client.
func quotaConsole(t *testing.T) (c *console, as map[string]string) {
	data := filepath.Join(t.TempDir(), "data")
	c = openConsole(t, bootRequired(t, data))
	c.must("", "login", "--server", c.server, "--server-data", data)
	c.must("kind: advertiser\nname: advertisers/acme\ndisplay_name: Acme\n", "apply", "-f", "-")
	c.must("", "users", "create", "mia", "--member", "acme=admin")
	c.must("", "users", "create", "ada", "--role", "auditor")
	c.must("", "clients", "create", "app")
	return c, map[string]string{"mia": c.keyFor("users/mia"), "ada": c.keyFor("users/ada"), "app": c.keyFor("clients/app")}
}

const acmesCampaign = `kind: program
name: advertisers/acme/programs/p
display_name: P
category: catering
hosts: [wechat]
---
kind: campaign
name: advertisers/acme/campaigns/NAME
display_name: C
program: advertisers/acme/programs/p
pricing: cpc
bid: 1
daily_budget: 10
area.everywhere: true
`

func TestAnAdvertisersQuotaIsSetShownAndCleared(t *testing.T) {
	c, as := quotaConsole(t)
	c.rows(c.must("", "quota", "acme"), "QUOTA OF advertisers/acme HAS AT MOST",
		"campaigns 0 100000 the market's default")
	c.rows(c.must("", "quota", "advertisers/acme", "--campaigns", "2", "--mb", "3"), "campaigns 0 2 its own",
		"bytes 0 3145728 its own", "places 0 200000 the market's default")
	c.rows(c.must("", "quota", "acme", "--places", "7"), "campaigns 0 2 its own", "places 0 7 its own")
	for _, name := range []string{"a", "b"} {
		c.must(strings.Replace(acmesCampaign, "NAME", name, 1), "apply", "-f", "-")
	}
	// A quota below what is there takes nothing away; it lets nothing more in.
	c.rows(c.must("", "quota", "acme", "--campaigns", "1"), "campaigns 2 1 its own")
	_, notes, code := c.try(strings.Replace(acmesCampaign, "NAME", "c", 1), "apply", "-f", "-")
	if code != 1 || !strings.Contains(notes, "2 campaigns") || !strings.Contains(notes, "at most 1") {
		t.Errorf("beyond the quota: exit %d, %s", code, notes)
	}
	c.must("", "delete", "advertisers/acme/campaigns/b")
	if _, _, code := c.try(strings.Replace(acmesCampaign, "NAME", "c", 1), "apply", "-f", "-"); code != 1 {
		t.Errorf("at the quota: exit %d", code)
	}
	for _, who := range []string{"mia", "ada"} {
		c.rows(c.must("", "quota", "acme", "--server", c.server, "--key-file", as[who]), "campaigns 1 1 its own")
		c.fails("operator", "quota", "acme", "--campaigns", "9", "--server", c.server, "--key-file", as[who])
	}
	c.fails("", "quota", "acme", "--server", c.server, "--key-file", as["app"])
	var shown struct {
		Quota, Limits, Holdings map[string]string
	}
	if err := json.Unmarshal([]byte(c.must("", "quota", "acme", "--clear", "--keywords", "5", "-o", "json")),
		&shown); err != nil || len(shown.Quota) != 1 || shown.Quota["keywords"] != "5" ||
		shown.Limits["campaigns"] != "100000" || shown.Holdings["campaigns"] != "1" {
		t.Errorf("cleared: %+v, %v", shown, err)
	}
	c.rows(c.must("", "quota", "acme", "--keywords", "0"), "keywords 0 500000 the market's default")
}

func TestQuotasOutOfRangeAreRefusedByName(t *testing.T) {
	c, _ := quotaConsole(t)
	for words, args := range map[string]string{
		"quota.campaigns: -1":                              "quota acme --campaigns=-1",
		"quota.places: 1000000000001":                      "quota acme --places 1000000000001",
		"--entries":                                        "quota acme --entries 99999999999999999999",
		"--mb: 17592186044416 is out of range":             "quota acme --mb 17592186044416", // 2^64 bytes
		"--mb: -1 is out of range":                         "quota acme --mb=-1",
		"user.quota.in_flight: -5":                         "users quota mia --in-flight=-5",
		"user.quota.calls_per_second: 1000001":             "users quota mia --calls-per-second 1000001",
		"--calls-per-second":                               "users quota mia --calls-per-second 2147483648",
		"client.quota.rows_per_day":                        "clients quota app --rows-per-day 9223372036854775807",
		"an operator has no quota":                         "users quota " + firstOperator + " --in-flight 5",
		`"advertisers/nobody" does not exist`:              "quota nobody",
		`"users/nobody" does not exist`:                    "users quota nobody --in-flight 1",
		`"clients/nobody" does not exist`:                  "clients quota nobody --clear",
		"is the name of one campaign: name one advertiser": "quota advertisers/a/campaigns/c",
	} {
		c.fails(words, strings.Fields(args)...)
	}
	c.rows(c.must("", "quota", "acme"), "campaigns 0 100000 the market's default")
}

func TestQuotasOfUsersAndClientsAreSetShownAndCleared(t *testing.T) {
	c, as := quotaConsole(t)
	for _, of := range []struct{ group, name, who string }{{"users", "users/mia", "mia"},
		{"clients", "clients/app", "app"}} {
		id := strings.TrimPrefix(of.name, of.group+"/")
		c.rows(c.must("", of.group, "quota", id), "QUOTA OF "+of.name+" AT MOST", "calls open the server's default")
		c.rows(c.must("", of.group, "quota", id, "--in-flight", "50"), "calls open 50")
		c.rows(c.must("", of.group, "quota", of.name, "--calls-per-second", "400"), "calls open 50", "calls a second 400")
		if who := c.must("", "whoami", "--server", c.server, "--key-file", as[of.who]); !strings.Contains(who, "1 of 50") ||
			!strings.Contains(who, "of 400") {
			t.Errorf("whoami: %s", who)
		}
		c.fails("operator", of.group, "quota", id, "--in-flight", "900", "--server", c.server, "--key-file", as[of.who])
		c.fails("may not do this", of.group, "quota", id, "--in-flight", "900", "--server", c.server, "--key-file", as["ada"])
		if out := c.must("", of.group, "quota", id, "-o", "json"); !strings.Contains(out, `"in_flight": 50`) {
			t.Errorf("%s", out)
		}
		c.rows(c.must("", of.group, "quota", id, "--clear", "--in-flight", "9"), "calls open 9",
			"calls a second the server's default")
		c.rows(c.must("", of.group, "quota", id, "--clear"), "calls open the server's default")
	}
}

// serveQuota starts the program on a data folder, for a console, and returns how to kill it.
func (c *console) serveQuota(data string) (kill func()) {
	c.t.Helper()
	p := startProcess(c.t, "--data", data)
	c.t.Setenv("HEXBID_SERVER", p.address)
	return func() {
		_ = p.command.Process.Kill()
		<-p.ended
	}
}

// atItsQuota fails unless acme has one campaign and gets no other, neither as a new one nor by an undo.
func (c *console) atItsQuota(deletion string) {
	c.t.Helper()
	c.rows(c.must("", "quota", "acme"), "campaigns 1 1 its own")
	if _, notes, code := c.try(strings.Replace(acmesCampaign, "NAME", "c", 1), "apply", "-f", "-"); code != 1 ||
		!strings.Contains(notes, "at most 1") {
		c.t.Errorf("exit %d, %s", code, notes)
	}
	c.fails("at most 1", "undo", deletion, "--yes")
}

func TestAnAdvertisersQuotaHoldsAfterAKillAndARestore(t *testing.T) {
	root, c := t.TempDir(), &console{t: t}
	data, copied, restored := filepath.Join(root, "data"), filepath.Join(root, "backup"), filepath.Join(root, "restored")
	kill := c.serveQuota(data)
	c.must("kind: advertiser\nname: advertisers/acme\ndisplay_name: Acme\n", "apply", "-f", "-")
	c.must("", "quota", "acme", "--campaigns", "1")
	c.must(strings.Replace(acmesCampaign, "NAME", "a", 1), "apply", "-f", "-")
	c.must("", "delete", "advertisers/acme/campaigns/a")
	deletion := regexp.MustCompile(`changes/\S+`).FindString(c.must("", "history", "advertisers/acme/campaigns/a"))
	c.must(strings.Replace(acmesCampaign, "NAME", "b", 1), "apply", "-f", "-")
	kill()
	kill = c.serveQuota(data)
	c.atItsQuota(deletion)
	c.must("", "backup", copied)
	kill()
	if code, out, notes := offline("restore", copied, "--data", restored); code != 0 {
		t.Fatalf("restore: exit %d, %s%s", code, out, notes)
	}
	defer c.serveQuota(restored)()
	c.atItsQuota(deletion)
}
