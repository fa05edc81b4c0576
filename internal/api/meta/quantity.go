package meta

import "strconv"

// maxExponent is far beyond any quantity: those outside of 1n and 2^63 are cut anyway.
const maxExponent = 100

// HugeExponent tells whether a text is a number with an exponent ("1e1000000000")
// that resource.ParseQuantity must not see: it would work out all the digits, for
// hours.
func HugeExponent(s string) bool {
	i := 0
	for i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] == '.' || s[i] == '+' || s[i] == '-') {
		i++
	}
	if i == 0 || i+1 >= len(s) || s[i] != 'e' && s[i] != 'E' {
		return false
	}
	n, err := strconv.ParseInt(s[i+1:], 10, 64)
	if err != nil {
		// "1Ei" is none, and what is beyond 64 bits one.
		last := s[len(s)-1]
		return last >= '0' && last <= '9'
	}
	return n > maxExponent || n < -maxExponent
}
