package proxy

import (
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/proxy/nft"
)

// rule is what one frontend does.
type rule struct {
	mode    nft.Mode
	refusal nft.Kind // KindReject or KindDrop when there are no backends
	to      []netip.AddrPort
	sources []netip.Prefix // who may use it; nil: everybody
	slots   []netip.AddrPort
}

// program is all that one Service asks of the data path.
type program struct {
	rules      map[nft.Frontend]*rule
	clusterIPs []netip.Addr
	hairpin    []netip.Addr // local backends, without doubles
}

// unspecified is the address of node ports in each family.
func unspecified(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// compile turns a Service and its endpoints into a program.
func compile(node Node, svc *corev1.Service, eps endpoints) program {
	p := program{rules: map[nft.Frontend]*rule{}}
	if !proxied(svc) {
		return p
	}
	ips := clusterIPs(svc)
	p.clusterIPs = ips
	for i := range svc.Spec.Ports {
		port := &svc.Spec.Ports[i]
		proto, ok := protocol(port.Protocol)
		if !ok {
			continue
		}
		for _, ip := range ips {
			b := eps.choose(node, port, ip.Is4())
			p.addPort(node, svc, port, proto, ip, b)
			for _, e := range b.cluster {
				if b.isLocal[e] {
					p.hairpin = append(p.hairpin, e.Addr())
				}
			}
			for _, e := range b.local {
				p.hairpin = append(p.hairpin, e.Addr())
			}
		}
	}
	p.hairpin = distinct(p.hairpin)
	for _, r := range p.rules {
		if len(r.to) > 0 {
			r.slots = assign(r.to, nft.Classes[classFor(len(r.to))])
		}
	}
	return p
}

// addPort adds the frontends of one port in one address family.
func (p *program) addPort(node Node, svc *corev1.Service, port *corev1.ServicePort, proto uint8, ip netip.Addr, b backends) {
	seconds := affinitySeconds(svc)
	refusal := refusalFor(b)
	inside := rule{mode: nft.MasqueradeOutside.Affine(seconds), to: b.cluster, refusal: refusal}

	internal := inside
	if p := svc.Spec.InternalTrafficPolicy; p != nil && *p == corev1.ServiceInternalTrafficPolicyLocal {
		internal.to = b.local
	}
	p.add(nft.Frontend{Addr: ip, Port: uint16(port.Port), Proto: proto}, internal)

	external := rule{mode: nft.MasqueradeAlways.Affine(seconds), to: b.cluster, refusal: refusal}
	local := svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
	if local {
		// The client's address stays: the backend is here, and so is the way back.
		external.mode, external.to = nft.Mode(0).Affine(seconds), b.local
	}
	addExternal := func(f nft.Frontend, sources []netip.Prefix) {
		r := external
		r.sources = sources
		p.add(f, r)
		if local && len(inside.to) > 0 {
			// Pods and the node itself are not the outside, and reach every backend.
			f.Inside = true
			p.add(f, inside)
		}
	}
	if port.NodePort != 0 && svc.Spec.Type != corev1.ServiceTypeClusterIP {
		addExternal(nft.Frontend{Addr: unspecified(ip), Port: uint16(port.NodePort), Proto: proto}, nil)
	}
	for _, s := range svc.Spec.ExternalIPs {
		if a, err := netip.ParseAddr(s); err == nil && a.Is4() == ip.Is4() {
			addExternal(nft.Frontend{Addr: a, Port: uint16(port.Port), Proto: proto}, nil)
		}
	}
	if svc.Spec.Type == corev1.ServiceTypeLoadBalancer {
		for _, a := range ingressIPs(svc) {
			if a.Is4() == ip.Is4() {
				addExternal(nft.Frontend{Addr: a, Port: uint16(port.Port), Proto: proto}, sourceRanges(node, svc, a))
			}
		}
	}
}

// add keeps the first of two rules for one frontend.
func (p *program) add(f nft.Frontend, r rule) {
	if _, ok := p.rules[f]; !ok {
		p.rules[f] = &r
	}
}

// refusalFor tells what a frontend without backends does: it says no when there is nobody at
// all, and stays silent when there is somebody elsewhere.
func refusalFor(b backends) nft.Kind {
	if len(b.cluster) == 0 {
		return nft.KindReject
	}
	return nft.KindDrop
}

// proxied tells if a Service has anything for the data path.
func proxied(svc *corev1.Service) bool {
	if svc.Spec.Type == corev1.ServiceTypeExternalName || svc.Spec.ClusterIP == corev1.ClusterIPNone || svc.Spec.ClusterIP == "" {
		return false
	}
	// The label hands the Service to another proxy.
	_, other := svc.Labels["service.kubernetes.io/service-proxy-name"]
	return !other
}

func clusterIPs(svc *corev1.Service) []netip.Addr {
	all := svc.Spec.ClusterIPs
	if len(all) == 0 {
		all = []string{svc.Spec.ClusterIP}
	}
	var out []netip.Addr
	for _, s := range all {
		if a, err := netip.ParseAddr(s); err == nil {
			out = append(out, a)
		}
	}
	return out
}

func ingressIPs(svc *corev1.Service) []netip.Addr {
	var out []netip.Addr
	for _, in := range svc.Status.LoadBalancer.Ingress {
		if in.IPMode != nil && *in.IPMode == corev1.LoadBalancerIPModeProxy {
			continue // the balancer wants to see all the traffic
		}
		if a, err := netip.ParseAddr(in.IP); err == nil {
			out = append(out, a)
		}
	}
	return out
}

// sourceRanges returns the prefixes that may use an address of the load balancer; nil means
// all. The list must not overlap itself: a covered prefix is left out.
func sourceRanges(node Node, svc *corev1.Service, to netip.Addr) []netip.Prefix {
	if len(svc.Spec.LoadBalancerSourceRanges) == 0 {
		return nil
	}
	out := []netip.Prefix{}
	for _, s := range svc.Spec.LoadBalancerSourceRanges {
		p, err := netip.ParsePrefix(strings.TrimSpace(s))
		if err != nil || p.Addr().Is4() != to.Is4() {
			continue
		}
		out = append(out, p.Masked())
		if slices.ContainsFunc(node.IPs, p.Contains) {
			// Where the balancer's address is one of the node's own, the node's requests come from it.
			out = append(out, netip.PrefixFrom(to, to.BitLen()))
		}
	}
	return uncovered(out)
}

func affinitySeconds(svc *corev1.Service) uint32 {
	if svc.Spec.SessionAffinity != corev1.ServiceAffinityClientIP {
		return 0
	}
	if c := svc.Spec.SessionAffinityConfig; c != nil && c.ClientIP != nil && c.ClientIP.TimeoutSeconds != nil {
		return uint32(*c.ClientIP.TimeoutSeconds)
	}
	return uint32(corev1.DefaultClientIPServiceAffinitySeconds)
}

func protocol(p corev1.Protocol) (uint8, bool) {
	switch p {
	case corev1.ProtocolTCP, "":
		return nft.TCP, true
	case corev1.ProtocolUDP:
		return nft.UDP, true
	case corev1.ProtocolSCTP:
		return nft.SCTP, true
	}
	return 0, false
}

func uncovered(ps []netip.Prefix) []netip.Prefix {
	out := ps[:0:0]
	for i, p := range ps {
		covered := false
		for j, q := range ps {
			if i != j && q.Bits() <= p.Bits() && q.Contains(p.Addr()) && (q != p || j < i) {
				covered = true
			}
		}
		if !covered {
			out = append(out, p)
		}
	}
	return out
}
