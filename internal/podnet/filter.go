package podnet

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// table is our nftables table: it masquerades what pods send out of the cluster,
// and leads host ports to pods. Host ports are elements of one map.
type table struct {
	name    string
	pods    netip.Prefix
	cluster netip.Prefix
	ports   *nftables.Set
}

func connect() (*nftables.Conn, error) {
	return nftables.New(nftables.WithSockOptions(func(c *netlink.Conn) error {
		// The default buffers overflow at some two hundred operations.
		c.SetWriteBuffer(4 << 20)
		return c.SetReadBuffer(4 << 20)
	}))
}

// hostPortMark marks connections through a host port, so that they are masqueraded:
// the answer must come back the way the question went.
const hostPortMark = 0x8000

// program replaces the table as a whole, in one transaction.
func (t *table) program() error {
	c, err := connect()
	if err != nil {
		return err
	}
	nt := &nftables.Table{Family: nftables.TableFamilyIPv4, Name: t.name}
	c.AddTable(nt)
	c.DelTable(nt)
	nt = c.AddTable(nt)
	key, err := nftables.ConcatSetType(nftables.TypeInetProto, nftables.TypeInetService)
	if err != nil {
		return err
	}
	data, err := nftables.ConcatSetType(nftables.TypeIPAddr, nftables.TypeInetService)
	if err != nil {
		return err
	}
	t.ports = &nftables.Set{Table: nt, Name: "host-ports", KeyType: key, DataType: data, IsMap: true, Concatenation: true}
	if err := c.AddSet(t.ports, nil); err != nil {
		return err
	}
	post := c.AddChain(&nftables.Chain{Table: nt, Name: "masquerade", Type: nftables.ChainTypeNAT, Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource})
	c.AddRule(&nftables.Rule{Table: nt, Chain: post, Exprs: append(append(
		matchNet(12, t.pods, expr.CmpOpEq), matchNet(16, t.cluster, expr.CmpOpNeq)...),
		// Multicast stays as it is.
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{0xf0}, Xor: []byte{0}},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte{0xe0}},
		&expr.Masq{FullyRandom: true})})
	mark := binary.NativeEndian.AppendUint32(nil, hostPortMark)
	c.AddRule(&nftables.Rule{Table: nt, Chain: post, Exprs: []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: mark, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: mark},
		&expr.Masq{},
	}})
	for _, h := range []struct {
		name string
		hook *nftables.ChainHook
	}{{"host-ports-in", nftables.ChainHookPrerouting}, {"host-ports-out", nftables.ChainHookOutput}} {
		ch := c.AddChain(&nftables.Chain{Table: nt, Name: h.name, Type: nftables.ChainTypeNAT, Hooknum: h.hook, Priority: nftables.ChainPriorityNATDest})
		c.AddRule(&nftables.Rule{Table: nt, Chain: ch, Exprs: []expr.Any{
			&expr.Fib{Register: 1, FlagDADDR: true, ResultADDRTYPE: true},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binary.NativeEndian.AppendUint32(nil, unix.RTN_LOCAL)},
			// 127.0.0.0/8 is left alone: to lead it elsewhere would need route_localnet.
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 1},
			&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte{127}},
			&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 8},
			&expr.Payload{DestRegister: 9, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
			&expr.Lookup{SourceRegister: 8, DestRegister: 8, IsDestRegSet: true, SetID: t.ports.ID, SetName: t.ports.Name},
			&expr.Immediate{Register: 1, Data: mark},
			&expr.Meta{Key: expr.MetaKeyMARK, Register: 1, SourceRegister: true},
			&expr.NAT{Type: expr.NATTypeDestNAT, Family: uint32(nftables.TableFamilyIPv4), RegAddrMin: 8, RegProtoMin: 9},
		}})
	}
	return c.Flush()
}

// matchNet compares the address at an offset of the IP header with a network.
func matchNet(offset uint32, p netip.Prefix, op expr.CmpOp) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: net.CIDRMask(p.Bits(), 32), Xor: make([]byte, 4)},
		&expr.Cmp{Op: op, Register: 1, Data: p.Masked().Addr().AsSlice()},
	}
}

// setPorts changes the map of host ports from one state to another.
func (t *table) setPorts(before, after map[portKey]portMapping) error {
	var gone, come []nftables.SetElement
	for k, p := range before {
		if after[k] != p {
			gone = append(gone, element(k, p))
		}
	}
	for k, p := range after {
		if before[k] != p {
			come = append(come, element(k, p))
		}
	}
	if len(gone)+len(come) == 0 {
		return nil
	}
	c, err := connect()
	if err != nil {
		return err
	}
	if len(gone) > 0 {
		if err := c.SetDeleteElements(t.ports, gone); err != nil {
			return err
		}
	}
	if len(come) > 0 {
		if err := c.SetAddElements(t.ports, come); err != nil {
			return err
		}
	}
	return c.Flush()
}

func element(k portKey, p portMapping) nftables.SetElement {
	proto := byte(unix.IPPROTO_TCP)
	switch k.protocol {
	case "udp":
		proto = unix.IPPROTO_UDP
	case "sctp":
		proto = unix.IPPROTO_SCTP
	}
	key := make([]byte, 8)
	key[0] = proto
	binary.BigEndian.PutUint16(key[4:], k.port)
	val := make([]byte, 8)
	copy(val, net.ParseIP(p.IP).To4())
	binary.BigEndian.PutUint16(val[4:], p.ContainerPort)
	return nftables.SetElement{Key: key, Val: val}
}

func removeTable(name string) error {
	c, err := connect()
	if err != nil {
		return err
	}
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyIPv4)
	if err != nil {
		return fmt.Errorf("list nftables tables: %w", err)
	}
	for _, t := range tables {
		if t.Name == name {
			c.DelTable(t)
			return c.Flush()
		}
	}
	return nil
}
