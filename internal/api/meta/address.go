package meta

import (
	"net/netip"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// IP checks an address in a field that has been there since before addresses had to
// be written in one way only.
func IP(path *field.Path, s string) field.ErrorList {
	if CanonicalIP(s) {
		return nil
	}
	return validation.IsValidIPForLegacyField(path, s, true, nil)
}

// CanonicalIP tells whether s is an address, written as it should be.
func CanonicalIP(s string) bool {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" || a.Is4In6() {
		return false
	}
	var text [64]byte
	return a.Is4() || string(a.AppendTo(text[:0])) == s
}

// CIDR checks a range of addresses in such a field.
func CIDR(path *field.Path, s string) field.ErrorList {
	p, err := netip.ParsePrefix(s)
	if err == nil && !p.Addr().Is4In6() && p == p.Masked() {
		var text [64]byte
		if p.Addr().Is4() || string(p.AppendTo(text[:0])) == s {
			return nil
		}
	}
	return validation.IsValidCIDRForLegacyField(path, s, true, nil)
}
