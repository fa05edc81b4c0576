package proxy

import (
	"log/slog"
	"maps"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// path is a lab whose node has a table that follows a State, step by step.
type path struct {
	*lab
	loop loop
}

func newPath(t *testing.T, pods ...string) *path {
	p := &path{lab: newLab(t, pods...)}
	p.in(p.node, func() error {
		proxy := New(Options{TableName: "skiff-test", ClusterCIDR: labCIDR, ClusterCIDR6: labCIDR6, Log: slog.New(slog.DiscardHandler)})
		tables, err := proxy.open()
		if err != nil {
			return err
		}
		flows, err := newStaleFlows(proxy.Log)
		p.loop = loop{Proxy: proxy, tables: tables, flows: flows, state: NewState(Node{Name: "here"})}
		t.Cleanup(p.loop.close)
		return err
	})
	return p
}

// set puts objects and brings the kernel up to them.
func (p *path) set(objects ...any) {
	p.t.Helper()
	for _, o := range objects {
		switch o := o.(type) {
		case *corev1.Service:
			p.loop.state.SetService(o)
		case *discoveryv1.EndpointSlice:
			p.loop.state.SetSlice(o)
		}
	}
	p.in(p.node, p.loop.step)
}

func TestPathClusterIP(t *testing.T) {
	p := newPath(t, "a", "b", "client")
	p.echo(p.pods["a"], "a", 8080)
	p.echo(p.pods["b"], "b", 8080)
	p.set()
	p.set(makeService("web", "10.96.0.10"), makeSlice("web", podIP(0), podIP(1)))

	got := p.answers(p.pods["client"], "10.96.0.10:80", 60)
	if got["a"] < 10 || got["b"] < 10 {
		t.Errorf("from a pod: %v, want both often", got)
	}
	if _, seen, _ := ask(p.pods["client"], "10.96.0.10:80"); seen != podIP(2) {
		t.Errorf("the backend saw %s, want the client %s", seen, podIP(2))
	}
	if got := p.answers(p.node, "10.96.0.10:80", 30); got["a"] == 0 || got["b"] == 0 {
		t.Errorf("from the node: %v, want both", got)
	}
	if got := p.answers(p.other, "10.96.0.10:80", 30); got["a"] == 0 || got["b"] == 0 {
		t.Errorf("from another host: %v, want both", got)
	}
	if _, seen, _ := ask(p.other, "10.96.0.10:80"); seen != "10.244.0.1" {
		t.Errorf("the backend saw %s, want the node: the client is no pod", seen)
	}
	p.refused(p.pods["client"], "10.96.0.10:81")

	p.set(makeSlice("web", podIP(1)))
	if got := p.answers(p.pods["client"], "10.96.0.10:80", 20); got["b"] != 20 {
		t.Errorf("after a went: %v, want b only", got)
	}
	p.set(makeSlice("web"))
	p.refused(p.pods["client"], "10.96.0.10:80")
	p.refused(p.node, "10.96.0.10:80")
	p.set(makeSlice("web", podIP(0)))
	if got := p.answers(p.node, "10.96.0.10:80", 5); got["a"] != 5 {
		t.Errorf("after a came back: %v", got)
	}
}

func TestPathHairpin(t *testing.T) {
	p := newPath(t, "a")
	p.echo(p.pods["a"], "a", 8080)
	p.set(makeService("web", "10.96.0.10"), makeSlice("web", podIP(0)))
	p.answers(p.pods["a"], "10.96.0.10:80", 5)
}

func TestPathNodePort(t *testing.T) {
	p := newPath(t, "a", "b")
	p.echo(p.pods["a"], "a", 8080)
	p.set(makeService("web", "10.96.0.10", nodePort(30080)), makeSlice("web", podIP(0)))
	p.answers(p.other, "192.168.50.1:30080", 3)
	p.answers(p.node, "192.168.50.1:30080", 3)
	p.answers(p.pods["b"], "192.168.50.1:30080", 3)
	p.answers(p.pods["a"], "192.168.50.1:30080", 3) // itself
	if _, seen, _ := ask(p.other, "192.168.50.1:30080"); seen != "10.244.0.1" {
		t.Errorf("the backend saw %s, want the node", seen)
	}
	// Local: the client's address stays.
	p.set(makeService("web", "10.96.0.10", nodePort(30080), localOnly))
	if _, seen, err := ask(p.other, "192.168.50.1:30080"); seen != "192.168.50.2" || err != nil {
		t.Errorf("the backend saw %q (%v), want the client", seen, err)
	}
	p.answers(p.node, "192.168.50.1:30080", 3)
	// Only elsewhere: silence outside, while pods and the node still get there.
	p.set(elsewhere(makeSlice("web", podIP(0))))
	p.answers(p.pods["b"], "192.168.50.1:30080", 3)
	p.answers(p.node, "192.168.50.1:30080", 3)
	err := within(p.other, func() error {
		c, err := net.DialTimeout("tcp4", "192.168.50.1:30080", 300*time.Millisecond)
		if err == nil {
			c.Close()
		}
		return err
	})
	if e, ok := err.(net.Error); !ok || !e.Timeout() {
		t.Errorf("no local endpoints: %v, want silence", err)
	}
	p.set(makeSlice("web"))
	p.refused(p.other, "192.168.50.1:30080")
	p.refused(p.node, "192.168.50.1:30080")
}

func TestPathAffinity(t *testing.T) {
	p := newPath(t, "a", "b", "c", "client")
	all := map[string]string{"a": podIP(0), "b": podIP(1), "c": podIP(2)}
	for n := range all {
		p.echo(p.pods[n], n, 8080)
	}
	p.set(makeService("web", "10.96.0.10", affine, nodePort(30080)), makeSlice("web", podIP(0), podIP(1), podIP(2)))
	got := p.answers(p.pods["client"], "10.96.0.10:80", 20)
	if len(got) != 1 {
		t.Fatalf("one client reached %v", got)
	}
	if got := p.answers(p.other, "192.168.50.1:30080", 20); len(got) != 1 {
		t.Errorf("one client of the node port reached %v", got)
	}
	var left []string
	for n, ip := range all {
		if got[n] == 0 {
			left = append(left, ip)
		}
	}
	// Its backend goes: another one, and that for good.
	p.set(makeSlice("web", left...))
	again := p.answers(p.pods["client"], "10.96.0.10:80", 20)
	for n := range got {
		if again[n] != 0 || len(again) != 1 {
			t.Errorf("after %s went the client reached %v", n, again)
		}
	}
	// A timeout that no Service had before gets chains of its own.
	p.set(makeService("web", "10.96.0.10", affine, func(s *corev1.Service) {
		s.Spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: ptr(int32(77))}}
	}))
	if got := p.answers(p.pods["client"], "10.96.0.10:80", 20); len(got) != 1 {
		t.Errorf("after the timeout changed one client reached %v", got)
	}
}

func TestPathUDP(t *testing.T) {
	p := newPath(t, "a", "b", "client")
	p.echo(p.pods["a"], "a", 8080)
	p.echo(p.pods["b"], "b", 8080)
	p.set(makeService("web", "10.96.0.10", udp), makeUDPSlice("web", podIP(0)))
	p.in(p.pods["client"], func() error {
		c, err := net.Dial("udp4", "10.96.0.10:80")
		if err != nil {
			return err
		}
		defer c.Close()
		question := func() string {
			c.SetDeadline(time.Now().Add(time.Second)) // a packet may be lost
			c.Write([]byte("?"))
			b := make([]byte, 64)
			n, err := c.Read(b)
			if err != nil {
				return err.Error()
			}
			return string(b[:1:n])
		}
		until := func(want string) {
			got := ""
			for end := time.Now().Add(30 * time.Second); got != want && time.Now().Before(end); {
				got = question()
			}
			if got != want {
				t.Errorf("got %q, want %s", got, want)
			}
		}
		until("a")
		p.set(makeUDPSlice("web", podIP(1)))
		// The old flow goes a moment later: conntrack is read beside the loop. The socket is the same.
		until("b")
		return nil
	})
}

func TestPathSourceRanges(t *testing.T) {
	p := newPath(t, "a")
	p.echo(p.pods["a"], "a", 8080)
	lb := func(ranges ...string) *corev1.Service {
		return makeService("web", "10.96.0.10", nodePort(30080), func(s *corev1.Service) {
			s.Spec.Type = corev1.ServiceTypeLoadBalancer
			s.Spec.LoadBalancerSourceRanges = ranges
			s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "203.0.113.7"}}
			s.Spec.ExternalIPs = []string{"203.0.113.8"}
		})
	}
	p.set(lb("192.168.50.0/24", "172.16.0.0/12"), makeSlice("web", podIP(0)))
	p.answers(p.other, "203.0.113.7:80", 2)
	p.answers(p.other, "203.0.113.8:80", 2)
	p.set(lb("172.16.0.0/12"))
	err := within(p.other, func() error {
		c, err := net.DialTimeout("tcp4", "203.0.113.7:80", 300*time.Millisecond)
		if err == nil {
			c.Close()
		}
		return err
	})
	if e, ok := err.(net.Error); !ok || !e.Timeout() {
		t.Errorf("from outside the ranges: %v, want silence", err)
	}
	p.answers(p.other, "203.0.113.8:80", 2)
}

func TestRemoveTwice(t *testing.T) {
	l := newLab(t)
	l.in(l.node, func() error {
		if err := Remove("skiff-test"); err != nil {
			return err
		}
		return Remove("skiff-test")
	})
}

func TestPathIPv6(t *testing.T) {
	p := newPath(t, "a", "b", "client")
	p.echo(p.pods["a"], "a", 8080)
	p.echo(p.pods["b"], "b", 8080)
	slice := makeSlice("web", podIP6(0), podIP6(1))
	slice.AddressType = discoveryv1.AddressTypeIPv6
	p.set(makeService("web", "fd00:96::a", nodePort(30080)), slice)
	// A first packet that the bridge translates for a neighbour it does not know yet is
	// lost in IPv6 (br_netfilter), and its connection with it: let them meet.
	for i := range 2 {
		p.answers(p.node, "["+podIP6(i)+"]:8080", 1)
	}
	if got := p.answers(p.pods["client"], "[fd00:96::a]:80", 40); got["a"] < 5 || got["b"] < 5 {
		t.Errorf("from a pod: %v, want both often", got)
	}
	if _, seen, _ := ask(p.pods["client"], "[fd00:96::a]:80"); seen != podIP6(2) {
		t.Errorf("the backend saw %s, want the client %s", seen, podIP6(2))
	}
	p.answers(p.node, "[fd00:96::a]:80", 5)
	p.answers(p.pods["a"], "[fd00:96::a]:80", 10) // itself, too
	p.answers(p.other, "[fd00:50::1]:30080", 5)
	p.answers(p.node, "[fd00:50::1]:30080", 5)
	if _, seen, _ := ask(p.other, "[fd00:96::a]:80"); seen != "fd00:244::1" {
		t.Errorf("the backend saw %s, want the node: the client is no pod", seen)
	}
	p.refused(p.pods["client"], "[fd00:96::a]:81")

	p.set(makeService("web", "fd00:96::a", affine, nodePort(30080)))
	if got := p.answers(p.pods["client"], "[fd00:96::a]:80", 20); len(got) != 1 {
		t.Errorf("one client reached %v", got)
	}
	if got := p.answers(p.other, "[fd00:50::1]:30080", 20); len(got) != 1 {
		t.Errorf("one client of the node port reached %v", got)
	}
	empty := makeSlice("web")
	empty.AddressType = discoveryv1.AddressTypeIPv6
	p.set(empty)
	p.refused(p.pods["client"], "[fd00:96::a]:80")
	p.refused(p.other, "[fd00:50::1]:30080")
}

// restart forgets everything but the kernel's table, as a new process does.
func (p *path) restart(keep ...any) {
	p.t.Helper()
	p.loop.state, p.loop.program = NewState(p.loop.state.node), false
	p.set(keep...)
}

// A restart leaves connections, clients' backends and the path itself as they are.
func TestPathRestart(t *testing.T) {
	p := newPath(t, "a", "b", "client")
	p.echo(p.pods["a"], "a", 8080)
	p.echo(p.pods["b"], "b", 8080)
	objects := []any{makeService("web", "10.96.0.10", affine, nodePort(30080)), makeSlice("web", podIP(0), podIP(1)),
		makeService("other", "10.96.0.11"), makeSlice("other", podIP(0))}
	p.set(objects...)
	first := p.answers(p.pods["client"], "10.96.0.10:80", 3)
	firstOutside := p.answers(p.other, "192.168.50.1:30080", 3)

	stop, done := make(chan bool), make(chan error)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if _, _, err := ask(p.pods["client"], "10.96.0.11:80"); err != nil {
				done <- err
				return
			}
		}
	}()
	for range 20 {
		p.restart(objects...)
	}
	close(stop)
	if err := <-done; err != nil {
		t.Errorf("while the table was replaced: %v", err)
	}
	if got := p.answers(p.pods["client"], "10.96.0.10:80", 20); len(got) != 1 || !maps.Equal(keys(got), keys(first)) {
		t.Errorf("a client was at %v, after restarts at %v", first, got)
	}
	if got := p.answers(p.other, "192.168.50.1:30080", 20); len(got) != 1 || !maps.Equal(keys(got), keys(firstOutside)) {
		t.Errorf("a client was at %v, after restarts at %v", firstOutside, got)
	}
	// What is gone meanwhile is not kept.
	var left string
	for i, n := range []string{"a", "b"} {
		if first[n] == 0 {
			left = podIP(i)
		}
	}
	p.restart(objects[0], makeSlice("web", left))
	if got := p.answers(p.pods["client"], "10.96.0.10:80", 5); maps.Equal(keys(got), keys(first)) {
		t.Errorf("after its backend went a client is at %v", got)
	}
}

func keys(m map[string]int) map[string]bool {
	out := map[string]bool{}
	for k := range m {
		out[k] = true
	}
	return out
}

// Entries of clients end by themselves: after a while without new connections any backend may come.
func TestPathAffinityTimeout(t *testing.T) {
	p := newPath(t, "a", "b", "client")
	p.echo(p.pods["a"], "a", 8080)
	p.echo(p.pods["b"], "b", 8080)
	p.set(makeService("web", "10.96.0.10", affine, func(s *corev1.Service) {
		s.Spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: ptr(int32(1))}}
	}), makeSlice("web", podIP(0), podIP(1)))
	entries := func() int {
		var n int
		p.in(p.node, func() (err error) {
			n, err = p.loop.tables[0].Clients()
			return err
		})
		return n
	}
	// The entry may have ended before it is looked at.
	for end := time.Now().Add(30 * time.Second); ; {
		p.answers(p.pods["client"], "10.96.0.10:80", 1)
		if n := entries(); n == 1 {
			break
		} else if n > 1 || time.Now().After(end) {
			t.Fatalf("%d entries of clients, want 1", n)
		}
	}
	for end := time.Now().Add(30 * time.Second); entries() != 0; {
		if time.Now().After(end) {
			t.Fatal("the entry does not end")
		}
	}
	p.answers(p.pods["client"], "10.96.0.10:80", 1)
}

// People look at rules with the nft program; there are rules that it cannot list.
func TestPathListed(t *testing.T) {
	nft, err := exec.LookPath("nft")
	if err != nil {
		t.Skip("no nft program")
	}
	p := newPath(t, "a")
	web := makeService("web", "10.96.0.10", affine, localOnly, nodePort(30080), func(s *corev1.Service) {
		s.Spec.Type = corev1.ServiceTypeLoadBalancer
		s.Spec.LoadBalancerSourceRanges = []string{"192.168.50.0/24"}
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "203.0.113.7"}}
	})
	six := makeSlice("six", podIP6(0))
	six.AddressType = discoveryv1.AddressTypeIPv6
	p.set(web, makeSlice("web", podIP(0)), makeService("six", "fd00:96::a", affine), six, makeService("plain", "10.96.0.11"), makeSlice("plain", podIP(0)))
	p.in(p.node, func() error {
		for _, family := range []string{"ip", "ip6"} {
			out, err := exec.Command(nft, "list", "table", family, "skiff-test").CombinedOutput()
			if err != nil {
				t.Errorf("nft list table %s: %v\n%s", family, err, out)
			}
			for _, want := range []string{"map slots", "chain spread", "sticky-10800s"} {
				if !strings.Contains(string(out), want) {
					t.Errorf("nft list table %s: no %q in\n%s", family, want, out)
				}
			}
		}
		return nil
	})
}

func TestPathInternalLocal(t *testing.T) {
	p := newPath(t, "a", "b", "client")
	p.echo(p.pods["a"], "a", 8080)
	p.echo(p.pods["b"], "b", 8080)
	slice := makeSlice("web", podIP(0), podIP(1))
	slice.Endpoints[1].NodeName = ptr("there")
	p.set(makeService("web", "10.96.0.10", func(s *corev1.Service) {
		s.Spec.InternalTrafficPolicy = ptr(corev1.ServiceInternalTrafficPolicyLocal)
	}), slice)
	if got := p.answers(p.pods["client"], "10.96.0.10:80", 20); got["a"] != 20 {
		t.Errorf("%v, want the local one only", got)
	}
	if got := p.answers(p.node, "10.96.0.10:80", 20); got["a"] != 20 {
		t.Errorf("from the node: %v, want the local one only", got)
	}
}
