package nodelifecycle

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/controller"
)

// conditionTaints are the taints that say what a condition says. The taints of
// one node are in this order.
var conditionTaints = []struct {
	condition corev1.NodeConditionType
	status    corev1.ConditionStatus
	key       string
}{
	{corev1.NodeReady, corev1.ConditionFalse, corev1.TaintNodeNotReady},
	{corev1.NodeReady, corev1.ConditionUnknown, corev1.TaintNodeUnreachable},
	{corev1.NodeMemoryPressure, corev1.ConditionTrue, corev1.TaintNodeMemoryPressure},
	{corev1.NodeDiskPressure, corev1.ConditionTrue, corev1.TaintNodeDiskPressure},
	{corev1.NodeNetworkUnavailable, corev1.ConditionTrue, corev1.TaintNodeNetworkUnavailable},
	{corev1.NodePIDPressure, corev1.ConditionTrue, corev1.TaintNodePIDPressure},
}

// taint sets the taints of a node: NoSchedule at once, NoExecute as fast as the
// zone allows. It returns how long the node has to wait for its turn.
func (l *lifecycle) taint(v controller.View, node *corev1.Node) (time.Duration, error) {
	for _, t := range conditionTaints {
		c := condition(node, t.condition)
		// A new node comes tainted, and stays so until it says how it is.
		if c == nil && t.condition == corev1.NodeReady {
			continue
		}
		set(node, t.key, corev1.TaintEffectNoSchedule, c != nil && c.Status == t.status, v.Now)
	}
	set(node, corev1.TaintNodeUnschedulable, corev1.TaintEffectNoSchedule, node.Spec.Unschedulable, v.Now)
	return l.expel(v, node)
}

// expel sets the taint that makes the pods of a lost node go.
func (l *lifecycle) expel(v controller.View, node *corev1.Node) (time.Duration, error) {
	c := condition(node, corev1.NodeReady)
	lost := c != nil && c.Status != corev1.ConditionTrue
	right, wrong := corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable
	if lost && c.Status == corev1.ConditionUnknown {
		right, wrong = wrong, right
	}
	if _, excluded := node.Labels["node.kubernetes.io/exclude-disruption"]; !lost || excluded {
		set(node, right, corev1.TaintEffectNoExecute, false, v.Now)
		set(node, wrong, corev1.TaintEffectNoExecute, false, v.Now)
		return 0, nil
	}
	pace, err := paceOf(v, node)
	if err != nil {
		return 0, err
	}
	tainted := has(node, right) || has(node, wrong)
	switch {
	case pace == never:
		// When no node anywhere works, it is more likely this server that is cut off.
		set(node, right, corev1.TaintEffectNoExecute, false, v.Now)
		set(node, wrong, corev1.TaintEffectNoExecute, false, v.Now)
		return 0, nil
	case !tainted:
		if wait := l.turn(zone(node), pace, v.Now); wait > 0 {
			return wait, nil
		}
	}
	set(node, wrong, corev1.TaintEffectNoExecute, false, v.Now)
	set(node, right, corev1.TaintEffectNoExecute, true, v.Now)
	return 0, nil
}

func has(node *corev1.Node, key string) bool {
	return slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == key && t.Effect == corev1.TaintEffectNoExecute })
}

// set makes the node have a taint, or not; the time of one that it has stays.
func set(node *corev1.Node, key string, effect corev1.TaintEffect, want bool, at time.Time) {
	is := func(t corev1.Taint) bool { return t.Key == key && t.Effect == effect }
	switch has := slices.ContainsFunc(node.Spec.Taints, is); {
	case want && !has:
		added := now(at)
		node.Spec.Taints = append(node.Spec.Taints, corev1.Taint{Key: key, Effect: effect, TimeAdded: &added})
	case !want && has:
		node.Spec.Taints = slices.DeleteFunc(node.Spec.Taints, is)
	}
}
