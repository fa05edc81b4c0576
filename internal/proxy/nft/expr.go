package nft

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The phrases that rules are made of. Each works in the registers from regKey
// on and leaves nothing for the next, but for the frontend's key, which fourth, lookup and the
// rest follow on.
//
// No phrase uses what a look-up found but dnat. The kernel could look up or store it, but the
// nft program (1.0.6 at least) aborts when it lists such a rule, and people must be able to look
// at their rules. Where it must be stored, see found.

// regKey is the first of the 16 registers of 32 bits.
const regKey = 8

func native(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

// key says how a frontend is keyed: by address, protocol and port, or on this
// node's own addresses by protocol and port.
type key struct {
	*family
	node bool
}

// next is the register after the key.
func (k key) next() uint32 {
	if k.node {
		return regKey + 2
	}
	return regKey + k.words() + 2
}

// backend is the register of the backend's address; its port follows. Where the backend is
// stored too (sticky), the protocol is in front of it.
func (k key) backend() uint32 { return k.next() + k.words() }

// load puts the packet's destination into the key.
func (k key) load() []expr.Any {
	var out []expr.Any
	if !k.node {
		out = append(out, k.destination())
	}
	return append(out,
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: k.next() - 2},
		&expr.Payload{DestRegister: k.next() - 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
	)
}

// client loads the source address behind the key.
func (k key) client() []expr.Any {
	return []expr.Any{&expr.Payload{DestRegister: k.next(), Base: expr.PayloadBaseNetworkHeader, Offset: k.saddr, Len: k.size}}
}

// find continues if the map has the key, with its backend.
func (k key) find(s *nftables.Set) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: regKey, DestRegister: k.backend(), IsDestRegSet: true, SetID: s.ID, SetName: s.Name}}
}

// found looks a backend up that is to be stored, with the protocol in front, and then loads the
// protocol again. All the while the nft program believes that the registers hold what was
// loaded there without the look-up, and lists that: not what happens, but it lists.
func (k key) found(s *nftables.Set) []expr.Any {
	first := k.backend()
	return []expr.Any{
		&expr.Payload{DestRegister: first + 1, Base: expr.PayloadBaseNetworkHeader, Offset: k.saddr + k.size, Len: k.size},
		&expr.Payload{DestRegister: first + 1 + k.words(), Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Lookup{SourceRegister: regKey, DestRegister: first, IsDestRegSet: true, SetID: s.ID, SetName: s.Name},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: first},
	}
}

// slot picks one of n slots behind the key.
func (k key) slot(n uint32) []expr.Any {
	return []expr.Any{&expr.Numgen{Register: k.next(), Modulus: n, Type: unix.NFT_NG_RANDOM, Offset: n}}
}

// learn notes or renews the client's backend, which was found.
func (k key) learn(s *nftables.Set, timeout uint32) []expr.Any {
	return append(k.client(), &expr.Dynset{
		SrcRegKey: regKey, SrcRegData: k.backend(), SetID: s.ID, SetName: s.Name,
		Operation: uint32(unix.NFT_DYNSET_OP_UPDATE), Timeout: seconds(timeout),
	})
}

// dnat sends the connection to what find found, dnatFound to what found found.
func (k key) dnat() []expr.Any { return k.dnatTo(k.backend()) }

func (k key) dnatFound() []expr.Any { return k.dnatTo(k.backend() + 1) }

func (k key) dnatTo(addr uint32) []expr.Any {
	return []expr.Any{&expr.NAT{Type: expr.NATTypeDestNAT, Family: uint32(k.table), RegAddrMin: addr, RegProtoMin: addr + k.words()}}
}

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }

func (f *family) destination() expr.Any {
	return &expr.Payload{DestRegister: regKey, Base: expr.PayloadBaseNetworkHeader, Offset: f.saddr + f.size, Len: f.size}
}

// in continues if the key is in the set (or is not, when inverted).
func in(s *nftables.Set, invert bool) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: regKey, SetID: s.ID, SetName: s.Name, Invert: invert}}
}

// source compares the source address with a prefix, destinationIn the destination.
func (f *family) source(op expr.CmpOp, p netip.Prefix) []expr.Any {
	return f.within(&expr.Payload{DestRegister: regKey, Base: expr.PayloadBaseNetworkHeader, Offset: f.saddr, Len: f.size}, op, p)
}

func (f *family) destinationIn(op expr.CmpOp, p netip.Prefix) []expr.Any {
	return f.within(f.destination(), op, p)
}

func (f *family) within(load expr.Any, op expr.CmpOp, p netip.Prefix) []expr.Any {
	return []expr.Any{
		load,
		&expr.Bitwise{SourceRegister: regKey, DestRegister: regKey, Len: f.size, Mask: f.mask(p), Xor: make([]byte, f.size)},
		&expr.Cmp{Register: regKey, Op: op, Data: p.Masked().Addr().AsSlice()},
	}
}

// toThisNode continues for addresses of this node, loopback excepted: the kernel
// does not route what comes from there elsewhere, and must not (CVE-2020-8558).
func (f *family) toThisNode() []expr.Any {
	return append([]expr.Any{
		&expr.Fib{Register: regKey, FlagDADDR: true, ResultADDRTYPE: true},
		&expr.Cmp{Register: regKey, Op: expr.CmpOpEq, Data: native(unix.RTN_LOCAL)},
	}, f.destinationIn(expr.CmpOpNeq, f.loopback)...)
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

func marked() []expr.Any {
	return bits(&expr.Meta{Key: expr.MetaKeyMARK, Register: regKey}, mark)
}

// toItself continues if source and destination, next to each other in the
// header, are a pair in the set.
func (f *family) toItself(s *nftables.Set) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: regKey, Base: expr.PayloadBaseNetworkHeader, Offset: f.saddr, Len: f.size},
		&expr.Payload{DestRegister: regKey + f.words(), Base: expr.PayloadBaseNetworkHeader, Offset: f.saddr + f.size, Len: f.size},
		&expr.Lookup{SourceRegister: regKey, SetID: s.ID, SetName: s.Name},
	}
}

// masquerade picks source ports at random: two connections that begin at once
// on two cores would otherwise pick the same one, and the second packet is lost.
func masquerade() []expr.Any { return []expr.Any{&expr.Masq{FullyRandom: true}} }

// translated continues for connections that have a new destination (IPS_DST_NAT).
func translated() []expr.Any { return ctBits(expr.CtKeySTATUS, 1<<5) }

func newConnection() []expr.Any { return ctBits(expr.CtKeySTATE, expr.CtStateBitNEW) }

func invalid() []expr.Any { return ctBits(expr.CtKeySTATE, expr.CtStateBitINVALID) }

func ctBits(k expr.CtKey, any uint32) []expr.Any {
	return bits(&expr.Ct{Key: k, Register: regKey}, any)
}

// bits continues if the word that is loaded has any of the bits.
func bits(load expr.Any, any uint32) []expr.Any {
	return []expr.Any{
		load,
		&expr.Bitwise{SourceRegister: regKey, DestRegister: regKey, Len: 4, Mask: native(any), Xor: native(0)},
		&expr.Cmp{Register: regKey, Op: expr.CmpOpNeq, Data: native(0)},
	}
}

func isTCP() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: regKey},
		&expr.Cmp{Register: regKey, Op: expr.CmpOpEq, Data: []byte{TCP}},
	}
}

func resetTCP() []expr.Any { return []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_TCP_RST}} }

func (f *family) portUnreachable() []expr.Any {
	return []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_ICMP_UNREACH, Code: f.unreachable}}
}

func drop() []expr.Any    { return []expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}} }
func returns() []expr.Any { return []expr.Any{&expr.Verdict{Kind: expr.VerdictReturn}} }

func jump(c *nftables.Chain) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictJump, Chain: c.Name}}
}

func goTo(c *nftables.Chain) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictGoto, Chain: c.Name}}
}
