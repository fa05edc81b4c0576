package nft

import (
	"encoding/binary"
	"net"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The phrases that rules are made of.

func native(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

// Registers (32 bits each): a key of at most four words, then the backend.
const (
	regKey     = 8
	regBackend = 12
	regPort    = 13
)

// Offsets in the IPv4 header.
const (
	saddr = 12
	daddr = 16
)

func address4(register, offset uint32) expr.Any {
	return &expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4}
}

// keyType is that of the sets of a variant; node ports have no address in it.
func (v *variant) keyType() []nftables.SetDatatype {
	if v.node {
		return portType
	}
	return slices.Concat(addressType, portType)
}

// key loads the frontend that a packet goes to.
func (v *variant) key() []expr.Any {
	port := []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: v.fourth() - 2},
		&expr.Payload{DestRegister: v.fourth() - 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
	}
	if v.node {
		return port
	}
	return append([]expr.Any{address4(regKey, daddr)}, port...)
}

// fourth is the register behind the key, for the slot or the client.
func (v *variant) fourth() uint32 {
	if v.node {
		return regKey + 2
	}
	return regKey + 3
}

// client loads the source address behind the key.
func (v *variant) client() []expr.Any { return []expr.Any{address4(v.fourth(), saddr)} }

// in continues if the key is in the set (or is not, when inverted).
func in(s *nftables.Set, invert bool) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: regKey, SetID: s.ID, SetName: s.Name, Invert: invert}}
}

// fromPods compares the source address with the pods' range.
func (l *layout) fromPods(op expr.CmpOp) []expr.Any {
	mask := net.CIDRMask(l.cidr.Bits(), 32)
	return []expr.Any{
		&expr.Payload{DestRegister: regKey, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4},
		&expr.Bitwise{SourceRegister: regKey, DestRegister: regKey, Len: 4, Mask: mask, Xor: make([]byte, 4)},
		&expr.Cmp{Register: regKey, Op: op, Data: l.cidr.Masked().Addr().AsSlice()},
	}
}

// toThisNode continues for addresses of this node, 127/8 excepted: the kernel
// does not route what comes from there elsewhere, and must not (CVE-2020-8558).
func toThisNode() []expr.Any {
	return []expr.Any{
		&expr.Fib{Register: regKey, FlagDADDR: true, ResultADDRTYPE: true},
		&expr.Cmp{Register: regKey, Op: expr.CmpOpEq, Data: native(unix.RTN_LOCAL)},
		&expr.Payload{DestRegister: regKey, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 1},
		&expr.Cmp{Register: regKey, Op: expr.CmpOpNeq, Data: []byte{127}},
	}
}

// testBits continues if the key register has any of the bits.
func testBits(bits uint32) []expr.Any {
	return []expr.Any{
		&expr.Bitwise{SourceRegister: regKey, DestRegister: regKey, Len: 4, Mask: native(bits), Xor: native(0)},
		&expr.Cmp{Register: regKey, Op: expr.CmpOpNeq, Data: native(0)},
	}
}

// setMark sets or clears our bit and leaves the others alone.
func setMark(on bool) []expr.Any {
	x := native(0)
	if on {
		x = native(mark)
	}
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: regKey},
		&expr.Bitwise{SourceRegister: regKey, DestRegister: regKey, Len: 4, Mask: native(^uint32(mark)), Xor: x},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: regKey},
	}
}

func testMark() []expr.Any {
	return append([]expr.Any{&expr.Meta{Key: expr.MetaKeyMARK, Register: regKey}}, testBits(mark)...)
}

// masquerade picks source ports at random: two connections that begin at once
// on two cores would otherwise pick the same one, and the second packet is lost.
func masquerade() []expr.Any { return []expr.Any{&expr.Masq{FullyRandom: true}} }

// translated continues for connections that have a new destination (IPS_DST_NAT).
func translated() []expr.Any {
	const dstNAT = 1 << 5
	return append([]expr.Any{&expr.Ct{Key: expr.CtKeySTATUS, Register: regKey}}, testBits(dstNAT)...)
}

func newConnection() []expr.Any {
	return append([]expr.Any{&expr.Ct{Key: expr.CtKeySTATE, Register: regKey}}, testBits(expr.CtStateBitNEW)...)
}

func isTCP() []expr.Any { return isProto(TCP) }
func isUDP() []expr.Any { return isProto(UDP) }

func isProto(p byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: regKey},
		&expr.Cmp{Register: regKey, Op: expr.CmpOpEq, Data: []byte{p}},
	}
}

func resetTCP() []expr.Any { return []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_TCP_RST}} }

func portUnreachable() []expr.Any {
	return []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_ICMP_UNREACH, Code: 3}}
}

func jump(c *nftables.Chain) []expr.Any { return verdict(expr.VerdictJump, c.Name) }

func gotoChain(c *nftables.Chain) []expr.Any { return verdict(expr.VerdictGoto, c.Name) }

func verdict(kind expr.VerdictKind, chain string) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: kind, Chain: chain}}
}

func dnat() []expr.Any {
	return []expr.Any{&expr.NAT{Type: expr.NATTypeDestNAT, Family: uint32(nftables.TableFamilyIPv4), RegAddrMin: regBackend, RegProtoMin: regPort}}
}
