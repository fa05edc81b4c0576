package nft

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
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
// (or its path from before the Service existed) for as long as it sends. Flows
// do not tell an inside frontend from the ordinary one: name the backends of both.
func (f *Flows) Forget(frontends []Allowed) error {
	if len(frontends) == 0 {
		return nil
	}
	filter := flowFilter{}
	for _, a := range frontends {
		filter[a.Frontend] = a.Backends
	}
	if _, err := f.handle.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, filter); err != nil {
		return fmt.Errorf("delete stale UDP flows: %w", err)
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
	look := map[int]bool{}
	for _, a := range frontends {
		if a.Frontend.Addr.Is4() {
			allowed[a.Frontend] = a.Backends
			look[index(a.Frontend)] = true
		}
	}
	for i := range look {
		if err := t.forget(t.layout.variants[i], allowed); err != nil {
			return err
		}
	}
	return nil
}

func (t *Table) forget(v *variant, allowed map[Frontend][]netip.AddrPort) error {
	entries, err := t.conn.GetSetElements(v.affinity)
	if err != nil {
		return fmt.Errorf("list client affinity: %w", err)
	}
	for _, e := range entries {
		f, _, ok := v.decode(e.Key)
		backend, complete := decodeBackend(e.Val)
		if backends, listed := allowed[f]; !ok || !complete || !listed || slices.Contains(backends, backend) {
			continue
		}
		// One by one: an entry that times out meanwhile must not spoil the others.
		if err := t.conn.SetDeleteElements(v.affinity, []nftables.SetElement{{Key: e.Key, Val: e.Val}}); err != nil {
			return t.abandon(err)
		}
		if err := t.conn.Flush(); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("delete client affinity: %w", err)
		}
	}
	return nil
}
