package dns

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// zone is what the cluster's names stand for.
type zone struct {
	suffix string // "cluster.local."

	mu         sync.RWMutex
	namespaces map[string]bool
	services   map[key]*service
	slices     map[key]*slice
	names      map[netip.Addr][]string // of service and endpoint addresses
}

// key names an object of a namespace.
type key struct{ namespace, name string }

// service is a Service as far as names go. One that only has slices is not there yet, or no more.
type service struct {
	present  bool
	ips      []netip.Addr // cluster addresses; none: headless
	external string       // what it is an alias of
	ports    []port
	slices   map[string]*slice
}

// slice is an EndpointSlice: the endpoints that are ready.
type slice struct {
	service   string
	endpoints []endpoint
	ports     []port
}

type port struct {
	name, protocol string
	number         uint16
}

// endpoint is an address behind a Service.
type endpoint struct {
	ip   netip.Addr
	host string // what its pod is called; may be empty
}

// label is the first label of the endpoint's own name.
func (e endpoint) label() string {
	if e.host != "" {
		return e.host
	}
	return dashed(e.ip)
}

// dashed writes an address as a label: 10-1-2-3.
func dashed(ip netip.Addr) string {
	s := strings.NewReplacer(".", "-", ":", "-").Replace(ip.String())
	// A label begins and ends with a letter or a digit.
	if strings.HasPrefix(s, "-") {
		s = "0" + s
	}
	if strings.HasSuffix(s, "-") {
		s += "0"
	}
	return s
}

// undashed reads an address that was written as a label.
func undashed(label string) (netip.Addr, bool) {
	ip, err := netip.ParseAddr(strings.ReplaceAll(label, "-", "."))
	if err != nil {
		ip, err = netip.ParseAddr(strings.ReplaceAll(label, "-", ":"))
	}
	return ip, err == nil && ip.Zone() == ""
}

func newZone(domain string) *zone {
	return &zone{
		suffix: dns.Fqdn(fold(domain)), namespaces: map[string]bool{},
		services: map[key]*service{}, slices: map[key]*slice{}, names: map[netip.Addr][]string{},
	}
}

func (z *zone) setNamespace(name string, there bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if there {
		z.namespaces[name] = true
	} else {
		delete(z.namespaces, name)
	}
}

// setService adds or replaces a Service, whose slices stay; nil removes it.
func (z *zone) setService(k key, s *service) {
	z.mu.Lock()
	defer z.mu.Unlock()
	old := z.services[k]
	if old != nil {
		z.unname(old.ips, z.base(k))
	}
	if s == nil {
		if old == nil {
			return
		}
		s = &service{}
	} else {
		s.present = true
	}
	if old != nil {
		s.slices = old.slices
	}
	z.services[k] = s
	for _, ip := range s.ips {
		z.names[ip] = append(z.names[ip], z.base(k))
	}
	z.forget(k, s)
}

// setSlice adds or replaces an EndpointSlice; nil removes it. It may come before its Service.
func (z *zone) setSlice(k key, n *slice) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if old := z.slices[k]; old != nil {
		sk := key{k.namespace, old.service}
		for _, e := range old.endpoints {
			z.unname([]netip.Addr{e.ip}, e.label()+"."+z.base(sk))
		}
		delete(z.slices, k)
		delete(z.services[sk].slices, k.name)
		z.forget(sk, z.services[sk])
	}
	if n == nil {
		return
	}
	z.slices[k] = n
	sk := key{k.namespace, n.service}
	s := z.services[sk]
	if s == nil {
		s = &service{}
		z.services[sk] = s
	}
	if s.slices == nil {
		s.slices = map[string]*slice{}
	}
	s.slices[k.name] = n
	for _, e := range n.endpoints {
		z.names[e.ip] = append(z.names[e.ip], e.label()+"."+z.base(sk))
	}
}

// forget drops a Service that nothing is left of.
func (z *zone) forget(k key, s *service) {
	if !s.present && len(s.slices) == 0 {
		delete(z.services, k)
	}
}

// unname takes one mention of a name from each address.
func (z *zone) unname(ips []netip.Addr, name string) {
	for _, ip := range ips {
		names := z.names[ip]
		if i := slices.Index(names, name); i >= 0 {
			names = slices.Delete(slices.Clone(names), i, i+1)
		}
		if len(names) == 0 {
			delete(z.names, ip)
		} else {
			z.names[ip] = names
		}
	}
}

// base is the name of a Service.
func (z *zone) base(k key) string { return k.name + "." + k.namespace + ".svc." + z.suffix }

// eachEndpoint calls f for the endpoints of all slices.
func (s *service) eachEndpoint(f func(endpoint, *slice)) {
	for _, sl := range s.slices {
		for _, e := range sl.endpoints {
			f(e, sl)
		}
	}
}

func (s *service) headless() bool { return len(s.ips) == 0 && s.external == "" }

// addresses are the cluster addresses, or the endpoints of a headless Service.
func (s *service) addresses() []netip.Addr {
	if !s.headless() {
		return s.ips
	}
	var out []netip.Addr
	s.eachEndpoint(func(e endpoint, _ *slice) { out = append(out, e.ip) })
	return out
}

// addressRecords are the A or AAAA records of addresses, each once, in an order that
// changes from time to time: many clients only ever try the first.
func addressRecords(name string, qtype uint16, ips []netip.Addr) []dns.RR {
	seen := make(map[netip.Addr]bool, len(ips))
	var out []dns.RR
	for _, ip := range ips {
		if seen[ip] || ip.Is4() != (qtype == dns.TypeA) {
			continue
		}
		seen[ip] = true
		h := head(name, qtype)
		if qtype == dns.TypeA {
			out = append(out, &dns.A{Hdr: h, A: net.IP(ip.AsSlice())})
		} else if qtype == dns.TypeAAAA {
			out = append(out, &dns.AAAA{Hdr: h, AAAA: net.IP(ip.AsSlice())})
		}
	}
	rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func head(name string, rrtype uint16) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: rrtype, Class: dns.ClassINET, Ttl: ttl}
}
