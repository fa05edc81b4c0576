package podnet

import (
	"fmt"
	"maps"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// portMapping is a port of the node that leads to a port of a pod, as the container
// runtime says it and as a lease keeps it.
type portMapping struct {
	HostPort      int    `json:"hostPort"`
	ContainerPort int    `json:"containerPort"`
	Protocol      string `json:"protocol"`
	HostIP        string `json:"hostIP,omitempty"`
}

// portKey is a host port: of one address, or (no address) of all that the node has.
type portKey struct {
	address  netip.Addr
	protocol byte
	port     uint16
}

// target is where a host port leads.
type target struct {
	address netip.Addr
	port    uint16
}

// hostPorts are the open host ports of a node and whose they are.
type hostPorts struct {
	open  map[portKey]target
	owner map[portKey]string
}

func newHostPorts() *hostPorts {
	return &hostPorts{open: map[portKey]target{}, owner: map[portKey]string{}}
}

// set makes the ports of a container those of the mappings: none takes them all away. Where
// two containers want the same port, the later one has it.
func (h *hostPorts) set(container string, ports map[portKey]target) {
	for k, o := range h.owner {
		if o == container {
			delete(h.open, k)
			delete(h.owner, k)
		}
	}
	for k, t := range ports {
		h.open[k], h.owner[k] = t, container
	}
}

func (h *hostPorts) clone() *hostPorts {
	return &hostPorts{open: maps.Clone(h.open), owner: maps.Clone(h.owner)}
}

var protocols = map[string]byte{"": unix.IPPROTO_TCP, "tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "sctp": unix.IPPROTO_SCTP}

// parsePorts reads mappings to a pod's address. Those of IPv6 addresses of the node
// are returned as skipped: pods have IPv4 addresses only.
func parsePorts(pod netip.Addr, ports []portMapping) (out map[portKey]target, skipped []string, err error) {
	out = map[portKey]target{}
	for _, p := range ports {
		if p.HostPort == 0 {
			continue // the port is only named
		}
		proto, ok := protocols[strings.ToLower(p.Protocol)]
		if !ok {
			return nil, nil, fmt.Errorf("host port %d: unknown protocol %q", p.HostPort, p.Protocol)
		}
		if p.HostPort < 0 || p.HostPort > 65535 || p.ContainerPort < 1 || p.ContainerPort > 65535 {
			return nil, nil, fmt.Errorf("host port %d to port %d: not port numbers", p.HostPort, p.ContainerPort)
		}
		k := portKey{protocol: proto, port: uint16(p.HostPort)}
		if p.HostIP != "" {
			ip, err := netip.ParseAddr(p.HostIP)
			if err != nil {
				return nil, nil, fmt.Errorf("host port %d: hostIP: %w", p.HostPort, err)
			}
			if ip = ip.Unmap(); ip.Is6() {
				skipped = append(skipped, netip.AddrPortFrom(ip, k.port).String())
				continue
			}
			if !ip.IsUnspecified() {
				k.address = ip
			}
		}
		out[k] = target{pod, uint16(p.ContainerPort)}
	}
	return out, skipped, nil
}

// openPorts leads host ports to a container, and stores them with its lease.
func (a *Agent) openPorts(container string, ip netip.Addr, ports []portMapping) error {
	if len(ports) == 0 {
		return nil
	}
	want, skipped, err := parsePorts(ip, ports)
	if err != nil {
		return err
	}
	if len(skipped) > 0 {
		a.Log.Warn("host ports of IPv6 addresses are not served: the pod network is IPv4", "container", container, "ports", skipped)
	}
	if err := a.ipam.keepPorts(container, ports); err != nil {
		return err
	}
	return a.setPorts(container, want)
}

func (a *Agent) setPorts(container string, want map[portKey]target) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	after := a.ports.clone()
	after.set(container, want)
	if err := a.table.setPorts(a.ports.open, after.open); err != nil {
		return fmt.Errorf("host ports: %w", err)
	}
	changed := map[portKey]bool{}
	for k, t := range a.ports.open {
		changed[k] = after.open[k] != t
	}
	for k, t := range after.open {
		changed[k] = a.ports.open[k] != t
	}
	a.ports = after
	return forgetFlows(changed)
}

// forgetFlows ends what the kernel remembers of UDP flows to ports that now lead
// elsewhere: their packets would go the old way for as long as they keep coming.
func forgetFlows(changed map[portKey]bool) error {
	f := flowFilter{}
	for k, c := range changed {
		if c && k.protocol == unix.IPPROTO_UDP {
			f[k.port] = true
		}
	}
	if len(f) == 0 {
		return nil
	}
	if _, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, f); err != nil {
		return fmt.Errorf("forget UDP flows: %w", err)
	}
	return nil
}

type flowFilter map[uint16]bool

// MatchConntrackFlow tells whether a flow was begun to one of the ports.
func (f flowFilter) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	return flow.Forward.Protocol == unix.IPPROTO_UDP && f[flow.Forward.DstPort]
}

// storedPorts are the host ports of the leases that an earlier agent left.
func (a *Agent) storedPorts() (*hostPorts, error) {
	h := newHostPorts()
	err := a.ipam.each(func(container string, l lease) {
		// They were parsed before they were stored.
		if ports, _, err := parsePorts(l.Address, l.Ports); err == nil {
			h.set(container, ports)
		}
	})
	return h, err
}
