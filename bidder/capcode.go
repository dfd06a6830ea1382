package bidder

import (
	"math"
	"math/bits"

	"github.com/hexbid/hexbid/geoindex"
)

// capCode is a score rounded up to a float of 19 bits: the exponent above a mantissa of 13 bits, so codes sort as
// scores do. A bound that is rounded up is still a bound, so a search that stops at a code never stops too early.
//
// The code is in the highest bits of a word. In the cap of a posting the others hold whereabouts. They make the cap no
// lower, so it may be compared as it is.
type capCode uint32

const (
	aboutBits    = geoindex.WhereaboutsBits
	aboutMask    = 1<<aboutBits - 1
	codeMantissa = 32 - aboutBits - 6 // exponents of scores are below 2⁶
	// mantissaBits are below the exponent of a code.
	mantissaBits = codeMantissa + aboutBits
)

// mostCap bounds every score, and tells nothing of a place.
const mostCap = ^capCode(0) &^ aboutMask

// capOf returns the least code that is not below a score.
func capOf(score int64) capCode {
	exponent := max(0, bits.Len64(uint64(score))-codeMantissa-1)
	mantissa := (uint64(score) + 1<<exponent - 1) >> exponent
	return capCode(uint64(exponent)<<codeMantissa+mantissa) << aboutBits
}

// whereabouts returns what the cap of a posting tells of where its program's place is.
func (c capCode) whereabouts() geoindex.Whereabouts { return geoindex.Whereabouts(c & aboutMask) }

// at returns the cap of a posting whose program's place is somewhere.
func (c capCode) at(w geoindex.Whereabouts) capCode { return c&^aboutMask | capCode(w) }

// lowered returns the least code of a bound of a score that a factor of at most 1 lowers, or the next one. A code is a
// float with a mantissa and without sign, so its bits are those of a longer float in which it may be multiplied. It is
// rounded up as capOf rounds scores, because searches compare it with codes of those.
func (c capCode) lowered(factor float64) capCode {
	const longer = 52 - mantissaBits
	product := math.Float64frombits(uint64(c&^aboutMask)<<longer) * factor
	return capCode(math.Float64bits(product)>>longer+1+aboutMask) &^ aboutMask
}
