package access

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"strings"

	"github.com/hexbid/hexbid"
)

// byCertificate finds the caller whom the subject alternative names of a certificate stand for. All names that stand
// for somebody must stand for the same one.
func byCertificate(s *state, c *x509.Certificate) finding {
	owner := ""
	for _, found := range ownersOf(s, c) {
		if owner != "" && owner != found {
			return finding{refusal: Conflicting}
		}
		owner = found
	}
	if owner == "" {
		return finding{refusal: Unknown}
	}
	sum := sha256.Sum256(c.Raw)
	return finding{owner: owner, key: "certificate " + hex.EncodeToString(sum[:8]), until: c.NotAfter.UnixNano()}
}

// ownersOf returns the callers that the alternative names of a certificate stand for.
func ownersOf(s *state, c *x509.Certificate) (owners []string) {
	for _, uri := range c.URIs {
		name := uri.String()
		if direct, isOurs := strings.CutPrefix(name, hexbid.CertificateScheme); isOurs && s.callers.get(direct) != nil {
			owners = append(owners, direct)
		}
		owners = append(owners, s.names.get(name)...)
	}
	for _, names := range [][]string{c.DNSNames, c.EmailAddresses} {
		for _, name := range names {
			owners = append(owners, s.names.get(name)...)
		}
	}
	return owners
}
