package dns

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
)

var rewrite = flag.Bool("rewrite", false, "write what is answered into testdata")

func namespace(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func clusterService(ns, name string, ips []string, ports ...corev1.ServicePort) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}, Spec: corev1.ServiceSpec{ClusterIP: ips[0], ClusterIPs: ips, Ports: ports}}
}

func external(ns, name, target string) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: target}}
}

func endpoints(ns, service, name string, port int32, es ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	tcp, http := corev1.ProtocolTCP, "http"
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		Ports:      []discoveryv1.EndpointPort{{Name: &http, Protocol: &tcp, Port: &port}}, Endpoints: es,
	}
}

func at(ip, host string, ready bool) discoveryv1.Endpoint {
	e := discoveryv1.Endpoint{Addresses: []string{ip}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}
	if host != "" {
		e.Hostname = &host
	}
	return e
}

func port80(name string) corev1.ServicePort {
	return corev1.ServicePort{Name: name, Protocol: corev1.ProtocolTCP, Port: 80}
}

func objects() []api.Object {
	return []api.Object{
		namespace("default"), namespace("empty"),
		clusterService("default", "kubernetes", []string{"10.96.0.1"}, corev1.ServicePort{Name: "https", Protocol: corev1.ProtocolTCP, Port: 443}),
		clusterService("default", "web", []string{"10.96.0.5", "fd00::5"}, port80("http"), corev1.ServicePort{Name: "quic", Protocol: corev1.ProtocolUDP, Port: 443}),
		endpoints("default", "web", "web-1", 8080, at("10.44.0.9", "", true)),
		clusterService("default", "db", []string{"None"}),
		endpoints("default", "db", "db-1", 5432, at("10.44.0.2", "db-0", true), at("10.44.0.3", "db-1", true), at("10.44.0.4", "db-2", false)),
		endpoints("default", "db", "db-2", 5432, at("10.44.0.9", "", true)),
		endpoints("default", "db", "db-6", 5432, at("fd00::9", "db-0", true)),
		clusterService("default", "idle", []string{"None"}, port80("http")),
		external("default", "alias", "web.default.svc.cluster.local"),
		external("default", "circle", "circle.default.svc.cluster.local"),
		external("default", "out", "www.example.com"),
	}
}

// start follows the API until the end of the test, and returns when all is known.
func start(t *testing.T, s *Server) *Server {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	synced, done := make(chan struct{}), make(chan struct{})
	go func() { defer close(done); s.follow(ctx, synced) }()
	t.Cleanup(func() { cancel(); <-done })
	<-synced
	return s
}

// print writes a reply as the golden file has it.
func print(m *dns.Msg) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s aa=%v ra=%v\n", dns.RcodeToString[m.Rcode], m.Authoritative, m.RecursionAvailable)
	for _, part := range []struct {
		mark string
		rrs  []dns.RR
	}{{"", m.Answer}, {"authority ", m.Ns}, {"extra ", m.Extra}} {
		var lines []string
		for _, rr := range part.rrs {
			if rr.Header().Rrtype != dns.TypeOPT {
				lines = append(lines, "\t"+part.mark+strings.ReplaceAll(rr.String(), "\t", " ")+"\n")
			}
		}
		slices.Sort(lines)
		b.WriteString(strings.Join(lines, ""))
	}
	return b.String()
}

// TestAnswers asks what testdata/answers.txt asks ("? name type"). Run with -rewrite
// to write down what is answered, and read the difference.
func TestAnswers(t *testing.T) {
	up := upstream(t, func(q dns.Question) []dns.RR {
		if q.Name == "www.example.com." && q.Qtype == dns.TypeA {
			return records(t, "www.example.com. 30 IN A 192.0.2.80")
		}
		return nil
	})
	s := start(t, New(Options{Client: clienttest.New(objects()...), Domain: "cluster.local", Upstreams: []string{up.addr}}))
	const file = "testdata/answers.txt"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "#"), len(f) == 0:
			got.WriteString(line)
		case f[0] == "?":
			got.WriteString(line)
			q := new(dns.Msg).SetQuestion(f[1], dns.StringToType[f[2]])
			got.WriteString(print(s.reply(q, true)))
		}
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if got.String() != string(b) {
		t.Errorf("%s differs; it is now:\n%s", file, got.String())
	}
}

// TestFollows: changes of the API are answered, and leave nothing behind when all is deleted.
func TestFollows(t *testing.T) {
	c := clienttest.New(objects()...)
	s := start(t, New(Options{Client: c, Domain: "cluster.local"}))
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	until := func(name string, qtype uint16, want string) {
		t.Helper()
		for {
			var got []string
			for _, rr := range s.reply(new(dns.Msg).SetQuestion(name, qtype), true).Answer {
				got = append(got, rr.String()[len(rr.Header().String()):])
			}
			slices.Sort(got)
			if strings.Join(got, " ") == want {
				return
			}
			if ctx.Err() != nil {
				t.Fatalf("%s is %q, not %q", name, got, want)
			}
		}
	}
	const db = "db.default.svc.cluster.local."
	until(db, dns.TypeA, "10.44.0.2 10.44.0.3 10.44.0.9")
	if _, err := client.Update(ctx, c, endpoints("default", "db", "db-1", 5432, at("10.44.0.3", "db-1", true), at("10.44.0.4", "db-2", true))); err != nil {
		t.Fatal(err)
	}
	until(db, dns.TypeA, "10.44.0.3 10.44.0.4 10.44.0.9")
	until("2.0.44.10.in-addr.arpa.", dns.TypePTR, "")
	until("4.0.44.10.in-addr.arpa.", dns.TypePTR, "db-2."+db)
	// An address that two Services have keeps the one name when the other goes.
	until("9.0.44.10.in-addr.arpa.", dns.TypePTR, "10-44-0-9."+db+" 10-44-0-9.web.default.svc.cluster.local.")
	// Without its Service a slice has no name; it is there again when the Service is.
	if err := client.Delete[*corev1.Service](ctx, c, "default", "db", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	until(db, dns.TypeA, "")
	if _, err := client.Create(ctx, c, clusterService("default", "db", []string{"None"})); err != nil {
		t.Fatal(err)
	}
	until(db, dns.TypeA, "10.44.0.3 10.44.0.4 10.44.0.9")

	for _, o := range objects() {
		if err := c.Delete(ctx, c.Rows(o), o.GetNamespace(), o.GetName(), metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for empty := false; !empty; {
		if ctx.Err() != nil {
			t.Fatal("something is left of what was deleted")
		}
		s.zone.mu.RLock()
		empty = len(s.zone.services)+len(s.zone.slices)+len(s.zone.names)+len(s.zone.namespaces) == 0
		s.zone.mu.RUnlock()
	}
}

// TestServes asks a running server by UDP and TCP, also for more than fits into a packet.
func TestServes(t *testing.T) {
	var many []discoveryv1.Endpoint
	for i := range 200 {
		many = append(many, at(fmt.Sprintf("10.44.1.%d", i+1), "", true))
	}
	c := clienttest.New(clusterService("default", "big", []string{"None"}), endpoints("default", "big", "big-1", 80, many...))
	ctx, cancel := context.WithCancel(t.Context())
	var addr string
	var done chan error
	// serve starts a server where nobody else listens just now; by the time that it listens somebody may.
	serve := func() {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		addr, done = l.Addr().String(), make(chan error, 1)
		// 192.0.2.1 is no address of this host.
		_, number, _ := net.SplitHostPort(addr)
		s := New(Options{Client: c, Domain: "cluster.local", Listen: []string{addr, "192.0.2.1:" + number}})
		go func() { done <- s.Run(ctx) }()
	}
	serve()
	ask := func(network string, size uint16) *dns.Msg {
		q := new(dns.Msg).SetQuestion("Big.Default.svc.Cluster.Local.", dns.TypeA)
		if size > 0 {
			q.SetEdns0(size, false)
		}
		for {
			m, _, err := (&dns.Client{Net: network, UDPSize: 4096}).Exchange(q, addr)
			if err == nil {
				return m
			}
			select {
			case err := <-done:
				if !errors.Is(err, syscall.EADDRINUSE) {
					t.Fatal(err)
				}
				serve()
			default: // not listening yet
			}
		}
	}
	small, large, tcp := ask("udp", 0), ask("udp", 1232), ask("tcp", 0)
	small.Compress = true
	if !small.Truncated || len(small.Answer) == 0 || small.Len() > 512 || small.IsEdns0() != nil {
		t.Errorf("by UDP: truncated %v, %d bytes", small.Truncated, small.Len())
	}
	if !large.Truncated || len(large.Answer) <= len(small.Answer) || large.IsEdns0() == nil {
		t.Errorf("by UDP with EDNS: truncated %v, %d records", large.Truncated, len(large.Answer))
	}
	if tcp.Truncated || len(tcp.Answer) != 200 || tcp.Answer[0].Header().Name != "Big.Default.svc.Cluster.Local." {
		t.Errorf("by TCP: truncated %v, %d records, %v", tcp.Truncated, len(tcp.Answer), tcp.Answer[0])
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func FuzzReply(f *testing.F) {
	for _, name := range []string{"web.default.svc.cluster.local.", "_http._tcp.db.default.svc.cluster.local.", "9.0.44.10.in-addr.arpa.", "1-2-3-4.default.pod.cluster.local.", "cluster.local.", "."} {
		b, _ := new(dns.Msg).SetQuestion(name, dns.TypeSRV).Pack()
		f.Add(b)
	}
	s := New(Options{Client: clienttest.New(objects()...), Domain: "cluster.local"})
	s.forward.resolvConf = os.DevNull
	synced := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { s.follow(ctx, synced) })
	f.Cleanup(func() { cancel(); wg.Wait() })
	<-synced
	f.Fuzz(func(t *testing.T, b []byte) {
		q := new(dns.Msg)
		if q.Unpack(b) != nil {
			return
		}
		m := s.reply(q, false)
		if m == nil {
			return
		}
		out, err := m.Pack()
		if err != nil {
			t.Fatalf("%v\n%v", err, m)
		}
		if len(out) > dns.MinMsgSize && q.IsEdns0() == nil {
			t.Fatalf("%d bytes", len(out))
		}
	})
}
