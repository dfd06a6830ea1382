package main

import (
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// byReason are objects of JSON whose keys are no names of fields.
var byReason = map[string]bool{"not_serving_reasons": true, "filtered_by": true}

var contractName = regexp.MustCompile(`^(@type|[a-z][a-z0-9]*(_[a-z0-9]+)*)$`)

// checkNames looks at every name in a JSON value.
func checkNames(t *testing.T, command string, value any) {
	switch v := value.(type) {
	case []any:
		for _, element := range v {
			checkNames(t, command, element)
		}
	case map[string]any:
		for name, element := range v {
			if !contractName.MatchString(name) {
				t.Errorf("hexbid %s: %q is not written as the contract's names", command, name)
			}
			if !byReason[name] {
				checkNames(t, command, element)
			}
		}
	}
}

// Every command writes JSON with the names of the contract, as answers over HTTP have them.
func TestAllJSONHasTheNamesOfTheContract(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := boot(t, func(c *ServeConfig) { c.Demo, c.Data = true, data })
	c := openConsole(t, s)
	t.Setenv("HEXBID_SERVER", c.server)
	answer := write(t, "answer.json", c.must("", "search", "--lat", "30.2553", "--lng", "120.1640", "-o", "json"))
	campaign := "advertisers/brand-kfc/campaigns/c3"
	c.must("", "users", "create", "mia", "--member", "brand-kfc=viewer")
	c.must("", "clients", "create", "app")
	c.must("", "clients", "create", "other", "--events-of", "app")
	c.must("", "keys", "create", "users/mia")
	for _, command := range []string{"search --lat 30.2553 --lng 120.1640 --trace", "get campaigns --page-size 3",
		"get " + campaign, "explain " + campaign + " --lat 30.2553 --lng 120.1640", "events " + answer,
		"top --once", "ledger show " + campaign, "ledger balance advertisers/brand-kfc",
		"ledger statement advertisers/brand-kfc", "ledger charges " + campaign, "ledger roots",
		"ledger top-up advertisers/brand-kfc 5", "quota advertisers/brand-kfc", "users list", "users quota mia",
		"clients list", "clients quota app", "keys list users/mia", "whoami", "market get", "history --limit 5",
		"history " + campaign, "regions hangzhou", "delete --dry-run --cascade advertisers/brand-kfc",
		"viewers erase --user-key k --dry-run"} {
		decoder, read := json.NewDecoder(strings.NewReader(c.must("", append(strings.Fields(command), "-o", "json")...))), 0
		for {
			var value any
			err := decoder.Decode(&value)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("hexbid %s: %v", command, err)
			}
			checkNames(t, command, value)
			read++
		}
		if read == 0 {
			t.Errorf("hexbid %s writes no JSON", command)
		}
	}
}
