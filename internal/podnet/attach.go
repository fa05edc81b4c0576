package podnet

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/skiff-k8s/skiff/internal/runtime/cniwire"
)

// vethPrefix marks the host's end of every pod's pair of interfaces.
const vethPrefix = "skv"

func vethName(container, ifName string) string {
	sum := sha256.Sum256([]byte(container + "/" + ifName))
	return vethPrefix + hex.EncodeToString(sum[:5])
}

func isOurs(l netlink.Link) bool {
	n := l.Attrs().Name
	return l.Type() == "veth" && strings.HasPrefix(n, vethPrefix) && len(n) == len(vethPrefix)+10
}

// hardwareAddr is made of the address, so that neighbours who remember one know
// the right one also when the address went to another pod.
func hardwareAddr(ip netip.Addr) net.HardwareAddr {
	b := ip.As4()
	return net.HardwareAddr{0x0a, 0x58, b[0], b[1], b[2], b[3]}
}

// connect makes the pair of interfaces, one end on the bridge, the other in the pod.
func (a *Agent) connect(req cniwire.Request, ip netip.Addr) (net.HardwareAddr, error) {
	ns, err := netns.GetFromPath(req.Netns)
	if err != nil {
		return nil, fmt.Errorf("open the pod's network namespace: %w", err)
	}
	defer ns.Close()
	bridge, err := netlink.LinkByName(a.Bridge)
	if err != nil {
		return nil, fmt.Errorf("bridge %s: %w", a.Bridge, err)
	}
	host := vethName(req.ContainerID, req.IfName)
	// A call that was broken off may have left it.
	if err := deleteLink(host); err != nil {
		return nil, err
	}
	mac := hardwareAddr(ip)
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.MasterIndex = host, a.MTU, bridge.Attrs().Index
	// The other end is made in the pod at once: it is never seen on the host.
	pair := &netlink.Veth{LinkAttrs: attrs, PeerName: req.IfName, PeerNamespace: netlink.NsFd(int(ns)), PeerHardwareAddr: mac, PeerMTU: uint32(a.MTU)}
	if err := netlink.LinkAdd(pair); err != nil {
		return nil, fmt.Errorf("make interfaces %s and %s: %w", host, req.IfName, err)
	}
	link, err := netlink.LinkByName(host)
	if err != nil {
		return nil, err
	}
	// Hairpin: a pod may reach itself through a Service.
	if err := netlink.LinkSetHairpin(link, true); err != nil {
		return nil, fmt.Errorf("set hairpin of %s: %w", host, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return nil, fmt.Errorf("set %s up: %w", host, err)
	}
	if err := a.configure(ns, req.IfName, ip); err != nil {
		return nil, fmt.Errorf("configure %s of the pod: %w", req.IfName, err)
	}
	return mac, nil
}

// configure sets the pod's end up, through a socket in its namespace.
func (a *Agent) configure(ns netns.NsHandle, ifName string, ip netip.Addr) error {
	h, err := netlink.NewHandleAt(ns, syscall.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := h.LinkSetUp(lo); err != nil {
		return err
	}
	eth, err := h.LinkByName(ifName)
	if err != nil {
		return err
	}
	if err := h.AddrAdd(eth, &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(ip, a.PodCIDR.Bits()))}); err != nil {
		return fmt.Errorf("set address %s: %w", ip, err)
	}
	if err := h.LinkSetUp(eth); err != nil {
		return err
	}
	if err := h.RouteAdd(&netlink.Route{LinkIndex: eth.Attrs().Index, Gw: a.Gateway().AsSlice()}); err != nil {
		return fmt.Errorf("add the default route: %w", err)
	}
	return nil
}

// check tells whether what an ADD made is still there.
func (a *Agent) check(req cniwire.Request) error {
	ip, ok := a.ipam.find(req.ContainerID)
	if !ok {
		return fmt.Errorf("container %s has no address", req.ContainerID)
	}
	if err := a.status(); err != nil {
		return err
	}
	name := vethName(req.ContainerID, req.IfName)
	host, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("interface %s: %w", name, err)
	}
	bridge, err := netlink.LinkByName(a.Bridge)
	if err != nil {
		return err
	}
	if host.Attrs().MasterIndex != bridge.Attrs().Index {
		return fmt.Errorf("interface %s is not a port of %s", name, a.Bridge)
	}
	ns, err := netns.GetFromPath(req.Netns)
	if err != nil {
		return fmt.Errorf("open the pod's network namespace: %w", err)
	}
	defer ns.Close()
	h, err := netlink.NewHandleAt(ns, syscall.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer h.Close()
	eth, err := h.LinkByName(req.IfName)
	if err != nil {
		return fmt.Errorf("interface %s of the pod: %w", req.IfName, err)
	}
	addrs, err := h.AddrList(eth, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(addrs, func(x netlink.Addr) bool { return x.IP.Equal(ip.AsSlice()) }) {
		return fmt.Errorf("interface %s of the pod does not have its address %s", req.IfName, ip)
	}
	routes, err := h.RouteList(eth, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(routes, func(r netlink.Route) bool { return r.Gw.Equal(a.Gateway().AsSlice()) }) {
		return fmt.Errorf("the pod has no route through %s", a.Gateway())
	}
	return nil
}

// status tells whether pods can be added now.
func (a *Agent) status() error {
	l, err := netlink.LinkByName(a.Bridge)
	if err == nil && l.Attrs().Flags&net.FlagUp == 0 {
		err = errors.New("it is down")
	}
	if err != nil {
		return &cniwire.Error{Code: codeNotAvailable, Msg: "bridge " + a.Bridge, Details: err.Error()}
	}
	return nil
}

// codeNotAvailable is STATUS's "no ADD would succeed".
const codeNotAvailable = 50

// veths are the host's ends that are ports of our bridge.
func (a *Agent) veths() ([]string, error) { return portsOf(a.Bridge) }

// portsOf are the veths of ours on a bridge, and those on none (their bridge was deleted).
func portsOf(bridge string) ([]string, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, err
	}
	index := 0
	for _, l := range links {
		if l.Attrs().Name == bridge {
			index = l.Attrs().Index
		}
	}
	var out []string
	for _, l := range links {
		if m := l.Attrs().MasterIndex; isOurs(l) && (m == 0 || m == index) {
			out = append(out, l.Attrs().Name)
		}
	}
	return out, nil
}

// deleteLink removes an interface, if it is there.
func deleteLink(name string) error {
	l, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.LinkDel(l)
	}
	if err != nil && !gone(err) {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return nil
}

func gone(err error) bool {
	var absent netlink.LinkNotFoundError
	return errors.As(err, &absent) || errors.Is(err, syscall.ENODEV) || errors.Is(err, fs.ErrNotExist)
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
