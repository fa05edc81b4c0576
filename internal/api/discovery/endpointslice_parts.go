package discovery

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/core"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// IndexService finds the slices of a Service by namespace/name.
const IndexService = "service"

func defaultEndpointSlice(o *discoveryv1.EndpointSlice) {
	for i := range o.Ports {
		meta.DefaultAt(&o.Ports[i].Name, "")
		meta.DefaultAt(&o.Ports[i].Protocol, corev1.ProtocolTCP)
	}
}

var (
	addressTypes = []discoveryv1.AddressType{discoveryv1.AddressTypeFQDN, discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6}
	protocols    = []corev1.Protocol{corev1.ProtocolSCTP, corev1.ProtocolTCP, corev1.ProtocolUDP}
)

const (
	maxEndpoints = 1000
	maxAddresses = 100
	maxPorts     = 20000
	maxTopology  = 16 // labels
)

func validateEndpointSlice(o *discoveryv1.EndpointSlice) field.ErrorList {
	var errs field.ErrorList
	switch o.AddressType {
	case discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6, discoveryv1.AddressTypeFQDN:
	case "":
		errs = append(errs, field.Required(field.NewPath("addressType"), ""))
	default:
		errs = append(errs, field.NotSupported(field.NewPath("addressType"), o.AddressType, addressTypes))
	}
	at := field.NewPath("endpoints")
	if len(o.Endpoints) > maxEndpoints {
		return append(errs, field.TooMany(at, len(o.Endpoints), maxEndpoints))
	}
	for i := range o.Endpoints {
		errs = append(errs, validateEndpoint(&o.Endpoints[i], o.AddressType, at.Index(i))...)
	}
	return append(errs, validatePorts(o.Ports)...)
}

func validateEndpoint(e *discoveryv1.Endpoint, t discoveryv1.AddressType, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	path := at.Child("addresses")
	switch n := len(e.Addresses); {
	case n == 0:
		errs = append(errs, field.Required(path, "must contain at least 1 address"))
	case n > maxAddresses:
		errs = append(errs, field.TooMany(path, n, maxAddresses))
	}
	for i, a := range e.Addresses {
		errs = append(errs, validateAddress(a, t, path, path.Index(i))...)
	}
	if e.NodeName != nil {
		errs = append(errs, meta.NameError(at.Child("nodeName"), *e.NodeName, meta.DNSSubdomain)...)
	}
	if e.Hostname != nil {
		errs = append(errs, meta.NameError(at.Child("hostname"), *e.Hostname, meta.DNSLabel)...)
	}
	if e.Zone != nil {
		errs = append(errs, meta.NameError(at.Child("zone"), *e.Zone, meta.LabelValue)...)
	}
	topology := at.Child("deprecatedTopology")
	if n := len(e.DeprecatedTopology); n > maxTopology {
		errs = append(errs, field.TooMany(topology, n, maxTopology))
	}
	errs = append(errs, meta.Labels(e.DeprecatedTopology, topology)...)
	if h := e.Hints; h != nil {
		errs = append(errs, validateHints(h, at.Child("hints"))...)
	}
	return errs
}

func validateAddress(a string, t discoveryv1.AddressType, list, at *field.Path) field.ErrorList {
	if t == discoveryv1.AddressTypeFQDN {
		return validation.IsFullyQualifiedDomainName(at, a)
	}
	if t != discoveryv1.AddressTypeIPv4 && t != discoveryv1.AddressTypeIPv6 {
		return nil
	}
	errs := validation.IsValidIPForLegacyField(at, a, true, nil)
	if len(errs) > 0 {
		return errs
	}
	ip, err := netip.ParseAddr(a)
	if err == nil && ip.Is4() != (t == discoveryv1.AddressTypeIPv4) {
		errs = append(errs, field.Invalid(list, a, fmt.Sprintf("must be an %s address", t)))
	}
	return append(errs, core.ValidateEndpointIP(a, at)...)
}

const maxHints = 8

func validateHints(h *discoveryv1.EndpointHints, at *field.Path) field.ErrorList {
	zones := make([]string, len(h.ForZones))
	for i, z := range h.ForZones {
		zones[i] = z.Name
	}
	nodes := make([]string, len(h.ForNodes))
	for i, n := range h.ForNodes {
		nodes[i] = n.Name
	}
	errs := validateHinted(zones, meta.LabelValue, at.Child("forZones"))
	return append(errs, validateHinted(nodes, meta.DNSSubdomain, at.Child("forNodes"))...)
}

func validateHinted(names []string, check func(string) []string, at *field.Path) field.ErrorList {
	if len(names) > maxHints {
		return field.ErrorList{field.TooMany(at, len(names), maxHints)}
	}
	var errs field.ErrorList
	for i, n := range names {
		idx := at.Index(i).Child("name")
		if slices.Contains(names[:i], n) {
			errs = append(errs, field.Duplicate(idx, n))
		}
		errs = append(errs, meta.NameError(idx, n, check)...)
	}
	return errs
}

func validatePorts(ports []discoveryv1.EndpointPort) field.ErrorList {
	var errs field.ErrorList
	at := field.NewPath("ports")
	if len(ports) > maxPorts {
		return field.ErrorList{field.TooMany(at, len(ports), maxPorts)}
	}
	seen := map[string]bool{}
	for i := range ports {
		p := &ports[i]
		idx := at.Index(i)
		name := ""
		if p.Name != nil {
			name = *p.Name
		}
		if name != "" {
			errs = append(errs, meta.NameError(idx.Child("name"), name, meta.DNSLabel)...)
		}
		if seen[name] {
			errs = append(errs, field.Duplicate(idx.Child("name"), name))
		}
		seen[name] = true
		switch {
		case p.Protocol == nil || *p.Protocol == "":
			errs = append(errs, field.Required(idx.Child("protocol"), ""))
		case *p.Protocol != protocols[0] && *p.Protocol != protocols[1] && *p.Protocol != protocols[2]:
			errs = append(errs, field.NotSupported(idx.Child("protocol"), *p.Protocol, protocols))
		}
		if p.AppProtocol != nil {
			errs = append(errs, meta.NameError(idx.Child("appProtocol"), *p.AppProtocol, meta.QualifiedName)...)
		}
	}
	return errs
}

func validateEndpointSliceUpdate(next, old *discoveryv1.EndpointSlice) field.ErrorList {
	errs := validateEndpointSlice(next)
	if next.AddressType != old.AddressType {
		errs = append(errs, field.Invalid(field.NewPath("addressType"), next.AddressType, meta.FieldImmutable))
	}
	return errs
}

func warnEndpointSlice(next, _ *discoveryv1.EndpointSlice) []string {
	if next.AddressType == discoveryv1.AddressTypeFQDN {
		return []string{"spec.addressType: FQDN endpoints are deprecated"}
	}
	return nil
}

// firstThree shows three of a list and how many there are besides.
func firstThree(list []string) string {
	text := strings.Join(list[:min(3, len(list))], ",")
	switch {
	case len(list) > 3:
		return text + fmt.Sprintf(" + %d more...", len(list)-3)
	case text == "":
		return "<unset>"
	}
	return text
}

func portsText(o *discoveryv1.EndpointSlice) string {
	list := make([]string, len(o.Ports))
	for i, p := range o.Ports {
		if p.Port != nil {
			list[i] = fmt.Sprint(*p.Port)
		} else if p.Name != nil {
			list[i] = *p.Name
		}
	}
	return firstThree(list)
}

func addressesText(o *discoveryv1.EndpointSlice) string {
	var list []string
	for i := range o.Endpoints {
		list = append(list, o.Endpoints[i].Addresses...)
	}
	return firstThree(list)
}
