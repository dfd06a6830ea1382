package cli

import (
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestListsOfAConfigFileAreReadInEachOfYAMLsForms reads lists as flags do, whichever way somebody writes them.
func TestListsOfAConfigFileAreReadInEachOfYAMLsForms(t *testing.T) {
	for text, want := range map[string][]string{
		"hosts: [a.example.com, b.example.com]":        {"a.example.com", "b.example.com"},
		"hosts:\n  - a.example.com\n  - b.example.com": {"a.example.com", "b.example.com"},
		"hosts: [a.example.com]":                       {"a.example.com"},
		"hosts: a.example.com,b.example.com":           {"a.example.com", "b.example.com"},
		"hosts: ['a,b', c]":                            {"a,b", "c"},
		"hosts: []":                                    nil,
		"count: [1, 2]":                                nil,
		"hosts: [{a: b}]":                              nil,
	} {
		var flags struct {
			Hosts []string
			Count []int
		}
		var file configFile
		resolver, err := file.read(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		parser, err := kong.New(&flags, kong.Resolvers(resolver))
		if err != nil {
			t.Fatal(err)
		}
		_, err = parser.Parse(nil)
		if refused := strings.Contains(text, "{"); refused != (err != nil) {
			t.Errorf("%q: %v", text, err)
		}
		if !slices.Equal(flags.Hosts, want) {
			t.Errorf("%q is read as %q", text, flags.Hosts)
		}
		if strings.Contains(text, "count") && !slices.Equal(flags.Count, []int{1, 2}) {
			t.Errorf("%q is read as %d", text, flags.Count)
		}
	}
}
