package cli

import (
	"os"
	"path/filepath"
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
