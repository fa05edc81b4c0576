package dns

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// forwarder asks other servers for names that are not the cluster's, and keeps
// their answers for a while.
type forwarder struct {
	fixed      []string // servers; none: those of resolvConf
	resolvConf string
	own        []string
	now        func() time.Time

	mu      sync.Mutex
	cache   map[cacheKey]cached
	servers []string
	read    time.Time
}

type cacheKey struct {
	name   string
	qtype  uint16
	do, cd bool
}

// cached is an answer: shared, so copied before it goes out.
type cached struct {
	msg      *dns.Msg
	at, ends time.Time
}

const (
	maxCache   = 4096
	maxCached  = 30 * time.Second
	askTimeout = 2 * time.Second
	// allTimeout is less than the five seconds after which clients ask again.
	allTimeout = 4500 * time.Millisecond
	// rereadAfter is how often resolv.conf is read.
	rereadAfter = 10 * time.Second
)

func newForwarder(upstreams, own []string) *forwarder {
	return &forwarder{fixed: upstreams, resolvConf: "/etc/resolv.conf", own: own, now: time.Now, cache: map[cacheKey]cached{}}
}

// upstreams are the servers to ask: never ourselves.
func (f *forwarder) upstreams() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.now(); f.read.IsZero() || len(f.fixed) == 0 && now.Sub(f.read) > rereadAfter {
		servers := f.fixed
		if len(servers) == 0 {
			// A host without the file has no upstreams: names of others are SERVFAIL.
			if c, err := dns.ClientConfigFromFile(f.resolvConf); err == nil {
				servers = c.Servers
			}
		}
		f.servers = nil
		for _, s := range servers {
			if s = withPort(s); !isOwn(s, f.own) && !slices.Contains(f.servers, s) {
				f.servers = append(f.servers, s)
			}
		}
		f.read = now
	}
	return f.servers
}

func withPort(server string) string {
	if _, _, err := net.SplitHostPort(server); err == nil {
		return server
	}
	return net.JoinHostPort(strings.Trim(server, "[]"), "53")
}

// isOwn tells whether a server is one of the addresses that we listen on: asking it would go in circles.
func isOwn(server string, own []string) bool {
	s, err := netip.ParseAddrPort(server)
	if err != nil {
		return slices.Contains(own, server)
	}
	for _, o := range own {
		a, err := netip.ParseAddrPort(o)
		if err != nil || a.Port() != s.Port() {
			continue
		}
		if a.Addr().Unmap() == s.Addr().Unmap() || a.Addr().IsUnspecified() && isLocal(s.Addr()) {
			return true
		}
	}
	return false
}

func isLocal(ip netip.Addr) bool {
	if ip.IsLoopback() || ip.IsUnspecified() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(addrs, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		return ok && n.IP.Equal(ip.AsSlice())
	})
}

// ask returns an upstream's answer, the caller's to change; nil when none answered.
func (f *forwarder) ask(q *dns.Msg) *dns.Msg {
	opt := q.IsEdns0()
	key := cacheKey{fold(q.Question[0].Name), q.Question[0].Qtype, opt != nil && opt.Do(), q.CheckingDisabled}
	if m := f.find(key); m != nil {
		return m
	}
	ctx, cancel := context.WithTimeout(context.Background(), allTimeout)
	defer cancel()
	var failure *dns.Msg
	// Twice: a packet may get lost.
	for range 2 {
		for _, server := range f.upstreams() {
			m, err := exchange(ctx, q, server)
			if err != nil {
				continue
			}
			if m.Rcode == dns.RcodeServerFailure || m.Rcode == dns.RcodeRefused || m.Rcode == dns.RcodeNotImplemented {
				failure = m
				continue
			}
			f.keep(key, m)
			return m
		}
		if failure != nil || ctx.Err() != nil {
			break
		}
	}
	return failure
}

func exchange(ctx context.Context, q *dns.Msg, server string) (*dns.Msg, error) {
	out := q.Copy()
	out.Id = dns.Id()
	out.RecursionDesired = true
	out.Extra = dropOPT(out.Extra)
	// The limit is ours towards the upstream, not our client's; its options are for us.
	opt := q.IsEdns0()
	out.SetEdns0(udpSize, opt != nil && opt.Do())
	m, _, err := (&dns.Client{Net: "udp", Timeout: askTimeout, UDPSize: udpSize}).ExchangeContext(ctx, out, server)
	if err == nil && m.Rcode == dns.RcodeFormatError && len(m.Question) <= 1 {
		// A server that knows no EDNS.
		out.Extra = dropOPT(out.Extra)
		m, _, err = (&dns.Client{Net: "udp", Timeout: askTimeout}).ExchangeContext(ctx, out, server)
	}
	if err == nil && m.Truncated {
		m, _, err = (&dns.Client{Net: "tcp", Timeout: askTimeout}).ExchangeContext(ctx, out, server)
	}
	if err != nil {
		return nil, err
	}
	if len(m.Question) != 1 || fold(m.Question[0].Name) != fold(q.Question[0].Name) || m.Question[0].Qtype != q.Question[0].Qtype {
		return nil, errors.New("an answer to another question")
	}
	return m, nil
}

// find returns a copy of a cached answer, its records older by the time that it was kept.
func (f *forwarder) find(k cacheKey) *dns.Msg {
	f.mu.Lock()
	c, ok := f.cache[k]
	f.mu.Unlock()
	now := f.now()
	if !ok || !now.Before(c.ends) {
		return nil
	}
	m := c.msg.Copy()
	age := uint32(now.Sub(c.at) / time.Second)
	for _, rrs := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range rrs {
			if h := rr.Header(); h.Rrtype != dns.TypeOPT {
				h.Ttl -= min(age, h.Ttl)
			}
		}
	}
	return m
}

// keep remembers an answer for as long as its records say, and not for long.
func (f *forwarder) keep(k cacheKey, m *dns.Msg) {
	if len(m.Answer)+len(m.Ns) == 0 {
		return // it does not say for how long
	}
	life := maxCached
	for _, rr := range slices.Concat(m.Answer, m.Ns) {
		life = min(life, time.Duration(rr.Header().Ttl)*time.Second)
		if soa, ok := rr.(*dns.SOA); ok {
			life = min(life, time.Duration(soa.Minttl)*time.Second)
		}
	}
	if life <= 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.cache) >= maxCache {
		for k := range f.cache { // any will do
			delete(f.cache, k)
			if len(f.cache) < maxCache/2 {
				break
			}
		}
	}
	now := f.now()
	f.cache[k] = cached{m.Copy(), now, now.Add(life)}
}
