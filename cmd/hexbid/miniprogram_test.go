package main

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestTheMiniProgramShowsAndReports runs the example's back end against the real program, and its page with a stand-in
// for WeChat. The script asserts what the page does; what came of it is compared here.
func TestTheMiniProgramShowsAndReports(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed")
	}
	s := boot(t, func(c *ServeConfig) { c.Demo, c.HTTPListen = true, "127.0.0.1:0" })
	between := listenIn(t, s.main.HTTPAddress())
	dir := t.TempDir()
	for name, text := range map[string]string{"key": "a-key\n", "secret": "a secret\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	backend := startBackend(t, node, between.URL, dir)
	want := "RECORDED lost lost RECORDED CHARGED\nopened 3, the first at "
	got := output(t, "../../examples/miniprogram", nil, node, "drive.js", backend)
	if !strings.HasPrefix(got, want) {
		t.Errorf("the page did %q, want %q", got, want)
	}
	between.mu.Lock()
	defer between.mu.Unlock()
	if len(between.credentials) != 1 || !between.credentials["Bearer a-key"] {
		t.Errorf("the back end sent the credentials %v", between.credentials)
	}
	if !strings.Contains(between.searches, `"accuracy_m":1000`) || !strings.Contains(between.searches, `"user_key":"`) ||
		strings.Contains(between.searches, "session") {
		t.Errorf("the back end asked %s", between.searches)
	}
}

// listener passes requests on, and notes what credentials and searches they have.
type listener struct {
	*httptest.Server
	mu          sync.Mutex // guards the fields below
	credentials map[string]bool
	searches    string
}

func listenIn(t *testing.T, address string) *listener {
	t.Helper()
	l := &listener{credentials: map[string]bool{}}
	pass := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: address})
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		l.mu.Lock()
		l.credentials[r.Header.Get("Authorization")] = true
		if strings.HasSuffix(r.URL.Path, ":search") {
			l.searches += string(body)
		}
		l.mu.Unlock()
		r.Header.Del("Authorization") // the key is none of this server's
		r.Header["X-Forwarded-For"] = nil
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(l.Close)
	return l
}

// startBackend starts the example's back end and returns its address.
func startBackend(t *testing.T, node, hexbid, dir string) string {
	t.Helper()
	c := exec.CommandContext(testContext(t), node, "../../examples/miniprogram/backend/server.js")
	c.Env = append(os.Environ(), "PORT=0", "HEXBID="+hexbid, "HEXBID_KEY_FILE="+filepath.Join(dir, "key"),
		"SECRET_FILE="+filepath.Join(dir, "secret"))
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return "http://127.0.0.1:" + strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
}
