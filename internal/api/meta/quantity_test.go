package meta

import "testing"

func TestHugeExponent(t *testing.T) {
	for s, want := range map[string]bool{"1": false, "1e3": false, "1E": false, "1Ei": false, "1e100": false, "1e101": true, "-1.5E+1000000000": true, "1e-1000000000": true,
		"1e99999999999999999999": true, "e5": false, "": false, "1e": false, "a1e1000": false, "1Ki": false, "1e3x": false} {
		if got := HugeExponent(s); got != want {
			t.Errorf("%q: %t", s, got)
		}
	}
}
