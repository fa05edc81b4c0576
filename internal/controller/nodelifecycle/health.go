package nodelifecycle

import (
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// lifecycle is what the controller remembers between steps.
type lifecycle struct {
	mu         sync.Mutex
	heartbeats map[string]heartbeat
	limits     map[string]time.Time // by zone: when the next node may be tainted NoExecute
}

// heartbeat is the last sign of life of a node and when it was seen.
type heartbeat struct {
	node   *corev1.Node
	renew  metav1.MicroTime // of the lease
	report metav1.Time      // of the Ready condition
	ready  corev1.ConditionStatus
	seen   time.Time
}

// listen takes in the signs of life there are. It tells whether the node has
// been silent for too long, or else when it will have been, and whether it was heard of for the first time.
func (l *lifecycle) listen(node *corev1.Node, lease *coordinationv1.Lease, now time.Time) (silent bool, left time.Duration, first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h, known := l.heartbeats[node.Name]
	first = !known || h.node.UID != node.UID
	is := heartbeat{node: node, seen: h.seen}
	allowed := startupGrace
	if c := condition(node, corev1.NodeReady); c != nil {
		is.report, is.ready = c.LastHeartbeatTime, c.Status
		allowed = grace
	}
	if lease != nil && lease.Spec.RenewTime != nil {
		is.renew = *lease.Spec.RenewTime
	}
	switch {
	case first && is.ready == "":
		is.seen = node.CreationTimestamp.Time
	case first, h.renew.Before(&is.renew), !h.report.Equal(&is.report), h.ready != is.ready && is.ready != corev1.ConditionUnknown:
		is.seen = now
	}
	l.heartbeats[node.Name] = is
	left = is.seen.Add(allowed).Sub(now)
	if left < 0 {
		return true, 0, first
	}
	return false, left + time.Second, first
}

func (l *lifecycle) forget(name string) (*corev1.Node, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h, ok := l.heartbeats[name]
	delete(l.heartbeats, name)
	return h.node, ok
}

// lose makes what the kubelet would report unknown.
func lose(node *corev1.Node, at time.Time) {
	for _, t := range []corev1.NodeConditionType{corev1.NodeReady, corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure} {
		c := condition(node, t)
		switch {
		case c == nil:
			node.Status.Conditions = append(node.Status.Conditions, corev1.NodeCondition{
				Type: t, Status: corev1.ConditionUnknown, Reason: "NodeStatusNeverUpdated", Message: "Kubelet never posted node status.",
				LastHeartbeatTime: node.CreationTimestamp, LastTransitionTime: now(at),
			})
		case c.Status != corev1.ConditionUnknown:
			c.Status, c.Reason, c.Message = corev1.ConditionUnknown, "NodeStatusUnknown", "Kubelet stopped posting node status."
			c.LastTransitionTime = now(at)
		}
	}
}

func condition(n *corev1.Node, t corev1.NodeConditionType) *corev1.NodeCondition {
	for i := range n.Status.Conditions {
		if n.Status.Conditions[i].Type == t {
			return &n.Status.Conditions[i]
		}
	}
	return nil
}

// readiness is the status of the Ready condition; a node without one is Unknown.
func readiness(n *corev1.Node) corev1.ConditionStatus {
	if c := condition(n, corev1.NodeReady); c != nil {
		return c.Status
	}
	return corev1.ConditionUnknown
}

func now(t time.Time) metav1.Time { return metav1.NewTime(t).Rfc3339Copy() }
