package bidder

import "math/bits"

// capCode is a score rounded up to a float of 32 bits, a mantissa of 25 and the
// exponent above it, so that codes order as scores do. A bound that is rounded
// up is still a bound: a search that ends by it ends no earlier than it may.
type capCode uint32

const mantissaBits = 25

// capOf is the least code that is not below a score.
func capOf(score int64) capCode {
	exponent := max(0, bits.Len64(uint64(score))-mantissaBits-1)
	mantissa := (uint64(score) + 1<<exponent - 1) >> exponent
	return capCode(uint64(exponent)<<mantissaBits + mantissa)
}
