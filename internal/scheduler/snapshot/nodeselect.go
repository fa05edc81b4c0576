package snapshot

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// NodeSelect is what pods require of a node's labels, once however many pods do,
// with the answer for each node until its labels change.
type NodeSelect struct {
	required nodeaffinity.RequiredNodeAffinity
	once     bool   // for one pod: answers are not kept
	answer   []byte // by slot: 0 not asked yet, 1 no, 2 yes
}

// Match tells whether the node is what is required.
func (m *NodeSelect) Match(n *Node) bool {
	if m.once {
		ok, err := m.required.Match(n.Obj)
		return err == nil && ok
	}
	for int(n.Slot) >= len(m.answer) {
		m.answer = append(m.answer, 0)
	}
	a := m.answer[n.Slot]
	if a == 0 {
		// A term that cannot be parsed matches nothing; others may match.
		ok, err := m.required.Match(n.Obj)
		a = 1
		if err == nil && ok {
			a = 2
		}
		m.answer[n.Slot] = a
	}
	return a == 2
}

func (m *NodeSelect) forget(slot int32) {
	if int(slot) < len(m.answer) {
		m.answer[slot] = 0
	}
}

// NodePrefer is what pods prefer of a node's labels.
type NodePrefer struct {
	terms *nodeaffinity.PreferredSchedulingTerms // nil: cannot be parsed
	score []int64                                // by slot: score + 1
}

// Score is the sum of the weights of the terms that match.
func (m *NodePrefer) Score(n *Node) int64 {
	if m.terms == nil {
		return 0
	}
	for int(n.Slot) >= len(m.score) {
		m.score = append(m.score, 0)
	}
	if m.score[n.Slot] == 0 {
		m.score[n.Slot] = m.terms.Score(n.Obj) + 1
	}
	return m.score[n.Slot] - 1
}

func (m *NodePrefer) forget(slot int32) {
	if int(slot) < len(m.score) {
		m.score[slot] = 0
	}
}

func (s *Snapshot) nodeSelect(p *corev1.Pod) *NodeSelect {
	b := appendLabels(s.keyBuf[:0], p.Spec.NodeSelector)
	if r := requiredNodes(p); r != nil {
		for i := range r.NodeSelectorTerms {
			b = appendTerm(append(b, 2), &r.NodeSelectorTerms[i])
		}
		b = append(b, 3)
	}
	s.keyBuf = b
	if len(b) == 0 {
		return nil
	}
	m := s.selects[string(b)]
	if m == nil {
		m = &NodeSelect{required: nodeaffinity.GetRequiredNodeAffinity(p)}
		s.selects[string(b)] = m
	}
	return m
}

func (s *Snapshot) nodePrefer(p *corev1.Pod) *NodePrefer {
	a := p.Spec.Affinity
	if a == nil || a.NodeAffinity == nil || len(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution) == 0 {
		return nil
	}
	list := a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution
	b := s.keyBuf[:0]
	for i := range list {
		w := list[i].Weight
		b = appendTerm(append(b, 2, byte(w), byte(w>>8)), &list[i].Preference)
	}
	s.keyBuf = b
	m := s.prefers[string(b)]
	if m == nil {
		terms, err := nodeaffinity.NewPreferredSchedulingTerms(list)
		m = &NodePrefer{terms: terms}
		if err != nil {
			m.terms = nil
		}
		s.prefers[string(b)] = m
	}
	return m
}

func requiredNodes(p *corev1.Pod) *corev1.NodeSelector {
	if a := p.Spec.Affinity; a != nil && a.NodeAffinity != nil {
		return a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	}
	return nil
}

func appendTerm(b []byte, t *corev1.NodeSelectorTerm) []byte {
	for kind, list := range [][]corev1.NodeSelectorRequirement{t.MatchExpressions, t.MatchFields} {
		b = append(b, 4+byte(kind))
		for i := range list {
			r := &list[i]
			b = append(append(append(append(b, r.Key...), 0), r.Operator...), 0)
			for _, v := range r.Values {
				b = append(append(b, v...), 0)
			}
			b = append(b, 6)
		}
	}
	return b
}

// namedNodes returns the only nodes that the pod's terms can match because every
// one of them names nodes by metadata.name (as pods of daemon sets do), and whether it is so.
func namedNodes(p *corev1.Pod) ([]string, bool) {
	r := requiredNodes(p)
	if r == nil || len(r.NodeSelectorTerms) == 0 {
		return nil, false
	}
	var names []string
	for i := range r.NodeSelectorTerms {
		named := false
		for _, f := range r.NodeSelectorTerms[i].MatchFields {
			if f.Key == "metadata.name" && f.Operator == corev1.NodeSelectorOpIn {
				named = true
				for _, v := range f.Values {
					if !slices.Contains(names, v) {
						names = append(names, v)
					}
				}
			}
		}
		if !named {
			return nil, false
		}
	}
	return names, true
}

func newNodeSelect(p *corev1.Pod) *NodeSelect {
	return &NodeSelect{required: nodeaffinity.GetRequiredNodeAffinity(p), once: true}
}
