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
	// KindMode maps a frontend to its Mode: that is what makes it forward.
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

// Mode is what the data path must know about a frontend before it picks a slot:
// the slot class in the low bits, when to masquerade, and the seconds of client affinity.
type Mode uint32

const (
	classMask Mode = 0xf
	// MasqueradeOutside hides the client when it is not a pod.
	MasqueradeOutside Mode = 0x10
	// MasqueradeAlways hides every client: the answer must come back through this node.
	MasqueradeAlways Mode = 0x20

	affinityShift = 8
	// dispatchMask keeps what selects the chain.
	dispatchMask = ^(MasqueradeOutside | MasqueradeAlways)
)

// Classes are the slot counts to choose from. A packet picks a slot at random
// modulo the count, which nftables can only do with a constant: hence one chain per class.
var Classes = [...]uint32{4, 16, 64, 256, 1024, 4096, 16384}

// ModeOf packs a mode; affinity is in seconds, 0 for none.
func ModeOf(class int, masquerade Mode, affinity uint32) Mode {
	return Mode(class) | masquerade | Mode(affinity)<<affinityShift
}

// Affinity returns the seconds that a client stays with its backend, 0 for no affinity.
func (m Mode) Affinity() uint32 { return uint32(m >> affinityShift) }

// Class returns the index into Classes.
func (m Mode) Class() int { return int(m & classMask) }
