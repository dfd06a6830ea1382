// Package backup writes, verifies and restores copies of a data folder: the catalogue, the ledger and the keys at one
// point. A backup is a folder of files and a manifest, which holds the length and the SHA-256 of every file.
package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/folder"
)

const (
	// Format is the version of the manifest.
	Format = 1
	// manifestName is the name of the manifest's file in a backup.
	manifestName = "manifest.json"
)

// Manifest says what a backup holds.
type Manifest struct {
	Format           int       `json:"format"`
	Created          time.Time `json:"created"`
	Currency         string    `json:"currency"`
	CatalogueVersion uint64    `json:"catalogueVersion"`
	LedgerSequence   uint64    `json:"ledgerSequence"` // of the ledger's last record
	LedgerHash       string    `json:"ledgerHash"`     // of that record, in hexadecimal
	Files            []File    `json:"files"`
	// Checksum is the SHA-256 of the manifest with an empty checksum, in hexadecimal.
	Checksum string `json:"checksum"`
}

// File is one file of a backup.
type File struct {
	Path   string `json:"path"` // in the backup, with slashes
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // in hexadecimal
}

// encode encodes a manifest with its checksum.
func (m *Manifest) encode() ([]byte, error) {
	m.Checksum = ""
	content, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(content)
	m.Checksum = hex.EncodeToString(sum[:])
	content, err = json.MarshalIndent(m, "", "  ")
	return append(content, '\n'), err
}

// decode decodes a manifest and compares its checksum.
func decode(content []byte) (m Manifest, err error) {
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&m); err != nil {
		return m, err
	}
	said := m.Checksum
	if _, err := m.encode(); err != nil {
		return m, err
	}
	if m.Checksum != said {
		return m, errors.New("its checksum is another")
	}
	return m, nil
}

// write writes a manifest into a backup. It is the last file that is written, so a backup without one is not whole.
func (m *Manifest) write(dir string) error {
	content, err := m.encode()
	if err != nil {
		return err
	}
	return folder.ReplaceFile(vfs.Default, filepath.Join(dir, manifestName), content)
}

// Read reads the manifest of a backup. It does not look at the other files.
func Read(dir string) (Manifest, error) {
	path := filepath.Join(dir, manifestName)
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return Manifest{}, hexbid.Invalidf("backup", "%s is no whole backup: it has no %s", dir, manifestName)
	}
	if err != nil {
		return Manifest{}, hexbid.Errorf(hexbid.Unavailable, "backup", "%s cannot be read: %v", path, err)
	}
	m, err := decode(content)
	if err != nil {
		return m, hexbid.Errorf(hexbid.DataLoss, "backup", "%s is damaged (%v): take another backup", path, err)
	}
	if m.Format != Format {
		return m, hexbid.Errorf(hexbid.Unavailable, "backup", "%s has format %d, this program reads %d", path, m.Format,
			Format)
	}
	return m, nil
}
