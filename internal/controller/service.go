package controller

import (
	"fmt"
	"maps"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client"
)

// PodServices wakes the Services that select a pod, or did, when something
// changed that an endpoint shows.
func PodServices() Wake {
	return Wake{On: all.For[*corev1.Pod](), Keys: func(v View, o, old api.Object) []Key {
		pod, was := o.(*corev1.Pod), o.(*corev1.Pod)
		if old != nil {
			was = old.(*corev1.Pod)
			// The last state of a deleted pod shows no difference: it is looked up.
			if now, err := client.Get[*corev1.Pod](v.Context, v, pod.Namespace, pod.Name); err == nil && now.UID == pod.UID && sameEndpoint(was, pod) {
				return nil
			}
		}
		services, err := client.List[*corev1.Service](v.Context, v, pod.Namespace, nil)
		if err != nil {
			return nil
		}
		var keys []Key
		for _, s := range services {
			if selects(s.Spec.Selector, pod.Labels) || selects(s.Spec.Selector, was.Labels) {
				keys = append(keys, KeyOf(s))
			}
		}
		return keys
	}}
}

func selects(selector, labels map[string]string) bool {
	for k, v := range selector {
		if l, ok := labels[k]; !ok || l != v {
			return false
		}
	}
	return len(selector) > 0
}

// sameEndpoint tells whether two states of a pod give the same endpoints.
func sameEndpoint(a, b *corev1.Pod) bool {
	return PodReady(a) == PodReady(b) && a.Status.Phase == b.Status.Phase && (a.DeletionTimestamp == nil) == (b.DeletionTimestamp == nil) &&
		a.Spec.NodeName == b.Spec.NodeName && a.Status.PodIP == b.Status.PodIP &&
		equality.Semantic.DeepEqual(a.Status.PodIPs, b.Status.PodIPs) && maps.Equal(a.Labels, b.Labels)
}

// PodAddresses are the IPs of a pod of one family.
func PodAddresses(p *corev1.Pod, family corev1.IPFamily) []string {
	ips := p.Status.PodIPs
	if len(ips) == 0 && p.Status.PodIP != "" {
		ips = []corev1.PodIP{{IP: p.Status.PodIP}}
	}
	var out []string
	for _, ip := range ips {
		if FamilyOf(ip.IP) == family {
			out = append(out, ip.IP)
		}
	}
	return out
}

// FamilyOf is the family of an IP; empty when the text is none.
func FamilyOf(ip string) corev1.IPFamily {
	a, err := netip.ParseAddr(ip)
	switch {
	case err != nil:
		return ""
	case a.Is4() || a.Is4In6():
		return corev1.IPv4Protocol
	}
	return corev1.IPv6Protocol
}

// ServiceFamilies are the IP families of a Service, the primary one first.
func ServiceFamilies(s *corev1.Service) []corev1.IPFamily {
	if len(s.Spec.IPFamilies) > 0 {
		return s.Spec.IPFamilies
	}
	if f := FamilyOf(s.Spec.ClusterIP); f != "" {
		return []corev1.IPFamily{f}
	}
	return []corev1.IPFamily{corev1.IPv4Protocol}
}

// TargetPort is the number of a Service's port on a pod: as it is, or that of the
// container port with the name.
func TargetPort(p *corev1.Pod, port *corev1.ServicePort) (int32, error) {
	if port.TargetPort.Type == intstr.Int {
		if port.TargetPort.IntVal == 0 {
			return port.Port, nil
		}
		return port.TargetPort.IntVal, nil
	}
	named := func(c *corev1.Container) (int32, bool) {
		for _, cp := range c.Ports {
			protocol := cp.Protocol
			if protocol == "" {
				protocol = corev1.ProtocolTCP
			}
			if cp.Name == port.TargetPort.StrVal && protocol == port.Protocol {
				return cp.ContainerPort, true
			}
		}
		return 0, false
	}
	for i := range p.Spec.Containers {
		if n, ok := named(&p.Spec.Containers[i]); ok {
			return n, nil
		}
	}
	for i := range p.Spec.InitContainers {
		c := &p.Spec.InitContainers[i]
		if c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways {
			continue
		}
		if n, ok := named(c); ok {
			return n, nil
		}
	}
	return 0, fmt.Errorf("pod %s/%s has no port %q", p.Namespace, p.Name, port.TargetPort.StrVal)
}

// EndpointHostname is the host name under which DNS shows a pod of a Service.
func EndpointHostname(p *corev1.Pod, s *corev1.Service) string {
	if p.Spec.Subdomain == s.Name && p.Namespace == s.Namespace {
		return p.Spec.Hostname
	}
	return ""
}

// EndpointRef names the pod behind an endpoint.
func EndpointRef(p *corev1.Pod) *corev1.ObjectReference {
	return &corev1.ObjectReference{Kind: "Pod", Namespace: p.Namespace, Name: p.Name, UID: p.UID}
}

// TriggerTime is the value of the last-change-trigger-time annotation: when the
// first of the changes happened that came after the time in the annotation so
// far. Empty: not known.
func TriggerTime(s *corev1.Service, pods []*corev1.Pod, last string) string {
	since, err := time.Parse(time.RFC3339Nano, last)
	known := err == nil
	var first time.Time
	consider := func(t time.Time) {
		if !t.IsZero() && (!known || t.After(since)) && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	for _, p := range pods {
		if p.DeletionTimestamp != nil {
			at := p.DeletionTimestamp.Time
			if g := p.DeletionGracePeriodSeconds; g != nil {
				at = at.Add(-time.Duration(*g) * time.Second)
			}
			consider(at)
		} else if c := PodCondition(p, corev1.PodReady); c != nil {
			consider(c.LastTransitionTime.Time)
		}
	}
	if first.IsZero() && !known {
		first = s.CreationTimestamp.Time
	}
	if first.IsZero() {
		return ""
	}
	return first.UTC().Format(time.RFC3339Nano)
}
