package access

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"hash"
	"hash/crc32"
	"sync"
)

// The text of a key has four parts, without separators:
//
//	hxb_          marks a key of Hexbid, for people and for scanners of secrets
//	12 characters the id, by which the key is found; not secret
//	32 characters the secret, some 190 bits
//	6 characters  the CRC-32 (IEEE) of all that stands before
//
// Id, secret and checksum are in base 62. A text with a wrong checksum is no key, so noise costs no lookup.
const (
	// KeyPrefix begins every key.
	KeyPrefix = "hxb_"

	idBytes, secretBytes, checksumBytes = 12, 32, 6
	// KeyBytes is the length of a key.
	KeyBytes = len(KeyPrefix) + idBytes + secretBytes + checksumBytes

	secretAt   = len(KeyPrefix) + idBytes
	checksumAt = secretAt + secretBytes
)

const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// PepperBytes is the length of a pepper.
const PepperBytes = 32

// Pepper is a deployment's secret that keys are hashed with. Whoever reads the hashes without the pepper cannot even
// test guesses.
type Pepper struct {
	key  [PepperBytes]byte
	macs sync.Pool // of *mac
}

// mac is a keyed hash with room for its sum.
type mac struct {
	hash.Hash
	text [checksumAt]byte
	sum  [sha256.Size]byte
}

// NewPepper makes a pepper of a secret.
func NewPepper(secret [PepperBytes]byte) *Pepper {
	p := &Pepper{key: secret}
	p.macs.New = func() any { return &mac{Hash: hmac.New(sha256.New, p.key[:])} }
	return p
}

// RandomPepper makes a pepper for a deployment that keeps nothing.
func RandomPepper() *Pepper {
	var secret [PepperBytes]byte
	rand.Read(secret[:]) // never fails: it aborts the program instead
	return NewPepper(secret)
}

// Fingerprint identifies the pepper by a one-way function, so it does not give the pepper away.
func (p *Pepper) Fingerprint() string {
	of := hmac.New(sha256.New, p.key[:])
	of.Write([]byte("hexbid fingerprint of a pepper"))
	return hex.EncodeToString(of.Sum(nil)[:16])
}

// NewKey draws a key. Only its id and its hash are to be kept.
func (p *Pepper) NewKey() (text, id string, hash [sha256.Size]byte) {
	b := make([]byte, 0, KeyBytes)
	b = appendDigits(append(b, KeyPrefix...), idBytes+secretBytes)
	b = appendChecksum(b)
	text = string(b)
	return text, text[len(KeyPrefix):secretAt], p.hash(text)
}

// appendDigits appends random digits. Each value of a byte below 248 gives one; 248 is the largest multiple of 62.
func appendDigits(b []byte, n int) []byte {
	for n > 0 {
		var random [64]byte
		rand.Read(random[:])
		for _, r := range random {
			if r < 248 && n > 0 {
				b = append(b, digits[r%62])
				n--
			}
		}
	}
	return b
}

func appendChecksum(b []byte) []byte {
	sum := crc32.ChecksumIEEE(b)
	var text [checksumBytes]byte
	for i := range text {
		text[checksumBytes-1-i] = digits[sum%62]
		sum /= 62
	}
	return append(b, text[:]...)
}

// isKey reports whether a text has the form of a key and its checksum is right.
func isKey(text string) bool {
	if len(text) != KeyBytes || text[:len(KeyPrefix)] != KeyPrefix {
		return false
	}
	var room [KeyBytes]byte
	return string(appendChecksum(append(room[:0], text[:checksumAt]...))) == text
}

// hash returns the keyed hash of a key, which covers its id.
func (p *Pepper) hash(text string) [sha256.Size]byte {
	m := p.macs.Get().(*mac)
	defer p.macs.Put(m)
	m.Reset()
	copy(m.text[:], text[:checksumAt])
	m.Write(m.text[:])
	m.Sum(m.sum[:0])
	sum := m.sum
	clear(m.text[:])
	return sum
}

// proves reports in constant time whether a key's hash is the kept one.
func (p *Pepper) proves(text string, kept *[sha256.Size]byte) bool {
	sum := p.hash(text)
	return subtle.ConstantTimeCompare(sum[:], kept[:]) == 1
}
