package core

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

func defaultEndpoints(o *corev1.Endpoints) {
	for i := range o.Subsets {
		for j := range o.Subsets[i].Ports {
			meta.Default(&o.Subsets[i].Ports[j].Protocol, corev1.ProtocolTCP)
		}
	}
}

func validateEndpoints(o *corev1.Endpoints) field.ErrorList {
	return meta.Checked(field.NewPath("subsets"), func(at *field.Path) field.ErrorList { return validateSubsets(o, at) })
}

func validateSubsets(o *corev1.Endpoints, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range o.Subsets {
		s := &o.Subsets[i]
		idx := meta.Index(at, i)
		if len(s.Addresses) == 0 && len(s.NotReadyAddresses) == 0 {
			errs = append(errs, field.Required(idx, "must specify `addresses` or `notReadyAddresses`"))
		}
		for j := range s.Addresses {
			errs = append(errs, validateEndpointAddress(&s.Addresses[j], meta.Index(meta.Child(idx, "addresses"), j))...)
		}
		for j := range s.NotReadyAddresses {
			errs = append(errs, validateEndpointAddress(&s.NotReadyAddresses[j], meta.Index(meta.Child(idx, "notReadyAddresses"), j))...)
		}
		for j := range s.Ports {
			errs = append(errs, validateEndpointPort(&s.Ports[j], len(s.Ports) > 1, meta.Index(meta.Child(idx, "ports"), j))...)
		}
	}
	return errs
}

func validateEndpointAddress(a *corev1.EndpointAddress, at *field.Path) field.ErrorList {
	errs := meta.IP(meta.Child(at, "ip"), a.IP)
	if a.Hostname != "" {
		errs = append(errs, meta.NameError(meta.Child(at, "hostname"), a.Hostname, meta.DNSLabel)...)
	}
	if a.NodeName != nil {
		errs = append(errs, meta.NameError(meta.Child(at, "nodeName"), *a.NodeName, meta.DNSSubdomain)...)
	}
	return append(errs, ValidateEndpointIP(a.IP, meta.Child(at, "ip"))...)
}

// ValidateEndpointIP refuses addresses that no endpoint outside of a node can have.
func ValidateEndpointIP(s string, at *field.Path) field.ErrorList {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" && !a.Is4In6() && a.IsGlobalUnicast() {
		return nil // as nearly all are
	}
	ip := netutils.ParseIPSloppy(s)
	if ip == nil {
		return field.ErrorList{field.Invalid(at, s, "must be a valid IP address")}
	}
	var errs field.ErrorList
	if ip.IsUnspecified() {
		errs = append(errs, field.Invalid(at, s, fmt.Sprintf("may not be unspecified (%v)", s)))
	}
	if ip.IsLoopback() {
		errs = append(errs, field.Invalid(at, s, "may not be in the loopback range (127.0.0.0/8, ::1/128)"))
	}
	if ip.IsLinkLocalUnicast() {
		errs = append(errs, field.Invalid(at, s, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"))
	}
	if ip.IsLinkLocalMulticast() {
		errs = append(errs, field.Invalid(at, s, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"))
	}
	return errs
}

func validateEndpointPort(p *corev1.EndpointPort, named bool, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if p.Name == "" {
		if named {
			errs = append(errs, field.Required(at.Child("name"), ""))
		}
	} else {
		errs = append(errs, meta.NameError(meta.Child(at, "name"), p.Name, meta.DNSLabel)...)
	}
	errs = append(errs, meta.Port(p.Port, meta.Child(at, "port"))...)
	if p.Protocol == "" {
		errs = append(errs, field.Required(at.Child("protocol"), ""))
	} else {
		errs = append(errs, oneOf(at, "protocol", p.Protocol, protocols)...)
	}
	if p.AppProtocol != nil {
		errs = append(errs, meta.NameError(meta.Child(at, "appProtocol"), *p.AppProtocol, meta.QualifiedName)...)
	}
	return errs
}

// endpointsText shows the first three endpoints, and how many there are besides.
func endpointsText(o *corev1.Endpoints) string {
	const most = 3
	var list []string
	n := 0
	add := func(s string) {
		if n++; n <= most {
			list = append(list, s)
		}
	}
	for i := range o.Subsets {
		s := &o.Subsets[i]
		if len(s.Ports) == 0 {
			for _, a := range s.Addresses {
				add(a.IP)
			}
			continue
		}
		for _, p := range s.Ports {
			for _, a := range s.Addresses {
				add(net.JoinHostPort(a.IP, strconv.Itoa(int(p.Port))))
			}
		}
	}
	text := orNone(strings.Join(list, ","))
	if n > most {
		text += fmt.Sprintf(" + %d more...", n-most)
	}
	return text
}

// warnEndpoints tells of addresses that are not written as is usual.
func warnEndpoints(next, _ *corev1.Endpoints) []string {
	var w warnings
	for i := range next.Subsets {
		at := field.NewPath("subsets").Index(i)
		for j := range next.Subsets[i].Addresses {
			w.address(next.Subsets[i].Addresses[j].IP, at.Child("addresses").Index(j).Child("ip"))
		}
		for j := range next.Subsets[i].NotReadyAddresses {
			w.address(next.Subsets[i].NotReadyAddresses[j].IP, at.Child("notReadyAddresses").Index(j).Child("ip"))
		}
	}
	return w
}
