package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid/cli"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/token"
)

// page searches the demo market from a page token on.
func page(t *testing.T, s *testServer, pageToken string) (*pb.SearchNearbyResponse, error) {
	limit := int32(2)
	return s.search.SearchNearby(testContext(t),
		&pb.SearchNearbyRequest{Location: &pb.Location{Latitude: 30.2553, Longitude: 120.1640},
			NearbyLimit: &limit, PageToken: pageToken})
}

func mustPage(t *testing.T, s *testServer, pageToken string) string {
	t.Helper()
	response, err := page(t, s, pageToken)
	if err != nil || response.GetNextPageToken() == "" {
		t.Fatalf("%d results, %v", len(response.GetNearby()), err)
	}
	return response.GetNextPageToken()
}

// TestAKeyFileThatIsLostOrReplacedIsNotMadeAnew starts on a folder that has issued tokens, first without its key file
// and then with another key file.
func TestAKeyFileThatIsLostOrReplacedIsNotMadeAnew(t *testing.T) {
	data := t.TempDir()
	config := func(c *ServeConfig) { c.Data, c.Demo = data, true }
	first := boot(t, config)
	sealed := mustPage(t, first, "")
	first.stop()
	keys := filepath.Join(data, "keys")
	whole, err := os.ReadFile(keys)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "keys")
	if err := token.CreateKeyFile(other, time.Now()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]func(*ServeConfig){
		"lost, and the record with it": func(c *ServeConfig) { config(c); c.Data = withoutRecord(t, data) },
		"lost":                         config,
		"replaced":                     func(c *ServeConfig) { config(c); c.Keys = other },
	} {
		if err := os.RemoveAll(keys); err != nil {
			t.Fatal(err)
		}
		configured := DefaultServeConfig()
		configured.Listen, configured.MetricsListen, configured.HTTPListen = "127.0.0.1:0", "", ""
		c(&configured)
		err := NewMain(configured).Open(context.Background())
		if err == nil || !strings.HasPrefix(err.Error(), "keys: ") || !strings.Contains(err.Error(), "--accept-loss") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(keys); err == nil {
			t.Errorf("%s: a key file was made", name)
		}
	}
	if err := os.WriteFile(keys, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	restored := boot(t, config)
	mustPage(t, restored, sealed)
	restored.stop()
	if err := os.Remove(keys); err != nil {
		t.Fatal(err)
	}
	accepted := boot(t, func(c *ServeConfig) { config(c); c.AcceptLoss = true })
	if _, err := page(t, accepted, sealed); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a token of lost keys: %v", err)
	}
	mustPage(t, accepted, mustPage(t, accepted, ""))
	accepted.stop()
	boot(t, config) // from here on the new keys must continue
}

// withoutRecord copies a data folder without its key file and its record of keys.
func withoutRecord(t *testing.T, data string) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(folder, os.DirFS(data)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"keys", "keys.record"} {
		if err := os.RemoveAll(filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// TestKeysStayInForceWhenTheirFileIsNoRotation watches a key file that is deleted, comes back, and is then rotated.
func TestKeysStayInForceWhenTheirFileIsNoRotation(t *testing.T) {
	data := t.TempDir()
	s := boot(t, func(c *ServeConfig) { c.Data, c.Demo = data, true })
	sealed := mustPage(t, s, "")
	var log bytes.Buffer
	watched := &Main{keys: s.main.keys, Log: slog.New(slog.NewTextHandler(&log, nil))}
	watch, keys := keyWatch{main: watched}, filepath.Join(data, "keys")
	whole, err := os.ReadFile(keys)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(keys); err != nil {
		t.Fatal(err)
	}
	for range 2 * looksBetweenLogs {
		watch.look()
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 2 || !strings.Contains(log.String(), keys) {
		t.Errorf("%d errors in two minutes:\n%s", n, log.String())
	}
	sealed = mustPage(t, s, sealed)
	if err := os.WriteFile(keys, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	watch.look()
	if !strings.Contains(log.String(), "as it was") {
		t.Errorf("restored:\n%s", log.String())
	}
	var out bytes.Buffer
	if code := cli.Run(testContext(t), []string{"rotate-keys", keys},
		cli.Env{Stdout: &out, Stderr: &out, Commands: commands(nil)}); code != 0 ||
		!strings.Contains(out.String(), "new sealing key, 2.") ||
		!strings.Contains(out.String(), "still open what they sealed: 1.") {
		t.Fatalf("exit %d: %s", code, &out)
	}
	watch.look()
	mustPage(t, s, sealed)
	missing := filepath.Join(data, "none")
	if code := cli.Run(testContext(t), []string{"rotate-keys", missing},
		cli.Env{Stdout: &out, Stderr: &out, Commands: commands(nil)}); code == 0 || !strings.Contains(out.String(), missing) {
		t.Errorf("exit %d: %s", code, &out)
	}
}
