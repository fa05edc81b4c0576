package core

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

var (
	serviceTypes    = []corev1.ServiceType{corev1.ServiceTypeClusterIP, corev1.ServiceTypeExternalName, corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort}
	affinities      = []corev1.ServiceAffinity{corev1.ServiceAffinityClientIP, corev1.ServiceAffinityNone}
	families        = []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}
	familyPolicies  = []corev1.IPFamilyPolicy{corev1.IPFamilyPolicyPreferDualStack, corev1.IPFamilyPolicyRequireDualStack, corev1.IPFamilyPolicySingleStack}
	externalTraffic = []corev1.ServiceExternalTrafficPolicy{corev1.ServiceExternalTrafficPolicyCluster, corev1.ServiceExternalTrafficPolicyLocal}
	internalTraffic = []corev1.ServiceInternalTrafficPolicy{corev1.ServiceInternalTrafficPolicyCluster, corev1.ServiceInternalTrafficPolicyLocal}
	distributions   = []string{corev1.ServiceTrafficDistributionPreferClose, corev1.ServiceTrafficDistributionPreferSameZone, corev1.ServiceTrafficDistributionPreferSameNode}
)

func headless(s *corev1.ServiceSpec) bool {
	return len(s.ClusterIPs) == 1 && s.ClusterIPs[0] == corev1.ClusterIPNone
}

func validateService(o *corev1.Service) field.ErrorList { return checkService(o, false) }

// checkService checks a Service. Node ports that are named twice in a new one are found by who gives them out.
func checkService(o *corev1.Service, update bool) field.ErrorList {
	if o.Spec.Type != corev1.ServiceTypeExternalName {
		// Addresses come first: where they are wrong, nothing else is looked at.
		errs := meta.Checked(specPath, func(at *field.Path) field.ErrorList { return validateClusterIPs(&o.Spec, at) })
		if len(errs) == 0 {
			errs = familyErrors(&o.Spec)
		}
		if len(errs) > 0 {
			return errs
		}
	}
	return meta.Checked(specPath, func(at *field.Path) field.ErrorList { return validateServiceSpec(&o.Spec, at, update) })
}

func validateServiceSpec(s *corev1.ServiceSpec, at *field.Path, update bool) field.ErrorList {
	var errs field.ErrorList
	if len(s.Ports) == 0 && !headless(s) && s.Type != corev1.ServiceTypeExternalName {
		errs = append(errs, field.Required(at.Child("ports"), ""))
	}
	errs = append(errs, validateServiceType(s, at)...)
	errs = append(errs, validateServicePorts(s, meta.Child(at, "ports"), update)...)
	errs = append(errs, meta.Labels(s.Selector, meta.Child(at, "selector"))...)
	errs = append(errs, validateSessionAffinity(s, at)...)
	for i, ip := range s.ExternalIPs {
		idx := meta.Index(meta.Child(at, "externalIPs"), i)
		if e := meta.IP(idx, ip); len(e) > 0 {
			errs = append(errs, e...)
		} else {
			errs = append(errs, ValidateEndpointIP(ip, idx)...)
		}
	}
	errs = append(errs, validateLoadBalancer(s, at)...)
	return append(errs, validateTraffic(s, at)...)
}

func validateServiceType(s *corev1.ServiceSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	notHeadless := func() {
		if headless(s) {
			errs = append(errs, field.Invalid(at.Child("clusterIPs").Index(0), s.ClusterIPs[0], fmt.Sprintf("may not be set to 'None' for %s services", s.Type)))
		}
	}
	switch s.Type {
	case corev1.ServiceTypeLoadBalancer:
		for i := range s.Ports {
			if s.Ports[i].Port == 10250 {
				errs = append(errs, field.Invalid(at.Child("ports").Index(i), s.Ports[i].Port, "may not expose port 10250 externally since it is used by kubelet"))
			}
		}
		notHeadless()
	case corev1.ServiceTypeNodePort:
		notHeadless()
	case corev1.ServiceTypeExternalName:
		const text = "may not be set for ExternalName services"
		if len(s.ClusterIPs) > 0 {
			errs = append(errs, field.Forbidden(at.Child("clusterIPs"), text))
		}
		if len(s.IPFamilies) > 0 {
			errs = append(errs, field.Forbidden(at.Child("ipFamilies"), text))
		}
		if s.IPFamilyPolicy != nil {
			errs = append(errs, field.Forbidden(at.Child("ipFamilyPolicy"), text))
		}
		if name := strings.TrimSuffix(s.ExternalName, "."); name != "" {
			errs = append(errs, meta.NameError(meta.Child(at, "externalName"), name, meta.DNSSubdomain)...)
		} else {
			errs = append(errs, field.Required(at.Child("externalName"), ""))
		}
	}
	if s.Type == "" {
		return append(errs, field.Required(at.Child("type"), ""))
	}
	return append(errs, oneOf(at, "type", s.Type, serviceTypes)...)
}

func validateServicePorts(s *corev1.ServiceSpec, at *field.Path, update bool) field.ErrorList {
	var errs field.ErrorList
	var twice servicePortSets
	for i := range s.Ports {
		p := &s.Ports[i]
		idx := meta.Index(at, i)
		if p.Name == "" {
			if len(s.Ports) > 1 {
				errs = append(errs, field.Required(idx.Child("name"), ""))
			}
		} else {
			errs = append(errs, meta.NameError(meta.Child(idx, "name"), p.Name, meta.DNSLabel)...)
		}
		errs = append(errs, twice.add(p, update, idx)...)
		errs = append(errs, meta.Port(p.Port, meta.Child(idx, "port"))...)
		if p.Protocol == "" {
			errs = append(errs, field.Required(idx.Child("protocol"), ""))
		} else {
			errs = append(errs, oneOf(idx, "protocol", p.Protocol, protocols)...)
		}
		errs = append(errs, meta.PortNumOrName(p.TargetPort, meta.Child(idx, "targetPort"))...)
		if p.AppProtocol != nil {
			errs = append(errs, meta.NameError(meta.Child(idx, "appProtocol"), *p.AppProtocol, meta.QualifiedName)...)
		}
		if s.Type == corev1.ServiceTypeClusterIP && p.NodePort != 0 {
			errs = append(errs, field.Forbidden(idx.Child("nodePort"), "may not be used when `type` is 'ClusterIP'"))
		}
	}
	return errs
}

// servicePortSets are what the ports of a Service may have only once.
type servicePortSets struct {
	names     seen[string]
	ports     seen[portKey]
	nodePorts seen[nodePortKey]
}

// nodePortKey has the port only while nobody has given out the node port.
type nodePortKey struct {
	nodePort, port int32
	protocol       corev1.Protocol
}

// add tells what of a port is also that of one before it.
func (t *servicePortSets) add(p *corev1.ServicePort, update bool, idx *field.Path) field.ErrorList {
	var errs field.ErrorList
	if p.Name != "" && t.names.add(p.Name) {
		errs = append(errs, field.Duplicate(idx.Child("name"), p.Name))
	}
	if p.NodePort != 0 {
		key := nodePortKey{p.NodePort, p.Port, p.Protocol}
		if update {
			key.port = 0
		}
		if t.nodePorts.add(key) {
			errs = append(errs, field.Duplicate(idx.Child("nodePort"), p.NodePort))
		}
	}
	if t.ports.add(portKey{p.Port, p.Protocol}) {
		errs = append(errs, field.Duplicate(idx, meta.GoNames(servicePortKey{Protocol: p.Protocol, Port: p.Port})))
	}
	return errs
}

// servicePortKey is what an error about a duplicate port prints.
type servicePortKey struct {
	Name        string
	Protocol    corev1.Protocol
	AppProtocol *string
	Port        int32
	TargetPort  int
	NodePort    int32
}

func validateSessionAffinity(s *corev1.ServiceSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s.SessionAffinity == "" {
		errs = append(errs, field.Required(at.Child("sessionAffinity"), ""))
	} else {
		errs = append(errs, oneOf(at, "sessionAffinity", s.SessionAffinity, affinities)...)
	}
	path := meta.Child(at, "sessionAffinityConfig")
	switch c := s.SessionAffinityConfig; {
	case s.SessionAffinity == corev1.ServiceAffinityClientIP && (c == nil || c.ClientIP == nil || c.ClientIP.TimeoutSeconds == nil):
		errs = append(errs, field.Required(path, "when session affinity type is ClientIP"))
	case s.SessionAffinity == corev1.ServiceAffinityClientIP:
		if n := *c.ClientIP.TimeoutSeconds; n <= 0 || n > 86400 {
			errs = append(errs, field.Invalid(path.Child("clientIP", "timeoutSeconds"), n, "must be greater than 0 and less than 86400"))
		}
	case s.SessionAffinity == corev1.ServiceAffinityNone && c != nil:
		errs = append(errs, field.Forbidden(path, "must not be set when session affinity is None"))
	}
	return errs
}

func validateClusterIPs(s *corev1.ServiceSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s.IPFamilyPolicy != nil {
		errs = append(errs, oneOf(at, "ipFamilyPolicy", *s.IPFamilyPolicy, familyPolicies)...)
	}
	path := meta.Child(at, "clusterIPs")
	if len(s.ClusterIPs) == 0 && s.ClusterIP != "" {
		errs = append(errs, field.Required(path, ""))
	}
	if len(s.ClusterIPs) > 0 && s.ClusterIP == "" {
		errs = append(errs, field.Invalid(path, s.ClusterIPs, "must be empty when `clusterIP` is not specified"))
	} else if len(s.ClusterIPs) > 0 && s.ClusterIPs[0] != s.ClusterIP {
		errs = append(errs, field.Invalid(path, s.ClusterIPs, "first value must match `clusterIP`"))
	}
	var told seen[corev1.IPFamily]
	for i, f := range s.IPFamilies {
		errs = append(errs, supported(meta.Index(meta.Child(at, "ipFamilies"), i), f, families)...)
		if told.add(f) {
			errs = append(errs, field.Duplicate(at.Child("ipFamilies").Index(i), f))
		}
	}
	good := true
	for i, ip := range s.ClusterIPs {
		if i == 0 && ip == corev1.ClusterIPNone {
			if len(s.ClusterIPs) > 1 {
				errs = append(errs, field.Invalid(path, s.ClusterIPs, "'None' must be the first and only value"))
				good = false
			}
		} else {
			if e := meta.IP(meta.Index(path, i), ip); len(e) > 0 {
				errs = append(errs, e...)
				good = false
			}
		}
	}
	if len(s.ClusterIPs) > 2 {
		errs = append(errs, field.Invalid(path, s.ClusterIPs, "may only hold up to 2 values"))
	}
	if good && len(s.ClusterIPs) == 2 && isIPv6(s.ClusterIPs[0]) == isIPv6(s.ClusterIPs[1]) {
		errs = append(errs, field.Invalid(path, s.ClusterIPs, "may specify no more than one IP for each IP family"))
	}
	if good && !headless(s) {
		for i := range min(len(s.IPFamilies), len(s.ClusterIPs)) {
			if isIPv6(s.ClusterIPs[i]) != (s.IPFamilies[i] == corev1.IPv6Protocol) {
				errs = append(errs, field.Invalid(path.Index(i), s.ClusterIPs[i], fmt.Sprintf("expected an %v value as indicated by `ipFamilies[%v]`", s.IPFamilies[i], i)))
			}
		}
	}
	return errs
}

func isIPv6(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.Zone() == "" && a.Is6() && !a.Is4In6()
}

func validateLoadBalancer(s *corev1.ServiceSpec, at *field.Path) field.ErrorList {
	const text = "may only be used when `type` is 'LoadBalancer'"
	balanced := s.Type == corev1.ServiceTypeLoadBalancer
	var errs field.ErrorList
	if balanced && s.AllocateLoadBalancerNodePorts == nil {
		errs = append(errs, field.Required(at.Child("allocateLoadBalancerNodePorts"), ""))
	}
	if !balanced && s.AllocateLoadBalancerNodePorts != nil {
		errs = append(errs, field.Forbidden(at.Child("allocateLoadBalancerNodePorts"), text))
	}
	if c := s.LoadBalancerClass; c != nil {
		if balanced {
			errs = append(errs, meta.NameError(meta.Child(at, "loadBalancerClass"), *c, meta.QualifiedName)...)
		} else {
			errs = append(errs, field.Forbidden(at.Child("loadBalancerClass"), text))
		}
	}
	if len(s.LoadBalancerSourceRanges) > 0 {
		path := meta.Child(at, "LoadBalancerSourceRanges") // compat: with a capital
		if !balanced {
			errs = append(errs, field.Forbidden(path, text))
		}
		for i, r := range s.LoadBalancerSourceRanges {
			errs = append(errs, meta.CIDR(meta.Index(path, i), strings.TrimSpace(r))...)
		}
	}
	return errs
}

func validateTraffic(s *corev1.ServiceSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	path := meta.Child(at, "externalTrafficPolicy")
	switch outside := externallyAccessible(s); {
	case !outside && s.ExternalTrafficPolicy != "":
		errs = append(errs, field.Invalid(path, s.ExternalTrafficPolicy, "may only be set for externally-accessible services"))
	case outside && s.ExternalTrafficPolicy == "":
		errs = append(errs, field.Required(path, ""))
	case outside:
		errs = append(errs, supported(path, s.ExternalTrafficPolicy, externalTraffic)...)
	}
	if !needsHealthCheck(s) && s.HealthCheckNodePort != 0 {
		errs = append(errs, field.Invalid(at.Child("healthCheckNodePort"), s.HealthCheckNodePort, "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"))
	} else if s.HealthCheckNodePort != 0 {
		errs = append(errs, meta.Port(s.HealthCheckNodePort, meta.Child(at, "healthCheckNodePort"))...)
	}
	switch p := s.InternalTrafficPolicy; {
	case p == nil && needsClusterIP(s):
		errs = append(errs, field.Required(at.Child("internalTrafficPolicy"), ""))
	case p != nil:
		errs = append(errs, oneOf(at, "internalTrafficPolicy", *p, internalTraffic)...)
	}
	if d := s.TrafficDistribution; d != nil {
		errs = append(errs, oneOf(at, "trafficDistribution", *d, distributions)...)
	}
	return errs
}

// validateServiceUpdate keeps addresses that were given out, and a load balancer's class.
func validateServiceUpdate(next, old *corev1.Service) field.ErrorList {
	var errs field.ErrorList
	n, o := &next.Spec, &old.Spec
	if needsClusterIP(n) && needsClusterIP(o) {
		if len(o.ClusterIPs) > 0 && o.ClusterIPs[0] != "" && len(n.ClusterIPs) > 0 && n.ClusterIPs[0] != o.ClusterIPs[0] {
			errs = append(errs, field.Invalid(specPath.Child("clusterIPs").Index(0), n.ClusterIPs, "may not change once set"))
		}
		if len(o.IPFamilies) > 0 && len(n.IPFamilies) > 0 && n.IPFamilies[0] != o.IPFamilies[0] {
			errs = append(errs, field.Invalid(specPath.Child("ipFamilies").Index(0), n.IPFamilies, "may not change once set"))
		}
	}
	if o.Type == corev1.ServiceTypeLoadBalancer && n.Type == o.Type && !equalAt(n.LoadBalancerClass, o.LoadBalancerClass) {
		errs = append(errs, field.Invalid(specPath.Child("loadBalancerClass"), n.LoadBalancerClass, "may not change once set"))
	}
	return append(errs, checkService(next, true)...)
}

func warnService(next, _ *corev1.Service) []string {
	var warnings []string
	s := &next.Spec
	for i, ip := range s.ClusterIPs {
		if ip != corev1.ClusterIPNone && !meta.CanonicalIP(ip) && net.ParseIP(ip) != nil {
			warnings = append(warnings, validation.GetWarningsForIP(specPath.Child("clusterIPs").Index(i), ip)...)
		}
	}
	if len(s.ExternalIPs) > 0 {
		warnings = append(warnings, "spec.externalIPs is deprecated and may no longer be implemented in some clusters")
	}
	for i, ip := range s.ExternalIPs {
		warnings = append(warnings, validation.GetWarningsForIP(specPath.Child("externalIPs").Index(i), ip)...)
	}
	if s.LoadBalancerIP != "" && len(validation.IsValidIPForLegacyField(specPath, s.LoadBalancerIP, false, nil)) == 0 {
		warnings = append(warnings, validation.GetWarningsForIP(specPath.Child("loadBalancerIP"), s.LoadBalancerIP)...)
	}
	for i, r := range s.LoadBalancerSourceRanges {
		warnings = append(warnings, validation.GetWarningsForCIDR(specPath.Child("loadBalancerSourceRanges").Index(i), strings.TrimSpace(r))...)
	}
	if s.Type == corev1.ServiceTypeExternalName && len(s.ExternalIPs) > 0 {
		warnings = append(warnings, `spec.externalIPs is ignored when spec.type is "ExternalName"`)
	}
	if s.Type != corev1.ServiceTypeExternalName && s.ExternalName != "" {
		warnings = append(warnings, `spec.externalName is ignored when spec.type is not "ExternalName"`)
	}
	if d := s.TrafficDistribution; d != nil && *d == corev1.ServiceTrafficDistributionPreferClose {
		warnings = append(warnings, `spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"`)
	}
	return warnings
}
