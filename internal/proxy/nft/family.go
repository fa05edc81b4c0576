package nft

import (
	"net"
	"net/netip"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// family is what differs between IPv4 and IPv6: sizes, offsets, names. Each has a
// table of its own, with the same layout.
type family struct {
	table       nftables.TableFamily
	addr        nftables.SetDatatype
	size        uint32 // of an address in bytes
	saddr       uint32 // its offset in the header; the destination follows
	loopback    netip.Prefix
	unreachable uint8 // the ICMP code of "port unreachable"
	conntrack   uint8
}

var (
	ipv4 = &family{
		table: nftables.TableFamilyIPv4, addr: nftables.TypeIPAddr, size: 4, saddr: 12,
		loopback: netip.MustParsePrefix("127.0.0.0/8"), unreachable: 3, conntrack: unix.AF_INET,
	}
	ipv6 = &family{
		table: nftables.TableFamilyIPv6, addr: nftables.TypeIP6Addr, size: 16, saddr: 8,
		loopback: netip.MustParsePrefix("::1/128"), unreachable: 4, conntrack: unix.AF_INET6,
	}
)

func familyOf(v6 bool) *family {
	if v6 {
		return ipv6
	}
	return ipv4
}

// words is the size of an address in registers.
func (f *family) words() uint32 { return f.size / 4 }

func (f *family) has(a netip.Addr) bool { return a.Is4() == (f.size == 4) }

func (f *family) mask(p netip.Prefix) []byte { return net.CIDRMask(p.Bits(), int(f.size)*8) }

// last returns the highest address of a prefix.
func (f *family) last(p netip.Prefix) []byte {
	out := p.Masked().Addr().AsSlice()
	for i, m := range f.mask(p) {
		out[i] |= ^m
	}
	return out
}
