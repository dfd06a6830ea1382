package hexbid_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// contractFiles are compared with the committed image: the wire contract, and the messages of the disk.
var contractFiles = []string{"buf.yaml", "proto/hexbid/v1/search.proto", "proto/hexbid/v1/catalog.proto",
	"proto/hexbid/v1/campaign_service.proto", "proto/hexbid/v1/event_service.proto",
	"proto/hexbid/v1/ledger_service.proto", "proto/hexbid/v1/access.proto",
	"proto/hexbid/v1/access_service.proto", "proto/hexbid/v1/market.proto", "proto/hexbid/v1/market_service.proto",
	"proto/hexbid/disk/v1/disk.proto",
	"proto/hexbid/disk/v1/ledger.proto"}

// TestBreakingChangesOfTheContractAreCaught removes a field from a copy of the contract, or of the messages of the
// disk. buf must name that field when it compares the copy with the committed image.
func TestBreakingChangesOfTheContractAreCaught(t *testing.T) {
	buf, err := filepath.Abs("bin/buf")
	if _, statErr := os.Stat(buf); err != nil || statErr != nil {
		t.Skip("bin/buf is not built: make check builds it")
	}
	image, err := filepath.Abs("proto/baseline.binpb")
	if err != nil {
		t.Fatal(err)
	}
	for _, removed := range []struct{ file, line, name string }{
		{"search.proto", "  int64 price_micros = 6;\n", "price_micros"},
		{"catalog.proto", "  int64 total_budget_micros = 12;\n", "total_budget_micros"},
		{"disk.proto", "  bytes excluded_polygons = 6;\n", "excluded_polygons"},
		{"disk.proto", "  string times_owner = 4;\n", "times_owner"},
		{"disk/v1/ledger.proto", "  uint64 charged = 6;\n", "charged"},
		{"event_service.proto", "  bytes chain_hash = 4;\n", "chain_hash"},
		{"ledger_service.proto", "  int64 closing_micros = 12;\n", "closing_micros"},
		{"", "", ""}, // nothing
	} {
		command := exec.Command(buf, "breaking", "--against", image)
		command.Dir = contractWithout(t, removed.file, removed.line)
		out, err := command.CombinedOutput()
		if caught := err != nil && strings.Contains(string(out), removed.name); caught != (removed.name != "") {
			t.Errorf("removing %q: %v\n%s", removed.name, err, out)
		}
	}
}

// contractWithout returns a folder with a copy of the contract in which one line of a file is missing.
func contractWithout(t *testing.T, file, line string) (folder string) {
	folder = t.TempDir()
	for _, name := range contractFiles {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if file != "" && strings.HasSuffix(name, file) {
			if !strings.Contains(string(text), line) {
				t.Fatalf("%s has no %q to remove", name, line)
			}
			text = []byte(strings.Replace(string(text), line, "", 1))
		}
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// TestFieldsThatAreCalledOutputOnlyAreMarkedSo compares the comments of fields with the option that programs read.
func TestFieldsThatAreCalledOutputOnlyAreMarkedSo(t *testing.T) {
	text, err := os.ReadFile("proto/hexbid/v1/catalog.proto")
	if err != nil {
		t.Fatal(err)
	}
	called, fields := false, 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "//") {
			called = called || strings.HasPrefix(line, "// Output only")
			continue
		}
		if marked := strings.Contains(line, "[(output_only) = true]"); marked != called {
			t.Errorf("%q: marked %v, called so %v", line, marked, called)
		}
		if called {
			fields++
		}
		called = false
	}
	if fields < 17 {
		t.Errorf("%d fields are output only", fields)
	}
}
