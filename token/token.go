// Package token seals what must come back unread and unchanged: the award that
// a sponsored result carries, and the position that a page token pins. It owns
// the keyring.
//
// A sealed text is base64url of
//
//	version (1 byte) | key id (4) | nonce (12) | AES-256-GCM ciphertext and tag
//
// with the purpose as associated data, so that a token of one purpose does not
// open as another.
package token

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
)

// Purpose keeps tokens apart.
type Purpose string

// The purposes.
const (
	AwardPurpose Purpose = "award"
	PagePurpose  Purpose = "page"
)

// ErrNotSealedHere is the error of a text that these keys did not seal: it was
// forged, damaged, or its key has been retired.
var ErrNotSealedHere = errors.New("is not a token of this deployment, was altered, or its key is retired")

const (
	formatVersion = 1
	nonceBytes    = 12
	headerBytes   = 1 + 4 + nonceBytes
	// MaxBytes is the longest text that Open looks at.
	MaxBytes = 1024
)

// Keyring holds the keys in force: the first seals, all open. It is immutable.
type Keyring struct {
	sealing   uint32
	byID      map[uint32]cipher.AEAD
	pseudonym []byte
}

// Seal encrypts plain for a purpose.
func (k *Keyring) Seal(purpose Purpose, plain []byte) string {
	box := make([]byte, headerBytes, headerBytes+len(plain)+16)
	box[0] = formatVersion
	binary.BigEndian.PutUint32(box[1:], k.sealing)
	nonce := box[5:headerBytes]
	rand.Read(nonce) // never fails: it aborts the program instead
	box = k.byID[k.sealing].Seal(box, nonce, plain, []byte(purpose))
	return base64.RawURLEncoding.EncodeToString(box)
}

// Open decrypts what Seal gave for the same purpose. Its error is
// ErrNotSealedHere, wrapped.
func (k *Keyring) Open(purpose Purpose, text string) ([]byte, error) {
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("%w: %d bytes long", ErrNotSealedHere, len(text))
	}
	box, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(box) < headerBytes || box[0] != formatVersion {
		return nil, ErrNotSealedHere
	}
	aead, ok := k.byID[binary.BigEndian.Uint32(box[1:])]
	if !ok {
		return nil, ErrNotSealedHere
	}
	plain, err := aead.Open(nil, box[5:headerBytes], box[headerBytes:], []byte(purpose))
	if err != nil {
		return nil, ErrNotSealedHere
	}
	return plain, nil
}

// Pseudonym is a viewer's keyed HMAC-SHA-256, cut to 16 bytes: equal for equal
// user keys, and nothing without the key.
func (k *Keyring) Pseudonym(userKey string) (p [16]byte) {
	mac := hmac.New(sha256.New, k.pseudonym)
	mac.Write([]byte(userKey))
	copy(p[:], mac.Sum(nil))
	return p
}
