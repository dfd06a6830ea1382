// Package token seals what must come back unread and unchanged: the award that
// a sponsored result carries, and the position that a page token pins. It owns
// the keyring and the names of tokens.
//
// # Format
//
// A sealed text is base64url of
//
//	version (1 byte) | key id (4) | issuer (12) | name (16) | ciphertext and tag
//
// The key id says which line of the key file sealed. The issuer is drawn at
// random when a process starts. The name is the token's sequence number within
// its issuer and purpose, enciphered, so that outsiders see neither how many
// tokens there are nor their order. (issuer, sequence) names a token for good:
// Open returns it, and single use can be a bitmap by issuer.
//
// # Keys
//
// For each (key line, purpose, issuer) HKDF-Expand with SHA-256 (RFC 5869; the
// key lines are uniformly random, so its section 3.3 lets the extraction be left
// out) derives two keys:
//
//   - the data key seals with AES-256-GCM. Its nonce is the sequence number.
//   - the name key enciphers the block of 8 zero bytes and the sequence number
//     with AES-256, a permutation, so that different sequences have different
//     names. Cutting the block to the 12 bytes of a nonce would lose that, so all
//     16 travel. Open deciphers the block and refuses one without its zeros.
//
// A token of one purpose is sealed under another key than a token of the other,
// and so is one of another issuer or line: neither opens as the other.
//
// # Why no nonce repeats
//
// A key's nonces are the values of one atomic counter of 64 bits: this is the
// deterministic construction of NIST SP 800-38D, section 8.2.1, to which the
// bound of 2³² seals a key for random nonces (section 8.3) does not apply. The
// counters go on when the key file rotates. Two processes share a key when they
// draw the same issuer: of n process starts under one key line two do with a
// probability below n²/2⁹⁷, which stays below the 2⁻³² that section 8 asks for
// up to 2³² starts. What bounds a data key is the number of blocks that it
// enciphers: a token has some eight, and after 2⁴⁵ tokens (a million a second for a
// year, without one rotation) an attacker tells the ciphertexts from noise with
// a chance of 2⁻³², by σ²/2¹²⁹ (Iwata, Ohashi, Minematsu: Breaking and Repairing
// GCM Security Proofs, CRYPTO 2012, for 96-bit nonces). A rotation starts afresh.
//
// What this does not bear is a running process that is copied with its memory,
// as a virtual machine resumed twice from one snapshot: both copies go on with
// the same issuer and sequence.
package token

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"sync/atomic"
)

// Purpose keeps tokens apart: each has derived keys and a sequence of its own.
type Purpose uint8

// The purposes.
const (
	AwardPurpose Purpose = iota
	PagePurpose
	purposes
)

// String is the purpose as key derivation spells it.
func (p Purpose) String() string { return [purposes]string{"award", "page"}[p] }

// ErrNotSealedHere is the error of a text that these keys did not seal: it was
// forged, damaged, or its key has been retired.
var ErrNotSealedHere = errors.New("is not a token of this deployment, was altered, or its key is retired")

const (
	formatVersion = 2
	keyIDAt       = 1
	issuerAt      = keyIDAt + 4
	nameAt        = issuerAt + issuerBytes
	headerBytes   = nameAt + nameBytes
	issuerBytes   = 12
	nameBytes     = 16
	tagBytes      = 16
	// MaxBytes is the longest text that Open looks at.
	MaxBytes = 1024
)

// Issuer is one start of a process that seals.
type Issuer [issuerBytes]byte

// String is the issuer in hexadecimal.
func (i Issuer) String() string { return hex.EncodeToString(i[:]) }

// Name is what tells a token from all others of its purpose: sequences count from
// 0 within an issuer.
type Name struct {
	Issuer   Issuer
	Sequence uint64
}

// counter gives names to the tokens of one process, whichever keys seal them.
type counter struct {
	issuer Issuer
	next   [purposes]atomic.Uint64
}

func newCounter() *counter {
	c := new(counter)
	rand.Read(c.issuer[:]) // never fails: it aborts the program instead
	return c
}

// Keyring holds the keys in force: the first of the key file seals, all open. But
// for its memory of other issuers it is immutable.
type Keyring struct {
	sealing   uint32
	sealers   [purposes]*sealer // of the sealing key and the counter's issuer
	counter   *counter
	byID      map[uint32][]byte
	others    sealers // of other issuers and keys
	pseudonym []byte
}

// Seal encrypts plain for a purpose, under a name of its own.
func (k *Keyring) Seal(purpose Purpose, plain []byte) string {
	box := make([]byte, headerBytes, headerBytes+len(plain)+tagBytes)
	box[0] = formatVersion
	binary.BigEndian.PutUint32(box[keyIDAt:], k.sealing)
	copy(box[issuerAt:], k.counter.issuer[:])
	sequence := k.counter.next[purpose].Add(1) - 1
	return base64.RawURLEncoding.EncodeToString(k.sealers[purpose].seal(append(box, plain...), sequence))
}

// Open decrypts what Seal gave for the same purpose, and returns the token's
// name. Its error is ErrNotSealedHere, wrapped.
func (k *Keyring) Open(purpose Purpose, text string) ([]byte, Name, error) {
	box, err := decode(text)
	if err != nil {
		return nil, Name{}, err
	}
	which := sealerKey{binary.BigEndian.Uint32(box[keyIDAt:]), purpose, Issuer(box[issuerAt:nameAt])}
	s, known := k.find(which)
	if s == nil {
		return nil, Name{}, ErrNotSealedHere
	}
	plain, sequence, err := s.open(box)
	if err != nil {
		return nil, Name{}, err
	}
	if !known {
		k.others.remember(which, s)
	}
	return plain, Name{which.issuer, sequence}, nil
}

// find returns the sealer of a token, derived anew unless it is known; nil without
// its key.
func (k *Keyring) find(which sealerKey) (s *sealer, known bool) {
	if which.keyID == k.sealing && which.issuer == k.counter.issuer {
		return k.sealers[which.purpose], true
	}
	if s := k.others.get(which); s != nil {
		return s, true
	}
	key, ok := k.byID[which.keyID]
	if !ok {
		return nil, false
	}
	return derive(key, which), false
}

func decode(text string) ([]byte, error) {
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("%w: %d bytes long", ErrNotSealedHere, len(text))
	}
	encoding := base64.RawURLEncoding.Strict()
	box, err := encoding.DecodeString(text)
	lineBreaks := len(text) != encoding.EncodedLen(len(box)) // which the decoder passes over
	if err != nil || lineBreaks || len(box) < headerBytes+tagBytes || box[0] != formatVersion {
		return nil, ErrNotSealedHere
	}
	return box, nil
}

// Pseudonym is a viewer's keyed HMAC-SHA-256, cut to 16 bytes: equal for equal
// user keys, and nothing without the key.
func (k *Keyring) Pseudonym(userKey string) (p [16]byte) {
	mac := hmac.New(sha256.New, k.pseudonym)
	mac.Write([]byte(userKey))
	copy(p[:], mac.Sum(nil))
	return p
}
