package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hexbid/hexbid/cli"
)

// console runs command lines as a user with a config folder of its own.
type console struct {
	t      *testing.T
	server string
	config string
}

func openConsole(t *testing.T, s *testServer) *console {
	c := &console{t: t, server: s.main.Address(), config: t.TempDir()}
	t.Setenv("XDG_CONFIG_HOME", c.config)
	t.Setenv("HEXBID_SERVER", "")
	t.Setenv("HEXBID_DATA", "")
	return c
}

// try runs a command line.
func (c *console) try(stdin string, args ...string) (stdout, stderr string, code int) {
	var out, notes bytes.Buffer
	code = cli.Run(testContext(c.t), args, cli.Env{Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &notes})
	return out.String(), notes.String(), code
}

// must runs a command line that succeeds, and returns what it prints.
func (c *console) must(stdin string, args ...string) string {
	c.t.Helper()
	out, notes, code := c.try(stdin, args...)
	if code != 0 {
		c.t.Fatalf("hexbid %s: exit %d\n%s%s", strings.Join(args, " "), code, out, notes)
	}
	return out
}

// fails runs a command line that fails with some words.
func (c *console) fails(words string, args ...string) {
	c.t.Helper()
	out, notes, code := c.try("", args...)
	if code == 0 || !strings.Contains(notes, words) {
		c.t.Errorf("hexbid %s: exit %d, want %q\n%s%s", strings.Join(args, " "), code, words, out, notes)
	}
}

// TestTheFirstMinute goes through what a new operator does.
func TestTheFirstMinute(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := bootRequired(t, data)
	c := openConsole(t, s)
	c.fails("hexbid login", "get", "advertisers", "--server", c.server)
	// Without a login the operator's key is found in the data folder.
	if out := c.must("", "whoami", "--server", c.server, "--server-data", data); !strings.Contains(out, firstOperator) {
		t.Errorf("whoami: %s", out)
	}
	c.must("", "login", "--server", c.server, "--server-data", data)
	if out := c.must("", "whoami"); !strings.Contains(out, "operator") || !strings.Contains(out, firstOperator+"/keys/") {
		t.Errorf("whoami: %s", out)
	}
	c.must("", "users", "create", "olga", "--role", "operator", "--title", "Olga")
	key := c.must("", "keys", "create", "users/olga", "--id", "laptop")
	if strings.Count(key, "\n") != 1 || !strings.HasPrefix(key, "hxb_") {
		t.Errorf("a new key is printed as %q", key)
	}
	if out := c.must("", "keys", "list", "users/olga"); !strings.Contains(out, "users/olga/keys/laptop") ||
		strings.Contains(out, strings.TrimSpace(key)) {
		t.Errorf("keys list: %s", out)
	}
	c.must(key, "login", "--server", c.server, "--name", "olga")
	if out := c.must("", "contexts"); !strings.Contains(out, "*  olga") || strings.Contains(out, "hxb_") {
		t.Errorf("contexts: %s", out)
	}
	info, err := os.Stat(filepath.Join(c.config, "hexbid", "contexts.yaml"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	if out := c.must("", "whoami"); !strings.Contains(out, "users/olga") {
		t.Errorf("whoami: %s", out)
	}
	if out := c.must("", "whoami", "--context", c.server); !strings.Contains(out, firstOperator) {
		t.Errorf("whoami: %s", out)
	}
	c.must("", "contexts", "use", c.server)
	if out := c.must("", "whoami"); !strings.Contains(out, firstOperator) {
		t.Errorf("whoami: %s", out)
	}
	c.must("", "contexts", "delete", "olga")
	c.fails("none of this name", "whoami", "--context", "olga")
	c.mustRotate()
}

// mustRotate replaces a key, and then revokes both.
func (c *console) mustRotate() {
	c.t.Helper()
	out := filepath.Join(c.t.TempDir(), "key")
	c.must("", "clients", "create", "app", "--sees-prices", "--renders-only")
	c.must("", "keys", "create", "clients/app", "--id", "first", "--out", out)
	if info, err := os.Stat(out); err != nil || info.Mode().Perm() != 0o600 {
		c.t.Fatalf("%v, %v", info, err)
	}
	before := c.must("", "keys", "list", "clients/app")
	c.fails("no key was issued", "keys", "create", "clients/app", "--out", out) // a file that is there is not replaced
	c.fails("no key was issued", "keys", "rotate", "clients/app/keys/first", "--out", out)
	c.fails("does not exist", "keys", "create", "clients/nobody", "--out", out+"1")
	c.fails("users/app or clients/app", "keys", "create", "app")
	if after := c.must("", "keys", "list", "clients/app"); after != before {
		c.t.Errorf("keys before and after failures:\n%s%s", before, after)
	}
	if _, err := os.Stat(out + "1"); err == nil {
		c.t.Error("a file is left of a key that was not issued")
	}
	second := out + "2"
	c.must("", "keys", "rotate", "clients/app/keys/first", "--id", "second", "--out", second)
	for _, file := range []string{out, second} {
		if text := c.must("", "whoami", "--server", c.server, "--key-file", file); !strings.Contains(text, "clients/app") {
			c.t.Errorf("whoami with %s: %s", file, text)
		}
	}
	if text := c.must("", "clients", "list"); !strings.Contains(text, "sees prices, renders only") {
		c.t.Errorf("clients list: %s", text)
	}
	c.must("", "keys", "revoke", "clients/app/keys/first")
	c.fails("not in force", "whoami", "--server", c.server, "--key-file", out)
	c.must("", "clients", "suspend", "app")
	c.fails("suspended", "whoami", "--server", c.server, "--key-file", second)
	c.must("", "clients", "suspend", "app", "--resume")
	c.must("", "whoami", "--server", c.server, "--key-file", second)
	c.must("", "clients", "delete", "app")
	c.fails("not in force", "whoami", "--server", c.server, "--key-file", second)
}

func TestMembersAreNamedByTheCommandLine(t *testing.T) {
	s := boot(t, withDemo)
	c := openConsole(t, s)
	t.Setenv("HEXBID_SERVER", c.server)
	advertiser := strings.Fields(c.must("", "get", "advertisers", "-o", "json"))
	name := ""
	for _, word := range advertiser {
		if text := strings.Trim(word, `",`); strings.HasPrefix(text, "advertisers/") {
			name = text
			break
		}
	}
	c.must("", "users", "create", "mia", "--member", name+"=viewer")
	c.must("", "users", "member", "mia", name, "admin")
	if out := c.must("", "users", "list"); !strings.Contains(out, name+" (admin)") {
		t.Errorf("users list: %s", out)
	}
	c.must("", "users", "member", "mia", name, "none")
	if out := c.must("", "users", "list"); strings.Contains(out, name) {
		t.Errorf("users list: %s", out)
	}
	c.fails("memberships", "users", "create", "olga", "--role", "operator", "--member", name+"=viewer")
	c.fails("has no level", "users", "create", "olga", "--member", name)
	c.must("", "users", "role", "mia", "auditor")
	c.must("", "users", "suspend", "mia")
	if out := c.must("", "users", "list"); !strings.Contains(out, "auditor, suspended") {
		t.Errorf("users list: %s", out)
	}
	c.must("", "users", "delete", "mia")
}

func TestASecretIsNeitherSentInTheClearNorReadFromAnOpenFile(t *testing.T) {
	c := openConsole(t, boot(t, nil))
	file := filepath.Join(c.config, "key")
	if err := os.WriteFile(file, []byte("hxb_secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.fails("in the clear", "whoami", "--server", "192.0.2.1:7600", "--key-file", file, "--timeout", "1s")
	if err := os.WriteFile(file, []byte("two words\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.fails("holds no key", "whoami", "--server", c.server, "--key-file", file)
	if err := os.MkdirAll(filepath.Join(c.config, "hexbid"), 0o700); err != nil {
		t.Fatal(err)
	}
	contexts := filepath.Join(c.config, "hexbid", "contexts.yaml")
	if err := os.WriteFile(contexts, []byte("current: x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c.fails("chmod 600", "whoami", "--server", c.server)
	if err := os.Chmod(contexts, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(contexts, []byte("current: [hxb_secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, notes, code := c.try("", "whoami", "--server", c.server)
	if code == 0 || strings.Contains(notes, "hxb_secret") {
		t.Errorf("damaged contexts: exit %d, %s", code, notes)
	}
	// No flag takes a key.
	for _, command := range [][]string{{"login", "--help"}, {"whoami", "--help"}, {"keys", "create", "--help"}} {
		if out := c.must("", command...); strings.Contains(out, "--key ") || strings.Contains(out, "--key=") ||
			strings.Contains(out, "--token") {
			t.Errorf("%v: %s", command, out)
		}
	}
}
