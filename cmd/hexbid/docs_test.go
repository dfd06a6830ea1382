package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// elsewhere are commands in the docs that other tests or CI run.
var elsewhere = []string{"make run", "make test"}

var consoleBlock = regexp.MustCompile("(?s)```console\n(.*?)```")

// TestCommandsShownInTheDocsRun runs the lines that begin with "$ " in each ```console block, in order, next to a demo
// server.
func TestCommandsShownInTheDocsRun(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs a program that the race detector does not watch")
	}
	t.Parallel()
	path, err := builtBinary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir() // bin/hexbid in it is the program under test
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, filepath.Join(dir, "bin/hexbid")); err != nil {
		t.Fatal(err)
	}
	docs, err := filepath.Abs("../../docs")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(docs, filepath.Join(dir, "docs")); err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, "--demo", "--data", filepath.Join(dir, "data"))
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, file := range append(files, "../../README.md") {
		if filepath.Base(file) == "http.md" {
			continue // TestEveryCurlOfTheDocsRuns
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range consoleBlock.FindAllStringSubmatch(string(text), -1) {
			for _, line := range strings.Split(block[1], "\n") {
				command, isCommand := strings.CutPrefix(line, "$ ")
				if !isCommand || slices.Contains(elsewhere, command) {
					continue
				}
				c := exec.CommandContext(testContext(t), "sh", "-c", command)
				c.Dir, c.Env = dir, append(os.Environ(), "HEXBID_SERVER="+p.address)
				out, err := c.CombinedOutput()
				if missed, anywhere := missedIn(string(out)); missed > 0 && len(anywhere) == 0 {
					err = nil // simulate verify misses on a machine busy with other work
				}
				if err != nil {
					t.Errorf("%s: %s: %v\n%s", filepath.Base(file), command, err, out)
				}
				ran++
			}
		}
	}
	if ran < 15 {
		t.Errorf("only %d commands ran", ran)
	}
}
