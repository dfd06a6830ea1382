package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	listedCommand = regexp.MustCompile(`(?m)^  ([a-z]+(?:-[a-z]+)?(?: [a-z]+(?:-[a-z]+)?)?)  +[A-Z]`)
	shellWord     = regexp.MustCompile(`'[^']*'|"[^"]*"|[^\s'"]+`)
)

// Every command teaches by an example in its help, and no example names a flag or a command that there is not.
func TestEveryCommandsHelpHasExamplesThatParse(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("roots.json", nil, 0o600); err != nil { // a file that must exist when a command line is read
		t.Fatal(err)
	}
	help := func(command ...string) string {
		code, out, errs := offline(append(command, "--help")...)
		if code != 0 {
			t.Errorf("hexbid %s --help: exit %d, %s", strings.Join(command, " "), code, errs)
		}
		return out
	}
	var all []string
	for _, found := range listedCommand.FindAllStringSubmatch(help(), -1) {
		group, _, _ := strings.Cut(found[1], " ")
		for _, command := range []string{group, found[1]} {
			if !slices.Contains(all, command) {
				all = append(all, command)
			}
		}
	}
	if len(all) < 60 {
		t.Fatalf("only %d commands are listed: %q", len(all), all)
	}
	for _, command := range all {
		examples := regexp.MustCompile(`(?m)^    (hexbid .*)$`).FindAllStringSubmatch(help(strings.Fields(command)...), -1)
		about := 0
		for _, example := range examples {
			for piece := range strings.SplitSeq(example[1], " | ") {
				piece, _, _ = strings.Cut(piece, " > ")
				piece, _, _ = strings.Cut(piece, " < ")
				if strings.HasPrefix(piece, "hexbid "+command) {
					about++
				}
				words := shellWord.FindAllString(piece, -1)
				for i := range words {
					words[i] = strings.Trim(words[i], `'"`)
				}
				help(words[1:]...)
			}
		}
		if about == 0 {
			t.Errorf("hexbid %s --help has no example", command)
		}
	}
}
