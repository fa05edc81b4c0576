package networking

import (
	"net/netip"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// nameIsIP accepts the one way to write an address.
func nameIsIP(name string, _ bool) []string {
	var out []string
	for _, e := range validation.IsValidIP(nil, name) {
		out = append(out, e.Detail)
	}
	return out
}

func validateIPAddress(o *networkingv1.IPAddress) field.ErrorList {
	at := specPath.Child("parentRef")
	p := o.Spec.ParentRef
	if p == nil {
		return field.ErrorList{field.Required(at, "")}
	}
	var errs field.ErrorList
	if p.Group != "" {
		errs = append(errs, meta.NameError(at.Child("group"), p.Group, meta.DNSSubdomain)...)
	}
	for _, f := range []struct {
		name, value string
		required    bool
	}{{"resource", p.Resource, true}, {"name", p.Name, true}, {"namespace", p.Namespace, false}} {
		switch {
		case f.value != "":
			errs = append(errs, meta.Invalids(at.Child(f.name), f.value, api.NameIsPathSegment(f.value, false))...)
		case f.required:
			errs = append(errs, field.Required(at.Child(f.name), ""))
		}
	}
	return errs
}

func validateIPAddressUpdate(next, old *networkingv1.IPAddress) field.ErrorList {
	errs := validateIPAddress(next)
	if n, o := next.Spec.ParentRef, old.Spec.ParentRef; n != nil && o != nil && *n != *o {
		errs = append(errs, field.Invalid(specPath.Child("parentRef"), meta.GoNames(n), meta.FieldImmutable))
	}
	return errs
}

func parentText(o *networkingv1.IPAddress) string {
	p := o.Spec.ParentRef
	if p == nil {
		return "<none>"
	}
	text := p.Resource
	if p.Group != "" {
		text += "." + p.Group
	}
	text += "/"
	if p.Namespace != "" {
		text += p.Namespace + "/"
	}
	return text + p.Name
}

func validateServiceCIDR(o *networkingv1.ServiceCIDR) field.ErrorList {
	at := specPath.Child("cidrs")
	switch n := len(o.Spec.CIDRs); {
	case n == 0:
		return field.ErrorList{field.Required(at, "at least one CIDR required")}
	case n > 2:
		return field.ErrorList{field.Invalid(at, meta.GoNames(o.Spec), "may only hold up to 2 values")}
	}
	var errs field.ErrorList
	var seen []netip.Prefix
	for i, c := range o.Spec.CIDRs {
		errs = append(errs, validation.IsValidCIDR(at.Index(i), c)...)
		if p, err := netip.ParsePrefix(c); err == nil {
			seen = append(seen, p)
		}
	}
	if len(seen) == 2 && seen[0].Addr().Is4() == seen[1].Addr().Is4() {
		errs = append(errs, field.Invalid(at, o.Spec.CIDRs, "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"))
	}
	return errs
}

func validateServiceCIDRUpdate(next, old *networkingv1.ServiceCIDR) field.ErrorList {
	if len(next.Spec.CIDRs) < len(old.Spec.CIDRs) || strings.Join(next.Spec.CIDRs[:len(old.Spec.CIDRs)], ",") != strings.Join(old.Spec.CIDRs, ",") {
		return append(validateServiceCIDR(next), field.Invalid(specPath.Child("cidrs"), next.Spec.CIDRs, meta.FieldImmutable))
	}
	return validateServiceCIDR(next)
}
