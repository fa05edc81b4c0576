package proxy

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// lab is a node with pods behind a bridge and another host, each a network
// namespace of its own:
//
//	other 192.168.50.2 ── 192.168.50.1 node 10.244.0.1 (bridge) ── pods 10.244.0.10 …
//
// and the same in IPv6: fd00:50::2, fd00:50::1, fd00:244::1, fd00:244::10 ….
type lab struct {
	t           *testing.T
	node, other netns.NsHandle
	pods        map[string]netns.NsHandle
}

func newLab(t *testing.T, pods ...string) *lab {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("network namespaces need root")
	}
	l := &lab{t: t, pods: map[string]netns.NsHandle{}}
	l.node, l.other = l.namespace(), l.namespace()
	for _, p := range pods {
		l.pods[p] = l.namespace()
	}
	l.in(l.node, func() error { return l.buildNode(pods) })
	l.in(l.other, func() error {
		return up("eth0", "192.168.50.2/24 fd00:50::2/64", "192.168.50.1 fd00:50::1")
	})
	for i, p := range pods {
		l.in(l.pods[p], func() error { return up("eth0", podIP(i)+"/24 "+podIP6(i)+"/64", "10.244.0.1 fd00:244::1") })
	}
	return l
}

func podIP(i int) string { return fmt.Sprintf("10.244.0.%d", 10+i) }

func podIP6(i int) string { return fmt.Sprintf("fd00:244::%d", 10+i) }

func (l *lab) namespace() netns.NsHandle {
	l.t.Helper()
	var ns netns.NsHandle
	err := onThread(func() (err error) {
		ns, err = netns.New()
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { ns.Close() })
	return ns
}

// onThread runs f on a thread that ends with it, so that it may change namespaces.
func onThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked
		done <- f()
	}()
	return <-done
}

func (l *lab) in(ns netns.NsHandle, f func() error) {
	l.t.Helper()
	if err := within(ns, f); err != nil {
		l.t.Fatal(err)
	}
}

func within(ns netns.NsHandle, f func() error) error {
	return onThread(func() error {
		if err := netns.Set(ns); err != nil {
			return err
		}
		return f()
	})
}

func (l *lab) buildNode(pods []string) error {
	for _, s := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding", "bridge/bridge-nf-call-iptables", "bridge/bridge-nf-call-ip6tables"} {
		if err := os.WriteFile("/proc/sys/net/"+s, []byte("1"), 0o644); err != nil {
			return err
		}
	}
	if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}); err != nil {
		return err
	}
	if err := up("br0", "10.244.0.1/24 fd00:244::1/64", ""); err != nil {
		return err
	}
	bridge, err := netlink.LinkByName("br0")
	if err != nil {
		return err
	}
	for i, p := range pods {
		name := fmt.Sprintf("pod%d", i)
		if err := veth(name, l.pods[p]); err != nil {
			return err
		}
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetMaster(link, bridge); err != nil {
			return err
		}
		// A pod that reaches itself gets its packet back on the port that it came from.
		if err := netlink.LinkSetHairpin(link, true); err != nil {
			return err
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return err
		}
	}
	if err := veth("uplink", l.other); err != nil {
		return err
	}
	return up("uplink", "192.168.50.1/24 fd00:50::1/64", "192.168.50.2 fd00:50::2")
}

func veth(name string, peer netns.NsHandle) error {
	return netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "eth0", PeerNamespace: netlink.NsFd(peer)})
}

func up(name, addrs, gateways string) error {
	for _, n := range []string{"lo", name} {
		link, err := netlink.LinkByName(n)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return err
		}
		if n == "lo" {
			continue
		}
		for _, addr := range strings.Fields(addrs) {
			a, err := netlink.ParseAddr(addr)
			if err != nil {
				return err
			}
			if a.IP.To4() == nil {
				a.Flags = unix.IFA_F_NODAD // at once
			}
			if err := netlink.AddrAdd(link, a); err != nil {
				return err
			}
		}
	}
	for _, gateway := range strings.Fields(gateways) {
		if err := netlink.RouteAdd(&netlink.Route{Gw: net.ParseIP(gateway)}); err != nil {
			return err
		}
	}
	return nil
}

// echo serves TCP and UDP on a port: the answer is the name and who asked.
func (l *lab) echo(ns netns.NsHandle, name string, port int) {
	l.t.Helper()
	l.in(ns, func() error {
		tcp, err := net.Listen("tcp", ":"+strconv.Itoa(port))
		if err != nil {
			return err
		}
		udp, err := net.ListenPacket("udp", ":"+strconv.Itoa(port))
		if err != nil {
			return err
		}
		l.t.Cleanup(func() { tcp.Close(); udp.Close() })
		go func() {
			for {
				c, err := tcp.Accept()
				if err != nil {
					return
				}
				fmt.Fprintf(c, "%s %s", name, c.RemoteAddr().(*net.TCPAddr).IP)
				c.Close()
			}
		}()
		go func() {
			b := make([]byte, 64)
			for {
				_, from, err := udp.ReadFrom(b)
				if err != nil {
					return
				}
				udp.WriteTo([]byte(name+" "+from.(*net.UDPAddr).IP.String()), from)
			}
		}()
		return nil
	})
}

// ask connects from a namespace, and returns who answered and whom it saw.
func ask(ns netns.NsHandle, to string) (name, seen string, err error) {
	err = within(ns, func() error {
		c, err := net.DialTimeout("tcp", to, 30*time.Second)
		if err != nil {
			return err
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(30 * time.Second))
		b, err := io.ReadAll(c)
		name, seen, _ = strings.Cut(string(b), " ")
		return err
	})
	return name, seen, err
}

// answers counts who answers n questions.
func (l *lab) answers(ns netns.NsHandle, to string, n int) map[string]int {
	l.t.Helper()
	count := map[string]int{}
	for range n {
		name, _, err := ask(ns, to)
		if err != nil {
			l.t.Fatalf("%s: %v", to, err)
		}
		count[name]++
	}
	return count
}

func (l *lab) refused(ns netns.NsHandle, to string) {
	l.t.Helper()
	if _, _, err := ask(ns, to); err == nil || !strings.Contains(err.Error(), "refused") {
		l.t.Errorf("%s: %v, want refused at once", to, err)
	}
}

var (
	labCIDR  = netip.MustParsePrefix("10.244.0.0/16")
	labCIDR6 = netip.MustParsePrefix("fd00:244::/48")
)

// unshareNetwork gives the thread an empty network namespace, which ends with it.
func unshareNetwork() error {
	ns, err := netns.New()
	if err != nil {
		return err
	}
	return ns.Close()
}
