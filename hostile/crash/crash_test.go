package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestThreeDozenKills kills the real program under load, so that every test run proves a part of what make test-crash
// proves.
func TestThreeDozenKills(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts the real program some forty times")
	}
	binary := filepath.Join(t.TempDir(), "hexbid")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/hexbid").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var out bytes.Buffer
	o := options{binary: binary, kills: 36, killsAnEra: 18, verifyEvery: 6, seed: 1, memoryCapMB: 4096}
	if code := run(t.Context(), o, &out); code != 0 {
		t.Errorf("status %d:\n%s", code, out.String())
	}
	if !strings.Contains(out.String(), "0 lost, 0 doubled, 0 exceeded, 0 wrong") {
		t.Errorf("the last line has no counts:\n%s", out.String())
	}
	t.Log(out.String())
}

// TestARunWithoutAProgramFails: what cannot be proven is not taken for proven.
func TestARunWithoutAProgramFails(t *testing.T) {
	if code := run(t.Context(), options{binary: "no-such-program", kills: 1, killsAnEra: 1, verifyEvery: 1},
		&bytes.Buffer{}); code != 1 {
		t.Errorf("status %d", code)
	}
}
