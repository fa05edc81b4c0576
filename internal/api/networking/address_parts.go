package networking

import (
	"net/netip"

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
	at, cidrs := specPath.Child("cidrs"), o.Spec.CIDRs
	switch n := len(cidrs); {
	case n == 0:
		return field.ErrorList{field.Required(at, "at least one CIDR required")}
	case n > 2:
		return field.ErrorList{field.Invalid(at, meta.GoNames(o.Spec), "may only hold up to 2 values")}
	case n == 2:
		x, err := netip.ParsePrefix(cidrs[0])
		y, err2 := netip.ParsePrefix(cidrs[1])
		if err != nil || err2 != nil || x.Addr().Is4() == y.Addr().Is4() {
			return field.ErrorList{field.Invalid(at, cidrs, "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64")}
		}
	}
	var errs field.ErrorList
	for i, c := range cidrs {
		errs = append(errs, validation.IsValidCIDR(at.Index(i), c)...)
	}
	return errs
}

// validateServiceCIDRUpdate lets a range get one of the other family beside it; addresses of Services are never moved.
func validateServiceCIDRUpdate(next, old *networkingv1.ServiceCIDR) field.ErrorList {
	at, n, o := specPath.Child("cidrs"), next.Spec.CIDRs, old.Spec.CIDRs
	if len(n) != len(o) && (len(o) != 1 || len(n) != 2) {
		return field.ErrorList{field.Invalid(at, n, meta.FieldImmutable)}
	}
	var errs field.ErrorList
	for i := range o {
		if n[i] != o[i] {
			errs = append(errs, field.Invalid(at.Index(i), n[i], meta.FieldImmutable))
		}
	}
	if len(n) > len(o) {
		errs = append(errs, validateServiceCIDR(next)...)
	}
	return errs
}
