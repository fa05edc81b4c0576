package podnet

import (
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/client/clienttest"
)

func TestParsePorts(t *testing.T) {
	pod := netip.MustParseAddr("10.44.0.9")
	got, skipped, err := parsePorts(pod, []portMapping{
		{8080, 80, "TCP", ""}, {5353, 53, "udp", "0.0.0.0"}, {0, 9, "tcp", ""}, {81, 82, "", "192.0.2.1"}, {83, 84, "tcp", "::"}, {85, 86, "sctp", "::ffff:192.0.2.2"},
	})
	want := map[portKey]target{
		{protocol: 6, port: 8080}:                                            {pod, 80},
		{protocol: 17, port: 5353}:                                           {pod, 53},
		{netip.MustParseAddr("192.0.2.1"), 6, 81}:                            {pod, 82},
		{address: netip.MustParseAddr("192.0.2.2"), protocol: 132, port: 85}: {pod, 86},
	}
	if err != nil || !reflect.DeepEqual(got, want) || fmt.Sprint(skipped) != "[[::]:83]" {
		t.Errorf("%v, skipped %v, %v", got, skipped, err)
	}
	for _, bad := range []portMapping{{1, 0, "tcp", ""}, {70000, 1, "tcp", ""}, {1, 1, "icmp", ""}, {1, 1, "tcp", "here"}} {
		if _, _, err := parsePorts(pod, []portMapping{bad}); err == nil {
			t.Errorf("%v: no error", bad)
		}
	}
}

func TestLaterContainerHasThePort(t *testing.T) {
	h := newHostPorts()
	k := portKey{protocol: 6, port: 80}
	one, two := target{netip.MustParseAddr("10.0.0.1"), 1}, target{netip.MustParseAddr("10.0.0.2"), 2}
	h.set("a", map[portKey]target{k: one})
	h.set("b", map[portKey]target{k: two})
	h.set("a", nil)
	if h.open[k] != two {
		t.Errorf("%v", h.open)
	}
	h.set("b", nil)
	if len(h.open)+len(h.owner) != 0 {
		t.Errorf("%v", h)
	}
}

func withPorts(ports string) string {
	return strings.TrimSuffix(plain, "}") + `,"runtimeConfig":{"portMappings":[` + ports + `]}}`
}

// outside is a host of another network, joined to the node by a pair of interfaces.
func (r *rig) outside(node, host string) *pod {
	r.Helper()
	p := r.newPod("outside")
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "up0"
	r.ok(netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(p.ns))}))
	up, err := netlink.LinkByName("up0")
	r.ok(err)
	addr, err := netlink.ParseAddr(node)
	r.ok(err)
	r.ok(netlink.AddrAdd(up, addr))
	r.ok(netlink.LinkSetUp(up))
	r.ok(p.in(func() error {
		eth, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		addr, err := netlink.ParseAddr(host)
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(eth, addr); err != nil {
			return err
		}
		return netlink.LinkSetUp(eth)
	}))
	p.ip = netip.MustParsePrefix(host).Addr()
	return p
}

func TestHostPortsAndMasquerade(t *testing.T) {
	if !ownNetwork(t) {
		return
	}
	r := newRig(t)
	far := r.outside("192.0.2.1/24", "192.0.2.7/24")
	a := r.add("a", withPorts(`{"hostPort":8080,"containerPort":80,"protocol":"tcp"},{"hostPort":8081,"containerPort":80,"protocol":"tcp","hostIP":"127.0.0.1"}`))
	b := r.add("b", plain)
	r.serve(a, "80")
	r.serve(far, "80")
	gw := r.agent.Gateway().String()
	check := func() {
		t.Helper()
		// A caller from elsewhere keeps its address.
		r.want(far, "192.0.2.1:8080", "a sees 192.0.2.7")
		r.want(nil, "192.0.2.1:8080", "a sees 192.0.2.1")
		r.want(nil, "127.0.0.1:8080", "a sees "+gw)
		r.want(nil, "127.0.0.1:8081", "a sees "+gw)
		r.want(b, "192.0.2.1:8080", "a sees "+gw)
		r.want(a, "192.0.2.1:8080", "a sees "+gw)
		if got, err := ask(far, "192.0.2.1:8081"); err == nil {
			t.Errorf("a host port of 127.0.0.1 answers on 192.0.2.1: %q", got)
		}
		// What leaves the cluster does so with the node's address.
		r.want(b, "192.0.2.7:80", "outside sees 192.0.2.1")
	}
	check()
	r.stop()
	r.start()
	check()
	r.must("DEL", a, plain)
	if got, err := ask(nil, "192.0.2.1:8080"); err == nil {
		t.Errorf("a closed host port answers %q", got)
	}
	testUDP(r, far)
}

// testUDP: a flow that begins before its port leads to a pod goes there afterwards.
func testUDP(r *rig, far *pod) {
	var c net.Conn
	r.ok(far.in(func() (err error) {
		c, err = net.Dial("udp4", "192.0.2.1:5353")
		return
	}))
	defer c.Close()
	c.Write([]byte("lost"))
	p := r.newPod("udp")
	var l net.PacketConn
	r.ok(p.in(func() (err error) {
		l, err = net.ListenPacket("udp4", ":53")
		return
	}))
	defer l.Close()
	r.must("ADD", p, withPorts(`{"hostPort":5353,"containerPort":53,"protocol":"udp"}`))
	got := make(chan string, 1)
	go func() {
		b := make([]byte, 100)
		n, _, _ := l.ReadFrom(b)
		got <- string(b[:n])
	}()
	// The first may meet the refusal of the lost one, and nobody promises that a packet arrives.
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(30 * time.Second); ; {
		c.Write([]byte("found"))
		select {
		case s := <-got:
			if s != "found" {
				r.Errorf("got %q", s)
			}
			return
		case <-deadline:
			r.Fatal("the pod hears nothing")
		case <-tick.C:
		}
	}
}

func TestRoutesToNodes(t *testing.T) {
	if !ownNetwork(t) {
		return
	}
	r := newRig(t)
	r.outside("192.0.2.1/24", "192.0.2.7/24")
	node := func(name, cidr, ip string) *corev1.Node {
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{PodCIDR: cidr, PodCIDRs: []string{cidr}}}
		n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: name}, {Type: corev1.NodeInternalIP, Address: ip}}
		return n
	}
	c := clienttest.New(node("self", "10.44.3.0/24", "192.0.2.1"), node("b", "10.44.4.0/24", "192.0.2.7"), node("new", "", "192.0.2.9"), node("wrong", "0.0.0.0/0", "192.0.2.10"))
	done := make(chan struct{})
	go func() { defer close(done); r.agent.FollowNodes(r.Context(), c, "self") }()
	changes, stop := make(chan netlink.RouteUpdate, 100), make(chan struct{})
	defer close(stop)
	r.ok(netlink.RouteSubscribeWithOptions(changes, stop, netlink.RouteSubscribeOptions{ListExisting: true}))
	deadline := time.After(60 * time.Second)
	until := func(want string) {
		t.Helper()
		for {
			rs, err := ourRoutes()
			r.ok(err)
			var got []string
			for _, x := range rs {
				got = append(got, fmt.Sprintf("%s via %s", x.Dst, x.Gw))
			}
			if strings.Join(got, ", ") == want {
				return
			}
			select {
			case <-changes:
			case <-deadline:
				t.Fatalf("routes are %v; want %s", got, want)
			}
		}
	}
	until("10.44.4.0/24 via 192.0.2.7")
	_, err := client.UpdateStatus(r.Context(), c, node("b", "10.44.4.0/24", "192.0.2.8"))
	r.ok(err)
	until("10.44.4.0/24 via 192.0.2.8")
	_, err = client.Create(r.Context(), c, node("c", "10.44.5.0/24", "192.0.2.7"))
	r.ok(err)
	_, err = client.UpdateStatus(r.Context(), c, node("c", "10.44.5.0/24", "192.0.2.7"))
	r.ok(err)
	until("10.44.4.0/24 via 192.0.2.8, 10.44.5.0/24 via 192.0.2.7")
	r.ok(client.Delete[*corev1.Node](r.Context(), c, "", "b", metav1.DeleteOptions{}))
	until("10.44.5.0/24 via 192.0.2.7")
	r.stop()
	r.ok(Remove(r.o))
	until("")
}
