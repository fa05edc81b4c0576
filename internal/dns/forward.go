package dns

import (
	"net"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// forwarder asks other servers for names that are not the cluster's, and keeps
// their answers for a while.
type forwarder struct {
	fixed []string
	own   []string

	mu      sync.Mutex
	cache   map[cacheKey]cached
	servers []string
	read    time.Time
}

type cacheKey struct {
	name  string
	qtype uint16
}

type cached struct {
	msg *dns.Msg
	end time.Time
}

const (
	maxCache   = 4096
	maxCached  = 30 * time.Second
	askTimeout = 2 * time.Second
)

func newForwarder(upstreams, own []string) *forwarder {
	return &forwarder{fixed: upstreams, own: own, cache: map[cacheKey]cached{}}
}

// upstreams are the servers to ask: never ourselves.
func (f *forwarder) upstreams() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.servers != nil && (f.fixed != nil || time.Since(f.read) < 10*time.Second) {
		return f.servers
	}
	servers := f.fixed
	if servers == nil {
		if c, err := dns.ClientConfigFromFile("/etc/resolv.conf"); err == nil {
			for _, s := range c.Servers {
				servers = append(servers, net.JoinHostPort(s, c.Port))
			}
		}
	}
	f.servers = slices.DeleteFunc(slices.Clone(servers), func(s string) bool { return slices.Contains(f.own, s) })
	f.read = time.Now()
	return f.servers
}

// ask returns an upstream's answer under the query's id; nil when none answered.
func (f *forwarder) ask(q *dns.Msg) *dns.Msg {
	key := cacheKey{fold(q.Question[0].Name), q.Question[0].Qtype}
	now := time.Now()
	f.mu.Lock()
	c, ok := f.cache[key]
	f.mu.Unlock()
	if ok && now.Before(c.end) {
		m := c.msg.Copy()
		m.Id, m.Question = q.Id, q.Question
		return m
	}
	for _, server := range f.upstreams() {
		m, err := exchange(q, server)
		if err != nil || m.Rcode == dns.RcodeServerFailure {
			continue
		}
		f.keep(key, m, now)
		m.Id = q.Id
		return m
	}
	return nil
}

func exchange(q *dns.Msg, server string) (*dns.Msg, error) {
	out := q.Copy()
	out.Id = dns.Id()
	m, _, err := (&dns.Client{Net: "udp", Timeout: askTimeout}).Exchange(out, server)
	if err == nil && m.Truncated {
		m, _, err = (&dns.Client{Net: "tcp", Timeout: askTimeout}).Exchange(out, server)
	}
	return m, err
}

func (f *forwarder) keep(key cacheKey, m *dns.Msg, now time.Time) {
	life := maxCached
	for _, rr := range append(append([]dns.RR{}, m.Answer...), m.Ns...) {
		life = min(life, time.Duration(rr.Header().Ttl)*time.Second)
	}
	if life <= 0 || m.Truncated {
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
	f.cache[key] = cached{m.Copy(), now.Add(life)}
}
