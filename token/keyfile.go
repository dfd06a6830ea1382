package token

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hexbid/hexbid"
)

// The key file is text with one key on each line, newest first. The first seal key seals. All seal keys open:
//
//	viewer  <32 bytes in base64>
//	seal 2  <32 bytes in base64> 2026-11-22T03:00:00Z
//	seal 1  <32 bytes in base64> 2026-11-21T03:00:00Z
//
// The time says when the key was made. A key sealed until the time on the line above its own. The first format had
// lines without a time. Such a line gets the time of the first rotation that reads it.

// Retention is how long a key still opens tokens after another has replaced it. A token permits a click for at most 24
// hours, and a conversion for seven days after the click; a retry gets its first answer for a day longer. The two extra
// hours allow for servers that notice a rotation late, for clocks that differ, and for a record of keys that is an hour
// old.
const Retention = 9*24*time.Hour + 2*time.Hour

// MaxKeys is the most seal keys that a file may have. It allows a rotation every quarter of an hour.
const MaxKeys = 1000

const keyBytes = 32

type keyFile struct {
	viewer []byte
	seals  []sealKey // newest first
}

type sealKey struct {
	id   uint32
	key  []byte
	made time.Time // zero when the file does not say
}

// Rotation says what a rotation did to a key file.
type Rotation struct {
	Sealing uint32 // id of the key that seals from now on
	Open    int    // earlier keys that still open their tokens
	Retired int    // keys dropped because they were replaced longer ago than Retention
}

// Rotate adds a new sealing key at the top of a key file, and drops the keys that were replaced longer ago than
// Retention. The file is complete at every instant. Simultaneous rotations run one after another. Rotate does not make
// a missing file: CreateKeyFile does.
func Rotate(path string, now time.Time) (r Rotation, err error) {
	target, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, hexbid.Errorf(hexbid.NotFound, "keys",
			"there is no key file %s: restore it; a server makes one when it first starts", path)
	}
	if err != nil {
		return r, fmt.Errorf("key file: %w", err)
	}
	err = locked(target, func() error {
		file, _, err := readKeyFile(target)
		if err != nil {
			return err
		}
		if r, err = file.rotate(now); err != nil {
			return err
		}
		return file.write(target)
	})
	return r, err
}

// CreateKeyFile makes a key file with one sealing key. It leaves an existing file as it is.
func CreateKeyFile(path string, now time.Time) error {
	return locked(path, func() error {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		file := keyFile{viewer: newKey()}
		if _, err := file.rotate(now); err != nil {
			return err
		}
		return file.write(path)
	})
}

func (f *keyFile) rotate(now time.Time) (r Rotation, err error) {
	now = now.UTC().Truncate(time.Second)
	for i := range f.seals {
		if f.seals[i].made.IsZero() {
			f.seals[i].made = now
		}
	}
	if len(f.seals) > 0 {
		if r.Sealing = f.seals[0].id; r.Sealing == math.MaxUint32 {
			return r, hexbid.Invalidf("keys", "seal %d has the highest id that there is: start with a new key file", r.Sealing)
		}
	}
	r.Sealing++
	before := len(f.seals)
	f.seals = slices.Insert(f.seals, 0, sealKey{r.Sealing, newKey(), now})
	f.retire(now)
	r.Open = len(f.seals) - 1
	r.Retired = before - r.Open
	if len(f.seals) > MaxKeys {
		return r, hexbid.Errorf(hexbid.Exhausted, "keys",
			"%d keys of the last nine days are in the file, and no more fit: rotate less often", before)
	}
	return r, nil
}

// retire drops the keys that were replaced longer ago than Retention.
func (f *keyFile) retire(now time.Time) {
	kept := f.seals[:1]
	for i, s := range f.seals[1:] {
		if replaced := f.seals[i].made; now.Sub(replaced) <= Retention {
			kept = append(kept, s)
		}
	}
	f.seals = kept
}

func (f *keyFile) find(id uint32) *sealKey {
	for i := range f.seals {
		if f.seals[i].id == id {
			return &f.seals[i]
		}
	}
	return nil
}

func (f *keyFile) text() []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, "# Hexbid keys, newest first. The first seal line seals, all open. Keep this file secret.")
	fmt.Fprintln(&b, "viewer", base64.StdEncoding.EncodeToString(f.viewer))
	for _, s := range f.seals {
		fmt.Fprintln(&b, "seal", s.id, base64.StdEncoding.EncodeToString(s.key), s.made.Format(time.RFC3339))
	}
	return b.Bytes()
}

func (f *keyFile) write(path string) error {
	if err := writeWhole(path, f.text()); err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	return nil
}

// readKeyFile reads and parses a key file. Its errors name the file and never contain a key.
func readKeyFile(path string) (file keyFile, text []byte, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return file, nil, hexbid.Errorf(hexbid.NotFound, "keys", "%s is missing: restore it", path)
	}
	if err != nil {
		return file, nil, fmt.Errorf("key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return file, nil, hexbid.Invalidf("keys", "%s is not a file", path)
	}
	if openToOthers(info) {
		return file, nil, hexbid.Invalidf("keys", "%s may be read by others than its owner (mode %04o): chmod 600 it", path,
			info.Mode().Perm())
	}
	if text, err = os.ReadFile(path); err != nil {
		return file, nil, fmt.Errorf("key file: %w", err)
	}
	if file, err = parseKeyFile(text); err != nil {
		return file, nil, hexbid.Invalidf("keys", "%s is damaged: %v. Restore it", path, err)
	}
	return file, text, nil
}

func parseKeyFile(text []byte) (f keyFile, err error) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		if err := f.parseLine(strings.Fields(lines.Text())); err != nil {
			return keyFile{}, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return keyFile{}, err
	}
	if f.viewer == nil || len(f.seals) == 0 || len(f.seals) > MaxKeys {
		return keyFile{}, fmt.Errorf("want one viewer line and 1 to %d seal lines", MaxKeys)
	}
	return f, nil
}

func (f *keyFile) parseLine(fields []string) (err error) {
	switch {
	case len(fields) == 0 || strings.HasPrefix(fields[0], "#"):
	case fields[0] == "viewer" && len(fields) == 2 && f.viewer == nil:
		f.viewer, err = parseKey(fields[1])
	case fields[0] == "seal" && (len(fields) == 3 || len(fields) == 4):
		err = f.parseSeal(fields[1:])
	default:
		err = errors.New("want \"viewer KEY\" once, or \"seal ID KEY TIME\"")
	}
	return err
}

func (f *keyFile) parseSeal(fields []string) (err error) {
	id, err := strconv.ParseUint(fields[0], 10, 32)
	if err != nil || id == 0 {
		return errors.New("the id of a seal key is a number from 1 on")
	}
	s := sealKey{id: uint32(id)}
	if last := len(f.seals) - 1; last >= 0 && f.seals[last].id <= s.id {
		return fmt.Errorf("seal %d stands below seal %d: newest first, each once", s.id, f.seals[last].id)
	}
	if s.key, err = parseKey(fields[1]); err != nil {
		return err
	}
	if len(fields) == 3 {
		if s.made, err = time.Parse(time.RFC3339, fields[2]); err != nil {
			return errors.New("the time of a seal key reads like 2026-11-22T03:00:00Z")
		}
	}
	f.seals = append(f.seals, s)
	return nil
}

func parseKey(s string) ([]byte, error) {
	key, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(key) != keyBytes {
		return nil, fmt.Errorf("want a key of %d bytes in base64", keyBytes)
	}
	return key, nil
}

func (f *keyFile) keyring(c *counter) *Keyring {
	sealing := f.seals[0]
	ring := &Keyring{sealing: sealing.id, counter: c, byID: map[uint32][]byte{}, pseudonym: f.viewer}
	for _, s := range f.seals {
		ring.byID[s.id] = s.key
	}
	for p := range purposes {
		ring.sealers[p] = derive(sealing.key, sealerKey{sealing.id, p, c.issuer})
	}
	return ring
}
