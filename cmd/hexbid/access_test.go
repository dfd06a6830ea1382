package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/hexbid/hexbid"
	pb "github.com/hexbid/hexbid/proto/hexbid/v1"
	"github.com/hexbid/hexbid/store"
)

// bootRequired boots a server that demands credentials.
func bootRequired(t *testing.T, data string) *testServer {
	t.Helper()
	return boot(t, func(c *ServeConfig) { c.Data, c.Auth = data, "required" })
}

// withKey returns a context whose calls bring the key in a file.
func withKey(t *testing.T, path string) context.Context {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return metadata.AppendToOutgoingContext(testContext(t), "authorization", "Bearer "+strings.TrimSpace(string(text)))
}

func (s *testServer) whoAmI(ctx context.Context) (*pb.WhoAmIResponse, error) {
	return pb.NewAccessServiceClient(s.conn).WhoAmI(ctx, &pb.WhoAmIRequest{})
}

func TestTheFirstStartWritesTheOperatorsKey(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := bootRequired(t, data)
	for _, name := range []string{operatorKeyName, pepperName} {
		info, err := os.Stat(filepath.Join(data, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("%s: %v, %v", name, info, err)
		}
	}
	mine := withKey(t, filepath.Join(data, operatorKeyName))
	for range 2 {
		if r, err := s.whoAmI(mine); err != nil || r.GetRole() != pb.Role_ROLE_OPERATOR || r.GetName() != firstOperator {
			t.Errorf("%v, %v", r, err)
		}
		if _, err := s.whoAmI(testContext(t)); status.Code(err) != codes.Unauthenticated {
			t.Errorf("nobody: %v", err)
		}
		s.stop()
		s = bootRequired(t, data) // the second start makes no other key
		if uses := s.main.exchange.Directory().Uses(); len(uses) != 1 {
			t.Errorf("after a start the uses %v are known", uses)
		}
	}
	k, err := pb.NewAccessServiceClient(s.conn).GetKey(mine, &pb.GetKeyRequest{Name: firstOperator + "/keys/first"})
	if err != nil || k.GetLastUseTime().AsTime() != testNow.Truncate(time.Hour) {
		t.Errorf("after two starts the key was last used at %v, %v", k.GetLastUseTime().AsTime(), err)
	}
	// With credentials given up, everything works as before.
	s.stop()
	s = boot(t, func(c *ServeConfig) { c.Data = data })
	if r, err := s.whoAmI(testContext(t)); err != nil || r.GetRole() != pb.Role_ROLE_OPERATOR || r.GetName() != "" {
		t.Errorf("without credentials: %v, %v", r, err)
	}
}

// TestAFirstStartThatWasCutOffIsDoneAgain leaves the user without the role, as a crash before the last step does.
func TestAFirstStartThatWasCutOffIsDoneAgain(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := bootRequired(t, data)
	system := hexbid.WithPrincipal(testContext(t), firstStart)
	if _, err := s.main.exchange.Update(system, firstOperator, store.AnyVersion, false,
		func(present hexbid.Resource) (hexbid.Resource, error) {
			next := *present.(*hexbid.User)
			next.Role = hexbid.Member
			return &next, nil
		}); err != nil {
		t.Fatal(err)
	}
	before := withKey(t, filepath.Join(data, operatorKeyName))
	s.stop()
	s = bootRequired(t, data)
	if r, err := s.whoAmI(withKey(t, filepath.Join(data, operatorKeyName))); err != nil ||
		r.GetRole() != pb.Role_ROLE_OPERATOR {
		t.Errorf("%v, %v", r, err)
	}
	if _, err := s.whoAmI(before); status.Code(err) != codes.Unauthenticated {
		t.Errorf("the key of the start that was cut off: %v", err)
	}
}

func TestWithoutThePepperAServerDoesNotStart(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := bootRequired(t, data)
	s.stop()
	pepper, start := filepath.Join(data, pepperName), startsAgain(t, s.main.Config)
	whole, err := os.ReadFile(pepper)
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"cut off": string(whole[:20]), "empty": "",
		"of noise": "!" + string(whole), "of another letter": anotherLetter(whole)} {
		if err := os.WriteFile(pepper, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := start(false); hexbid.KindOf(err) != hexbid.DataLoss {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := os.Remove(pepper); err != nil {
		t.Fatal(err)
	}
	if err := start(false); hexbid.KindOf(err) != hexbid.DataLoss || !strings.Contains(err.Error(), pepperName) {
		t.Errorf("missing: %v", err)
	}
	if err := start(true); err != nil {
		t.Errorf("missing, and accepted: %v", err)
	}
	if err := os.WriteFile(pepper, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(pepper, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := start(false); hexbid.KindOf(err) != hexbid.Invalid || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("readable by all: %v", err)
	}
}

// startsAgain returns a function that starts a server with these settings and ends it, and returns the start's error.
func startsAgain(t *testing.T, config ServeConfig) func(acceptLoss bool) error {
	return func(acceptLoss bool) error {
		config.AcceptLoss = acceptLoss
		m := NewMain(config)
		m.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
		err := m.Open(testContext(t))
		if err == nil {
			err = m.close()
		}
		return err
	}
}

// anotherLetter exchanges a letter amid base64, which decodes to another secret of the same length.
func anotherLetter(text []byte) string {
	if text[20] == 'A' {
		return string(text[:20]) + "B" + string(text[21:])
	}
	return string(text[:20]) + "A" + string(text[21:])
}

// TestAPepperIsMissedThoughNoKeyWasIssued: etags and names of changes follow from it too.
func TestAPepperIsMissedThoughNoKeyWasIssued(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := boot(t, func(c *ServeConfig) { c.Data, c.Auth = data, "none" })
	s.stop()
	pepper, record := filepath.Join(data, pepperName), filepath.Join(data, pepperRecordName)
	start := startsAgain(t, s.main.Config)
	whole, err := os.ReadFile(pepper)
	if err != nil {
		t.Fatal(err)
	}
	spoil := func(change error) {
		if change != nil {
			t.Fatal(change)
		}
		if err := start(false); hexbid.KindOf(err) != hexbid.DataLoss || !strings.Contains(err.Error(), pepperName) {
			t.Errorf("%v", err)
		}
	}
	spoil(os.Remove(pepper))
	spoil(os.WriteFile(pepper, []byte(anotherLetter(whole)), 0o600))
	if err := start(true); err != nil {
		t.Errorf("another, and accepted: %v", err)
	}
	if err := start(false); err != nil {
		t.Errorf("after that: %v", err)
	}
	if err := start(true); hexbid.KindOf(err) != hexbid.Invalid {
		t.Errorf("accepting a loss where nothing is lost: %v", err)
	}
	spoil(os.WriteFile(pepper, whole, 0o600))
	if err := os.Remove(record); err != nil {
		t.Fatal(err)
	}
	if err := start(false); err != nil {
		t.Errorf("without a record, as in a backup: %v", err)
	}
	spoil(os.WriteFile(record, []byte("noise"), 0o600))
}

func TestKeysAreGoodAfterARestore(t *testing.T) {
	root := t.TempDir()
	data, copied, restored := filepath.Join(root, "data"), filepath.Join(root, "backup"), filepath.Join(root, "restored")
	s := bootRequired(t, data)
	mine := withKey(t, filepath.Join(data, operatorKeyName))
	if _, err := pb.NewLedgerServiceClient(s.conn).CreateBackup(mine,
		&pb.CreateBackupRequest{Directory: copied}); err != nil {
		t.Fatal(err)
	}
	s.stop()
	if _, _, err := (&restoreCommand{Backup: copied, Data: restored}).restore(testContext(t), s.main.Clock); err != nil {
		t.Fatal(err)
	}
	s = bootRequired(t, restored)
	if r, err := s.whoAmI(mine); err != nil || r.GetName() != firstOperator {
		t.Errorf("%v, %v", r, err)
	}
	if _, err := os.Stat(filepath.Join(restored, operatorKeyName)); err == nil {
		t.Error("the restore has another operator's key")
	}
}

func TestCredentialsAreRequiredWhereOthersReachTheServer(t *testing.T) {
	for _, c := range []struct {
		auth, listen string
		required     bool
	}{{"auto", "127.0.0.1:0", false}, {"auto", "[::1]:0", false}, {"auto", "localhost:0", false}, {"auto", ":0", true},
		{"auto", "0.0.0.0:0", true}, {"required", "127.0.0.1:0", true}, {"none", "0.0.0.0:0", false}} {
		m := NewMain(DefaultServeConfig())
		m.Config.Auth, m.Config.Listen, m.Config.Insecure, m.Config.MetricsListen = c.auth, c.listen, true, ""
		m.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
		if c.listen == ":0" || c.listen == "0.0.0.0:0" && c.auth != "none" {
			if isLoopback(c.listen) {
				t.Errorf("%s is taken for loopback", c.listen)
			}
			continue // the tests listen on loopback alone
		}
		err := m.openServer()
		if c.auth == "none" && c.listen == "0.0.0.0:0" {
			if hexbid.KindOf(err) != hexbid.Invalid || !strings.Contains(err.Error(), "--auth required") {
				t.Errorf("without credentials on all networks: %v", err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s on %s: %v", c.auth, c.listen, err)
			continue
		}
		if got := m.auth != 0; got != c.required {
			t.Errorf("%s on %s: required %v", c.auth, c.listen, got)
		}
		_ = m.close()
	}
}
