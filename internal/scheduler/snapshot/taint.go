package snapshot

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
)

// TaintSet is a list of taints that nodes have, once however many nodes have it.
type TaintSet struct {
	id     int32
	Taints []corev1.Taint
}

// Tolerations is a list of tolerations that pods have, with what it makes of each TaintSet.
type Tolerations struct {
	list    []corev1.Toleration
	cordon  bool
	verdict []verdict // by TaintSet.id
}

type verdict struct {
	known, blocked bool
	avoid          int16
}

func (s *Snapshot) taintSet(taints []corev1.Taint) *TaintSet {
	b := s.keyBuf[:0]
	for i := range taints {
		t := &taints[i]
		b = append(append(append(append(append(append(b, t.Key...), '='), t.Value...), ':'), t.Effect...), 0)
	}
	s.keyBuf = b
	ts := s.taintSets[string(b)]
	if ts == nil {
		ts = &TaintSet{id: int32(len(s.taintSets)), Taints: taints}
		s.taintSets[string(b)] = ts
	}
	return ts
}

func (s *Snapshot) tolerationsOf(list []corev1.Toleration) *Tolerations {
	b := s.keyBuf[:0]
	for i := range list {
		t := &list[i]
		b = append(append(append(append(append(append(b, t.Key...), 0), t.Operator...), 0), t.Value...), 0)
		b = append(append(b, t.Effect...), 1)
	}
	s.keyBuf = b
	t := s.tolerations[string(b)]
	if t == nil {
		t = &Tolerations{list: list}
		t.cordon = t.tolerate(&corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule})
		s.tolerations[string(b)] = t
	}
	return t
}

// Cordon tells whether spec.unschedulable of a node is tolerated.
func (t *Tolerations) Cordon() bool { return t.cordon }

// Blocked tells whether a taint keeps the pod off the node.
func (t *Tolerations) Blocked(ts *TaintSet) bool { return t.on(ts).blocked }

// Avoid is the number of PreferNoSchedule taints that are not tolerated.
func (t *Tolerations) Avoid(ts *TaintSet) int64 { return int64(t.on(ts).avoid) }

func (t *Tolerations) on(ts *TaintSet) verdict {
	if int(ts.id) < len(t.verdict) {
		if v := t.verdict[ts.id]; v.known {
			return v
		}
	}
	v := verdict{known: true}
	for i := range ts.Taints {
		taint := &ts.Taints[i]
		if taint.Effect == corev1.TaintEffectPreferNoSchedule {
			if !t.tolerate(taint) {
				v.avoid++
			}
		} else if !t.tolerate(taint) {
			v.blocked = true
		}
	}
	for int(ts.id) >= len(t.verdict) {
		t.verdict = append(t.verdict, verdict{})
	}
	t.verdict[ts.id] = v
	return v
}

func (t *Tolerations) tolerate(taint *corev1.Taint) bool {
	for i := range t.list {
		if t.list[i].ToleratesTaint(klog.Logger{}, taint, true) {
			return true
		}
	}
	return false
}
