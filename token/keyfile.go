package token

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
)

// The key file is text, a key a line; the first seal key seals, all open:
//
//	viewer  <32 bytes in base64>
//	seal 2  <32 bytes in base64>
//	seal 1  <32 bytes in base64>
//
// A rotation puts a new seal line on top. Drop a line when no token that it
// sealed can still come back (seven days).

// Keep is the number of seal keys that a rotation leaves.
const Keep = 4

type keyFile struct {
	viewer []byte
	seals  []sealKey
}

type sealKey struct {
	id  uint32
	key []byte
}

// Keys is a keyring read from a file that may change at any time.
type Keys struct {
	path string
	ring atomic.Pointer[Keyring]
	read atomic.Pointer[[]byte] // the file's text as last taken
}

// OpenKeys reads a key file, or makes one when there is none.
func OpenKeys(path string) (*Keys, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := Rotate(path); err != nil {
			return nil, err
		}
	}
	k := &Keys{path: path}
	if _, err := k.Reload(); err != nil {
		return nil, err
	}
	return k, nil
}

// Ring is the keyring in force.
func (k *Keys) Ring() *Keyring { return k.ring.Load() }

// Reload reads the file again if it has changed; it says whether a new ring is
// in force. After an error the old one stays.
func (k *Keys) Reload() (bool, error) {
	text, err := os.ReadFile(k.path)
	if err != nil {
		return false, fmt.Errorf("key file: %w", err)
	}
	if last := k.read.Load(); last != nil && bytes.Equal(*last, text) {
		return false, nil
	}
	file, err := parseKeyFile(text)
	if err != nil {
		return false, fmt.Errorf("key file %s: %w", k.path, err)
	}
	ring, err := file.keyring()
	if err != nil {
		return false, fmt.Errorf("key file %s: %w", k.path, err)
	}
	k.ring.Store(ring)
	k.read.Store(&text)
	return true, nil
}

// Rotate puts a new sealing key on top of a key file, making the file when
// there is none. The change is atomic.
func Rotate(path string) error {
	var file keyFile
	switch text, err := os.ReadFile(path); {
	case errors.Is(err, fs.ErrNotExist):
		file.viewer = newKey()
	case err != nil:
		return fmt.Errorf("key file: %w", err)
	default:
		if file, err = parseKeyFile(text); err != nil {
			return fmt.Errorf("key file %s: %w", path, err)
		}
	}
	id := uint32(1)
	for _, s := range file.seals {
		id = max(id, s.id+1)
	}
	file.seals = append([]sealKey{{id, newKey()}}, file.seals...)
	file.seals = file.seals[:min(len(file.seals), Keep)]
	return writeAtomically(path, file.text())
}

func newKey() []byte {
	key := make([]byte, 32)
	rand.Read(key)
	return key
}

func writeAtomically(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".keys-*") // mode 0600
	if err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("key file: %w", err)
	}
	return nil
}

func (f *keyFile) text() []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, "# Hexbid keys. The first seal line seals, all open. Keep this file secret.")
	fmt.Fprintln(&b, "viewer", base64.StdEncoding.EncodeToString(f.viewer))
	for _, s := range f.seals {
		fmt.Fprintln(&b, "seal", s.id, base64.StdEncoding.EncodeToString(s.key))
	}
	return b.Bytes()
}

func parseKeyFile(text []byte) (f keyFile, err error) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) == 0 || strings.HasPrefix(fields[0], "#"):
		case fields[0] == "viewer" && len(fields) == 2:
			f.viewer, err = parseKey(fields[1])
		case fields[0] == "seal" && len(fields) == 3:
			var s sealKey
			id, idErr := strconv.ParseUint(fields[1], 10, 32)
			s.id = uint32(id)
			s.key, err = parseKey(fields[2])
			err = errors.Join(idErr, err)
			f.seals = append(f.seals, s)
		default:
			err = errors.New("want \"viewer KEY\" or \"seal ID KEY\"")
		}
		if err != nil {
			return keyFile{}, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if f.viewer == nil || len(f.seals) == 0 {
		return keyFile{}, errors.New("want one viewer line and at least one seal line")
	}
	return f, lines.Err()
}

func parseKey(s string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(s)
	if err == nil && len(key) != 32 {
		err = fmt.Errorf("a key of %d bytes: want 32", len(key))
	}
	return key, err
}

func (f *keyFile) keyring() (*Keyring, error) {
	ring := &Keyring{sealing: f.seals[0].id, byID: map[uint32]cipher.AEAD{}, pseudonym: f.viewer}
	for _, s := range f.seals {
		if _, twice := ring.byID[s.id]; twice {
			return nil, fmt.Errorf("seal %d stands twice", s.id)
		}
		block, err := aes.NewCipher(s.key)
		if err != nil {
			return nil, err
		}
		if ring.byID[s.id], err = cipher.NewGCM(block); err != nil {
			return nil, err
		}
	}
	return ring, nil
}
