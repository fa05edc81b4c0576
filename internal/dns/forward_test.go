package dns

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/skiff-k8s/skiff/internal/client/clienttest"
)

// server is an upstream on loopback, by UDP.
type server struct {
	addr  string
	asked atomic.Int32
}

// upstream answers with what f says; nil is NXDOMAIN.
func upstream(t *testing.T, f func(dns.Question) []dns.RR) *server {
	t.Helper()
	return upstreamWith(t, func(q *dns.Msg) *dns.Msg {
		m := new(dns.Msg).SetReply(q)
		m.Answer = f(q.Question[0])
		if m.Answer == nil {
			m.Rcode = dns.RcodeNameError
		}
		return m
	})
}

func upstreamWith(t *testing.T, f func(*dns.Msg) *dns.Msg) *server {
	t.Helper()
	p, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{addr: p.LocalAddr().String()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		dns.ActivateAndServe(nil, p, dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			s.asked.Add(1)
			if m := f(q); m != nil {
				w.WriteMsg(m)
			}
		}))
	}()
	t.Cleanup(func() { p.Close(); <-done })
	return s
}

func records(t *testing.T, lines ...string) []dns.RR {
	t.Helper()
	var out []dns.RR
	for _, l := range lines {
		rr, err := dns.NewRR(l)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, rr)
	}
	return out
}

func forwardTo(addrs ...string) *Server {
	return New(Options{Client: clienttest.New(), Domain: "cluster.local", Upstreams: addrs})
}

func TestForwardKeepsAnswersForTheirTime(t *testing.T) {
	up := upstream(t, func(q dns.Question) []dns.RR { return records(t, q.Name+" 20 IN A 192.0.2.3") })
	s := forwardTo(up.addr)
	now := time.Unix(1000, 0)
	s.forward.now = func() time.Time { return now }
	ask := func(name string) *dns.Msg { return s.reply(new(dns.Msg).SetQuestion(name, dns.TypeA), false) }
	first := ask("example.com.")
	now = now.Add(15 * time.Second)
	second := ask("Example.COM.")
	if up.asked.Load() != 1 || len(second.Answer) != 1 || second.Question[0].Name != "Example.COM." || first.Id == second.Id {
		t.Errorf("asked %d times; %v", up.asked.Load(), second)
	}
	if a, b := first.Answer[0].Header().Ttl, second.Answer[0].Header().Ttl; a != 20 || b != 5 {
		t.Errorf("TTLs %d, %d; want 20, 5", a, b)
	}
	now = now.Add(5 * time.Second)
	if ask("example.com."); up.asked.Load() != 2 {
		t.Errorf("asked %d times after the TTL", up.asked.Load())
	}
	for i := range maxCache + 10 {
		s.forward.keep(cacheKey{qtype: uint16(i)}, first)
	}
	if n := len(s.forward.cache); n > maxCache {
		t.Errorf("%d answers are kept", n)
	}
}

func TestForwardAsksTheNextServer(t *testing.T) {
	refuses := upstreamWith(t, func(q *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(q, dns.RcodeRefused) })
	other := upstreamWith(t, func(q *dns.Msg) *dns.Msg {
		return new(dns.Msg).SetReply(new(dns.Msg).SetQuestion("other.example.", dns.TypeA))
	})
	good := upstream(t, func(q dns.Question) []dns.RR { return records(t, q.Name+" 20 IN A 192.0.2.3") })
	// Who talks to one peer only is nobody to others, and keeps the port.
	taken, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2), Port: 9})
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	closed := taken.LocalAddr().String()

	q := new(dns.Msg).SetQuestion("example.com.", dns.TypeA)
	if m := forwardTo(closed, refuses.addr, other.addr, good.addr).reply(q, false); m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1 || m.Id != q.Id {
		t.Errorf("%v", m)
	}
	if m := forwardTo(closed).reply(q, false); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("without a server: %v", m)
	}
	if m := forwardTo(refuses.addr).reply(q, false); m.Rcode != dns.RcodeRefused || m.Id != q.Id {
		t.Errorf("refused: %v", m)
	}
}

func TestUpstreams(t *testing.T) {
	file := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(file, []byte("search x\nnameserver 10.44.0.1\nnameserver 192.0.2.1\nnameserver 127.0.0.53\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ fixed, own, want string }{
		{"", "10.44.0.1:53", "192.0.2.1:53 127.0.0.53:53"},
		{"", "0.0.0.0:53", "10.44.0.1:53 192.0.2.1:53"},
		{"8.8.8.8 8.8.8.8:53 9.9.9.9:5353 2001:db8::1 [2001:db8::2]:54", "10.44.0.1:53", "8.8.8.8:53 9.9.9.9:5353 [2001:db8::1]:53 [2001:db8::2]:54"},
		{"10.44.0.1", "10.44.0.1:5353", "10.44.0.1:53"},
	} {
		f := newForwarder(strings.Fields(c.fixed), []string{c.own})
		f.resolvConf = file
		if got := strings.Join(f.upstreams(), " "); got != c.want {
			t.Errorf("%q listening on %s: %s; want %s", c.fixed, c.own, got, c.want)
		}
	}
}

func TestMalformedQueries(t *testing.T) {
	s := forwardTo("127.0.0.1:1")
	q := func(f func(*dns.Msg)) *dns.Msg {
		m := new(dns.Msg).SetQuestion("x.cluster.local.", dns.TypeA)
		f(m)
		return s.reply(m, false)
	}
	for want, m := range map[int]*dns.Msg{
		dns.RcodeNotImplemented: q(func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }),
		dns.RcodeFormatError:    q(func(m *dns.Msg) { m.Question = nil }),
		dns.RcodeRefused:        q(func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }),
		dns.RcodeBadVers:        q(func(m *dns.Msg) { m.SetEdns0(1232, false); m.IsEdns0().SetVersion(1) }),
		dns.RcodeNameError:      q(func(m *dns.Msg) {}),
	} {
		if m.Rcode != want {
			t.Errorf("%s; want %s", dns.RcodeToString[m.Rcode], dns.RcodeToString[want])
		}
	}
	if q(func(m *dns.Msg) { m.Response = true }) != nil {
		t.Error("a response is answered")
	}
}
