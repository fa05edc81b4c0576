package snapshot

import (
	"maps"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// HolderKind is which of a pod's affinity lists a term is in.
type HolderKind byte

// The lists of terms.
const (
	RequiredAffinity HolderKind = 'A'
	RequiredAnti     HolderKind = 'X'
	PreferAffinity   HolderKind = 'a'
	PreferAnti       HolderKind = 'x'
)

// Holder counts the assigned pods that carry one and the same affinity term.
type Holder struct {
	Kind     HolderKind
	Topology string
	Weight   int64
	PerNode  []int32 // by slot
	Total    int
	match    Match
}

// Holders returns the terms of other pods that select pods with these labels.
func (ls *LabelSet) Holders() []*Holder { return ls.holders }

// hold finds or makes the holders of the pod's terms.
func (s *Snapshot) hold(p *Pod) []*Holder {
	a := p.Obj.Spec.Affinity
	if a == nil {
		return nil
	}
	var held []*Holder
	if pa := a.PodAffinity; pa != nil {
		for i := range pa.RequiredDuringSchedulingIgnoredDuringExecution {
			held = append(held, s.holder(RequiredAffinity, p, &pa.RequiredDuringSchedulingIgnoredDuringExecution[i], 1))
		}
		for i := range pa.PreferredDuringSchedulingIgnoredDuringExecution {
			t := &pa.PreferredDuringSchedulingIgnoredDuringExecution[i]
			held = append(held, s.holder(PreferAffinity, p, &t.PodAffinityTerm, t.Weight))
		}
	}
	if pa := a.PodAntiAffinity; pa != nil {
		for i := range pa.RequiredDuringSchedulingIgnoredDuringExecution {
			held = append(held, s.holder(RequiredAnti, p, &pa.RequiredDuringSchedulingIgnoredDuringExecution[i], 1))
		}
		for i := range pa.PreferredDuringSchedulingIgnoredDuringExecution {
			t := &pa.PreferredDuringSchedulingIgnoredDuringExecution[i]
			held = append(held, s.holder(PreferAnti, p, &t.PodAffinityTerm, t.Weight))
		}
	}
	return held
}

func (s *Snapshot) holder(kind HolderKind, p *Pod, t *corev1.PodAffinityTerm, weight int32) *Holder {
	m := termMatch(p.Obj, t)
	key := string(kind) + strconv.Itoa(int(weight)) + "|" + t.TopologyKey + "|" + m.key
	if h := s.holders[key]; h != nil {
		return h
	}
	h := &Holder{Kind: kind, Topology: t.TopologyKey, Weight: int64(weight), match: m, PerNode: make([]int32, len(s.slots))}
	s.holders[key] = h
	s.joinHolder(h)
	return h
}

func (s *Snapshot) joinHolder(h *Holder) {
	sets := maps.Values(s.labelSets)
	if ns, one := h.match.narrow(); one {
		sp := s.space(ns)
		sp.holders = append(sp.holders, h)
		sets = maps.Keys(sp.sets)
	} else {
		s.wide.holders = append(s.wide.holders, h)
	}
	for ls := range sets {
		if h.match.matches(s, ls) {
			ls.holders = append(ls.holders, h)
		}
	}
}

// termMatch compiles the pods that a term of the pod selects.
func termMatch(p *corev1.Pod, t *corev1.PodAffinityTerm) Match {
	namespaces := t.Namespaces
	if len(namespaces) == 0 && t.NamespaceSelector == nil {
		namespaces = []string{p.Namespace}
	}
	extra := keyRequirements(nil, p.Labels, t.MatchLabelKeys, selection.In)
	extra = keyRequirements(extra, p.Labels, t.MismatchLabelKeys, selection.NotIn)
	return NewMatch(namespaces, t.NamespaceSelector, t.LabelSelector, extra)
}

// keyRequirements turns matchLabelKeys into requirements on the pod's own values.
// The API server may have merged them into the selector already; saying it twice changes nothing.
func keyRequirements(to []labels.Requirement, own map[string]string, keys []string, op selection.Operator) []labels.Requirement {
	for _, k := range keys {
		if v, ok := own[k]; ok {
			if r, err := labels.NewRequirement(k, op, []string{v}); err == nil {
				to = append(to, *r)
			}
		}
	}
	return to
}
