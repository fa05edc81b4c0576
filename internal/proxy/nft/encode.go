package nft

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
)

func (e Element) ipv4() bool {
	return e.Frontend.Addr.Is4() && (!e.Backend.IsValid() || e.Backend.Addr().Is4()) && (!e.Source.IsValid() || e.Source.Addr().Is4())
}

// encode returns the sets that hold an element, and its bytes.
func (l *layout) encode(e Element) ([]*nftables.Set, nftables.SetElement) {
	v := l.variants[index(e.Frontend)]
	key := v.encode(e.Frontend)
	one := func(s *nftables.Set, el nftables.SetElement) ([]*nftables.Set, nftables.SetElement) {
		return []*nftables.Set{s}, el
	}
	addr := e.Frontend.Addr.AsSlice()
	switch e.Kind {
	case KindMode:
		sets := []*nftables.Set{v.frontends}
		if e.Mode&MasqueradeAlways != 0 {
			sets = append(sets, v.always)
		}
		if e.Mode&MasqueradeOutside != 0 {
			sets = append(sets, v.outside)
		}
		if a := e.Mode.Affinity(); a != 0 {
			sets = append(sets, v.affine[a])
		}
		return sets, nftables.SetElement{Key: key}
	case KindSlot:
		return one(v.slots, nftables.SetElement{Key: binary.NativeEndian.AppendUint32(key, e.Slot), Val: encodeBackend(e.Backend)})
	case KindReject:
		return one(v.reject, nftables.SetElement{Key: key})
	case KindDrop:
		return one(v.drop, nftables.SetElement{Key: key})
	case KindClusterIP:
		return one(l.clusterIPs, nftables.SetElement{Key: addr})
	case KindHairpin:
		return one(l.hairpin, nftables.SetElement{Key: append(addr, addr...)})
	case KindGuarded:
		return one(l.guarded, nftables.SetElement{Key: key})
	case KindSource:
		first, last := e.Source.Masked().Addr().As4(), lastOf(e.Source)
		n := len(key)
		return one(l.sources, nftables.SetElement{Key: append(key[:n:n], first[:]...), KeyEnd: append(key[:n:n], last[:]...)})
	}
	panic(fmt.Sprintf("nft: no set for elements of kind %d", e.Kind))
}

// encode returns the key of a frontend: each part takes a multiple of four bytes.
func (v *variant) encode(f Frontend) []byte {
	var key []byte
	if !v.node {
		key = f.Addr.AsSlice()
	}
	key = append(key, f.Proto, 0, 0, 0)
	key = binary.BigEndian.AppendUint16(key, f.Port)
	return append(key, 0, 0)
}

// decode is the inverse, and returns what is behind the key.
func (v *variant) decode(key []byte) (Frontend, []byte, bool) {
	f := Frontend{Addr: netip.IPv4Unspecified(), Inside: v.inside}
	if !v.node {
		if len(key) < 4 {
			return f, nil, false
		}
		f.Addr, key = netip.AddrFrom4([4]byte(key)), key[4:]
	}
	if len(key) < 8 {
		return f, nil, false
	}
	f.Proto, f.Port = key[0], binary.BigEndian.Uint16(key[4:])
	return f, key[8:], true
}

func encodeBackend(b netip.AddrPort) []byte {
	return append(binary.BigEndian.AppendUint16(b.Addr().AsSlice(), b.Port()), 0, 0)
}

func decodeBackend(b []byte) (netip.AddrPort, bool) {
	if len(b) < 6 {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), binary.BigEndian.Uint16(b[4:])), true
}

// lastOf returns the highest address of a prefix.
func lastOf(p netip.Prefix) [4]byte {
	a := p.Masked().Addr().As4()
	host := ^uint32(0) >> p.Bits()
	binary.BigEndian.PutUint32(a[:], binary.BigEndian.Uint32(a[:])|host)
	return a
}
