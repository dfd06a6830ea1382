package access

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base32"
	"encoding/binary"
)

// ChangeIDs makes the ids of changes. An id is the change's version, enciphered as one block. Versions count
// everybody's changes, and an id tells nobody how many.
type ChangeIDs struct{ block cipher.Block }

// ChangeIDs returns the ids whose key follows from the pepper, so they outlive restarts.
func (p *Pepper) ChangeIDs() ChangeIDs { return ChangeIDs{p.block("hexbid changes")} }

// changeDigits has characters that ids of resources may have too.
var changeDigits = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Of returns the id of the change of a version.
func (c ChangeIDs) Of(version uint64) string {
	var b [aes.BlockSize]byte
	binary.BigEndian.PutUint64(b[8:], version)
	c.block.Encrypt(b[:], b[:])
	return changeDigits.EncodeToString(b[:])
}

// Open returns the version of an id; ok is false for a text that is none.
func (c ChangeIDs) Open(id string) (version uint64, ok bool) {
	if len(id) != changeDigits.EncodedLen(aes.BlockSize) {
		return 0, false
	}
	b, err := changeDigits.DecodeString(id)
	if err != nil {
		return 0, false
	}
	c.block.Decrypt(b, b)
	version = binary.BigEndian.Uint64(b[8:])
	return version, binary.BigEndian.Uint64(b) == 0 && c.Of(version) == id
}
