package proxy

import (
	"iter"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/skiff-k8s/skiff/internal/proxy/nft"
)

// State is what is wanted of the data path: it takes services and endpoint
// slices, and tells which elements change. It does no input or output.
type State struct {
	node     Node
	services map[types.NamespacedName]*service
	dirty    map[types.NamespacedName]bool
	// sliceOf remembers whose endpoints a slice holds: its label may change.
	sliceOf map[types.NamespacedName]types.NamespacedName
	// claims lists who wants a frontend, the oldest Service first: that one has it.
	claims map[nft.Frontend][]*service
	// uses counts the Services that want a shared element (KindClusterIP, KindHairpin).
	uses map[nft.Element]int
	// health holds the services that load balancers ask about.
	health map[types.NamespacedName]health
}

type service struct {
	name      types.NamespacedName
	object    *corev1.Service // nil while there are only endpoints
	endpoints endpoints
	program   program
}

// Change is the difference between two states.
type Change struct {
	Remove, Add []nft.Element
	// Flows are UDP frontends whose flows to other backends than these are stale.
	Flows []nft.Allowed
	// Clients are frontends with affinity of which clients keep only these backends.
	Clients []nft.Allowed
}

// Empty tells if there is nothing to do.
func (c *Change) Empty() bool {
	return len(c.Remove)+len(c.Add)+len(c.Flows)+len(c.Clients) == 0
}

// NewState returns the state without services.
func NewState(node Node) *State {
	return &State{
		node:     node,
		services: map[types.NamespacedName]*service{},
		dirty:    map[types.NamespacedName]bool{},
		sliceOf:  map[types.NamespacedName]types.NamespacedName{},
		claims:   map[nft.Frontend][]*service{},
		uses:     map[nft.Element]int{},
		health:   map[types.NamespacedName]health{},
	}
}

func (s *State) get(name types.NamespacedName) *service {
	svc := s.services[name]
	if svc == nil {
		svc = &service{name: name, endpoints: endpoints{}}
		s.services[name] = svc
	}
	s.dirty[name] = true
	return svc
}

// SetService puts a Service, new or changed.
func (s *State) SetService(o *corev1.Service) {
	s.get(types.NamespacedName{Namespace: o.Namespace, Name: o.Name}).object = o
}

// DeleteService takes a Service away; its endpoints may stay a while.
func (s *State) DeleteService(namespace, name string) {
	if svc := s.services[types.NamespacedName{Namespace: namespace, Name: name}]; svc != nil {
		s.get(svc.name).object = nil
	}
}

// SetSlice puts an EndpointSlice, new or changed.
func (s *State) SetSlice(o *discoveryv1.EndpointSlice) {
	name := types.NamespacedName{Namespace: o.Namespace, Name: o.Name}
	owner := types.NamespacedName{Namespace: o.Namespace, Name: o.Labels[discoveryv1.LabelServiceName]}
	if was, ok := s.sliceOf[name]; ok && was != owner {
		s.DeleteSlice(o.Namespace, o.Name)
	}
	if owner.Name == "" {
		return
	}
	s.sliceOf[name] = owner
	s.get(owner).endpoints[o.Name] = o
}

// DeleteSlice takes an EndpointSlice away.
func (s *State) DeleteSlice(namespace, name string) {
	key := types.NamespacedName{Namespace: namespace, Name: name}
	if owner, ok := s.sliceOf[key]; ok {
		delete(s.sliceOf, key)
		delete(s.get(owner).endpoints, name)
	}
}

// Changes computes the difference since the last call. Its cost depends on the
// services that changed only.
func (s *State) Changes() Change {
	before := map[nft.Frontend]*rule{}
	usesBefore := map[nft.Element]int{}
	names := slices.SortedFunc(maps.Keys(s.dirty), compareNames)
	clear(s.dirty)
	// All old claims go before new ones come: seniority is that of the present objects.
	for _, name := range names {
		svc := s.services[name]
		for f := range svc.program.rules {
			s.touch(before, f)
		}
	}
	for _, name := range names {
		svc := s.services[name]
		for f := range svc.program.rules {
			s.unclaim(f, svc)
		}
		s.use(usesBefore, svc.program, -1)
	}
	for _, name := range names {
		svc := s.services[name]
		svc.program = program{}
		delete(s.health, name)
		if svc.object != nil {
			svc.program = compile(s.node, svc.object, svc.endpoints)
			if h := healthOf(s.node, svc.object, svc.endpoints); h != nil {
				s.health[name] = *h
			}
		}
		for f := range svc.program.rules {
			// Not among the old ones of this round: unchanged so far.
			s.touch(before, f)
		}
	}
	for _, name := range names {
		svc := s.services[name]
		for f := range svc.program.rules {
			s.claim(f, svc)
		}
		s.use(usesBefore, svc.program, +1)
		if svc.object == nil && len(svc.endpoints) == 0 {
			delete(s.services, name)
		}
	}
	var c Change
	for _, f := range slices.SortedFunc(maps.Keys(before), compareFrontends) {
		s.diff(&c, f, before[f])
	}
	for e, n := range usesBefore {
		switch now := s.uses[e]; {
		case n == 0 && now > 0:
			c.Add = append(c.Add, e)
		case n > 0 && now == 0:
			c.Remove = append(c.Remove, e)
		}
		if s.uses[e] == 0 {
			delete(s.uses, e)
		}
	}
	return c
}

// touch notes what a frontend did before this round.
func (s *State) touch(before map[nft.Frontend]*rule, f nft.Frontend) {
	if _, ok := before[f]; !ok {
		before[f] = s.rule(f)
	}
}

// rule returns what a frontend does, nil for nothing.
func (s *State) rule(f nft.Frontend) *rule {
	if c := s.claims[f]; len(c) > 0 {
		return c[0].program.rules[f]
	}
	return nil
}

func (s *State) claim(f nft.Frontend, svc *service) {
	c := s.claims[f]
	at, _ := slices.BinarySearchFunc(c, svc, bySeniority)
	s.claims[f] = slices.Insert(c, at, svc)
}

func (s *State) unclaim(f nft.Frontend, svc *service) {
	c := s.claims[f]
	if i := slices.Index(c, svc); i >= 0 {
		c = slices.Delete(c, i, i+1)
	}
	if len(c) == 0 {
		delete(s.claims, f)
		return
	}
	s.claims[f] = c
}

func bySeniority(a, b *service) int {
	if c := a.object.CreationTimestamp.Time.Compare(b.object.CreationTimestamp.Time); c != 0 {
		return c
	}
	return compareNames(a.name, b.name)
}

func (s *State) use(before map[nft.Element]int, p program, by int) {
	count := func(e nft.Element) {
		if _, ok := before[e]; !ok {
			before[e] = s.uses[e]
		}
		s.uses[e] += by
	}
	for _, a := range p.clusterIPs {
		count(nft.Element{Kind: nft.KindClusterIP, Frontend: nft.Frontend{Addr: a}})
	}
	for _, a := range p.hairpin {
		count(nft.Element{Kind: nft.KindHairpin, Frontend: nft.Frontend{Addr: a}})
	}
}

// Elements yields all that the table must hold after the last Changes.
func (s *State) Elements() iter.Seq[nft.Element] {
	return func(yield func(nft.Element) bool) {
		for f := range s.claims {
			for e := range s.rule(f).elements(f) {
				if !yield(e) {
					return
				}
			}
		}
		for e := range s.uses {
			if !yield(e) {
				return
			}
		}
	}
}

// Flows returns what every UDP frontend allows.
func (s *State) Flows() []nft.Allowed {
	var out []nft.Allowed
	for f := range s.claims {
		if f.Proto == nft.UDP && !f.Inside {
			out = append(out, s.allowed(f))
		}
	}
	return out
}

// Keeps tells if a client may stay with a backend that it has learned.
func (s *State) Keeps(f nft.Frontend, backend netip.AddrPort) bool {
	r := s.rule(f)
	return r.affinity() != 0 && slices.Contains(r.to, backend)
}

// SetNode puts what the node is; everything is computed anew if that matters.
func (s *State) SetNode(n Node) {
	if n.Name == s.node.Name && n.Zone == s.node.Zone && slices.Equal(n.IPs, s.node.IPs) {
		return
	}
	s.node = n
	for name := range s.services {
		s.dirty[name] = true
	}
}

// allowed lists the backends of a frontend in both its variants.
func (s *State) allowed(f nft.Frontend) nft.Allowed {
	a := nft.Allowed{Frontend: f}
	for _, inside := range []bool{false, true} {
		f.Inside = inside
		if r := s.rule(f); r != nil {
			a.Backends = append(a.Backends, r.to...)
		}
	}
	a.Frontend.Inside = false
	return a
}

func compareNames(a, b types.NamespacedName) int {
	if c := strings.Compare(a.Namespace, b.Namespace); c != 0 {
		return c
	}
	return strings.Compare(a.Name, b.Name)
}
