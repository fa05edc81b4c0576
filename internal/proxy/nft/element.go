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

import "net/netip"

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
	// KindMode holds frontends that forward, and how.
	KindMode Kind = iota
	// KindSlot maps a frontend and slot number to a backend.
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

// Element is one entry of one map or set. Fields that its kind does not use are zero, so
// that elements compare with ==.
type Element struct {
	Kind     Kind
	Frontend Frontend
	Slot     uint32
	Mode     Mode
	Backend  netip.AddrPort
	Source   netip.Prefix
}

// Key returns the element without its data: two elements with one key cannot
// both be in the table.
func (e Element) Key() Element {
	e.Mode, e.Backend = 0, netip.AddrPort{}
	return e
}

// Mode is how a frontend forwards: when to masquerade, and the seconds of client affinity.
type Mode uint32

const (
	// MasqueradeOutside hides the client when it is not a pod.
	MasqueradeOutside Mode = 1
	// MasqueradeAlways hides every client: the answer must come back through this node.
	MasqueradeAlways Mode = 2

	affinityShift = 2
)

// Affine returns the mode with seconds of client affinity; 0 means none.
func (m Mode) Affine(seconds uint32) Mode {
	return m&(MasqueradeOutside|MasqueradeAlways) | Mode(seconds)<<affinityShift
}

// Affinity returns the seconds that a client stays with its backend, 0 for no affinity.
func (m Mode) Affinity() uint32 { return uint32(m >> affinityShift) }

// Classes are the slot counts to choose from. A packet picks a slot at random
// modulo the count, which nftables can only do with a constant: hence one rule per
// class. The slots of a class of n are numbered from n to 2n-1, so the rule of a
// class finds frontends of its class only, and all classes share one map.
var Classes = [...]uint32{4, 16, 64, 256, 1024, 4096, 16384}
