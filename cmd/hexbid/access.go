package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/access"
	"github.com/hexbid/hexbid/server"
	"github.com/hexbid/hexbid/store"
)

// Names in a data folder, beside those in backup.go.
const (
	pepperName = "access.key"
	// pepperRecordName holds the fingerprint of the pepper, so that one that was lost, altered or exchanged is noticed:
	// etags, names of changes and page tokens follow from it, and all keys of callers are good by it.
	pepperRecordName = "access.record"
	// operatorKeyName is the operator's first key. It is not in backups: the operator may have moved it elsewhere.
	operatorKeyName = "operator.key"
)

// demandsCredentials reports whether callers must prove who they are.
func (c *ServeConfig) demandsCredentials() bool {
	return c.Auth == "required" || c.Auth == "auto" && !isLoopback(c.Listen)
}

// setAccess sets what callers must prove, and whom proxies may speak for.
func setAccess(c *server.Config, config *ServeConfig) error {
	c.ClientCA, c.Auth = config.ClientCA, server.AuthNone
	if config.demandsCredentials() {
		c.Auth = server.AuthRequired
	}
	for _, text := range config.TrustedProxies {
		prefix, err := netip.ParsePrefix(text)
		if a, addrErr := netip.ParseAddr(text); addrErr == nil {
			prefix, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			return hexbid.Invalidf("trusted-proxy", "%q is no address and no network: write 10.0.0.7 or 10.0.0.0/8", text)
		}
		c.TrustedProxies = append(c.TrustedProxies, prefix)
	}
	return nil
}

// isLoopback reports whether an address to listen on is one of this machine alone. Listening says what is wrong with an
// address that does not resolve.
func isLoopback(address string) bool {
	a, err := net.ResolveTCPAddr("tcp", address)
	return err == nil && a.IP.IsLoopback()
}

// openPepper reads the pepper of the keys of callers, and makes one for a new folder. A market in memory has one for
// its own time. The pepper must be the one that the folder's record names.
func (m *Main) openPepper(ctx context.Context) (*access.Pepper, error) {
	if m.Config.Data == "" {
		return access.RandomPepper(), nil
	}
	path, record := filepath.Join(m.Config.Data, pepperName), filepath.Join(m.Config.Data, pepperRecordName)
	recorded, err := readSecret(record)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	isRecorded := err == nil
	pepper, err := readPepper(path)
	if errors.Is(err, fs.ErrNotExist) {
		pepper, err = m.newPepper(ctx, path, isRecorded)
	} else if err == nil && isRecorded && strings.TrimSpace(recorded) != pepper.Fingerprint() {
		err = m.losePepper("%s is not the one that %s names", path, pepperRecordName)
	}
	if err == nil && strings.TrimSpace(recorded) != pepper.Fingerprint() {
		err = writeSecret(record, pepper.Fingerprint())
	}
	if err != nil {
		return nil, err
	}
	return pepper, nil
}

// readPepper reads a pepper. Its error is fs.ErrNotExist where there is none.
func readPepper(path string) (*access.Pepper, error) {
	text, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	secret, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(text))
	if err != nil || len(secret) != access.PepperBytes {
		return nil, hexbid.Errorf(hexbid.DataLoss, "data", "%s is damaged: want %d bytes in base64. Restore it", path,
			access.PepperBytes)
	}
	return access.NewPepper([access.PepperBytes]byte(secret)), nil
}

// newPepper makes a pepper. Where there was one, by the folder's record or because keys have been issued, it is lost.
func (m *Main) newPepper(ctx context.Context, path string, isRecorded bool) (*access.Pepper, error) {
	issued, err := hasKeys(ctx, m.store)
	if err == nil && (issued || isRecorded) {
		err = m.losePepper("%s is missing", path)
	}
	if err != nil {
		return nil, err
	}
	var secret [access.PepperBytes]byte
	rand.Read(secret[:]) // never fails: it aborts the program instead
	return access.NewPepper(secret), writeSecret(path, base64.StdEncoding.EncodeToString(secret[:]))
}

// losePepper takes note of a pepper that is lost, if that is accepted, and refuses to start otherwise.
func (m *Main) losePepper(format string, args ...any) error {
	if !m.Config.AcceptLoss {
		return hexbid.Errorf(hexbid.DataLoss, "data",
			format+", and without the lost one no key that was issued is good, nor "+
				"is any etag or name of a change: restore it, or start once with --accept-loss and issue new keys", args...)
	}
	m.pepperLost = true
	return nil
}

// hasKeys reports whether a store has keys of callers.
func hasKeys(ctx context.Context, s store.Store) (has bool, err error) {
	for _, parent := range []hexbid.Name{{Kind: hexbid.KindUser, User: hexbid.AnyID},
		{Kind: hexbid.KindClient, Client: hexbid.AnyID}} {
		if _, err := s.List(ctx, store.ListQuery{Kind: hexbid.KindKey, Parent: parent}, func(store.Record) bool {
			has = true
			return false
		}); err != nil {
			return false, err
		}
	}
	return has, nil
}

// readSecret reads a file that nobody but its owner may read.
func readSecret(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", hexbid.Invalidf("data", "%s may be read by others than its owner (mode %04o): chmod 600 it", path,
			info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	return string(text), err
}

// writeSecret replaces a file that nobody but its owner may read. After a crash the file is whole, or as it was.
func writeSecret(path, text string) (err error) {
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return hexbid.Errorf(hexbid.Unavailable, "data", "%v", err)
	}
	_, err = fmt.Fprintln(f, text)
	err = errors.Join(err, f.Chmod(0o600), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(path))
	}
	if err != nil {
		return hexbid.Errorf(hexbid.Unavailable, "data", "%v", err)
	}
	return nil
}

func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// firstStart is the principal that makes the first operator.
var firstStart = hexbid.Principal{Role: hexbid.System, ID: "first start", Origin: hexbid.InProcess}

// firstOperator is the user that a first start makes.
const firstOperator, firstOperatorTitle = "users/operator", "Made at the first start"

// openAccess makes an operator and writes the operator's key into the data folder, if credentials are required and no
// user is an operator. The user becomes an operator last, when its key is on disk: a crash before that lets the next
// start begin again.
func (m *Main) openAccess(ctx context.Context) error {
	if m.auth == server.AuthNone || m.exchange.Directory().HasOperator() {
		return nil
	}
	ctx = hexbid.WithPrincipal(ctx, firstStart)
	if err := m.clearFirstOperator(ctx); err != nil {
		return err
	}
	user := &hexbid.User{Meta: hexbid.Meta{Name: firstOperator}, DisplayName: firstOperatorTitle, Role: hexbid.Member}
	if _, err := m.exchange.Create(ctx, user, false); err != nil {
		return err
	}
	_, text, err := m.exchange.IssueKey(ctx, &hexbid.Key{Meta: hexbid.Meta{Name: firstOperator + "/keys/first"}})
	if err != nil {
		return err
	}
	path, err := m.operatorKeyPath()
	if err != nil {
		return err
	}
	if err := writeSecret(path, text); err != nil {
		return err
	}
	if _, err := m.exchange.Update(ctx, firstOperator, store.AnyVersion, false,
		func(present hexbid.Resource) (hexbid.Resource, error) {
			next := *present.(*hexbid.User)
			next.Role = hexbid.Operator
			return &next, nil
		}); err != nil {
		return err
	}
	m.Log.Warn("made the first operator; hexbid login reads the key from the file", "user", firstOperator, "key", path)
	return nil
}

// clearFirstOperator deletes the user that a start left which did not come to its end.
func (m *Main) clearFirstOperator(ctx context.Context) error {
	r, err := m.exchange.Get(ctx, firstOperator)
	if hexbid.KindOf(err) == hexbid.NotFound && err != nil {
		return nil
	}
	if err != nil {
		return err
	}
	if r.(*hexbid.User).DisplayName != firstOperatorTitle {
		return hexbid.Errorf(hexbid.InUse, "auth", "no user is an operator, and %s is somebody else: start with --auth none "+
			"on a loopback address, and make a user an operator (hexbid users create NAME --role operator)", firstOperator)
	}
	return m.exchange.Delete(ctx, firstOperator, store.AnyVersion, false)
}

// operatorKeyPath returns where the operator's key goes: the data folder, or for a market in memory a folder that lasts
// as long as the process.
func (m *Main) operatorKeyPath() (path string, err error) {
	if m.Config.Data != "" {
		return filepath.Join(m.Config.Data, operatorKeyName), nil
	}
	if m.keyDir == "" {
		if m.keyDir, err = os.MkdirTemp("", "hexbid-keys-"); err != nil {
			return "", hexbid.Errorf(hexbid.Unavailable, "data", "%v", err)
		}
	}
	return filepath.Join(m.keyDir, operatorKeyName), nil
}
