package access

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"github.com/hexbid/hexbid"
)

// Etags makes the etags of a deployment. An etag is a resource's uid and version, enciphered as one block: it is the
// same for the same version, another for every other, and tells nobody how many changes the market has had between two
// of them. Versions count everybody's changes.
type Etags struct{ block cipher.Block }

// Etags returns the etags whose key follows from the pepper, so they outlive restarts.
func (p *Pepper) Etags() Etags { return Etags{p.block("hexbid etags")} }

// block returns a cipher whose key follows from the pepper and a purpose.
func (p *Pepper) block(purpose string) cipher.Block {
	key := hmac.New(sha256.New, p.key[:])
	key.Write([]byte(purpose))
	block, err := aes.NewCipher(key.Sum(nil))
	if err != nil {
		panic(err) // the key has 32 bytes
	}
	return block
}

// Of returns the etag of a resource.
func (e Etags) Of(m *hexbid.Meta) string {
	var b [aes.BlockSize]byte
	binary.BigEndian.PutUint64(b[:], uint64(m.UID))
	binary.BigEndian.PutUint64(b[8:], m.Version)
	e.block.Encrypt(b[:], b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Open returns the version of an etag. That of a text that was made up is no resource's. The error is Invalid and names
// the field etag.
func (e Etags) Open(text string) (version uint64, err error) {
	var b [aes.BlockSize + 2]byte // as much as a text of the same length can decode to
	n := 0
	if len(text) == base64.RawURLEncoding.EncodedLen(aes.BlockSize) {
		n, err = base64.RawURLEncoding.Strict().Decode(b[:], []byte(text))
	}
	if n != aes.BlockSize || err != nil {
		return 0, hexbid.Invalidf("etag", "%q is not an etag: send it as it came, or leave it out", hexbid.Shorten(text))
	}
	e.block.Decrypt(b[:aes.BlockSize], b[:aes.BlockSize])
	return binary.BigEndian.Uint64(b[8:]), nil
}
