package bidder

import "math/bits"

// capCode is a score rounded up to a 32-bit float: the exponent above a mantissa of 25 bits, so codes sort as scores
// do. A bound that is rounded up is still a bound, so a search that stops at a code never stops too early.
type capCode uint32

const mantissaBits = 25

// capOf returns the least code that is not below a score.
func capOf(score int64) capCode {
	exponent := max(0, bits.Len64(uint64(score))-mantissaBits-1)
	mantissa := (uint64(score) + 1<<exponent - 1) >> exponent
	return capCode(uint64(exponent)<<mantissaBits + mantissa)
}
