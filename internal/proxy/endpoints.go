package proxy

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// Node is what the proxy must know of the node that it programs.
type Node struct {
	Name string
	Zone string
	IPs  []netip.Addr
}

// endpoints are the slices of one Service by name.
type endpoints map[string]*discoveryv1.EndpointSlice

// backends are the endpoints of one port that take connections.
type backends struct {
	cluster []netip.AddrPort // from anywhere
	local   []netip.AddrPort // those on this node
	isLocal map[netip.AddrPort]bool
	// localReady counts those on this node that do not end.
	localReady int
}

type endpoint struct {
	at                        netip.AddrPort
	ready, terminating, local bool // terminating: still serving
	forNodes, forZones        []string
}

// choose picks the backends of a port: those that are ready, or if none is, those that end but
// still serve; for the cluster and for the node each on its own.
func (es endpoints) choose(node Node, port *corev1.ServicePort, v4 bool) backends {
	all := es.of(node, port, v4)
	b := backends{isLocal: map[netip.AddrPort]bool{}}
	var ready []endpoint
	for _, e := range all {
		if e.local {
			b.isLocal[e.at] = true
		}
		if e.ready {
			ready = append(ready, e)
		}
	}
	for _, e := range nearby(node, ready) {
		b.cluster = append(b.cluster, e.at)
	}
	if len(ready) == 0 {
		b.cluster = pick(all, func(e endpoint) bool { return e.terminating })
	}
	b.local = pick(all, func(e endpoint) bool { return e.local && e.ready })
	b.localReady = len(b.local)
	if len(b.local) == 0 {
		b.local = pick(all, func(e endpoint) bool { return e.local && e.terminating })
	}
	b.cluster, b.local = distinct(b.cluster), distinct(b.local)
	return b
}

// of returns the endpoints that a port of the Service means: the slices name it
// as the Service does.
func (es endpoints) of(node Node, port *corev1.ServicePort, v4 bool) []endpoint {
	family := discoveryv1.AddressTypeIPv6
	if v4 {
		family = discoveryv1.AddressTypeIPv4
	}
	var out []endpoint
	for _, s := range es {
		if s.AddressType != family {
			continue
		}
		number, ok := portNumber(s, port)
		if !ok {
			continue
		}
		for i := range s.Endpoints {
			if e, ok := makeEndpoint(node, &s.Endpoints[i], number); ok {
				out = append(out, e)
			}
		}
	}
	return out
}

func portNumber(s *discoveryv1.EndpointSlice, port *corev1.ServicePort) (uint16, bool) {
	for _, p := range s.Ports {
		name, proto := "", corev1.ProtocolTCP
		if p.Name != nil {
			name = *p.Name
		}
		if p.Protocol != nil {
			proto = *p.Protocol
		}
		want := port.Protocol
		if want == "" {
			want = corev1.ProtocolTCP
		}
		if name == port.Name && proto == want && p.Port != nil && *p.Port > 0 {
			return uint16(*p.Port), true
		}
	}
	return 0, false
}

func makeEndpoint(node Node, e *discoveryv1.Endpoint, port uint16) (endpoint, bool) {
	if len(e.Addresses) == 0 {
		return endpoint{}, false
	}
	// One address has meaning; more were never defined.
	a, err := netip.ParseAddr(e.Addresses[0])
	if err != nil {
		return endpoint{}, false
	}
	ready := e.Conditions.Ready == nil || *e.Conditions.Ready
	serving := ready
	if e.Conditions.Serving != nil {
		serving = *e.Conditions.Serving
	}
	ending := e.Conditions.Terminating != nil && *e.Conditions.Terminating
	out := endpoint{at: netip.AddrPortFrom(a, port), ready: ready, terminating: serving && ending}
	if e.NodeName != nil {
		out.local = *e.NodeName == node.Name
	} else {
		out.local = slices.Contains(node.IPs, a)
	}
	if e.Hints != nil {
		for _, n := range e.Hints.ForNodes {
			out.forNodes = append(out.forNodes, n.Name)
		}
		for _, z := range e.Hints.ForZones {
			out.forZones = append(out.forZones, z.Name)
		}
	}
	return out, true
}

// nearby follows the hints of the endpoints for this node, else for its zone.
// Hints count only when every endpoint has them and one names us: otherwise
// they are about to change, and following half of them would overload somebody.
func nearby(node Node, ready []endpoint) []endpoint {
	if out := hinted(ready, node.Name, func(e endpoint) []string { return e.forNodes }); len(out) > 0 {
		return out
	}
	if out := hinted(ready, node.Zone, func(e endpoint) []string { return e.forZones }); len(out) > 0 {
		return out
	}
	return ready
}

func hinted(all []endpoint, name string, hints func(endpoint) []string) []endpoint {
	var out []endpoint
	for _, e := range all {
		h := hints(e)
		if len(h) == 0 || name == "" {
			return nil
		}
		if slices.Contains(h, name) {
			out = append(out, e)
		}
	}
	return out
}

func pick(all []endpoint, want func(endpoint) bool) []netip.AddrPort {
	var out []netip.AddrPort
	for _, e := range all {
		if want(e) {
			out = append(out, e.at)
		}
	}
	return out
}

// distinct sorts and drops doubles: two slices may have one endpoint while it moves.
func distinct[T interface {
	comparable
	Compare(T) int
}](list []T) []T {
	slices.SortFunc(list, func(a, b T) int { return a.Compare(b) })
	return slices.Compact(list)
}
