// Package nft keeps one nftables table of the host equal to a set of elements:
// it knows the layout of the table (chains, maps, rules), and how an element
// becomes bytes. What the elements are is decided in package proxy.
//
// In: elements to delete and to add. Out: netlink batches, each atomic.
// Invariants: services are elements of data maps, never chains or rules of
// their own, so the cost of a change does not depend on how many there are;
// nothing outside the one table (and stale UDP flows in conntrack) is touched.
//
// Read element.go, then layout.go (the table and the path of a packet), then
// table.go (how differences reach the kernel).
package nft

import (
	"fmt"
	"net/netip"
)

// Frontend is an address, protocol and port that packets of a Service arrive
// with. An unspecified address stands for every address of this node (a node port).
type Frontend struct {
	Addr  netip.Addr
	Port  uint16
	Proto uint8
	// Inside selects the variant that only this node and the pods see, and see
	// before the ordinary one: services with externalTrafficPolicy Local differ
	// for them.
	Inside bool
}

// Protocols by their IP number.
const (
	TCP  = 6
	UDP  = 17
	SCTP = 132
)

// Kind says which map or set an element belongs to.
type Kind uint8

const (
	// KindForward holds what makes a frontend forward: its Mode.
	KindForward Kind = iota
	// KindSlot gives a backend to a slot of a frontend.
	KindSlot
	// KindReject holds frontends that answer "refused": no endpoints at all.
	KindReject
	// KindDrop holds frontends that stay silent: no endpoints on this node, and
	// the Service wants only those.
	KindDrop
	// KindClusterIP holds addresses (Frontend.Addr) whose other ports are refused.
	KindClusterIP
	// KindHairpin holds addresses (Frontend.Addr) of local backends, which may
	// reach themselves through a Service.
	KindHairpin
	// KindGuarded holds frontends that only the sources in KindSource may use.
	KindGuarded
	// KindSource holds a frontend and a source prefix that may use it.
	KindSource
)

var kindNames = [...]string{"forward", "slot", "reject", "drop", "cluster-ip", "hairpin", "guarded", "source"}

func (k Kind) String() string { return kindNames[k] }

// Element is one entry of one map or set. Fields that its kind does not use are zero, so
// that elements compare with ==.
type Element struct {
	Kind     Kind
	Frontend Frontend
	Slot     uint32
	Sticky   bool // of a slot: its frontend has client affinity
	Mode     Mode
	Backend  netip.AddrPort
	Source   netip.Prefix
}

// Mode is how a frontend forwards: whether to masquerade, and the seconds of client affinity.
type Mode uint32

const (
	// MasqueradeOutside hides the client when it is not a pod (of an inside frontend: when it is
	// this node).
	MasqueradeOutside Mode = 1
	// MasqueradeAlways hides every client: the answer must come back through this node.
	MasqueradeAlways Mode = 2

	affinityShift = 2
)

// Affine returns the mode with seconds of client affinity, 0 for none.
func (m Mode) Affine(seconds uint32) Mode {
	return m&(MasqueradeOutside|MasqueradeAlways) | Mode(seconds)<<affinityShift
}

// Affinity returns the seconds that a client stays with its backend, 0 for no affinity.
func (m Mode) Affinity() uint32 { return uint32(m >> affinityShift) }

func (m Mode) String() string {
	s := "plain"
	switch {
	case m&MasqueradeAlways != 0:
		s = "masquerade"
	case m&MasqueradeOutside != 0:
		s = "masquerade-outside"
	}
	if a := m.Affinity(); a != 0 {
		s += fmt.Sprintf(" affinity %ds", a)
	}
	return s
}

// Classes are the slot counts to choose from. A packet picks a slot at random
// modulo the count, which nftables can only do with a constant: hence one rule
// per class. The slots of a class of n are numbered from n to 2n-1, so that all classes
// share one map, and a rule finds frontends of its own class only.
var Classes = [...]uint32{4, 16, 64, 256, 1024, 4096, 16384}

func (f Frontend) String() string {
	addr := f.Addr.String()
	if f.Addr.IsUnspecified() {
		addr = "node"
		if f.Addr.Is6() {
			addr = "node6"
		}
	}
	proto := map[uint8]string{TCP: "tcp", UDP: "udp", SCTP: "sctp"}[f.Proto]
	s := fmt.Sprintf("%s . %s . %d", addr, proto, f.Port)
	if f.Inside {
		s += " inside"
	}
	return s
}

// String shows the element in a line, near to how nft lists it.
func (e Element) String() string {
	switch e.Kind {
	case KindForward:
		return fmt.Sprintf("%s %s : %s", e.Kind, e.Frontend, e.Mode)
	case KindSlot:
		return fmt.Sprintf("%s %s . %d : %s", e.Kind, e.Frontend, e.Slot, e.Backend)
	case KindClusterIP, KindHairpin:
		return fmt.Sprintf("%s %s", e.Kind, e.Frontend.Addr)
	case KindSource:
		return fmt.Sprintf("%s %s . %s", e.Kind, e.Frontend, e.Source)
	}
	return fmt.Sprintf("%s %s", e.Kind, e.Frontend)
}
