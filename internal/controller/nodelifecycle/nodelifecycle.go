// Package nodelifecycle watches over the nodes: one that has not renewed its lease
// for too long becomes Unknown, and what conditions say about a node becomes
// taints on it. Package tainteviction acts on those.
//
// How long a node has been silent is counted from when its last sign of life was
// seen here, on this clock: a start after a long stop, or a node whose clock is
// wrong, takes nobody for dead. That memory is the only state (heartbeats, in
// health.go). Read this file, then health.go, taints.go and zones.go.
package nodelifecycle

import (
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/errors"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/api/core"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/controller"
)

const (
	grace        = 40 * time.Second // without a sign of life
	startupGrace = 60 * time.Second // for a node that never gave one
)

// Spec is the node-lifecycle-controller; its events come from node-controller.
func Spec() controller.Spec {
	l := &lifecycle{heartbeats: map[string]heartbeat{}, limits: map[string]time.Time{}}
	return controller.Spec{
		Name: "node-controller", For: all.For[*corev1.Node](), Workers: 4,
		Wakes: []controller.Wake{
			{On: all.For[*coordinationv1.Lease](), Keys: func(_ controller.View, o, _ api.Object) []controller.Key {
				if o.GetNamespace() != corev1.NamespaceNodeLease {
					return nil
				}
				return []controller.Key{{Name: o.GetName()}}
			}},
			{On: all.For[*corev1.Node](), Keys: others},
		},
		Step: l.step,
	}
}

// others wakes the nodes in trouble when the state of one changes: how many are decides what happens to each.
func others(v controller.View, o, old api.Object) []controller.Key {
	if old == nil || readiness(o.(*corev1.Node)) == readiness(old.(*corev1.Node)) {
		return nil
	}
	nodes, err := client.List[*corev1.Node](v.Context, v, "", nil)
	if err != nil {
		return nil
	}
	var keys []controller.Key
	for _, n := range nodes {
		if n.Name != o.GetName() && readiness(n) != corev1.ConditionTrue {
			keys = append(keys, controller.KeyOf(n))
		}
	}
	return keys
}

func (l *lifecycle) step(v controller.View, k controller.Key) (controller.Plan, error) {
	node, err := client.Get[*corev1.Node](v.Context, v, "", k.Name)
	if errors.IsNotFound(err) {
		// A lease may wake a node that never was.
		if gone, ok := l.forget(k.Name); ok {
			return controller.Plan{Do: []controller.Action{registration(gone, "RemovingNode", fmt.Sprintf("Removing Node %s from Controller", k.Name))}}, nil
		}
		return controller.Plan{}, nil
	}
	if err != nil {
		return controller.Plan{}, err
	}
	lease, err := client.Get[*coordinationv1.Lease](v.Context, v, corev1.NamespaceNodeLease, k.Name)
	if err != nil && !errors.IsNotFound(err) {
		return controller.Plan{}, err
	}
	var p controller.Plan
	silent, left, first := l.listen(node, lease, v.Now)
	if first {
		p.Do = append(p.Do, registration(node, "RegisteredNode", fmt.Sprintf("Registered Node %s in Controller", node.Name)))
	}
	p.After = left
	next := node.DeepCopy()
	if silent {
		lose(next, v.Now)
	}
	wait, err := l.taint(v, next)
	if err != nil {
		return controller.Plan{}, err
	}
	p.After = sooner(p.After, wait)
	p.Do = append(p.Do, writes(node, next)...)
	if readiness(node) == corev1.ConditionTrue && readiness(next) != corev1.ConditionTrue {
		p.Do = append(p.Do, controller.Action{Event: &controller.Event{
			About: node, Type: corev1.EventTypeNormal, Reason: "NodeNotReady", Message: fmt.Sprintf("Node %s status is now: NodeNotReady", node.Name),
		}})
	}
	if c := condition(next, corev1.NodeReady); c != nil && c.Status != corev1.ConditionTrue {
		unready, err := podsNotReady(v, node.Name)
		if err != nil {
			return controller.Plan{}, err
		}
		p.Do = append(p.Do, unready...)
	}
	return p, nil
}

// writes are the updates of status and spec that turn one state of a node into another.
func writes(was, is *corev1.Node) []controller.Action {
	tainted := !equality.Semantic.DeepEqual(was.Spec.Taints, is.Spec.Taints)
	if equality.Semantic.DeepEqual(was.Status, is.Status) {
		if !tainted {
			return nil
		}
		return []controller.Action{{Update: is}}
	}
	return []controller.Action{{UpdateStatus: is, Then: func(o api.Object) []controller.Action {
		if !tainted {
			return nil
		}
		c := o.(*corev1.Node).DeepCopy()
		c.Spec.Taints = is.Spec.Taints
		return []controller.Action{{Update: c}}
	}}}
}

// podsNotReady takes the pods of a node that is not ready out of their Services.
func podsNotReady(v controller.View, node string) ([]controller.Action, error) {
	pods, err := client.ByIndex[*corev1.Pod](v.Context, v, core.IndexNode, node)
	if err != nil {
		return nil, err
	}
	var do []controller.Action
	for _, p := range pods {
		if !controller.PodReady(p) {
			continue
		}
		c := p.DeepCopy()
		ready := controller.PodCondition(c, corev1.PodReady)
		ready.Status = corev1.ConditionFalse
		ready.LastTransitionTime = now(v.Now)
		do = append(do, controller.Action{UpdateStatus: c,
			Then: func(api.Object) []controller.Action {
				return []controller.Action{{Event: &controller.Event{About: p, Type: corev1.EventTypeWarning, Reason: "NodeNotReady", Message: "Node is not ready"}}}
			},
			Else: func(err error) []controller.Action {
				if errors.IsNotFound(err) {
					return nil
				}
				return []controller.Action{{Fail: err}}
			},
		})
	}
	return do, nil
}

func registration(about *corev1.Node, reason, what string) controller.Action {
	return controller.Action{Event: &controller.Event{
		About: about, Type: corev1.EventTypeNormal, Reason: reason, Message: fmt.Sprintf("Node %s event: %s", about.Name, what),
	}}
}

// sooner is the shorter of two waits, of which 0 is none.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}
