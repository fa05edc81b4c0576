package nft

import (
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// mark is the bit of the packet mark that asks postrouting to masquerade; it is the one that
// Kubernetes has always used, so that other software knows to leave it alone.
const mark = 0x4000

// insideOffset is added to the slot numbers of inside frontends.
const insideOffset = 1 << 16

// Registers (32 bits each). A frontend key fills the first three, the slot or
// the client the fourth; the backend goes to the two after.
const (
	regKey     = 8
	regProto   = 9
	regPort    = 10
	regFourth  = 11
	regBackend = 12
	regBackPrt = 13
)

// layout holds the handles of the sets and chains of the table.
//
// The path of a packet, first packet of a connection only (that is all that nat hooks see):
//
//	prerouting, output ─ inside source? ─► inside ─► services ─(to an address of this node?)─► nodeports
//	   each: frontend ─map→ mode ─vmap→ a chain "slots/…" ─ numgen, map → backend: dnat
//	postrouting: masquerade what is marked or reaches itself
//	input, forward, output (filter): guard sources, refuse or drop frontends without backends
type layout struct {
	table *nftables.Table
	cidr  netip.Prefix // of pods; the zero value when unknown

	modes, insideModes, slots      *nftables.Set
	reject, drop, clusterIPs       *nftables.Set
	hairpin, affinity              *nftables.Set
	guarded, sources               *nftables.Set
	dispatch                       [4]*nftables.Set // by variant.index
	services, inside, nodePorts    *nftables.Chain
	insideNode, refuse, refuseNode *nftables.Chain

	timeouts map[uint32]bool // affinity timeouts that have chains
	nextSet  uint32
}

// variant is one of the four ways that a frontend key is made and looked up.
type variant struct{ inside, node bool }

var variants = [4]variant{{false, false}, {false, true}, {true, false}, {true, true}}

func (v variant) index() int {
	i := 0
	if v.node {
		i |= 1
	}
	if v.inside {
		i |= 2
	}
	return i
}

func (v variant) String() string {
	return [4]string{"address", "node", "inside-address", "inside-node"}[v.index()]
}

// newLayout queues the whole empty table: declared, deleted and declared again,
// so that it replaces whatever was there in the same atomic batch.
func newLayout(c *nftables.Conn, name string, cidr netip.Prefix) (*layout, error) {
	t := &nftables.Table{Family: nftables.TableFamilyIPv4, Name: name}
	c.AddTable(t)
	c.DelTable(t)
	c.AddTable(t)
	l := &layout{table: t, cidr: cidr, timeouts: map[uint32]bool{}}
	if err := l.addSets(c); err != nil {
		return nil, err
	}
	l.addChains(c)
	return l, l.addClassChains(c, 0)
}

func (l *layout) addSets(c *nftables.Conn) error {
	frontend := []nftables.SetDatatype{nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService}
	key3 := nftables.MustConcatSetType(frontend...)
	slotKey := nftables.MustConcatSetType(append(frontend[:3:3], nftables.TypeMark)...)
	clientKey := nftables.MustConcatSetType(append(frontend[:3:3], nftables.TypeIPAddr)...)
	backend := nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetService)
	pair := nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeIPAddr)

	l.modes = &nftables.Set{Name: "modes", KeyType: key3, DataType: nftables.TypeMark, IsMap: true, Concatenation: true}
	l.insideModes = &nftables.Set{Name: "inside-modes", KeyType: key3, DataType: nftables.TypeMark, IsMap: true, Concatenation: true}
	l.slots = &nftables.Set{Name: "slots", KeyType: slotKey, DataType: backend, IsMap: true, Concatenation: true}
	l.reject = &nftables.Set{Name: "reject", KeyType: key3, Concatenation: true}
	l.drop = &nftables.Set{Name: "drop", KeyType: key3, Concatenation: true}
	l.clusterIPs = &nftables.Set{Name: "cluster-ips", KeyType: nftables.TypeIPAddr}
	l.hairpin = &nftables.Set{Name: "hairpin", KeyType: pair, Concatenation: true}
	l.affinity = &nftables.Set{Name: "affinity", KeyType: clientKey, DataType: backend, IsMap: true, Concatenation: true,
		Dynamic: true, HasTimeout: true, Size: 1 << 18}
	l.guarded = &nftables.Set{Name: "guarded", KeyType: key3, Concatenation: true}
	l.sources = &nftables.Set{Name: "sources", KeyType: clientKey, Concatenation: true, Interval: true}
	all := []*nftables.Set{l.modes, l.insideModes, l.slots, l.reject, l.drop, l.clusterIPs, l.hairpin, l.affinity, l.guarded, l.sources}
	for _, v := range variants {
		s := &nftables.Set{Name: "dispatch-" + v.String(), KeyType: nftables.TypeMark, DataType: nftables.TypeVerdict, IsMap: true}
		l.dispatch[v.index()] = s
		all = append(all, s)
	}
	for _, s := range all {
		// The library's own numbering is a global without a lock; numbers need
		// only be unique in a batch.
		l.nextSet++
		s.Table, s.ID = l.table, l.nextSet
		if err := c.AddSet(s, nil); err != nil {
			return fmt.Errorf("set %s: %w", s.Name, err)
		}
	}
	return nil
}

func (l *layout) chain(c *nftables.Conn, name string) *nftables.Chain {
	return c.AddChain(&nftables.Chain{Table: l.table, Name: name})
}

func (l *layout) base(c *nftables.Conn, name string, typ nftables.ChainType, hook *nftables.ChainHook, prio *nftables.ChainPriority) *nftables.Chain {
	return c.AddChain(&nftables.Chain{Table: l.table, Name: name, Type: typ, Hooknum: hook, Priority: prio})
}

func (l *layout) rule(c *nftables.Conn, chain *nftables.Chain, parts ...[]expr.Any) {
	var all []expr.Any
	for _, p := range parts {
		all = append(all, p...)
	}
	c.AddRule(&nftables.Rule{Table: l.table, Chain: chain, Exprs: all})
}

func (l *layout) addChains(c *nftables.Conn) {
	l.services = l.chain(c, "services")
	l.nodePorts = l.chain(c, "nodeports")
	l.inside = l.chain(c, "inside")
	l.insideNode = l.chain(c, "inside-nodeports")
	l.refuse = l.chain(c, "refuse")
	l.refuseNode = l.chain(c, "refuse-nodeports")

	pre := l.base(c, "prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest)
	out := l.base(c, "output", nftables.ChainTypeNAT, nftables.ChainHookOutput, nftables.ChainPriorityNATDest)
	if l.cidr.IsValid() {
		l.rule(c, pre, l.fromPods(expr.CmpOpEq), jump(l.inside))
	}
	l.rule(c, pre, jump(l.services))
	l.rule(c, out, jump(l.inside))
	l.rule(c, out, jump(l.services))

	l.addDispatch(c, l.services, variant{})
	l.rule(c, l.services, toThisNode(), jump(l.nodePorts))
	l.addDispatch(c, l.nodePorts, variant{node: true})
	l.addDispatch(c, l.inside, variant{inside: true})
	l.rule(c, l.inside, toThisNode(), jump(l.insideNode))
	l.addDispatch(c, l.insideNode, variant{inside: true, node: true})

	post := l.base(c, "postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource)
	l.rule(c, post, testMark(), setMark(false), masquerade())
	l.rule(c, post, translated(), []expr.Any{
		&expr.Payload{DestRegister: 8, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 8}, // saddr . daddr
		&expr.Lookup{SourceRegister: 8, SetID: l.hairpin.ID, SetName: l.hairpin.Name},
	}, masquerade())

	for _, h := range []struct {
		name string
		hook *nftables.ChainHook
	}{{"filter-input", nftables.ChainHookInput}, {"filter-forward", nftables.ChainHookForward}, {"filter-output", nftables.ChainHookOutput}} {
		ch := l.base(c, h.name, nftables.ChainTypeFilter, h.hook, nftables.ChainPriorityFilter)
		l.rule(c, ch, newConnection(), jump(l.refuse))
	}
	// Before dnat, while the packet still has the address that is guarded.
	guard := l.base(c, "guard", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, nftables.ChainPriorityRef(*nftables.ChainPriorityNATDest-10))
	l.rule(c, guard, newConnection(), frontendKey(false), in(l.guarded, false), client(), in(l.sources, true), verdict(expr.VerdictDrop, ""))

	l.addRefuse(c, l.refuse, false)
	l.rule(c, l.refuse, toThisNode(), jump(l.refuseNode))
	l.addRefuse(c, l.refuseNode, true)
	clusterIP := []expr.Any{
		&expr.Payload{DestRegister: regKey, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4},
		&expr.Lookup{SourceRegister: regKey, SetID: l.clusterIPs.ID, SetName: l.clusterIPs.Name},
	}
	l.rule(c, l.refuse, isTCP(), clusterIP, resetTCP())
	l.rule(c, l.refuse, isUDP(), clusterIP, portUnreachable())
}

// addDispatch adds the rules that look a frontend up and go to the chain of its class.
func (l *layout) addDispatch(c *nftables.Conn, chain *nftables.Chain, v variant) {
	modes := l.modes
	if v.inside {
		modes = l.insideModes
	}
	find := append(frontendKey(v.node), &expr.Lookup{SourceRegister: regKey, DestRegister: regKey, IsDestRegSet: true, SetID: modes.ID, SetName: modes.Name})
	l.rule(c, chain, find, testBits(MasqueradeAlways), setMark(true))
	if l.cidr.IsValid() {
		l.rule(c, chain, l.fromPods(expr.CmpOpNeq), find, testBits(MasqueradeOutside), setMark(true))
	}
	d := l.dispatch[v.index()]
	l.rule(c, chain, find, []expr.Any{
		&expr.Bitwise{SourceRegister: regKey, DestRegister: regKey, Len: 4, Mask: native(uint32(dispatchMask)), Xor: native(0)},
		&expr.Lookup{SourceRegister: regKey, DestRegister: 0, IsDestRegSet: true, SetID: d.ID, SetName: d.Name},
	})
}

func (l *layout) addRefuse(c *nftables.Conn, chain *nftables.Chain, node bool) {
	l.rule(c, chain, isTCP(), frontendKey(node), in(l.reject, false), resetTCP())
	l.rule(c, chain, frontendKey(node), in(l.reject, false), portUnreachable())
	l.rule(c, chain, frontendKey(node), in(l.drop, false), verdict(expr.VerdictDrop, ""))
}

// addClassChains adds the chains, one per class and variant, for an affinity timeout in seconds (0: none).
func (l *layout) addClassChains(c *nftables.Conn, timeout uint32) error {
	if l.timeouts[timeout] {
		return nil
	}
	l.timeouts[timeout] = true
	for _, v := range variants {
		var jumps []nftables.SetElement
		for class, slots := range Classes {
			name := fmt.Sprintf("slots-%s-%d", v, slots)
			if timeout != 0 {
				name += fmt.Sprintf("-%ds", timeout)
			}
			ch := l.chain(c, name)
			l.addClassRules(c, ch, v, slots, timeout)
			jumps = append(jumps, nftables.SetElement{
				Key:         native(uint32(ModeOf(class, 0, timeout))),
				VerdictData: &expr.Verdict{Kind: expr.VerdictGoto, Chain: name},
			})
		}
		if err := c.SetAddElements(l.dispatch[v.index()], jumps); err != nil {
			return err
		}
	}
	return nil
}

func (l *layout) addClassRules(c *nftables.Conn, ch *nftables.Chain, v variant, slots, timeout uint32) {
	offset := uint32(0)
	if v.inside {
		offset = insideOffset
	}
	learn := []expr.Any{}
	if timeout != 0 {
		// Each packet that begins a connection renews the client's entry.
		learn = append(client(), &expr.Dynset{SrcRegKey: regKey, SrcRegData: regBackend, SetID: l.affinity.ID, SetName: l.affinity.Name,
			Operation: uint32(unix.NFT_DYNSET_OP_UPDATE), Timeout: seconds(timeout)})
		known := []expr.Any{&expr.Lookup{SourceRegister: regKey, DestRegister: regBackend, IsDestRegSet: true, SetID: l.affinity.ID, SetName: l.affinity.Name}}
		l.rule(c, ch, frontendKey(v.node), client(), known, learn, dnat())
	}
	l.rule(c, ch, frontendKey(v.node), []expr.Any{
		&expr.Numgen{Register: regFourth, Modulus: slots, Type: unix.NFT_NG_RANDOM, Offset: offset},
		&expr.Lookup{SourceRegister: regKey, DestRegister: regBackend, IsDestRegSet: true, SetID: l.slots.ID, SetName: l.slots.Name},
	}, learn, dnat())
}
