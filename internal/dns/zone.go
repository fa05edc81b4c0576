package dns

import (
	"encoding/hex"
	"hash/fnv"
	"net"
	"net/netip"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// zone is what the cluster's names stand for.
type zone struct {
	suffix string // ".svc.cluster.local." and the like are below this: "cluster.local."

	mu         sync.RWMutex
	namespaces map[string]int      // how many Services there are
	services   map[string]*service // by "name.namespace"
	ptr        map[netip.Addr]string
}

// service is a Service as far as names go.
type service struct {
	name, namespace string
	ips             []netip.Addr // cluster addresses; none: headless
	external        string       // what it is an alias of
	ports           []port
	slices          map[string][]endpoint // by slice
	reverse         []netip.Addr          // what ptr holds for it
}

type port struct {
	name, protocol string
	number         uint16
}

// endpoint is an address behind a headless Service.
type endpoint struct {
	ip    netip.Addr
	host  string // the first label of its own name
	named bool   // the pod gave it a hostname
	ports []port
}

func newZone(domain string) *zone {
	return &zone{suffix: dns.Fqdn(fold(domain)), namespaces: map[string]int{}, services: map[string]*service{}, ptr: map[netip.Addr]string{}}
}

// put adds or replaces a Service; its slices stay.
func (z *zone) put(s *service) {
	z.mu.Lock()
	defer z.mu.Unlock()
	key := s.name + "." + s.namespace
	if old := z.services[key]; old != nil {
		s.slices = old.slices
		z.unreverse(old)
	} else {
		z.namespaces[s.namespace]++
	}
	if s.slices == nil {
		s.slices = map[string][]endpoint{}
	}
	z.services[key] = s
	z.reverse(s)
}

func (z *zone) drop(namespace, name string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	key := name + "." + namespace
	if old := z.services[key]; old != nil {
		z.unreverse(old)
		delete(z.services, key)
		if z.namespaces[namespace]--; z.namespaces[namespace] == 0 {
			delete(z.namespaces, namespace)
		}
	}
}

// putSlice sets the endpoints of one slice of a Service; nil removes it.
func (z *zone) putSlice(namespace, name, slice string, es []endpoint) {
	z.mu.Lock()
	defer z.mu.Unlock()
	s := z.services[name+"."+namespace]
	if s == nil {
		if es == nil {
			return
		}
		// The slice was told before its Service.
		s = &service{name: name, namespace: namespace, external: "", slices: map[string][]endpoint{}}
		z.services[name+"."+namespace] = s
		z.namespaces[namespace]++
	}
	z.unreverse(s)
	if es == nil {
		delete(s.slices, slice)
	} else {
		s.slices[slice] = es
	}
	z.reverse(s)
}

func (z *zone) reverse(s *service) {
	base := s.name + "." + s.namespace + ".svc." + z.suffix
	add := func(ip netip.Addr, name string) {
		z.ptr[ip] = name
		s.reverse = append(s.reverse, ip)
	}
	for _, ip := range s.ips {
		add(ip, base)
	}
	if len(s.ips) > 0 {
		return
	}
	for _, es := range s.slices {
		for _, e := range es {
			add(e.ip, e.host+"."+base)
		}
	}
}

func (z *zone) unreverse(s *service) {
	for _, ip := range s.reverse {
		delete(z.ptr, ip)
	}
	s.reverse = nil
}

func (z *zone) soa(string) dns.RR {
	return &dns.SOA{Hdr: dns.RR_Header{Name: z.suffix, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: ttl},
		Ns: "ns.dns." + z.suffix, Mbox: "hostmaster." + z.suffix, Serial: 1, Refresh: 7200, Retry: 1800, Expire: 86400, Minttl: ttl}
}

// answer fills in the answer to a question about the cluster. ok is false when the
// name is not ours; has is false when there is nothing of that type (or no such name: Rcode).
func (z *zone) answer(q dns.Question, m *dns.Msg) (has, ok bool) {
	name := fold(q.Name)
	if strings.HasSuffix(name, ".in-addr.arpa.") || strings.HasSuffix(name, ".ip6.arpa.") {
		return z.answerPTR(q, m)
	}
	if name == z.suffix {
		if q.Qtype == dns.TypeSOA {
			m.Answer = append(m.Answer, z.soa(q.Name))
			return true, true
		}
		return false, true
	}
	rest, below := strings.CutSuffix(name, "."+z.suffix)
	if !below {
		return false, false
	}
	labels := strings.Split(rest, ".")
	z.mu.RLock()
	defer z.mu.RUnlock()
	exists := false
	switch kind := labels[len(labels)-1]; {
	case rest == "dns-version":
		exists = true
		if q.Qtype == dns.TypeTXT {
			m.Answer = append(m.Answer, &dns.TXT{Hdr: z.head(q, dns.TypeTXT), Txt: []string{"1.1.0"}})
		}
	case kind == "svc":
		exists = z.answerService(labels[:len(labels)-1], q, m)
	case kind == "pod":
		exists = z.answerPod(labels[:len(labels)-1], q, m)
	case rest == "ns.dns":
		exists = true
	}
	if !exists {
		m.Rcode = dns.RcodeNameError
	}
	return len(m.Answer) > 0, true
}

func (z *zone) head(q dns.Question, t uint16) dns.RR_Header {
	return dns.RR_Header{Name: q.Name, Rrtype: t, Class: dns.ClassINET, Ttl: ttl}
}

// answerService answers below svc; it tells whether the name exists.
func (z *zone) answerService(labels []string, q dns.Question, m *dns.Msg) bool {
	n := len(labels)
	if n == 0 {
		return true
	}
	namespace := labels[n-1]
	if n == 1 {
		return z.namespaces[namespace] > 0
	}
	s := z.services[labels[n-2]+"."+namespace]
	if s == nil {
		return false
	}
	switch n {
	case 2:
		if s.external != "" {
			m.Answer = append(m.Answer, &dns.CNAME{Hdr: z.head(q, dns.TypeCNAME), Target: s.external})
			return true
		}
		z.addresses(s.addresses(), q, m)
		if q.Qtype == dns.TypeSRV {
			z.srv(s, q, m, func(port) bool { return true })
		}
		return true
	case 3:
		if strings.HasPrefix(labels[0], "_") {
			return true
		}
		var ips []netip.Addr
		for _, es := range s.slices {
			for _, e := range es {
				if len(s.ips) == 0 && e.host == labels[0] {
					ips = append(ips, e.ip)
				}
			}
		}
		z.addresses(ips, q, m)
		return len(ips) > 0
	case 4:
		wantPort, wantProtocol := strings.TrimPrefix(labels[0], "_"), strings.TrimPrefix(labels[1], "_")
		found := false
		match := func(p port) bool {
			hit := p.name == wantPort && p.protocol == wantProtocol
			found = found || hit
			return hit
		}
		for _, p := range s.allPorts() {
			match(p)
		}
		if found && q.Qtype == dns.TypeSRV {
			z.srv(s, q, m, match)
		}
		return found
	}
	return false
}

func (s *service) allPorts() []port {
	out := s.ports
	if len(s.ips) == 0 {
		for _, es := range s.slices {
			for _, e := range es {
				out = append(out[:len(out):len(out)], e.ports...)
			}
		}
	}
	return out
}

// addresses are the cluster addresses, or the endpoints of a headless Service.
func (s *service) addresses() []netip.Addr {
	if len(s.ips) > 0 {
		return s.ips
	}
	var out []netip.Addr
	seen := map[netip.Addr]bool{}
	for _, es := range s.slices {
		for _, e := range es {
			if !seen[e.ip] {
				seen[e.ip] = true
				out = append(out, e.ip)
			}
		}
	}
	return out
}

func (z *zone) addresses(ips []netip.Addr, q dns.Question, m *dns.Msg) {
	for _, ip := range ips {
		switch {
		case q.Qtype == dns.TypeA && ip.Is4():
			m.Answer = append(m.Answer, &dns.A{Hdr: z.head(q, dns.TypeA), A: net.IP(ip.AsSlice())})
		case q.Qtype == dns.TypeAAAA && ip.Is6():
			m.Answer = append(m.Answer, &dns.AAAA{Hdr: z.head(q, dns.TypeAAAA), AAAA: net.IP(ip.AsSlice())})
		}
	}
}

// srv answers with ports and the names that have the addresses, which come along.
func (z *zone) srv(s *service, q dns.Question, m *dns.Msg, want func(port) bool) {
	base := s.name + "." + s.namespace + ".svc." + z.suffix
	add := func(target string, p port, ip netip.Addr) {
		m.Answer = append(m.Answer, &dns.SRV{Hdr: z.head(q, dns.TypeSRV), Priority: 0, Weight: 100, Port: p.number, Target: target})
		if !ip.IsValid() {
			return
		}
		h := dns.RR_Header{Name: target, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: ttl}
		if ip.Is4() {
			m.Extra = append(m.Extra, &dns.A{Hdr: h, A: net.IP(ip.AsSlice())})
		} else {
			h.Rrtype = dns.TypeAAAA
			m.Extra = append(m.Extra, &dns.AAAA{Hdr: h, AAAA: net.IP(ip.AsSlice())})
		}
	}
	if len(s.ips) > 0 {
		for _, p := range s.ports {
			if want(p) {
				add(base, p, s.ips[0])
			}
		}
		return
	}
	for _, es := range s.slices {
		for _, e := range es {
			for _, p := range e.ports {
				if want(p) {
					add(e.host+"."+base, p, e.ip)
				}
			}
		}
	}
}

// answerPod answers names made of a pod's address: 10-1-2-3.namespace.pod.
func (z *zone) answerPod(labels []string, q dns.Question, m *dns.Msg) bool {
	switch len(labels) {
	case 0:
		return true
	case 1:
		return z.namespaces[labels[0]] > 0
	case 2:
		ip, err := netip.ParseAddr(strings.ReplaceAll(labels[0], "-", "."))
		if err != nil {
			if ip, err = netip.ParseAddr(strings.ReplaceAll(labels[0], "-", ":")); err != nil {
				return false
			}
		}
		z.addresses([]netip.Addr{ip}, q, m)
		return true
	}
	return false
}

func (z *zone) answerPTR(q dns.Question, m *dns.Msg) (has, ok bool) {
	ip, valid := reverseAddr(fold(q.Name))
	if !valid {
		return false, false
	}
	z.mu.RLock()
	name := z.ptr[ip]
	z.mu.RUnlock()
	if name == "" {
		return false, false // not ours: the network's own servers may know
	}
	if q.Qtype == dns.TypePTR {
		m.Answer = append(m.Answer, &dns.PTR{Hdr: z.head(q, dns.TypePTR), Ptr: name})
	}
	return len(m.Answer) > 0, true
}

// reverseAddr reads 4.3.2.1.in-addr.arpa. and the like.
func reverseAddr(name string) (netip.Addr, bool) {
	if rest, ok := strings.CutSuffix(name, ".in-addr.arpa."); ok {
		p := strings.Split(rest, ".")
		if len(p) != 4 {
			return netip.Addr{}, false
		}
		ip, err := netip.ParseAddr(p[3] + "." + p[2] + "." + p[1] + "." + p[0])
		return ip, err == nil
	}
	rest, _ := strings.CutSuffix(name, ".ip6.arpa.")
	p := strings.Split(rest, ".")
	if len(p) != 32 {
		return netip.Addr{}, false
	}
	var b [32]byte
	for i, d := range p {
		if len(d) != 1 {
			return netip.Addr{}, false
		}
		b[31-i] = d[0]
	}
	raw, err := hex.DecodeString(string(b[:]))
	if err != nil {
		return netip.Addr{}, false
	}
	return netip.AddrFrom16([16]byte(raw)), true
}

// hostLabel is the first label of an endpoint's own name when its pod gave none.
func hostLabel(ip netip.Addr) string {
	h := fnv.New32a()
	h.Write(ip.AsSlice())
	return hex.EncodeToString(h.Sum(nil))
}
