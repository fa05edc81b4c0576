package nft

import (
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// mark is the bit of the packet mark that asks postrouting to masquerade; it is the one that
// Kubernetes has always used, so that other software knows to leave it alone.
const mark = 0x4000

// layout holds the handles of the sets and chains of one family's table.
//
// The path of a packet, first packet of a connection only (that is all that nat hooks see):
//
//	prerouting   from a pod? ─► inside;  then ─► services
//	output       ─► inside, ─► services
//	inside, services     frontend in the set "…services" ─► slots;  to an address of this node ─► nodeports
//	slots, nodeport-slots …    numgen picks a slot, the map has its backend: dnat
//	postrouting  masquerades what was marked on the way, and backends that reach themselves
//	forward, input, output (filter)   refuse or drop what has not been translated
//	guard (before nat)   drops clients that a frontend does not allow
type layout struct {
	*family
	table *nftables.Table
	pods  netip.Prefix // the zero value when unknown

	variants            [4]*variant // by index
	clusterIPs, hairpin *nftables.Set
	guarded, sources    *nftables.Set
	refuse, guard       *nftables.Chain

	nextSet uint32
}

// variant is one of the four ways that a frontend is keyed and looked up, with
// the sets and chains of its own.
type variant struct {
	key
	inside bool
	prefix string // of the names of its sets and chains

	entry    *nftables.Chain            // looks frontends up
	forward  map[uint32]*nftables.Set   // frontends by affinity timeout
	slots    *nftables.Set              // frontend and slot to backend
	affinity *nftables.Set              // frontend and client to protocol and backend
	pinned   *nftables.Set              // frontend with affinity and slot to the same
	spread   *nftables.Chain            // picks a slot
	sticky   map[uint32]*nftables.Chain // the client's backend, or one to learn, by timeout

	masquerade, masqueradeOutside *nftables.Set
	reject, drop                  *nftables.Set // nil inside
}

func index(node, inside bool) int {
	i := 0
	if node {
		i |= 1
	}
	if inside {
		i |= 2
	}
	return i
}

func (l *layout) of(f Frontend) *variant { return l.variants[index(f.Addr.IsUnspecified(), f.Inside)] }

// newLayout queues the whole empty table: declared, deleted and declared again,
// so that it replaces whatever was there in the same atomic batch.
func newLayout(c *nftables.Conn, f *family, name string, pods netip.Prefix) (*layout, error) {
	t := &nftables.Table{Family: f.table, Name: name}
	c.AddTable(t)
	c.DelTable(t)
	c.AddTable(t)
	l := describe(f, name, pods)
	if err := l.addSets(c); err != nil {
		return nil, err
	}
	for _, v := range l.variants {
		l.addVariant(c, v)
	}
	l.addTranslation(c)
	l.addMasquerade(c)
	l.addFilters(c)
	return l, nil
}

// describe names the sets, without anything in the kernel.
func describe(f *family, name string, pods netip.Prefix) *layout {
	l := &layout{family: f, table: &nftables.Table{Family: f.table, Name: name}, pods: pods}
	for _, node := range []bool{false, true} {
		for _, inside := range []bool{false, true} {
			v := &variant{key: key{f, node}, inside: inside, forward: map[uint32]*nftables.Set{}, sticky: map[uint32]*nftables.Chain{}}
			if inside {
				v.prefix = "inside-"
			}
			if node {
				v.prefix += "nodeport-"
			}
			v.affinity = &nftables.Set{
				Name: v.prefix + "affinity", Table: l.table, KeyType: v.keyType(f.addr), DataType: v.learnedType(),
				IsMap: true, Concatenation: true, Dynamic: true, HasTimeout: true, Size: 1 << 20,
			}
			l.variants[index(node, inside)] = v
		}
	}
	return l
}

func (k key) keyType(more ...nftables.SetDatatype) nftables.SetDatatype {
	parts := []nftables.SetDatatype{k.addr, nftables.TypeInetProto, nftables.TypeInetService}
	if k.node {
		parts = parts[1:]
	}
	return nftables.MustConcatSetType(append(parts, more...)...)
}

// learnedType is the type of what clients learn: protocol and backend.
func (k key) learnedType() nftables.SetDatatype {
	return nftables.MustConcatSetType(nftables.TypeInetProto, k.addr, nftables.TypeInetService)
}

func (f *family) backendType() nftables.SetDatatype {
	return nftables.MustConcatSetType(f.addr, nftables.TypeInetService)
}

func (l *layout) addSet(c *nftables.Conn, s *nftables.Set) error {
	// The library's own numbering is a global without a lock; numbers need only be
	// unique in a batch.
	l.nextSet++
	s.Table, s.ID = l.table, l.nextSet
	if err := c.AddSet(s, nil); err != nil {
		return fmt.Errorf("set %s: %w", s.Name, err)
	}
	return nil
}

func (l *layout) addSets(c *nftables.Conn) error {
	byAddress := key{family: l.family}
	l.clusterIPs = &nftables.Set{Name: "cluster-ips", KeyType: l.addr}
	l.hairpin = &nftables.Set{Name: "hairpin", KeyType: nftables.MustConcatSetType(l.addr, l.addr), Concatenation: true}
	l.guarded = &nftables.Set{Name: "guarded", KeyType: byAddress.keyType(), Concatenation: true}
	l.sources = &nftables.Set{Name: "sources", KeyType: byAddress.keyType(l.addr), Concatenation: true, Interval: true}
	all := []*nftables.Set{l.clusterIPs, l.hairpin, l.guarded, l.sources}
	for _, v := range l.variants {
		set := func(name string) *nftables.Set {
			s := &nftables.Set{Name: v.prefix + name, KeyType: v.keyType(), Concatenation: true}
			all = append(all, s)
			return s
		}
		v.forward[0] = set("services")
		v.masqueradeOutside = set("masquerade-outside")
		if !v.inside {
			v.masquerade, v.reject, v.drop = set("masquerade"), set("reject"), set("drop")
		}
		v.slots = &nftables.Set{Name: v.prefix + "slots", KeyType: v.keyType(nftables.TypeMark), DataType: l.backendType(), IsMap: true, Concatenation: true}
		v.pinned = &nftables.Set{Name: v.prefix + "sticky-slots", KeyType: v.keyType(nftables.TypeMark), DataType: v.learnedType(), IsMap: true, Concatenation: true}
		all = append(all, v.slots, v.pinned, v.affinity)
	}
	for _, s := range all {
		if err := l.addSet(c, s); err != nil {
			return err
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
	c.AddRule(&nftables.Rule{Table: l.table, Chain: chain, Exprs: concat(parts)})
}

func concat(parts [][]expr.Any) []expr.Any {
	var all []expr.Any
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// addVariant adds the chains that look up and translate the frontends of one variant.
func (l *layout) addVariant(c *nftables.Conn, v *variant) {
	v.entry = l.chain(c, v.prefix+"services")
	v.spread = l.chain(c, v.prefix+"spread")
	if v.masquerade != nil {
		l.rule(c, v.entry, v.load(), in(v.masquerade, false), setMark(true))
	}
	// Inside are pods and this node, and without the pods' range only this node.
	if l.pods.IsValid() {
		l.rule(c, v.entry, l.source(expr.CmpOpNeq, l.pods), v.load(), in(v.masqueradeOutside, false), setMark(true))
	} else if v.inside {
		l.rule(c, v.entry, v.load(), in(v.masqueradeOutside, false), setMark(true))
	}
	l.rule(c, v.entry, v.load(), in(v.forward[0], false), goTo(v.spread))
	for _, n := range Classes {
		l.rule(c, v.spread, v.load(), v.slot(n), v.find(v.slots), v.dnat())
	}
}

// addSticky adds what an affinity timeout needs, unless it is there.
func (l *layout) addSticky(c *nftables.Conn, v *variant, timeout uint32) error {
	if v.forward[timeout] != nil {
		return nil
	}
	suffix := fmt.Sprintf("-%ds", timeout)
	frontends := &nftables.Set{Name: v.prefix + "services" + suffix, KeyType: v.keyType(), Concatenation: true}
	if err := l.addSet(c, frontends); err != nil {
		return err
	}
	v.forward[timeout] = frontends
	ch := l.chain(c, v.prefix+"sticky"+suffix)
	v.sticky[timeout] = ch
	l.rule(c, ch, v.load(), v.client(), v.found(v.affinity), v.learn(v.affinity, timeout), v.dnatFound())
	for _, n := range Classes {
		l.rule(c, ch, v.load(), v.slot(n), v.found(v.pinned), v.learn(v.affinity, timeout), v.dnatFound())
	}
	// When the map of clients is full nothing can be learned, and no rule above matches.
	for _, n := range Classes {
		l.rule(c, ch, v.load(), v.slot(n), v.found(v.pinned), v.dnatFound())
	}
	l.rule(c, v.entry, v.load(), in(frontends, false), goTo(ch))
	return nil
}

func (l *layout) addTranslation(c *nftables.Conn) {
	pre := l.base(c, "prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest)
	out := l.base(c, "output", nftables.ChainTypeNAT, nftables.ChainHookOutput, nftables.ChainPriorityNATDest)
	services, nodePorts := l.variants[index(false, false)].entry, l.variants[index(true, false)].entry
	inside, insidePorts := l.variants[index(false, true)].entry, l.variants[index(true, true)].entry
	l.rule(c, inside, l.toThisNode(), jump(insidePorts))
	l.rule(c, services, l.toThisNode(), jump(nodePorts))
	if l.pods.IsValid() {
		l.rule(c, pre, l.source(expr.CmpOpEq, l.pods), jump(inside))
	}
	l.rule(c, pre, jump(services))
	l.rule(c, out, jump(inside))
	l.rule(c, out, jump(services))
}

// addMasquerade hides the clients of marked packets, and of backends that reach themselves:
// they would answer themselves directly otherwise, in vain.
func (l *layout) addMasquerade(c *nftables.Conn) {
	post := l.base(c, "postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource)
	l.rule(c, post, marked(), setMark(false), masquerade())
	l.rule(c, post, translated(), l.toItself(l.hairpin), masquerade())
}

func (l *layout) addFilters(c *nftables.Conn) {
	l.refuse = l.chain(c, "refuse")
	l.rule(c, l.refuse, translated(), returns())
	l.addRefuse(c, l.refuse, l.variants[index(false, false)])
	clusterIP := []expr.Any{l.destination(), &expr.Lookup{SourceRegister: regKey, SetID: l.clusterIPs.ID, SetName: l.clusterIPs.Name}}
	l.rule(c, l.refuse, isTCP(), clusterIP, resetTCP())
	l.rule(c, l.refuse, clusterIP, l.portUnreachable())
	nodePorts := l.chain(c, "nodeport-refuse")
	l.rule(c, l.refuse, l.toThisNode(), goTo(nodePorts))
	l.addRefuse(c, nodePorts, l.variants[index(true, false)])

	for _, h := range []struct {
		name string
		hook *nftables.ChainHook
	}{{"filter-input", nftables.ChainHookInput}, {"filter-forward", nftables.ChainHookForward}, {"filter-output", nftables.ChainHookOutput}} {
		ch := l.base(c, h.name, nftables.ChainTypeFilter, h.hook, nftables.ChainPriorityFilter)
		if h.hook == nftables.ChainHookForward && l.pods.IsValid() {
			// A packet that conntrack does not know (one that comes too late, or out of its window)
			// is not translated back: its receiver would answer the stranger with a reset.
			l.rule(c, ch, invalid(), l.source(expr.CmpOpEq, l.pods), drop())
			l.rule(c, ch, invalid(), l.destinationIn(expr.CmpOpEq, l.pods), drop())
		}
		l.rule(c, ch, newConnection(), jump(l.refuse))
	}

	// Before dnat, while the packet still has the address that is guarded.
	l.guard = l.chain(c, "guard")
	k := key{family: l.family}
	l.rule(c, l.guard, k.load(), in(l.guarded, false), k.client(), in(l.sources, true), drop())
	early := nftables.ChainPriorityRef(*nftables.ChainPriorityNATDest - 10)
	for _, ch := range []*nftables.Chain{
		l.base(c, "guard-prerouting", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, early),
		l.base(c, "guard-output", nftables.ChainTypeFilter, nftables.ChainHookOutput, early),
	} {
		l.rule(c, ch, newConnection(), jump(l.guard))
	}
}

func (l *layout) addRefuse(c *nftables.Conn, chain *nftables.Chain, v *variant) {
	l.rule(c, chain, isTCP(), v.load(), in(v.reject, false), resetTCP())
	l.rule(c, chain, v.load(), in(v.reject, false), l.portUnreachable())
	l.rule(c, chain, v.load(), in(v.drop, false), drop())
}
