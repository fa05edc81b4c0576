package podnet

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// table is our nftables table: it masquerades what pods send out of the cluster,
// and leads host ports to pods. Host ports are elements of two maps: opening one costs the same
// however many there are.
type table struct {
	name    string
	bridge  string
	pods    netip.Prefix
	cluster netip.Prefix

	anywhere *nftables.Set // (protocol . port) on any address of the node → pod
	address  *nftables.Set // (address . protocol . port) → pod
}

// Registers. The kernel's registers 1 to 4 are 16 bytes each and the same memory as
// the 4-byte registers from 8 on: 1 is 8…11, 2 is 12…15.
const (
	regCompare = 2
	regKey     = 8 // key of a look-up, and then its result: address, port in the next one
)

// hostPortMark is set on the first packet of connections through host ports; it is
// the bit that the portmap plugin uses.
const hostPortMark = 0x2000

func connect() (*nftables.Conn, error) {
	return nftables.New(nftables.WithSockOptions(func(c *netlink.Conn) error {
		// The default buffers overflow at some two hundred operations.
		c.SetWriteBuffer(4 << 20)
		return c.SetReadBuffer(4 << 20)
	}))
}

// program replaces the table as a whole, with the ports that are open, in one transaction.
func (t *table) program(open map[portKey]target) error {
	c, err := connect()
	if err != nil {
		return err
	}
	nt := &nftables.Table{Family: nftables.TableFamilyIPv4, Name: t.name}
	c.AddTable(nt)
	c.DelTable(nt)
	nt = c.AddTable(nt)
	if err := t.addMaps(c, nt); err != nil {
		return err
	}
	t.addMasquerade(c, nt)
	t.addHostPorts(c, nt)
	if err := t.change(c, nil, open); err != nil {
		return err
	}
	return c.Flush()
}

func (t *table) addMaps(c *nftables.Conn, nt *nftables.Table) error {
	data, err := nftables.ConcatSetType(nftables.TypeIPAddr, nftables.TypeInetService)
	if err != nil {
		return err
	}
	for _, m := range []struct {
		set  **nftables.Set
		name string
		key  []nftables.SetDatatype
	}{
		{&t.anywhere, "host-ports", []nftables.SetDatatype{nftables.TypeInetProto, nftables.TypeInetService}},
		{&t.address, "host-address-ports", []nftables.SetDatatype{nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService}},
	} {
		key, err := nftables.ConcatSetType(m.key...)
		if err != nil {
			return err
		}
		*m.set = &nftables.Set{Table: nt, Name: m.name, KeyType: key, DataType: data, IsMap: true, Concatenation: true}
		if err := c.AddSet(*m.set, nil); err != nil {
			return err
		}
	}
	return nil
}

func (t *table) addMasquerade(c *nftables.Conn, nt *nftables.Table) {
	ch := c.AddChain(&nftables.Chain{Table: nt, Name: "masquerade", Type: nftables.ChainTypeNAT, Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource})
	rule := func(parts ...[]expr.Any) {
		c.AddRule(&nftables.Rule{Table: nt, Chain: ch, Exprs: slices.Concat(parts...)})
	}
	masquerade := []expr.Any{&expr.Masq{FullyRandom: true}}
	// Through a host port and back to a pod of this node: the answer must pass the
	// node, not go from pod to pod. Other callers keep their address.
	rule(matchMark(), matchNet(offsetSource, t.pods, expr.CmpOpEq), masquerade)
	rule(matchMark(), matchNet(offsetSource, loopback, expr.CmpOpEq), masquerade)
	rule(matchNet(offsetSource, t.pods, expr.CmpOpEq), matchNet(offsetDestination, t.cluster, expr.CmpOpNeq),
		matchNet(offsetDestination, multicast, expr.CmpOpNeq), masquerade)
}

func (t *table) addHostPorts(c *nftables.Conn, nt *nftables.Table) {
	// 127.0.0.1 may be led to pods (route_localnet of the bridge), so what comes from
	// the bridge must not reach it: the node's own services listen there.
	raw := c.AddChain(&nftables.Chain{Table: nt, Name: "protect-localhost", Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityRaw})
	name := make([]byte, unix.IFNAMSIZ)
	copy(name, t.bridge)
	c.AddRule(&nftables.Rule{Table: nt, Chain: raw, Exprs: slices.Concat([]expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: regCompare},
		&expr.Cmp{Op: expr.CmpOpEq, Register: regCompare, Data: name},
	}, matchNet(offsetDestination, loopback, expr.CmpOpEq), []expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}})})

	local := []expr.Any{
		&expr.Fib{Register: regCompare, FlagDADDR: true, ResultADDRTYPE: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: regCompare, Data: binary.NativeEndian.AppendUint32(nil, unix.RTN_LOCAL)},
	}
	destination := []expr.Any{&expr.Payload{DestRegister: regKey, Base: expr.PayloadBaseNetworkHeader, Offset: offsetDestination, Len: 4}}
	for _, h := range []struct {
		name string
		hook *nftables.ChainHook
	}{{"host-ports-in", nftables.ChainHookPrerouting}, {"host-ports-out", nftables.ChainHookOutput}} {
		ch := c.AddChain(&nftables.Chain{Table: nt, Name: h.name, Type: nftables.ChainTypeNAT, Hooknum: h.hook, Priority: nftables.ChainPriorityNATDest})
		c.AddRule(&nftables.Rule{Table: nt, Chain: ch, Exprs: slices.Concat(destination, protocolAndPort(regKey+1), lead(t.address))})
		c.AddRule(&nftables.Rule{Table: nt, Chain: ch, Exprs: slices.Concat(local, protocolAndPort(regKey), lead(t.anywhere))})
	}
}

func protocolAndPort(reg uint32) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: reg},
		&expr.Payload{DestRegister: reg + 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
	}
}

// lead sends what a map knows to the pod and port that it says.
func lead(m *nftables.Set) []expr.Any {
	bit, others := binary.NativeEndian.AppendUint32(nil, hostPortMark), binary.NativeEndian.AppendUint32(nil, ^uint32(hostPortMark))
	return []expr.Any{
		&expr.Lookup{SourceRegister: regKey, DestRegister: regKey, IsDestRegSet: true, SetID: m.ID, SetName: m.Name},
		&expr.Meta{Key: expr.MetaKeyMARK, Register: regCompare},
		&expr.Bitwise{SourceRegister: regCompare, DestRegister: regCompare, Len: 4, Mask: others, Xor: bit},
		&expr.Meta{Key: expr.MetaKeyMARK, Register: regCompare, SourceRegister: true},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: uint32(nftables.TableFamilyIPv4), RegAddrMin: regKey, RegProtoMin: regKey + 1},
	}
}

func matchMark() []expr.Any {
	bit := binary.NativeEndian.AppendUint32(nil, hostPortMark)
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: regCompare},
		&expr.Bitwise{SourceRegister: regCompare, DestRegister: regCompare, Len: 4, Mask: bit, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: regCompare, Data: bit},
	}
}

// Where the addresses are in the IP header.
const (
	offsetSource      = 12
	offsetDestination = 16
)

var (
	loopback  = netip.MustParsePrefix("127.0.0.0/8")
	multicast = netip.MustParsePrefix("224.0.0.0/4")
)

// matchNet compares an address of the IP header with a network.
func matchNet(offset uint32, p netip.Prefix, op expr.CmpOp) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: regCompare, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4},
		&expr.Bitwise{SourceRegister: regCompare, DestRegister: regCompare, Len: 4, Mask: net.CIDRMask(p.Bits(), 32), Xor: make([]byte, 4)},
		&expr.Cmp{Op: op, Register: regCompare, Data: p.Masked().Addr().AsSlice()},
	}
}

// setPorts changes the maps of host ports from one state to another.
func (t *table) setPorts(before, after map[portKey]target) error {
	if maps.Equal(before, after) {
		return nil
	}
	c, err := connect()
	if err != nil {
		return err
	}
	if err := t.change(c, before, after); err != nil {
		return err
	}
	return c.Flush()
}

func (t *table) change(c *nftables.Conn, before, after map[portKey]target) error {
	for _, m := range []*nftables.Set{t.anywhere, t.address} {
		if gone := t.elements(m, before, after); len(gone) > 0 {
			if err := c.SetDeleteElements(m, gone); err != nil {
				return err
			}
		}
		if come := t.elements(m, after, before); len(come) > 0 {
			if err := c.SetAddElements(m, come); err != nil {
				return err
			}
		}
	}
	return nil
}

// elements are those of a map that `in` has and `not` has not.
func (t *table) elements(m *nftables.Set, in, not map[portKey]target) []nftables.SetElement {
	var out []nftables.SetElement
	for k, to := range in {
		other, ok := not[k]
		if ok && other == to || k.address.IsValid() != (m == t.address) {
			continue
		}
		var key []byte
		if k.address.IsValid() {
			key = k.address.AsSlice()
		}
		key = append(key, k.protocol, 0, 0, 0)
		key = append(binary.BigEndian.AppendUint16(key, k.port), 0, 0)
		val := append(binary.BigEndian.AppendUint16(to.address.AsSlice(), to.port), 0, 0)
		out = append(out, nftables.SetElement{Key: key, Val: val})
	}
	return out
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
