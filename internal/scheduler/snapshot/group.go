package snapshot

import (
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

const (
	sweepEvery = 1 << 13 // cycles
	keepFor    = 1 << 14 // cycles that a group stays without use
)

// LabelSet is a namespace and labels that pods have, once however many pods have them.
type LabelSet struct {
	Namespace string
	Set       labels.Set
	key       string
	refs      int
	groups    []*Group
	holders   []*Holder
}

// space is what concerns one namespace.
type space struct {
	sets    map[*LabelSet]struct{}
	groups  []*Group
	holders []*Holder
}

func (sp *space) dropLabels(ls *LabelSet) { delete(sp.sets, ls) }

func (s *Snapshot) space(ns string) *space {
	sp := s.spaces[ns]
	if sp == nil {
		sp = &space{sets: map[*LabelSet]struct{}{}}
		s.spaces[ns] = sp
	}
	return sp
}

func (s *Snapshot) labelSet(ns string, l map[string]string) *LabelSet {
	b := append(s.keyBuf[:0], ns...)
	b = appendLabels(b, l)
	s.keyBuf = b
	if ls := s.labelSets[string(b)]; ls != nil {
		return ls
	}
	ls := &LabelSet{Namespace: ns, Set: l, key: string(b)}
	s.labelSets[ls.key] = ls
	sp := s.space(ns)
	sp.sets[ls] = struct{}{}
	for _, from := range []*space{sp, &s.wide} {
		for _, g := range from.groups {
			if g.matches(s, ls) {
				ls.groups = append(ls.groups, g)
			}
		}
		for _, h := range from.holders {
			if h.match.matches(s, ls) {
				ls.holders = append(ls.holders, h)
			}
		}
	}
	return ls
}

// Match is a label selector over the pods of some namespaces.
type Match struct {
	namespaces []string
	spaces     labels.Selector // selects further namespaces by label; nil: none
	selector   labels.Selector
	key        string
}

// NewMatch compiles a selector over pods. Both selectors may be nil and select nothing then.
func NewMatch(namespaces []string, spaces, selector *metav1.LabelSelector, extra []labels.Requirement) Match {
	m := Match{namespaces: namespaces, selector: asSelector(selector)}
	if len(extra) > 0 && selector != nil {
		m.selector = m.selector.Add(extra...)
	}
	b := make([]byte, 0, 96)
	for _, ns := range namespaces {
		b = append(append(b, ns...), ',')
	}
	if spaces != nil {
		m.spaces = asSelector(spaces)
		b = append(append(b, '|'), m.spaces.String()...)
	}
	b = append(b, '?')
	if selector == nil {
		b = append(b, '!')
	}
	m.key = string(append(b, m.selector.String()...))
	return m
}

// Matches tells whether the pods with these labels are selected.
func (s *Snapshot) Matches(m *Match, ls *LabelSet) bool { return m.matches(s, ls) }

func (m *Match) matches(s *Snapshot, ls *LabelSet) bool {
	if !slices.Contains(m.namespaces, ls.Namespace) &&
		(m.spaces == nil || !m.spaces.Matches(labels.Set(s.namespaces[ls.Namespace]))) {
		return false
	}
	return m.selector.Matches(ls.Set)
}

// narrow is the only namespace that m looks at, if there is only one.
func (m *Match) narrow() (string, bool) {
	if m.spaces == nil && len(m.namespaces) == 1 {
		return m.namespaces[0], true
	}
	return "", false
}

func asSelector(s *metav1.LabelSelector) labels.Selector {
	// An invalid selector cannot pass the API's validation; it selects nothing.
	sel, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return labels.Nothing()
	}
	return sel
}

// GroupSpec describes a Group: pods that all of the matches select.
type GroupSpec struct {
	all  []Match
	live bool
	key  string
}

// NewGroupSpec describes the pods that all matches select; live leaves out pods that
// are being deleted.
func NewGroupSpec(live bool, all ...Match) GroupSpec {
	g := GroupSpec{all: all, live: live}
	for i := range all {
		g.key += all[i].key + "&"
	}
	if live {
		g.key += "L"
	}
	return g
}

// Selects tells whether pods with these labels are in the group.
func (g *GroupSpec) Selects(s *Snapshot, ls *LabelSet) bool {
	for i := range g.all {
		if !g.all[i].matches(s, ls) {
			return false
		}
	}
	return true
}

// Group counts the assigned pods that a GroupSpec describes.
type Group struct {
	PerNode []int32 // by slot
	spec    GroupSpec
	used    uint64
}

func (g *Group) matches(s *Snapshot, ls *LabelSet) bool { return g.spec.Selects(s, ls) }
func (g *Group) counts(p *Pod) bool                     { return !g.spec.live || !p.Terminating }

// Group finds or makes the group; it is valid until the next Tick.
func (s *Snapshot) Group(spec *GroupSpec) *Group {
	if g := s.groups[spec.key]; g != nil {
		g.used = s.tick
		return g
	}
	g := &Group{spec: *spec, PerNode: make([]int32, len(s.slots), len(s.slots)+len(s.slots)/8+8), used: s.tick}
	s.groups[spec.key] = g
	s.join(g)
	return g
}

// join finds what matches the group and counts it.
func (s *Snapshot) join(g *Group) {
	narrow, one := g.spec.all[0].narrow()
	sets := maps.Values(s.labelSets)
	if one {
		sp := s.space(narrow)
		sp.groups = append(sp.groups, g)
		sets = maps.Keys(sp.sets)
	} else {
		s.wide.groups = append(s.wide.groups, g)
	}
	for ls := range sets {
		if g.matches(s, ls) {
			ls.groups = append(ls.groups, g)
		}
	}
	for _, n := range s.slots {
		if n == nil {
			continue
		}
		for _, p := range n.Pods {
			if k := len(p.Labels.groups); k > 0 && p.Labels.groups[k-1] == g && g.counts(p) {
				g.PerNode[n.Slot]++
			}
		}
	}
}

// sweep drops groups that were not used for long, holders that nobody holds, and empty namespaces.
func (s *Snapshot) sweep() {
	oldGroup := func(g *Group) bool { return g.used+keepFor < s.tick }
	emptyHolder := func(h *Holder) bool { return h.Total == 0 }
	drop := false
	for k, g := range s.groups {
		if oldGroup(g) {
			delete(s.groups, k)
			drop = true
		}
	}
	for k, h := range s.holders {
		if emptyHolder(h) {
			delete(s.holders, k)
			drop = true
		}
	}
	if len(s.tolerations) > 4096 {
		clear(s.tolerations)
	}
	if len(s.selects)+len(s.prefers) > 2048 {
		// Nobody tells the dropped ones of changed labels: no pod may go on with them.
		clear(s.selects)
		clear(s.prefers)
		s.forgot++
	}
	if !drop {
		return
	}
	for _, ls := range s.labelSets {
		ls.groups = slices.DeleteFunc(ls.groups, oldGroup)
		ls.holders = slices.DeleteFunc(ls.holders, emptyHolder)
	}
	s.wide.groups = slices.DeleteFunc(s.wide.groups, oldGroup)
	s.wide.holders = slices.DeleteFunc(s.wide.holders, emptyHolder)
	for ns, sp := range s.spaces {
		sp.groups = slices.DeleteFunc(sp.groups, oldGroup)
		sp.holders = slices.DeleteFunc(sp.holders, emptyHolder)
		if len(sp.sets)+len(sp.groups)+len(sp.holders) == 0 {
			delete(s.spaces, ns)
		}
	}
}

// SetNamespace notes a namespace's labels (nil: it is gone); it tells whether they changed.
func (s *Snapshot) SetNamespace(name string, l map[string]string) bool {
	if maps.Equal(s.namespaces[name], l) {
		return false
	}
	if l == nil {
		delete(s.namespaces, name)
	} else {
		s.namespaces[name] = l
	}
	s.rejoin()
	return true
}

// rejoin finds anew what the groups over several namespaces match.
func (s *Snapshot) rejoin() {
	groups, holders := s.wide.groups, s.wide.holders
	if len(groups)+len(holders) == 0 {
		return
	}
	s.wide.groups, s.wide.holders = nil, nil
	for _, ls := range s.labelSets {
		ls.groups = slices.DeleteFunc(ls.groups, func(g *Group) bool { return slices.Contains(groups, g) })
		ls.holders = slices.DeleteFunc(ls.holders, func(h *Holder) bool { return slices.Contains(holders, h) })
	}
	for _, g := range groups {
		clear(g.PerNode)
		s.join(g)
	}
	for _, h := range holders {
		s.joinHolder(h)
	}
}

func appendLabels(b []byte, l map[string]string) []byte {
	var few [8]string
	keys := few[:0]
	for k := range l {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		b = append(append(append(append(b, 0), k...), '='), l[k]...)
	}
	return b
}
