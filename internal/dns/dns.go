// Package dns answers for the names of the cluster, from Services and
// EndpointSlices, and forwards all other names.
//
// What is kept is trimmed to what answers need (zone.go) and follows the API by
// watches (follow.go); a query reads it under a lock that is held for microseconds. forward.go
// asks upstream servers.
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
	Upstreams []string // servers for other names; none: those of /etc/resolv.conf
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

// ttl is that of all cluster names, in seconds: endpoints come and go.
const ttl = 5

// Run answers until the context ends.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	synced := make(chan struct{})
	errs := make(chan error, 2*len(s.Listen)+2)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.follow(ctx, synced); err != nil && ctx.Err() == nil {
			errs <- err
		}
	})
	select {
	case <-synced: // an answer before that could be a wrong "no"
	case <-ctx.Done():
	}
	for _, addr := range s.Listen {
		servers, err := s.listen(ctx, addr)
		if err != nil {
			cancel()
			wg.Wait()
			return err
		}
		for _, srv := range servers {
			wg.Go(func() {
				if err := srv.ActivateAndServe(); err != nil && ctx.Err() == nil {
					errs <- err
				}
			})
			defer context.AfterFunc(ctx, func() { srv.Shutdown() })()
		}
	}
	var err error
	select {
	case err = <-errs:
	case <-ctx.Done():
	}
	cancel()
	wg.Wait()
	return err
}

// listen opens an address for UDP and TCP, also one that the host gets only later.
func (s *Server) listen(ctx context.Context, addr string) ([]*dns.Server, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		cerr := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_FREEBIND, 1) })
		return errors.Join(cerr, err)
	}}
	p, err := lc.ListenPacket(ctx, "udp", addr)
	if err != nil {
		return nil, err
	}
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		p.Close()
		return nil, err
	}
	return []*dns.Server{{PacketConn: p, Handler: s}, {Listener: l, Handler: s}}, nil
}

// ServeDNS answers one query.
func (s *Server) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	_, tcp := w.RemoteAddr().(*net.TCPAddr)
	a := s.answer(q, tcp)
	if a != nil {
		w.WriteMsg(a)
	}
}

// answer makes the answer to a query; nil for what is no query.
func (s *Server) answer(q *dns.Msg, tcp bool) *dns.Msg {
	if q.Response {
		return nil
	}
	m := new(dns.Msg)
	m.SetReply(q)
	m.RecursionAvailable = true
	if q.Opcode != dns.OpcodeQuery || len(q.Question) != 1 {
		m.Rcode = dns.RcodeNotImplemented
		if q.Opcode == dns.OpcodeQuery {
			m.Rcode = dns.RcodeFormatError
		}
		return m
	}
	question := q.Question[0]
	if question.Qclass != dns.ClassINET {
		m.Rcode = dns.RcodeRefused
		return m
	}
	if mine, ok := s.zone.answer(question, m); ok {
		m.Authoritative = true
		if !mine {
			m.Ns = []dns.RR{s.zone.soa(question.Name)}
		}
		s.chase(m, question)
	} else if f := s.forward.ask(q); f != nil {
		m = f
	} else {
		m.Rcode = dns.RcodeServerFailure
	}
	size := dns.MinMsgSize
	if o := q.IsEdns0(); o != nil {
		size = max(int(o.UDPSize()), dns.MinMsgSize)
		if m.IsEdns0() == nil {
			m.SetEdns0(1232, false)
		}
	}
	if tcp {
		size = dns.MaxMsgSize
	}
	m.Truncate(size)
	return m
}

// chase adds what an alias leads to.
func (s *Server) chase(m *dns.Msg, q dns.Question) {
	if len(m.Answer) != 1 || q.Qtype == dns.TypeCNAME {
		return
	}
	alias, ok := m.Answer[0].(*dns.CNAME)
	if !ok {
		return
	}
	next := new(dns.Msg)
	next.SetQuestion(alias.Target, q.Qtype)
	more := new(dns.Msg)
	if _, ok := s.zone.answer(next.Question[0], more); ok {
		m.Answer = append(m.Answer, more.Answer...)
	} else if f := s.forward.ask(next); f != nil {
		m.Answer = append(m.Answer, f.Answer...)
	}
}

// fold makes names comparable: DNS does not tell cases apart.
func fold(name string) string { return strings.ToLower(name) }
