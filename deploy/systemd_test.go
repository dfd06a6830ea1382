package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const unitFile = "systemd/hexbid.service"

// TestTheUnitIsHardened has systemd judge the unit: 0 is safest, 10 is open to everything.
func TestTheUnitIsHardened(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("there is no systemd-analyze here")
	}
	text, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	// verify wants the program to be there.
	unit := filepath.Join(t.TempDir(), "hexbid.service")
	there := strings.ReplaceAll(string(text), "/usr/local/bin/hexbid", "/bin/true")
	if err := os.WriteFile(unit, []byte(there), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(analyze, "verify", "--man=no", unit).CombinedOutput()
	if err != nil || strings.Contains(string(out), "hexbid.service:") {
		t.Errorf("verify: %v\n%s", err, out)
	}
	out, err = exec.Command(analyze, "security", "--offline=yes", "--no-pager", "--threshold=15", unit).CombinedOutput()
	exposure := regexp.MustCompile(`Overall exposure level for \S+: .*`).FindString(string(out))
	if err != nil || exposure == "" {
		t.Errorf("security: %v\n%s", err, out)
	}
	t.Log(exposure)
}

// TestTheUnitsSettingsAreFlags has the program itself read the settings, up to the certificate, which is not there.
func TestTheUnitsSettingsAreFlags(t *testing.T) {
	args := append([]string{"--config", "systemd/hexbid.yaml", "serve", "--data", t.TempDir()}, elsewhere...)
	out, err := exec.Command(build(t), args...).CombinedOutput()
	said := string(out)
	if err == nil || !strings.Contains(said, "tls-cert") || !strings.Contains(said, "/etc/hexbid/tls/tls.crt") {
		t.Errorf("%v: %s", err, out)
	}
}
