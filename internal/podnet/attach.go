package podnet

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
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

// config is what we read of the network's configuration.
type config struct {
	CNIVersion    string `json:"cniVersion"`
	RuntimeConfig struct {
		PortMappings []portMapping `json:"portMappings"`
	} `json:"runtimeConfig"`
	Valid []struct {
		ContainerID string `json:"containerID"`
		IfName      string `json:"ifname"`
	} `json:"cni.dev/valid-attachments"`
}

// portMapping is a port of the node that leads to a port of a pod.
type portMapping struct {
	HostPort      uint16 `json:"hostPort"`
	ContainerPort uint16 `json:"containerPort"`
	Protocol      string `json:"protocol"`
	HostIP        string `json:"hostIP,omitempty"`
	IP            string `json:"ip,omitempty"` // of the pod; ours
}

func (a *Agent) call(req cniwire.Request) (json.RawMessage, error) {
	var c config
	if err := json.Unmarshal(req.Config, &c); err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	switch req.Command {
	case "ADD":
		return a.add(req, c)
	case "DEL":
		return nil, a.del(req)
	case "CHECK":
		return nil, a.check(req)
	case "STATUS":
		return nil, nil
	case "GC":
		keep := map[string]bool{}
		for _, v := range c.Valid {
			keep[v.ContainerID] = true
		}
		return nil, a.collect(keep)
	}
	return nil, fmt.Errorf("unknown CNI command %q", req.Command)
}

// add gives a pod its interface.
func (a *Agent) add(req cniwire.Request, c config) (json.RawMessage, error) {
	ip, err := a.ipam.take(req.ContainerID)
	if err != nil {
		return nil, err
	}
	mac, err := a.connect(req, ip)
	if err == nil {
		err = a.openPorts(req.ContainerID, ip, c.RuntimeConfig.PortMappings)
	}
	if err != nil {
		return nil, errors.Join(err, a.del(req))
	}
	version := c.CNIVersion
	if version == "" {
		version = "1.0.0"
	}
	container := 1
	return json.Marshal(map[string]any{
		"cniVersion": version,
		"interfaces": []map[string]string{{"name": vethName(req.ContainerID, req.IfName)}, {"name": req.IfName, "mac": mac.String(), "sandbox": req.Netns}},
		"ips":        []map[string]any{{"interface": container, "address": netip.PrefixFrom(ip, a.PodCIDR.Bits()).String(), "gateway": a.Gateway().String()}},
		"routes":     []map[string]string{{"dst": "0.0.0.0/0", "gw": a.Gateway().String()}},
		"dns":        map[string]any{},
	})
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
		return nil, err
	}
	host := vethName(req.ContainerID, req.IfName)
	if old, err := netlink.LinkByName(host); err == nil {
		// A call that was broken off left it.
		if err := netlink.LinkDel(old); err != nil && !gone(err) {
			return nil, err
		}
	}
	b := ip.As4()
	mac := net.HardwareAddr{0x0a, 0x58, b[0], b[1], b[2], b[3]}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.MasterIndex = host, a.MTU, bridge.Attrs().Index
	// The other end is made in the pod at once: it is never seen on the host.
	pair := &netlink.Veth{LinkAttrs: attrs, PeerName: req.IfName, PeerNamespace: netlink.NsFd(int(ns)), PeerHardwareAddr: mac, PeerMTU: uint32(a.MTU)}
	if err := netlink.LinkAdd(pair); err != nil {
		return nil, fmt.Errorf("make interfaces: %w", err)
	}
	link, err := netlink.LinkByName(host)
	if err != nil {
		return nil, err
	}
	// Hairpin: a pod may reach itself through a Service.
	if err := netlink.LinkSetHairpin(link, true); err != nil {
		return nil, err
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return nil, err
	}
	return mac, a.configure(ns, req.IfName, ip)
}

// configure sets the pod's end up, through a socket in its namespace.
func (a *Agent) configure(ns netns.NsHandle, ifName string, ip netip.Addr) error {
	h, err := netlink.NewHandleAt(ns, syscall.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer h.Close()
	if lo, err := h.LinkByName("lo"); err == nil {
		if err := h.LinkSetUp(lo); err != nil {
			return err
		}
	}
	eth, err := h.LinkByName(ifName)
	if err != nil {
		return err
	}
	if err := h.AddrAdd(eth, &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(ip, a.PodCIDR.Bits()))}); err != nil {
		return fmt.Errorf("set the pod's address: %w", err)
	}
	if err := h.LinkSetUp(eth); err != nil {
		return err
	}
	return h.RouteAdd(&netlink.Route{LinkIndex: eth.Attrs().Index, Gw: a.Gateway().AsSlice()})
}

// del takes the interface and the address back. What is gone already is no error.
func (a *Agent) del(req cniwire.Request) error {
	link, err := netlink.LinkByName(vethName(req.ContainerID, req.IfName))
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil && !gone(err) {
		return fmt.Errorf("remove the pod's interface: %w", err)
	}
	return a.release(req.ContainerID)
}

func (a *Agent) release(container string) error {
	if err := a.closePorts(container); err != nil {
		return err
	}
	return a.ipam.release(container)
}

func gone(err error) bool {
	var absent netlink.LinkNotFoundError
	return errors.As(err, &absent) || errors.Is(err, syscall.ENODEV) || errors.Is(err, fs.ErrNotExist)
}

func (a *Agent) check(req cniwire.Request) error {
	if _, ok := a.ipam.find(req.ContainerID); !ok {
		return fmt.Errorf("container %s has no address", req.ContainerID)
	}
	_, err := netlink.LinkByName(vethName(req.ContainerID, req.IfName))
	return err
}

// collect takes back what containers that are not there any more have left.
func (a *Agent) collect(keep map[string]bool) error {
	for _, id := range a.ipam.containers() {
		if keep[id] {
			continue
		}
		if err := a.del(cniwire.Request{ContainerID: id, IfName: "eth0"}); err != nil {
			return err
		}
	}
	return nil
}

func (a *Agent) openPorts(container string, ip netip.Addr, ports []portMapping) error {
	if len(ports) == 0 {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.allPorts()
	mine := make([]portMapping, 0, len(ports))
	for _, p := range ports {
		if p.HostPort == 0 {
			continue
		}
		p.IP, p.Protocol = ip.String(), strings.ToLower(p.Protocol)
		mine = append(mine, p)
	}
	a.ports[container] = mine
	if err := a.ipam.keepPorts(container, mine); err != nil {
		return err
	}
	return a.table.setPorts(before, a.allPorts())
}

func (a *Agent) closePorts(container string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.ports[container]) == 0 {
		return nil
	}
	before := a.allPorts()
	delete(a.ports, container)
	return a.table.setPorts(before, a.allPorts())
}

// allPorts are the open host ports by protocol and number. mu is held, or nobody else is there yet.
func (a *Agent) allPorts() map[portKey]portMapping {
	out := map[portKey]portMapping{}
	for _, ps := range a.ports {
		for _, p := range ps {
			out[portKey{p.Protocol, p.HostPort}] = p
		}
	}
	return out
}

type portKey struct {
	protocol string
	port     uint16
}
