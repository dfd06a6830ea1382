package token

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"sync"
)

// sealerKey identifies the keys of a sealer.
type sealerKey struct {
	keyID   uint32
	purpose Purpose
	issuer  Issuer
}

// sealer holds the two derived keys of one (key line, purpose, issuer).
type sealer struct {
	names cipher.Block
	data  cipher.AEAD
}

// derive makes a sealer from the key on a line. It takes a few microseconds. That is what a forged token of an unknown
// issuer costs its receiver.
func derive(key []byte, of sealerKey) *sealer {
	info := append(make([]byte, 0, 64), "hexbid token 2 "...)
	info = append(append(info, of.purpose.String()...), ' ')
	info = append(binary.BigEndian.AppendUint32(info, of.keyID), of.issuer[:]...)
	keys := expand(key, string(info), 64)
	gcm, err := cipher.NewGCM(newAES(keys[32:]))
	if err != nil {
		panic(err) // AES has the block size that GCM wants
	}
	return &sealer{names: newAES(keys[:32]), data: gcm}
}

// expand is HKDF-Expand with SHA-256. It derives at most 255 × 32 bytes.
func expand(key []byte, info string, bytes int) []byte {
	derived, err := hkdf.Expand(sha256.New, key, info, bytes)
	if err != nil {
		panic(err) // keys have 32 bytes, and no caller wants too many
	}
	return derived
}

func newAES(key []byte) cipher.Block {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // expand returned 32 bytes
	}
	return block
}

// nonceAt is the position of the nonce in a box whose name is not enciphered yet. The nonce is the last twelve bytes of
// the block of zeros and sequence.
const nonceAt = headerBytes - 12

// seal completes a box in place. The box holds a header without its name, and the plain text.
func (s *sealer) seal(box []byte, sequence uint64) []byte {
	name := box[nameAt:headerBytes]
	binary.BigEndian.PutUint64(name[8:], sequence)
	box = s.data.Seal(box[:headerBytes], box[nonceAt:headerBytes], box[headerBytes:], nil)
	name = box[nameAt:headerBytes]
	s.names.Encrypt(name, name)
	return box
}

// open deciphers a box in place.
func (s *sealer) open(box []byte) (plain []byte, sequence uint64, err error) {
	name := box[nameAt:headerBytes]
	s.names.Decrypt(name, name)
	if binary.BigEndian.Uint64(name) != 0 {
		return nil, 0, ErrNotSealedHere
	}
	plain, err = s.data.Open(box[headerBytes:headerBytes], box[nonceAt:headerBytes], box[headerBytes:], nil)
	if err != nil {
		return nil, 0, ErrNotSealedHere
	}
	return plain, binary.BigEndian.Uint64(name[8:]), nil
}

// maxSealers is the most sealers that a keyring caches. Each takes some two kilobytes. The number needed is that of
// replicas and their earlier starts, times the key lines whose tokens are in use.
const maxSealers = 2048

// sealers caches derived keys. It caches the keys of a token only after the token has opened, so forged tokens neither
// fill the cache nor push anything out.
type sealers struct {
	guard sync.RWMutex // guards the map
	byKey map[sealerKey]*sealer
}

func (m *sealers) get(which sealerKey) *sealer {
	m.guard.RLock()
	defer m.guard.RUnlock()
	return m.byKey[which]
}

// remember adds a sealer. When the cache is full it first removes an arbitrary one.
func (m *sealers) remember(which sealerKey, s *sealer) {
	m.guard.Lock()
	defer m.guard.Unlock()
	if m.byKey == nil {
		m.byKey = map[sealerKey]*sealer{}
	}
	if len(m.byKey) >= maxSealers {
		for other := range m.byKey {
			delete(m.byKey, other)
			break
		}
	}
	m.byKey[which] = s
}
