package nft

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// mark is the bit of the packet mark that asks postrouting to masquerade; it is the one that
// Kubernetes has always used, so that other software knows to leave it alone.
const mark = 0x4000

// layout holds the handles of the sets and chains of the table.
//
// The path of a packet, first packet of a connection only (that is all that nat hooks see):
//
//	prerouting, output: from a pod or this node? ─► the inside variants, then the ordinary ones:
//	    frontends of an address, then (to an address of this node) node ports
//	each: a frontend? ─► mark for masquerade; known client? dnat; else numgen, slots → backend: dnat
//	postrouting: masquerade what is marked or reaches itself
//	input, forward, output (filter): refuse or drop frontends without backends
//
// Rules look nothing up by what another look-up found, because the nft program aborts when it
// lists such rules. One exception is left: the chains "…-affine-…s" store the backend they found
// (nft 1.0.6 cannot list them; the kernel has no trouble).
type layout struct {
	table                    *nftables.Table
	cidr                     netip.Prefix // of pods; the zero value when unknown
	variants                 [4]*variant  // by index
	clusterIPs, hairpin      *nftables.Set
	guarded, sources         *nftables.Set
	inside, services, refuse *nftables.Chain
	nextSet                  uint32
}

// variant is one of the four kinds of frontends, with sets and chains of its own.
type variant struct {
	inside, node bool

	frontends, always, outside *nftables.Set // all; those to masquerade; those for other clients than pods
	slots, affinity            *nftables.Set
	reject, drop               *nftables.Set            // of the ordinary variants
	affine                     map[uint32]*nftables.Set // frontends by affinity timeout
	look, forward, known       *nftables.Chain
}

// index finds the variant of a frontend.
func index(f Frontend) int {
	i := 0
	if f.Addr.IsUnspecified() {
		i |= 1
	}
	if f.Inside {
		i |= 2
	}
	return i
}

// String is the prefix of names.
func (v *variant) String() string {
	s := "address"
	if v.node {
		s = "node"
	}
	if v.inside {
		s = "inside-" + s
	}
	return s
}

// newLayout queues the whole empty table: declared, deleted and declared again,
// so that it replaces whatever was there in the same atomic batch.
func newLayout(c *nftables.Conn, name string, cidr netip.Prefix) (*layout, error) {
	t := &nftables.Table{Family: nftables.TableFamilyIPv4, Name: name}
	c.AddTable(t)
	c.DelTable(t)
	c.AddTable(t)
	l := &layout{table: t, cidr: cidr}
	if err := l.addSets(c); err != nil {
		return nil, err
	}
	l.addChains(c)
	return l, nil
}

var (
	addressType = []nftables.SetDatatype{nftables.TypeIPAddr}
	portType    = []nftables.SetDatatype{nftables.TypeInetProto, nftables.TypeInetService}
	backendType = concat([]nftables.SetDatatype{nftables.TypeIPAddr, nftables.TypeInetService})
)

func concat(parts ...[]nftables.SetDatatype) nftables.SetDatatype {
	return nftables.MustConcatSetType(slices.Concat(parts...)...)
}

func (l *layout) addSets(c *nftables.Conn) error {
	var err error
	add := func(name string, s nftables.Set) *nftables.Set {
		s.Name = name
		err = errors.Join(err, l.addSet(c, &s))
		return &s
	}
	for i := range l.variants {
		v := &variant{node: i&1 != 0, inside: i&2 != 0, affine: map[uint32]*nftables.Set{}}
		l.variants[i] = v
		key := v.keyType()
		all := func(more nftables.SetDatatype) nftables.SetDatatype { return concat(key, []nftables.SetDatatype{more}) }
		n := v.String()
		v.frontends = add(n+"-frontends", nftables.Set{KeyType: concat(key), Concatenation: true})
		v.always = add(n+"-masquerade", nftables.Set{KeyType: concat(key), Concatenation: true})
		v.outside = add(n+"-masquerade-outside", nftables.Set{KeyType: concat(key), Concatenation: true})
		v.slots = add(n+"-slots", nftables.Set{KeyType: all(nftables.TypeMark), DataType: backendType, IsMap: true, Concatenation: true})
		v.affinity = add(n+"-clients", nftables.Set{KeyType: all(nftables.TypeIPAddr), DataType: backendType, IsMap: true, Concatenation: true,
			Dynamic: true, HasTimeout: true, Size: 1 << 18})
		if !v.inside {
			v.reject = add(n+"-reject", nftables.Set{KeyType: concat(key), Concatenation: true})
			v.drop = add(n+"-drop", nftables.Set{KeyType: concat(key), Concatenation: true})
		}
	}
	l.clusterIPs = add("cluster-ips", nftables.Set{KeyType: nftables.TypeIPAddr})
	l.hairpin = add("hairpin", nftables.Set{KeyType: concat(addressType, addressType), Concatenation: true})
	l.guarded = add("guarded", nftables.Set{KeyType: concat(addressType, portType), Concatenation: true})
	l.sources = add("sources", nftables.Set{KeyType: concat(addressType, portType, addressType), Concatenation: true, Interval: true})
	return err
}

// addSet numbers the set: the library's own numbers come from a global without a lock, and
// need only be unique in a batch.
func (l *layout) addSet(c *nftables.Conn, s *nftables.Set) error {
	l.nextSet++
	s.Table, s.ID = l.table, l.nextSet
	if err := c.AddSet(s, nil); err != nil {
		return fmt.Errorf("set %s: %w", s.Name, err)
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
	l.inside, l.services, l.refuse = l.chain(c, "inside"), l.chain(c, "services"), l.chain(c, "refuse")
	for _, v := range l.variants {
		l.addForward(c, v)
	}
	l.rule(c, l.inside, jump(l.variants[2].look))
	l.rule(c, l.inside, toThisNode(), jump(l.variants[3].look))
	l.rule(c, l.services, jump(l.variants[0].look))
	l.rule(c, l.services, toThisNode(), jump(l.variants[1].look))

	pre := l.base(c, "prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest)
	out := l.base(c, "output", nftables.ChainTypeNAT, nftables.ChainHookOutput, nftables.ChainPriorityNATDest)
	if l.cidr.IsValid() {
		l.rule(c, pre, l.fromPods(expr.CmpOpEq), jump(l.inside))
	}
	l.rule(c, pre, jump(l.services))
	l.rule(c, out, jump(l.inside))
	l.rule(c, out, jump(l.services))

	post := l.base(c, "postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource)
	l.rule(c, post, testMark(), setMark(false), masquerade())
	l.rule(c, post, translated(), []expr.Any{
		address4(regKey, saddr), address4(regKey+1, daddr),
		&expr.Lookup{SourceRegister: regKey, SetID: l.hairpin.ID, SetName: l.hairpin.Name},
	}, masquerade())

	// Before dnat, while the packet still has the address that is guarded.
	guard := l.base(c, "guard", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, nftables.ChainPriorityRef(*nftables.ChainPriorityNATDest-10))
	v := l.variants[0]
	l.rule(c, guard, newConnection(), v.key(), in(l.guarded, false), v.key(), v.client(), in(l.sources, true), verdict(expr.VerdictDrop, ""))
	l.addFilter(c)
}

// addForward adds the chains of one variant: whether there is such a frontend, and to where.
func (l *layout) addForward(c *nftables.Conn, v *variant) {
	v.known = l.chain(c, v.String()+"-affine")
	v.forward = l.chain(c, v.String()+"-forward")
	v.look = l.chain(c, v.String())
	l.rule(c, v.look, v.key(), in(v.frontends, false), gotoChain(v.forward))

	l.rule(c, v.forward, v.key(), in(v.always, false), setMark(true))
	if l.cidr.IsValid() {
		l.rule(c, v.forward, l.fromPods(expr.CmpOpNeq), v.key(), in(v.outside, false), setMark(true))
	}
	l.rule(c, v.forward, jump(v.known))
	l.addClasses(c, v.forward, v, nil)
}

// addClasses adds one rule for each class; in every one but that of the frontend
// the look-up finds nothing.
func (l *layout) addClasses(c *nftables.Conn, ch *nftables.Chain, v *variant, learn []expr.Any) {
	for _, slots := range Classes {
		l.rule(c, ch, v.key(), []expr.Any{
			&expr.Numgen{Register: v.fourth(), Modulus: slots, Type: unix.NFT_NG_RANDOM, Offset: slots},
			&expr.Lookup{SourceRegister: regKey, DestRegister: regBackend, IsDestRegSet: true, SetID: v.slots.ID, SetName: v.slots.Name},
		}, learn, dnat())
	}
}

// addAffinity adds what clients need to stay for so many seconds, if it is not there yet.
func (l *layout) addAffinity(c *nftables.Conn, v *variant, timeout uint32) error {
	if timeout == 0 || v.affine[timeout] != nil {
		return nil
	}
	name := fmt.Sprintf("%s-affine-%ds", v, timeout)
	set := &nftables.Set{Name: name, KeyType: concat(v.keyType()), Concatenation: true}
	if err := l.addSet(c, set); err != nil {
		return err
	}
	v.affine[timeout] = set
	ch := l.chain(c, name)
	l.rule(c, v.known, v.key(), in(set, false), gotoChain(ch))
	// Each packet that begins a connection renews the client's entry.
	learn := slices.Concat(v.key(), v.client(), []expr.Any{&expr.Dynset{SrcRegKey: regKey, SrcRegData: regBackend, SetID: v.affinity.ID,
		SetName: v.affinity.Name, Operation: uint32(unix.NFT_DYNSET_OP_UPDATE), Timeout: time.Duration(timeout) * time.Second}})
	l.rule(c, ch, v.key(), v.client(), []expr.Any{
		&expr.Lookup{SourceRegister: regKey, DestRegister: regBackend, IsDestRegSet: true, SetID: v.affinity.ID, SetName: v.affinity.Name},
	}, learn, dnat())
	l.addClasses(c, ch, v, learn)
	return nil
}

// addFilter adds the answers for frontends without backends, in every place
// where a packet may be that was not sent on.
func (l *layout) addFilter(c *nftables.Conn) {
	node := l.chain(c, "refuse-node")
	l.addRefuse(c, l.refuse, l.variants[0])
	l.rule(c, l.refuse, toThisNode(), jump(node))
	l.addRefuse(c, node, l.variants[1])
	clusterIP := []expr.Any{address4(regKey, daddr), &expr.Lookup{SourceRegister: regKey, SetID: l.clusterIPs.ID, SetName: l.clusterIPs.Name}}
	l.rule(c, l.refuse, isTCP(), clusterIP, resetTCP())
	l.rule(c, l.refuse, isUDP(), clusterIP, portUnreachable())
	for _, h := range []struct {
		name string
		hook *nftables.ChainHook
	}{{"filter-input", nftables.ChainHookInput}, {"filter-forward", nftables.ChainHookForward}, {"filter-output", nftables.ChainHookOutput}} {
		ch := l.base(c, h.name, nftables.ChainTypeFilter, h.hook, nftables.ChainPriorityFilter)
		l.rule(c, ch, newConnection(), jump(l.refuse))
	}
}

func (l *layout) addRefuse(c *nftables.Conn, chain *nftables.Chain, v *variant) {
	l.rule(c, chain, isTCP(), v.key(), in(v.reject, false), resetTCP())
	l.rule(c, chain, v.key(), in(v.reject, false), portUnreachable())
	l.rule(c, chain, v.key(), in(v.drop, false), verdict(expr.VerdictDrop, ""))
}
