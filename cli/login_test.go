package cli

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A context is used in other folders than that of the login.
func TestAContextNamesItsAuthorityFromAnywhere(t *testing.T) {
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ca, want := range map[string]string{"": "", "system": "system", "/etc/ca.pem": "/etc/ca.pem",
		"ca.pem": filepath.Join(folder, "ca.pem")} {
		if got, err := fromAnywhere(ca); err != nil || got != want {
			t.Errorf("%q is kept as %q, %v", ca, got, err)
		}
	}
}

// A server that listens on the machine's own address for others has its data folder here too.
func TestADataFolderIsOfAServerOfThisMachine(t *testing.T) {
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range own {
		if address := net.JoinHostPort(a.(*net.IPNet).IP.String(), "7600"); !isThisMachine(address) {
			t.Errorf("%s is no address of this machine", address)
		}
	}
	for _, address := range []string{"203.0.113.9:7600", "ads.example.com:7600", "localhost", ""} {
		if isThisMachine(address) {
			t.Errorf("%q is an address of this machine", address)
		}
	}
	if !isThisMachine("localhost:7600") {
		t.Error("localhost is no address of this machine")
	}
	var notes bytes.Buffer
	code := Run(t.Context(), []string{"login", "--server", "203.0.113.9:7600", "--server-data", "data"},
		Env{Stdin: strings.NewReader(""), Stdout: &notes, Stderr: &notes})
	if said := notes.String(); code == 0 || !strings.Contains(said, "203.0.113.9:7600 is no address of this machine") ||
		!strings.Contains(said, "--key-file "+filepath.Join("data", operatorKeyName)) {
		t.Errorf("exit %d: %s", code, said)
	}
}
