// Package podnet is the pod network of one node: a bridge, a pair of interfaces
// and an address for every pod, host ports, and masquerading of what leaves the cluster.
//
// The container runtime calls a CNI program for each pod, which hands the call to
// the agent here over a socket (package runtime/cniwire). All work is netlink from Go.
//
// Invariants: an address belongs to one container at a time and is on disk
// (ipam.go) before the pod has it; whatever is made carries a name of ours, and
// Remove finds it all again.
//
// Read podnet.go, call.go, attach.go, ipam.go, hostport.go, filter.go, forwarding.go,
// routes.go.
package podnet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/skiff-k8s/skiff/internal/runtime/cniwire"
)

// Options are what an agent is made of.
type Options struct {
	StateDir    string
	Bridge      string // name of the bridge
	TableName   string // of the nftables table
	MTU         int    // 0: that of the default route, or 1500
	SocketPath  string
	ClusterCIDR netip.Prefix // of all pods: traffic inside is not masqueraded
	PodCIDR     netip.Prefix // of this node's pods
	Log         *slog.Logger
}

// Agent serves the pod network of a node.
type Agent struct {
	Options
	ipam  *ipam
	table *table
	ready chan struct{}

	mu    sync.Mutex // held while host ports change
	ports *hostPorts
}

// New returns an agent; Run starts it.
func New(o Options) *Agent {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.PodCIDR, o.ClusterCIDR = o.PodCIDR.Masked(), o.ClusterCIDR.Masked()
	return &Agent{Options: o, ready: make(chan struct{}), ports: newHostPorts()}
}

// Ready is closed when calls are answered.
func (a *Agent) Ready() <-chan struct{} { return a.ready }

// Gateway is the bridge's address, the first of the node's range.
func (a *Agent) Gateway() netip.Addr { return a.PodCIDR.Addr().Next() }

// Run sets the network up and answers calls until the context ends. What was set up stays.
func (a *Agent) Run(ctx context.Context) error {
	if err := a.setUp(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(a.SocketPath), 0o755); err != nil {
		return err
	}
	if err := os.Remove(a.SocketPath); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	l, err := net.Listen("unix", a.SocketPath)
	if err != nil {
		return err
	}
	if err := os.Chmod(a.SocketPath, 0o600); err != nil {
		l.Close()
		return err
	}
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	close(a.ready)
	var calls sync.WaitGroup
	defer calls.Wait()
	forwarding, cancel := context.WithCancel(ctx)
	defer cancel()
	calls.Go(func() { a.keepForwarding(forwarding) })
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil { // of what closed the listener: one derived from it may learn of its end later
				return nil
			}
			return err
		}
		calls.Go(func() { a.serve(c) })
	}
}

func (a *Agent) serve(c net.Conn) {
	defer c.Close()
	// The program writes its request at once; one that does not must not hold up our end.
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if err := cniwire.Answer(c, a.handle); err != nil {
		a.Log.Warn("CNI caller went away", "err", err)
	}
}

// setUp makes the bridge, the kernel's settings and the rules what they should be.
func (a *Agent) setUp() error {
	if !a.PodCIDR.Addr().Is4() || a.PodCIDR.Bits() > 29 || !a.ClusterCIDR.Addr().Is4() {
		return fmt.Errorf("pod addresses %s in %s: the pod network needs IPv4, and a /29 at least for a node", a.PodCIDR, a.ClusterCIDR)
	}
	var err error
	if a.ipam, err = openIPAM(a.StateDir, a.PodCIDR); err != nil {
		return err
	}
	if a.MTU == 0 {
		a.MTU = defaultMTU()
	}
	if err := a.bridge(); err != nil {
		return fmt.Errorf("bridge %s: %w", a.Bridge, err)
	}
	for name, value := range map[string]string{
		"net/ipv4/ip_forward": "1",
		// Replies of Services on this node must pass its rules on their way across the bridge.
		"net/bridge/bridge-nf-call-iptables": "1",
		// A host port is reached at 127.0.0.1 as well; see protect-localhost.
		"net/ipv4/conf/" + a.Bridge + "/route_localnet": "1",
	} {
		if err := sysctl(name, value); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if a.ports, err = a.storedPorts(); err != nil {
		return err
	}
	a.table = &table{name: a.TableName, bridge: a.Bridge, pods: a.PodCIDR, cluster: a.ClusterCIDR}
	if err := a.table.program(a.ports.open); err != nil {
		return fmt.Errorf("nftables table %s: %w", a.TableName, err)
	}
	return nil
}

func sysctl(name, value string) error {
	file := "/proc/sys/" + name
	if b, err := os.ReadFile(file); err == nil && len(b) > 0 && string(b[:1]) == value {
		return nil
	}
	return os.WriteFile(file, []byte(value), 0o644)
}

// defaultMTU is that of the interface of the default route.
func defaultMTU() int {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return 1500
	}
	for _, r := range routes {
		if r.Dst == nil || r.Dst.IP.IsUnspecified() {
			if l, err := netlink.LinkByIndex(r.LinkIndex); err == nil {
				return l.Attrs().MTU
			}
		}
	}
	return 1500
}

func (a *Agent) bridge() error {
	link, err := netlink.LinkByName(a.Bridge)
	var absent netlink.LinkNotFoundError
	if errors.As(err, &absent) {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU = a.Bridge, a.MTU
		// A fixed hardware address: a bridge otherwise takes that of its lowest port, and changes it.
		attrs.HardwareAddr = hardwareAddr(a.Gateway())
		if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		link, err = netlink.LinkByName(a.Bridge)
	}
	if err != nil {
		return err
	}
	want := &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(a.Gateway(), a.PodCIDR.Bits()))}
	have, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	found := false
	for _, h := range have {
		if h.Equal(*want) {
			found = true
		} else if err := netlink.AddrDel(link, &h); err != nil {
			return err
		}
	}
	if !found {
		if err := netlink.AddrAdd(link, want); err != nil {
			return err
		}
	}
	if link.Attrs().MTU != a.MTU {
		if err := netlink.LinkSetMTU(link, a.MTU); err != nil {
			return err
		}
	}
	return netlink.LinkSetUp(link)
}

// Remove takes away all that agents with these options ever made. It may be repeated.
func Remove(o Options) error {
	names, err := portsOf(o.Bridge)
	if err != nil {
		return err
	}
	for _, name := range append(names, o.Bridge) {
		if err := deleteLink(name); err != nil {
			return err
		}
	}
	if err := disallowForwarding(o.Bridge); err != nil {
		return err
	}
	if err := removeRoutes(); err != nil {
		return err
	}
	if err := removeTable(o.TableName); err != nil {
		return err
	}
	if err := os.Remove(o.SocketPath); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(o.StateDir)
}
