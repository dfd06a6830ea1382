package hexbid

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Money is an amount in micros of the deployment's one currency: 1 ¥ is
// 1,000,000. No float ever holds money.
type Money int64

// MicrosPerUnit is the number of micros in one unit of currency.
const MicrosPerUnit = 1_000_000

// ParseMoney reads a decimal amount of currency such as "1.20" without passing
// through a float. It refuses signs, exponents, more than six decimals and
// amounts that do not fit.
func ParseMoney(s string) (Money, error) {
	whole, fraction, dotted := strings.Cut(strings.TrimSpace(s), ".")
	if !allDigits(whole) || (dotted && !allDigits(fraction)) {
		return 0, fmt.Errorf("%q is not an amount: write it as 12 or 1.20", Shorten(s))
	}
	if len(fraction) > 6 {
		return 0, fmt.Errorf("%q has more than six decimals: the smallest amount is 0.000001", Shorten(s))
	}
	units, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || units > math.MaxInt64/MicrosPerUnit-1 {
		return 0, fmt.Errorf("%q is too large an amount", Shorten(s))
	}
	micros, _ := strconv.ParseInt((fraction + "000000")[:6], 10, 64) // six digits always parse
	return Money(units*MicrosPerUnit + micros), nil
}

// String writes the amount as decimal currency with at least two decimals.
func (m Money) String() string {
	sign, micros := "", uint64(m)
	if m < 0 {
		sign, micros = "-", -micros
	}
	fraction := strings.TrimRight(fmt.Sprintf("%06d", micros%MicrosPerUnit), "0")
	for len(fraction) < 2 {
		fraction += "0"
	}
	return fmt.Sprintf("%s%d.%s", sign, micros/MicrosPerUnit, fraction)
}

// Micros writes the amount as the API counts it, as in "1200000 micros". Every amount in an error has this form, so
// that a client can turn it into decimal currency.
func (m Money) Micros() string { return fmt.Sprintf("%d micros", int64(m)) }

func allDigits(s string) bool {
	if s == "" {
		return false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
