// Package dns answers for the names of the cluster, from Services and
// EndpointSlices, and forwards all other names.
//
// What is kept is trimmed to what answers need (zone.go) and follows the API by
// watches (follow.go); a query reads it under a lock that is held for microseconds (answer.go).
// forward.go asks upstream servers.
//
// Invariants: nothing is answered before the first full state is known, since a wrong "no such
// name" is remembered by clients; when the API is away, the last state is answered.
package dns

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"syscall"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/skiff-k8s/skiff/internal/client"
)

// Options are what a Server is made of.
type Options struct {
	Client    client.Client
	Domain    string   // "cluster.local"
	Listen    []string // addresses for UDP and TCP; they need not exist on the host yet
	Upstreams []string // servers for other names, with or without port; none: those of /etc/resolv.conf
	Log       *slog.Logger
}

// Server is the cluster's DNS server.
type Server struct {
	Options
	zone    *zone
	forward *forwarder
}

// New returns a server; Run starts it.
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{Options: o, zone: newZone(o.Domain), forward: newForwarder(o.Upstreams, o.Listen)}
}

const (
	// ttl is that of all cluster names, in seconds: endpoints come and go.
	ttl = 5
	// udpSize is what we take by UDP; more would be cut into fragments on some networks.
	udpSize = 1232
	// maxAliases is how many aliases are followed for one answer.
	maxAliases = 8
)

// Run answers until the context ends.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	synced := make(chan struct{})
	wg.Go(func() { s.follow(ctx, synced) })
	select {
	case <-synced:
	case <-ctx.Done():
		return nil
	}
	errs := make(chan error, 2*len(s.Listen))
	for _, addr := range s.Listen {
		p, l, err := listen(ctx, addr)
		if ctx.Err() != nil && err != nil {
			return nil
		}
		if err != nil {
			return err
		}
		context.AfterFunc(ctx, func() { p.Close(); l.Close() })
		for _, srv := range []*dns.Server{{PacketConn: p, Handler: s, UDPSize: udpSize}, {Listener: l, Handler: s}} {
			wg.Go(func() { errs <- srv.ActivateAndServe() })
		}
	}
	select {
	case err := <-errs:
		if ctx.Err() != nil {
			return nil
		}
		return err
	case <-ctx.Done():
		return nil
	}
}

// listen opens an address for UDP and TCP, also one that the host gets only later.
func listen(ctx context.Context, addr string) (net.PacketConn, net.Listener, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		cerr := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_FREEBIND, 1) })
		return errors.Join(cerr, err)
	}}
	p, err := lc.ListenPacket(ctx, "udp", addr)
	if err != nil {
		return nil, nil, err
	}
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		p.Close()
		return nil, nil, err
	}
	return p, l, nil
}

// ServeDNS answers one query.
func (s *Server) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	_, tcp := w.RemoteAddr().(*net.TCPAddr)
	if m := s.reply(q, tcp); m != nil {
		w.WriteMsg(m) // who asked may be gone: nothing is to be done about it
	}
}

// reply makes the reply to a query; nil for what is none.
func (s *Server) reply(q *dns.Msg, tcp bool) *dns.Msg {
	if q.Response {
		return nil
	}
	opt := q.IsEdns0()
	m := s.resolve(q, opt)
	m.Compress = true
	size := dns.MinMsgSize
	m.Extra = dropOPT(m.Extra) // an upstream's, that speaks of its own limits
	if opt != nil {
		m.SetEdns0(udpSize, opt.Do())
		size = max(int(opt.UDPSize()), dns.MinMsgSize)
	}
	if tcp {
		size = dns.MaxMsgSize
	}
	m.Truncate(size)
	return m
}

func (s *Server) resolve(q *dns.Msg, opt *dns.OPT) *dns.Msg {
	m := new(dns.Msg)
	m.SetReply(q)
	m.RecursionAvailable = true
	switch {
	case q.Opcode != dns.OpcodeQuery:
		m.Rcode = dns.RcodeNotImplemented
	case len(q.Question) != 1:
		m.Rcode = dns.RcodeFormatError
	case opt != nil && opt.Version() != 0:
		m.Rcode = dns.RcodeBadVers
	case q.Question[0].Qclass != dns.ClassINET, q.Question[0].Qtype == dns.TypeAXFR, q.Question[0].Qtype == dns.TypeIXFR:
		m.Rcode = dns.RcodeRefused
	default:
		if !s.resolveHere(m, q.Question[0]) {
			return s.resolveElsewhere(m, q)
		}
	}
	return m
}

// resolveHere answers for the cluster's names, and tells whether it did.
func (s *Server) resolveHere(m *dns.Msg, q dns.Question) bool {
	for n := 0; ; n++ {
		a, ok := s.zone.ask(q)
		if !ok {
			if n == 0 {
				return false
			}
			s.followAlias(m, q)
			return true
		}
		m.Authoritative = true
		m.Answer = append(m.Answer, a.records...)
		m.Extra = append(m.Extra, a.extra...)
		if len(a.records) == 0 {
			m.Ns = []dns.RR{s.zone.soa()}
			if !a.exists {
				m.Rcode = dns.RcodeNameError
			}
			return true
		}
		alias, ok := a.records[0].(*dns.CNAME)
		if !ok || q.Qtype == dns.TypeCNAME {
			return true
		}
		if n == maxAliases {
			m.Rcode, m.Answer = dns.RcodeServerFailure, nil // they go in circles
			return true
		}
		q.Name = alias.Target
	}
}

// followAlias adds what others say of the name that an alias leads to.
func (s *Server) followAlias(m *dns.Msg, q dns.Question) {
	next := new(dns.Msg)
	next.SetQuestion(q.Name, q.Qtype)
	next.SetEdns0(udpSize, false)
	f := s.forward.ask(next)
	if f == nil {
		m.Rcode = dns.RcodeServerFailure
		return
	}
	m.Answer = append(m.Answer, f.Answer...)
	m.Ns, m.Rcode = f.Ns, f.Rcode
}

// resolveElsewhere forwards a query.
func (s *Server) resolveElsewhere(m, q *dns.Msg) *dns.Msg {
	f := s.forward.ask(q)
	if f == nil {
		m.Rcode = dns.RcodeServerFailure
		return m
	}
	f.Id, f.Question, f.RecursionAvailable = q.Id, q.Question, true
	f.RecursionDesired = q.RecursionDesired
	f.Truncated = false
	return f
}

func dropOPT(rrs []dns.RR) []dns.RR {
	var out []dns.RR
	for _, rr := range rrs {
		if rr.Header().Rrtype != dns.TypeOPT {
			out = append(out, rr)
		}
	}
	return out
}

// fold makes names comparable: DNS does not tell cases apart.
func fold(name string) string { return strings.ToLower(name) }
