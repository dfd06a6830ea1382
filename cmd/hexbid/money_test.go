package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheFirstMinutesWithMoney walks from a search to a statement and a receipt by commands alone, as the README does.
func TestTheFirstMinutesWithMoney(t *testing.T) {
	s := boot(t, withDemo)
	file := filepath.Join(t.TempDir(), "answer.json")
	answer := s.mustRun(t, "", "search", "--lat", "30.2553", "--lng", "120.1640", "--age", "24", "--gender", "female",
		"--os", "ios", "--host", "wechat", "-o", "json")
	if err := os.WriteFile(file, []byte(answer), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ slots, kind, want string }{
		{"0", "impression", "3 recorded\n"}, {"1", "click", "1 charged\n"}, {"1", "click", "1 duplicate\n"},
	} {
		if out := s.mustRun(t, "", "events", file, "--slot", c.slots, "--kind", c.kind); !strings.HasSuffix(out, c.want) {
			t.Errorf("a %s: %s", c.kind, out)
		}
	}
	var top struct {
		Campaigns []struct {
			Name                string
			SpendTodayMicros    int64 `json:"spend_today_micros,string"`
			Impressions, Clicks int64 `json:",string"`
		}
	}
	decodeJSON(t, s.mustRun(t, "", "top", "--once", "-o", "json"), &top)
	if len(top.Campaigns) == 0 || top.Campaigns[0].SpendTodayMicros == 0 || top.Campaigns[0].Impressions != 1 ||
		top.Campaigns[0].Clicks != 1 {
		t.Fatalf("the table has %+v", top)
	}
	winner := top.Campaigns[0]
	advertiser, _, _ := strings.Cut(winner.Name, "/campaigns/")
	var statement struct {
		ChargedMicros string `json:"charged_micros"`
		ClosingMicros string `json:"closing_micros"`
	}
	decodeJSON(t, s.mustRun(t, "", "ledger", "statement", advertiser, "--month", "2026-11", "-o", "json"), &statement)
	if statement.ChargedMicros != fmt.Sprint(winner.SpendTodayMicros) || statement.ClosingMicros !=
		"-"+statement.ChargedMicros {
		t.Errorf("the statement has %+v, the table %d", statement, winner.SpendTodayMicros)
	}
	var list struct {
		Charges []struct {
			Sequence      string
			ChargedMicros string `json:"charged_micros"`
		}
	}
	decodeJSON(t, s.mustRun(t, "", "ledger", "charges", winner.Name, "-o", "json"), &list)
	if len(list.Charges) != 1 || list.Charges[0].ChargedMicros != statement.ChargedMicros {
		t.Fatalf("the charges are %+v", list)
	}
	if out := s.mustRun(t, "", "receipt", "get", list.Charges[0].Sequence); !strings.Contains(out, "pending") {
		t.Errorf("the hour is not over, and the receipt is %s", out)
	}
}

// TestAMovementThatCannotBeSaysWhatCould: the command line speaks of currency, and tries nothing twice.
func TestAMovementThatCannotBeSaysWhatCould(t *testing.T) {
	s := boot(t, nil)
	s.mustRun(t, "name: advertisers/a\nkind: advertiser\ndisplay_name: a\n", "apply", "-f", "-")
	s.mustRun(t, "", "ledger", "top-up", "advertisers/a", "5", "--request-id", "x")
	for _, c := range []struct{ args, want string }{
		{"withdraw advertisers/a 7", "amount: 7.00 is more than the balance: withdraw at most 5.00"},
		{"top-up advertisers/a 6 --request-id x", "request_id: "},
		{"top-up advertisers/nobody 6", "advertisers/nobody"},
		{"show advertisers/a/campaigns/none", "advertisers/a/campaigns/none"},
	} {
		code, _, problems := s.run(t, "", append([]string{"ledger"}, strings.Fields(c.args)...)...)
		if code != 1 || !strings.Contains(problems, c.want) {
			t.Errorf("%s: status %d: %s", c.args, code, problems)
		}
	}
}

func decodeJSON(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}
