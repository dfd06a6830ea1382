package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hexbid/hexbid/server/gateway"
)

// TestEveryCurlOfTheDocsRuns runs the commands of docs/http.md in one shell, next to the real program. Each must
// succeed, and together they call every route.
func TestEveryCurlOfTheDocsRuns(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	dir := t.TempDir()
	s := boot(t, func(c *ServeConfig) {
		c.Demo, c.HTTPListen, c.Data = true, "127.0.0.1:0", filepath.Join(dir, "data")
	})
	commands := consoleCommands(t, "../../docs/http.md")
	var script strings.Builder
	script.WriteString("set -e\ncurl() { echo \"CALL $*\" >&2; command curl --fail-with-body --show-error \"$@\"; }\n")
	for _, command := range commands {
		fmt.Fprintf(&script, "echo %s >&2\n%s\n", quoted("RUN "+command), command)
	}
	text := strings.ReplaceAll(script.String(), "127.0.0.1:7602", s.main.HTTPAddress())
	c := exec.CommandContext(testContext(t), "sh", "-c", text)
	c.Dir = dir
	var answers, calls strings.Builder
	c.Stdout, c.Stderr = &answers, &calls
	if err := c.Run(); err != nil {
		t.Fatalf("%v\n%s\nlast answer: %s", err, tail(calls.String()), tail(answers.String()))
	}
	mustCallEveryRoute(t, calls.String())
	if bad := refusedIn.FindString(answers.String()); bad != "" {
		t.Errorf("an answer says %s", bad)
	}
}

// consoleCommands returns the lines that begin with "$ " in the console blocks of a file.
func consoleCommands(t *testing.T, file string) (commands []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range consoleBlock.FindAllStringSubmatch(string(text), -1) {
		for line := range strings.SplitSeq(block[1], "\n") {
			if command, isCommand := strings.CutPrefix(line, "$ "); isCommand {
				commands = append(commands, command)
			}
		}
	}
	return commands
}

func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func tail(text string) string { return text[max(0, len(text)-1500):] }

var (
	parameter = regexp.MustCompile(`\\\{\w+\\\}`)
	refusedIn = regexp.MustCompile(`(?m)"(outcome|action)": ?"\w+(REJECTED|REFUSED|FORGED|DUPLICATE)"|^\{"status":\{"code"`)
	called    = regexp.MustCompile(`http://[^/]+(/[^ ?]*)`)
)

// mustCallEveryRoute compares the calls that were made with the routes of the OpenAPI document.
func mustCallEveryRoute(t *testing.T, calls string) {
	t.Helper()
	var document struct {
		Paths map[string]map[string]any
	}
	if err := json.Unmarshal(gateway.OpenAPI, &document); err != nil {
		t.Fatal(err)
	}
	made := map[string]bool{}
	for line := range strings.SplitSeq(calls, "\n") {
		call, is := strings.CutPrefix(line, "CALL ")
		path := called.FindStringSubmatch(call)
		if !is || path == nil {
			continue
		}
		made[methodOf(call)+" "+path[1]] = true
	}
	for path, methods := range document.Paths {
		pattern := regexp.MustCompile("^" + parameter.ReplaceAllString(regexp.QuoteMeta(path), "[^/:]+") + "$")
		for method := range methods {
			if !anyCall(made, method, pattern) {
				t.Errorf("docs/http.md has no example of %s %s", strings.ToUpper(method), path)
			}
		}
	}
}

// methodOf returns the method that curl uses with some arguments.
func methodOf(call string) string {
	for _, method := range []string{"PATCH", "DELETE"} {
		if strings.Contains(call, "-X "+method) {
			return strings.ToLower(method)
		}
	}
	if strings.Contains(call, "--json") || strings.Contains(call, "--data-binary") {
		return "post"
	}
	return "get"
}

func anyCall(made map[string]bool, method string, path *regexp.Regexp) bool {
	for call := range made {
		if of, at, _ := strings.Cut(call, " "); of == method && path.MatchString(at) {
			return true
		}
	}
	return false
}
