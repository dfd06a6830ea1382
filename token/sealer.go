package token

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"sync"
)

// sealerKey says which keys a sealer has.
type sealerKey struct {
	keyID   uint32
	purpose Purpose
	issuer  Issuer
}

// sealer has the two derived keys of one key line, purpose and issuer.
type sealer struct {
	names cipher.Block
	data  cipher.AEAD
}

// derive makes a sealer from a line's key. It costs some microseconds, which is
// what a forged token of an unknown issuer costs its receiver.
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

// expand is HKDF-Expand with SHA-256 of at most 255 × 32 bytes.
func expand(key []byte, info string, bytes int) []byte {
	derived, err := hkdf.Expand(sha256.New, key, info, bytes)
	if err != nil {
		panic(err) // keys have 32 bytes, and no caller asks for too many
	}
	return derived
}

func newAES(key []byte) cipher.Block {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // expand gave 32 bytes
	}
	return block
}

// nonceAt is where a box holds its nonce before the name is enciphered: the last
// twelve bytes of the block of zeros and sequence.
const nonceAt = headerBytes - 12

// seal completes a box of header, without its name, and plain text, in its own
// memory.
func (s *sealer) seal(box []byte, sequence uint64) []byte {
	name := box[nameAt:headerBytes]
	binary.BigEndian.PutUint64(name[8:], sequence)
	box = s.data.Seal(box[:headerBytes], box[nonceAt:headerBytes], box[headerBytes:], nil)
	name = box[nameAt:headerBytes]
	s.names.Encrypt(name, name)
	return box
}

// open deciphers a box in its own memory.
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

// maxSealers bounds the sealers that a keyring remembers, of some two kilobytes
// each: replicas and earlier starts, times the key lines that have tokens out.
const maxSealers = 2048

// sealers remembers derived keys. Only those of a token that opened are added, so
// forged tokens neither fill it nor push anything out.
type sealers struct {
	guard sync.RWMutex // of what follows
	byKey map[sealerKey]*sealer
}

func (m *sealers) get(which sealerKey) *sealer {
	m.guard.RLock()
	defer m.guard.RUnlock()
	return m.byKey[which]
}

// remember adds a sealer; when there are too many, any other goes.
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
