package nft

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Allowed is a frontend and the backends that it may lead to.
type Allowed struct {
	Frontend Frontend
	Backends []netip.AddrPort
}

// Flows is a connection to the conntrack table of the network namespace that it was opened in.
type Flows struct{ handle *netlink.Handle }

// OpenFlows connects to conntrack.
func OpenFlows() (*Flows, error) {
	h, err := netlink.NewHandle(unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("connect to conntrack: %w", err)
	}
	return &Flows{h}, nil
}

// Close gives the connection back.
func (f *Flows) Close() { f.handle.Close() }

// Forget deletes UDP flows through these frontends that lead elsewhere than
// allowed: a client that keeps sending would otherwise keep its dead backend
// (or its path from before the Service existed) for as long as it sends. Of
// frontends, the inside variant is not told apart: name the backends of both.
func (f *Flows) Forget(frontends []Allowed) error {
	if len(frontends) == 0 {
		return nil
	}
	for _, fam := range []*family{ipv4, ipv6} {
		filter := flowFilter{}
		for _, a := range frontends {
			if fam.has(a.Frontend.Addr) {
				a.Frontend.Inside = false
				filter[a.Frontend] = a.Backends
			}
		}
		if len(filter) == 0 {
			continue
		}
		if _, err := f.handle.ConntrackDeleteFilters(netlink.ConntrackTable, netlink.InetFamily(fam.conntrack), filter); err != nil {
			return fmt.Errorf("delete stale UDP flows: %w", err)
		}
	}
	return nil
}

type flowFilter map[Frontend][]netip.AddrPort

// MatchConntrackFlow tells if a flow is stale.
func (ff flowFilter) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	if flow.Forward.Protocol != UDP {
		return false
	}
	dst, from := address(flow.Forward.DstIP), address(flow.Reverse.SrcIP)
	backend := netip.AddrPortFrom(from, flow.Reverse.SrcPort)
	f := Frontend{Addr: dst, Port: flow.Forward.DstPort, Proto: UDP}
	if allowed, ok := ff[f]; ok {
		return !slices.Contains(allowed, backend)
	}
	f.Addr = netip.IPv4Unspecified()
	if dst.Is6() {
		f.Addr = netip.IPv6Unspecified()
	}
	allowed, ok := ff[f]
	// To the port of a node port, but not necessarily of ours: only what was translated counts.
	return ok && dst != from && !slices.Contains(allowed, backend)
}

func address(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

// ForgetClients deletes affinity entries of these frontends that lead to other
// backends than allowed.
func (t *Table) ForgetClients(frontends []Allowed) error {
	allowed := map[Frontend][]netip.AddrPort{}
	look := [4]bool{}
	for _, a := range frontends {
		if t.has(a.Frontend.Addr) {
			allowed[a.Frontend] = a.Backends
			look[index(a.Frontend.Addr.IsUnspecified(), a.Frontend.Inside)] = true
		}
	}
	for i, v := range t.layout.variants {
		if !look[i] {
			continue
		}
		entries, err := t.conn.GetSetElements(v.affinity)
		if err != nil {
			return fmt.Errorf("list client affinity: %w", err)
		}
		for _, e := range entries {
			f, backend, ok := v.decodeClient(e)
			if backends, listed := allowed[f]; !ok || !listed || slices.Contains(backends, backend) {
				continue
			}
			// One by one: an entry that times out meanwhile must not spoil the others.
			if err := t.conn.SetDeleteElements(v.affinity, []nftables.SetElement{{Key: e.Key, Val: e.Val}}); err != nil {
				return t.abandon(err)
			}
			if err := t.conn.Flush(); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("delete client affinity: %w", err)
			}
		}
	}
	return nil
}
