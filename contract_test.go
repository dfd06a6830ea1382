package hexbid_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBreakingChangesOfTheContractAreCaught removes a field from a copy of the
// contract and expects buf to name it against the committed image.
func TestBreakingChangesOfTheContractAreCaught(t *testing.T) {
	buf, err := filepath.Abs("bin/buf")
	if _, statErr := os.Stat(buf); err != nil || statErr != nil {
		t.Skip("bin/buf is not built: make check builds it")
	}
	dir := t.TempDir()
	for _, name := range []string{"buf.yaml", "proto/hexbid/v1/search.proto", "proto/hexbid/v1/catalog.proto", "proto/hexbid/v1/campaign_service.proto"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		const field = "  int64 price_micros = 6;\n"
		if strings.HasSuffix(name, "search.proto") {
			if !strings.Contains(string(text), field) {
				t.Fatalf("%s has no %q to remove", name, field)
			}
			text = []byte(strings.Replace(string(text), field, "", 1))
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	image, err := filepath.Abs("proto/baseline.binpb")
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(buf, "breaking", "--against", image)
	command.Dir = dir
	out, err := command.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "price_micros") {
		t.Errorf("removing price_micros passes: %v\n%s", err, out)
	}
}
