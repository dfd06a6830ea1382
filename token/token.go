// Package token seals what clients hand back unread and unchanged: the award of a sponsored result, and the position of
// a page token. It owns the keyring and the names of tokens.
//
// # Format
//
// A sealed text is base64url of
//
//	version (1 byte) | key id (4) | issuer (12) | name (16) | ciphertext and tag
//
// The key id says which line of the key file sealed. A process draws its issuer at random when it starts. The name is
// the token's sequence number within its issuer and purpose. It is enciphered, so that outsiders learn neither the
// number of tokens nor their order. The pair (issuer, sequence) names a token for good. Open returns it, so single use
// can be recorded in a bitmap for each issuer.
//
// # Keys
//
// HKDF-Expand with SHA-256 (RFC 5869) derives two keys for each (key line, purpose, issuer). The key lines are
// uniformly random, so section 3.3 of the RFC allows to leave out the extraction. The keys are:
//
//   - The data key seals with AES-256-GCM. Its nonce is the sequence number.
//   - The name key enciphers the block of 8 zero bytes and the sequence number with AES-256. This is a permutation, so
//     different sequences have different names. A name cut to the 12 bytes of a nonce could repeat, so a token carries
//     all 16 bytes. Open deciphers the block and refuses one without its zeros.
//
// Tokens of different purposes, issuers or key lines are sealed under different keys, so none opens as another.
//
// # Why no nonce repeats
//
// The nonces of a key are the values of one atomic counter of 64 bits. This is the deterministic construction of NIST
// SP 800-38D, section 8.2.1. The bound of 2³² seals a key is for random nonces (section 8.3) and does not apply. A
// rotation of the key file does not reset the counters. Two processes share a key only when they draw the same issuer.
// Among n process starts under one key line the probability of this is below n²/2⁹⁷. Section 8 requires 2⁻³², which
// holds up to 2³² starts.
//
// What limits a data key is the number of blocks that it enciphers. A token has some eight. After 2⁴⁵ tokens, which is
// a million a second for a year without a rotation, an attacker can tell the ciphertexts from noise with a probability
// of 2⁻³², by σ²/2¹²⁹ (Iwata, Ohashi, Minematsu: Breaking and Repairing GCM Security Proofs, CRYPTO 2012, for 96-bit
// nonces). Each rotation starts a new key.
//
// One case is not covered: a running process that is copied with its memory, as when a virtual machine is resumed twice
// from one snapshot. Both copies then continue with the same issuer and sequence.
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
	"hash"
	"sync"
	"sync/atomic"
)

// Purpose separates tokens: each purpose has its own derived keys and its own sequence.
type Purpose uint8

// The purposes.
const (
	AwardPurpose Purpose = iota
	PagePurpose
	ListPurpose
	purposes
)

// String returns the purpose as key derivation spells it.
func (p Purpose) String() string { return [purposes]string{"award", "page", "list"}[p] }

// ErrNotSealedHere is the error for a text that these keys did not seal: it was forged or damaged, or its key has been
// retired.
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
	// MaxBytes is the length of the longest text that Open accepts.
	MaxBytes = 1024
)

// Issuer identifies one start of a process that seals.
type Issuer [issuerBytes]byte

// String returns the issuer in hexadecimal.
func (i Issuer) String() string { return hex.EncodeToString(i[:]) }

// Name distinguishes a token from all others of its purpose. Sequences count from 0 within an issuer.
type Name struct {
	Issuer   Issuer
	Sequence uint64
}

// counter names the tokens of one process, for all its keys.
type counter struct {
	issuer Issuer
	next   [purposes]atomic.Uint64
}

func newCounter() *counter {
	c := new(counter)
	rand.Read(c.issuer[:]) // never returns an error: it aborts the program instead
	return c
}

// Keyring holds the keys in force. The first of the key file seals, all open. A keyring is immutable, except for its
// cache of other issuers' sealers.
type Keyring struct {
	sealing   uint32
	sealers   [purposes]*sealer // of the sealing key and the counter's issuer
	counter   *counter
	byID      map[uint32][]byte
	others    sealers // of other issuers and keys
	pseudonym []byte
	viewers   sync.Pool // of *viewerHash
}

// sealing is memory that calls of Seal use one after another, because each search seals several tokens.
type sealing struct{ box, text []byte }

var sealings = sync.Pool{New: func() any { return new(sealing) }}

// Seal encrypts plain for a purpose, under a new name.
func (k *Keyring) Seal(purpose Purpose, plain []byte) string {
	var header [headerBytes]byte
	header[0] = formatVersion
	binary.BigEndian.PutUint32(header[keyIDAt:], k.sealing)
	copy(header[issuerAt:], k.counter.issuer[:])
	sequence := k.counter.next[purpose].Add(1) - 1
	s := sealings.Get().(*sealing)
	defer sealings.Put(s)
	s.box = k.sealers[purpose].seal(append(append(s.box[:0], header[:]...), plain...), sequence)
	s.text = base64.RawURLEncoding.AppendEncode(s.text[:0], s.box)
	return string(s.text)
}

// Open decrypts a text that Seal returned for the same purpose, and returns the token's name too. Its error wraps
// ErrNotSealedHere.
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

// find returns the sealer of a token. It derives the sealer if it is not cached, and returns nil when the key is
// missing.
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
	lineBreaks := len(text) != encoding.EncodedLen(len(box)) // the decoder ignores line breaks
	if err != nil || lineBreaks || len(box) < headerBytes+tagBytes || box[0] != formatVersion {
		return nil, ErrNotSealedHere
	}
	return box, nil
}

// Pseudonym returns the HMAC-SHA-256 of a viewer's user key, cut to 16 bytes. Equal user keys give equal pseudonyms.
// Without the viewer key of the key file a pseudonym tells nothing.
func (k *Keyring) Pseudonym(userKey string) (p [16]byte) {
	v, _ := k.viewers.Get().(*viewerHash)
	if v == nil {
		v = &viewerHash{mac: hmac.New(sha256.New, k.pseudonym)}
	}
	defer k.viewers.Put(v)
	v.mac.Reset()
	v.key = append(v.key[:0], userKey...)
	v.mac.Write(v.key)
	v.sum = v.mac.Sum(v.sum[:0])
	copy(p[:], v.sum)
	return p
}

// viewerHash is what calls of Pseudonym use one after another.
type viewerHash struct {
	mac      hash.Hash
	key, sum []byte
}
