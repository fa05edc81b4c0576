package dns

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// version is that of the specification of Kubernetes' DNS that is followed.
const version = "1.1.0"

// answer is what the zone says to a question.
type answer struct {
	exists  bool // the name does; otherwise NXDOMAIN
	records []dns.RR
	extra   []dns.RR
}

// ask answers a question. ok is false when the name is none of the cluster's.
func (z *zone) ask(q dns.Question) (a answer, ok bool) {
	name := fold(q.Name)
	z.mu.RLock()
	defer z.mu.RUnlock()
	if strings.HasSuffix(name, ".arpa.") {
		return z.askReverse(name, q)
	}
	if name == z.suffix {
		return z.askApex(q), true
	}
	rest, below := strings.CutSuffix(name, "."+z.suffix)
	if !below {
		return a, false
	}
	labels := strings.Split(rest, ".")
	last := len(labels) - 1
	switch {
	case rest == "dns-version":
		a.exists = true
		if q.Qtype == dns.TypeTXT {
			a.records = []dns.RR{&dns.TXT{Hdr: head(q.Name, dns.TypeTXT), Txt: []string{version}}}
		}
	case labels[last] == "svc":
		a = z.askService(labels[:last], q)
	case labels[last] == "pod":
		a = z.askPod(labels[:last], q)
	}
	return a, true
}

func (z *zone) askApex(q dns.Question) answer {
	a := answer{exists: true}
	if q.Qtype == dns.TypeSOA {
		a.records = []dns.RR{z.soa()}
	}
	return a
}

// soa tells how long to remember that something is not there.
func (z *zone) soa() dns.RR {
	return &dns.SOA{
		Hdr: head(z.suffix, dns.TypeSOA), Ns: "ns.dns." + z.suffix, Mbox: "hostmaster." + z.suffix,
		Serial: 1, Refresh: 7200, Retry: 1800, Expire: 86400, Minttl: ttl,
	}
}

// askService answers below svc: namespace, service, endpoint or _protocol, _port._protocol.
func (z *zone) askService(labels []string, q dns.Question) answer {
	n := len(labels)
	if n == 0 {
		return answer{exists: true}
	}
	namespace := labels[n-1]
	if n == 1 {
		return answer{exists: z.namespaces[namespace]}
	}
	k := key{namespace, labels[n-2]}
	s := z.services[k]
	if s == nil || !s.present {
		return answer{}
	}
	if s.external != "" {
		if n > 2 {
			return answer{}
		}
		return answer{exists: true, records: []dns.RR{&dns.CNAME{Hdr: head(q.Name, dns.TypeCNAME), Target: s.external}}}
	}
	switch n {
	case 2:
		a := answer{exists: true, records: addressRecords(q.Name, q.Qtype, s.addresses())}
		if q.Qtype == dns.TypeSRV {
			a.records, a.extra = z.srv(k, s, q.Name, func(port) bool { return true })
		}
		return a
	case 3:
		if protocol, ok := strings.CutPrefix(labels[0], "_"); ok {
			return answer{exists: s.hasPort(func(p port) bool { return p.protocol == protocol })}
		}
		return z.askEndpoint(s, labels[0], q)
	case 4:
		want := func(p port) bool {
			return p.name != "" && "_"+p.name == labels[0] && "_"+p.protocol == labels[1]
		}
		a := answer{exists: s.hasPort(want)}
		if a.exists && q.Qtype == dns.TypeSRV {
			a.records, a.extra = z.srv(k, s, q.Name, want)
		}
		return a
	}
	return answer{}
}

func (z *zone) askEndpoint(s *service, label string, q dns.Question) answer {
	ip, isIP := undashed(label)
	var ips []netip.Addr
	s.eachEndpoint(func(e endpoint, _ *slice) {
		if e.host == label || e.host == "" && isIP && e.ip == ip {
			ips = append(ips, e.ip)
		}
	})
	return answer{exists: len(ips) > 0, records: addressRecords(q.Name, q.Qtype, ips)}
}

// hasPort tells whether a Service has such a port: its own, or one of its endpoints when it is headless.
func (s *service) hasPort(want func(port) bool) bool {
	if slices.ContainsFunc(s.ports, want) {
		return true
	}
	if s.headless() {
		for _, sl := range s.slices {
			if len(sl.endpoints) > 0 && slices.ContainsFunc(sl.ports, want) {
				return true
			}
		}
	}
	return false
}

// srv answers with ports and the names that have the addresses, which come along.
func (z *zone) srv(k key, s *service, name string, want func(port) bool) (records, extra []dns.RR) {
	type at struct {
		target string
		port   uint16
	}
	seen := map[at]bool{}
	ips := map[string][]netip.Addr{}
	add := func(target string, ports []port, ip []netip.Addr) {
		for _, p := range ports {
			if want(p) {
				seen[at{target, p.number}] = true
				ips[target] = ip
			}
		}
	}
	base := z.base(k)
	if s.headless() {
		s.eachEndpoint(func(e endpoint, sl *slice) {
			target := e.label() + "." + base
			add(target, sl.ports, append(ips[target], e.ip))
		})
	} else {
		add(base, s.ports, s.ips)
	}
	for a := range seen {
		records = append(records, &dns.SRV{Hdr: head(name, dns.TypeSRV), Priority: 0, Weight: uint16(max(1, 100/len(seen))), Port: a.port, Target: a.target})
	}
	for target, ip := range ips {
		extra = append(extra, addressRecords(target, dns.TypeA, ip)...)
		extra = append(extra, addressRecords(target, dns.TypeAAAA, ip)...)
	}
	return records, extra
}

// askPod answers names made of a pod's address: 10-1-2-3.namespace.pod. Whether there is
// such a pod is not looked at.
func (z *zone) askPod(labels []string, q dns.Question) answer {
	n := len(labels)
	if n == 0 {
		return answer{exists: true}
	}
	if !z.namespaces[labels[n-1]] || n > 2 {
		return answer{}
	}
	if n == 1 {
		return answer{exists: true}
	}
	ip, ok := undashed(labels[0])
	if !ok {
		return answer{}
	}
	return answer{exists: true, records: addressRecords(q.Name, q.Qtype, []netip.Addr{ip})}
}

// askReverse answers for the addresses of Services and endpoints. Others may be known
// to the network's own servers.
func (z *zone) askReverse(name string, q dns.Question) (answer, bool) {
	ip, ok := reverseAddr(name)
	if !ok {
		return answer{}, false
	}
	names := slices.Compact(slices.Sorted(slices.Values(z.names[ip])))
	if len(names) == 0 {
		return answer{}, false
	}
	a := answer{exists: true}
	if q.Qtype == dns.TypePTR {
		for _, n := range names {
			a.records = append(a.records, &dns.PTR{Hdr: head(q.Name, dns.TypePTR), Ptr: n})
		}
	}
	return a, true
}

// reverseAddr reads 4.3.2.1.in-addr.arpa. and the like.
func reverseAddr(name string) (netip.Addr, bool) {
	if rest, ok := strings.CutSuffix(name, ".in-addr.arpa."); ok {
		labels := strings.Split(rest, ".")
		slices.Reverse(labels)
		ip, err := netip.ParseAddr(strings.Join(labels, "."))
		return ip, err == nil && ip.Is4()
	}
	rest, ok := strings.CutSuffix(name, ".ip6.arpa.")
	digits := strings.ReplaceAll(rest, ".", "")
	if !ok || len(digits) != 32 || len(rest) != 63 {
		return netip.Addr{}, false
	}
	b := []byte(digits)
	slices.Reverse(b)
	raw, err := hex.DecodeString(string(b))
	if err != nil {
		return netip.Addr{}, false
	}
	return netip.AddrFrom16([16]byte(raw)), true
}
