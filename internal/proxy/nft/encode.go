package nft

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
)

// encode returns the sets that an element goes into, and its bytes in them. Each part of a
// key takes a multiple of four bytes; ports are in network order, slot numbers in the host's.
func (l *layout) encode(e Element) ([]*nftables.Set, nftables.SetElement) {
	v := l.of(e.Frontend)
	switch e.Kind {
	case KindForward:
		sets := []*nftables.Set{v.forward[e.Mode.Affinity()]}
		if e.Mode&MasqueradeAlways != 0 {
			sets = append(sets, v.masquerade)
		}
		if e.Mode&MasqueradeOutside != 0 {
			sets = append(sets, v.masqueradeOutside)
		}
		return sets, nftables.SetElement{Key: v.encode(e.Frontend)}
	case KindSlot:
		el := nftables.SetElement{Key: append(v.encode(e.Frontend), native(e.Slot)...), Val: l.encodeBackend(e.Backend)}
		if e.Sticky {
			el.Val = append([]byte{e.Frontend.Proto, 0, 0, 0}, el.Val...)
			return []*nftables.Set{v.pinned}, el
		}
		return []*nftables.Set{v.slots}, el
	case KindReject:
		return []*nftables.Set{v.reject}, nftables.SetElement{Key: v.encode(e.Frontend)}
	case KindDrop:
		return []*nftables.Set{v.drop}, nftables.SetElement{Key: v.encode(e.Frontend)}
	case KindClusterIP:
		return []*nftables.Set{l.clusterIPs}, nftables.SetElement{Key: e.Frontend.Addr.AsSlice()}
	case KindHairpin:
		a := e.Frontend.Addr.AsSlice()
		return []*nftables.Set{l.hairpin}, nftables.SetElement{Key: append(a, a...)}
	case KindGuarded:
		return []*nftables.Set{l.guarded}, nftables.SetElement{Key: v.encode(e.Frontend)}
	case KindSource:
		return []*nftables.Set{l.sources}, nftables.SetElement{
			Key:    append(v.encode(e.Frontend), e.Source.Masked().Addr().AsSlice()...),
			KeyEnd: append(v.encode(e.Frontend), l.last(e.Source)...),
		}
	}
	panic(fmt.Sprintf("nft: no set for elements of kind %d", e.Kind))
}

func (k key) encode(f Frontend) []byte {
	out := make([]byte, 0, 40)
	if !k.node {
		out = append(out, f.Addr.AsSlice()...)
	}
	out = append(out, f.Proto, 0, 0, 0)
	return append(binary.BigEndian.AppendUint16(out, f.Port), 0, 0)
}

func (f *family) encodeBackend(b netip.AddrPort) []byte {
	return append(binary.BigEndian.AppendUint16(b.Addr().AsSlice(), b.Port()), 0, 0)
}

// decodeClient reads an element of the affinity map; the client's address does not matter.
func (v *variant) decodeClient(e nftables.SetElement) (Frontend, netip.AddrPort, bool) {
	k, size := e.Key, int(v.size)
	addr := netip.IPv4Unspecified()
	if size == 16 {
		addr = netip.IPv6Unspecified()
	}
	if !v.node {
		if len(k) < size {
			return Frontend{}, netip.AddrPort{}, false
		}
		addr, _ = netip.AddrFromSlice(k[:size])
		k = k[size:]
	}
	if len(k) != 8+size || len(e.Val) != size+8 {
		return Frontend{}, netip.AddrPort{}, false
	}
	backend, _ := netip.AddrFromSlice(e.Val[4 : 4+size])
	return Frontend{Addr: addr, Proto: k[0], Port: binary.BigEndian.Uint16(k[4:]), Inside: v.inside},
		netip.AddrPortFrom(backend, binary.BigEndian.Uint16(e.Val[4+size:])), true
}
