package core

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// externallyAccessible tells whether traffic reaches the Service from outside by
// a node's port, a load balancer or an external address.
func externallyAccessible(s *corev1.ServiceSpec) bool {
	return s.Type == corev1.ServiceTypeLoadBalancer || s.Type == corev1.ServiceTypeNodePort || s.Type == corev1.ServiceTypeClusterIP && len(s.ExternalIPs) > 0
}

func needsHealthCheck(s *corev1.ServiceSpec) bool {
	return s.Type == corev1.ServiceTypeLoadBalancer && s.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
}

func needsClusterIP(s *corev1.ServiceSpec) bool {
	return s.Type == corev1.ServiceTypeClusterIP || s.Type == corev1.ServiceTypeNodePort || s.Type == corev1.ServiceTypeLoadBalancer
}

// defaultService fills in a Service; addresses and node ports are given out by the server.
func defaultService(o *corev1.Service) {
	s := &o.Spec
	meta.Default(&s.SessionAffinity, corev1.ServiceAffinityNone)
	if s.SessionAffinity == corev1.ServiceAffinityNone {
		s.SessionAffinityConfig = nil
	}
	if s.SessionAffinity == corev1.ServiceAffinityClientIP && (s.SessionAffinityConfig == nil || s.SessionAffinityConfig.ClientIP == nil || s.SessionAffinityConfig.ClientIP.TimeoutSeconds == nil) {
		seconds := corev1.DefaultClientIPServiceAffinitySeconds
		s.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: &seconds}}
	}
	meta.Default(&s.Type, corev1.ServiceTypeClusterIP)
	for i := range s.Ports {
		p := &s.Ports[i]
		meta.Default(&p.Protocol, corev1.ProtocolTCP)
		if p.TargetPort == intstr.FromInt32(0) || p.TargetPort == intstr.FromString("") {
			p.TargetPort = intstr.FromInt32(p.Port)
		}
	}
	if externallyAccessible(s) {
		meta.Default(&s.ExternalTrafficPolicy, corev1.ServiceExternalTrafficPolicyCluster)
	}
	if needsClusterIP(s) {
		meta.DefaultAt(&s.InternalTrafficPolicy, corev1.ServiceInternalTrafficPolicyCluster)
	}
	if s.Type == corev1.ServiceTypeLoadBalancer {
		meta.DefaultAt(&s.AllocateLoadBalancerNodePorts, true)
		for i := range o.Status.LoadBalancer.Ingress {
			if in := &o.Status.LoadBalancer.Ingress[i]; in.IP != "" {
				meta.DefaultAt(&in.IPMode, corev1.LoadBalancerIPModeVIP)
			}
		}
	}
}

// prepareService lists the cluster address that was given alone.
func prepareService(o *corev1.Service) {
	if o.Spec.ClusterIP != "" && len(o.Spec.ClusterIPs) == 0 {
		o.Spec.ClusterIPs = []string{o.Spec.ClusterIP}
	}
}

// prepareServiceUpdate keeps clusterIP and clusterIPs in step, and drops what the
// new type has no use for, where the client left it as it was.
func prepareServiceUpdate(next, old *corev1.Service) {
	n, o := &next.Spec, &old.Spec
	if n.ClusterIP != "" && len(n.ClusterIPs) == 0 {
		if n.ClusterIPs = []string{n.ClusterIP}; n.ClusterIP == o.ClusterIP {
			n.ClusterIPs = o.ClusterIPs
		}
	}
	sameList := len(n.ClusterIPs) == len(o.ClusterIPs)
	for i := range min(len(n.ClusterIPs), len(o.ClusterIPs)) {
		sameList = sameList && n.ClusterIPs[i] == o.ClusterIPs[i]
	}
	if n.ClusterIP != o.ClusterIP && sameList {
		if n.ClusterIP == "" {
			n.ClusterIPs = nil
		} else {
			n.ClusterIPs = []string{n.ClusterIP}
		}
	}
	if !externallyAccessible(n) && externallyAccessible(o) && n.ExternalTrafficPolicy == o.ExternalTrafficPolicy {
		n.ExternalTrafficPolicy = ""
	}
	if !needsHealthCheck(n) && needsHealthCheck(o) && n.HealthCheckNodePort == o.HealthCheckNodePort {
		n.HealthCheckNodePort = 0
	}
	if !needsClusterIP(n) && needsClusterIP(o) {
		n.InternalTrafficPolicy = nil
		if slices.Equal(n.IPFamilies, o.IPFamilies) {
			n.IPFamilies = nil
		}
		if equalAt(n.IPFamilyPolicy, o.IPFamilyPolicy) {
			n.IPFamilyPolicy = nil
		}
	}
	if o.Type == corev1.ServiceTypeLoadBalancer && n.Type != corev1.ServiceTypeLoadBalancer {
		if equalAt(n.AllocateLoadBalancerNodePorts, o.AllocateLoadBalancerNodePorts) {
			n.AllocateLoadBalancerNodePorts = nil
		}
		if equalAt(n.LoadBalancerClass, o.LoadBalancerClass) {
			n.LoadBalancerClass = nil
		}
	}
}

// equalAt compares what two pointers point at.
func equalAt[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }
