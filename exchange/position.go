package exchange

import (
	"context"
	"crypto/sha256"

	"github.com/hexbid/hexbid"
	"github.com/hexbid/hexbid/token"
)

// listFingerprintBytes is the length of the fingerprint that the token of a list's page begins with.
const listFingerprintBytes = 16

// listFingerprint tells lists apart: by who asks, and by what they ask for.
func listFingerprint(ctx context.Context, list string) []byte {
	sum := sha256.Sum256([]byte(hexbid.PrincipalOf(ctx).ID + "\x00" + list))
	return sum[:listFingerprintBytes]
}

// SealPosition returns the page token that stands for a position in a list. The list is described by all that decides
// it. Nobody but this caller can use the token, and for this list alone, so it tells nobody what lies at the position.
func (e *Exchange) SealPosition(ctx context.Context, list, position string) string {
	return e.keys.Ring().Seal(token.ListPurpose, append(listFingerprint(ctx, list), position...))
}

// OpenPosition returns the position that a page token stands for. The error is Invalid and names page_token.
func (e *Exchange) OpenPosition(ctx context.Context, list, text string) (position string, err error) {
	plain, _, err := e.keys.Ring().Open(token.ListPurpose, text)
	if err != nil || len(plain) < listFingerprintBytes ||
		string(plain[:listFingerprintBytes]) != string(listFingerprint(ctx, list)) {
		return "", hexbid.Invalidf("page_token", "%q is not from the previous answer to this request", hexbid.Shorten(text))
	}
	return string(plain[listFingerprintBytes:]), nil
}
