// Package tainteviction deletes pods from nodes with NoExecute taints that they do
// not tolerate, or do not any longer.
//
// Since when a pod has been on such a node is counted from when it was first seen so, here: a
// start after a long stop gives everybody time. That memory is the only state.
package tainteviction

import (
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/api/core"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/controller"
)

// Spec is the taint-eviction-controller.
func Spec() controller.Spec {
	e := &eviction{pods: map[controller.Key]stay{}}
	return controller.Spec{
		Name: "taint-eviction-controller", For: all.For[*corev1.Pod](), Workers: 8,
		Wakes: []controller.Wake{{On: all.For[*corev1.Node](), Keys: func(v controller.View, o, old api.Object) []controller.Key {
			is := expelling(o.(*corev1.Node))
			var was []corev1.Taint
			if old != nil {
				was = expelling(old.(*corev1.Node))
			}
			if equality.Semantic.DeepEqual(is, was) {
				return nil
			}
			pods, err := client.ByIndex[*corev1.Pod](v.Context, v, core.IndexNode, o.GetName())
			if err != nil {
				return nil
			}
			var keys []controller.Key
			for _, p := range pods {
				keys = append(keys, controller.KeyOf(p))
			}
			return keys
		}}},
		Step: e.step,
	}
}

type eviction struct {
	mu   sync.Mutex
	pods map[controller.Key]stay
}

// stay is a pod that has to go, though not yet.
type stay struct {
	uid   types.UID
	since time.Time
}

func (e *eviction) step(v controller.View, k controller.Key) (controller.Plan, error) {
	pod, err := client.Get[*corev1.Pod](v.Context, v, k.Namespace, k.Name)
	if errors.IsNotFound(err) {
		e.cancel(k)
		return controller.Plan{}, nil
	}
	if err != nil {
		return controller.Plan{}, err
	}
	if pod.DeletionTimestamp != nil || pod.Spec.NodeName == "" || controller.PodTerminal(pod) {
		e.cancel(k)
		return controller.Plan{}, nil
	}
	node, err := client.Get[*corev1.Node](v.Context, v, "", pod.Spec.NodeName)
	if err != nil && !errors.IsNotFound(err) {
		return controller.Plan{}, err
	}
	var taints []corev1.Taint
	if err == nil {
		taints = expelling(node)
	}
	allowed, forever := tolerated(taints, pod.Spec.Tolerations)
	if forever {
		if !e.cancel(k) {
			return controller.Plan{}, nil
		}
		return controller.Plan{Do: []controller.Action{told(pod, "Cancelling deletion of Pod ")}}, nil
	}
	if left := e.since(k, pod.UID, v.Now).Add(allowed).Sub(v.Now); left > 0 {
		return controller.Plan{After: left}, nil
	}
	return controller.Plan{Do: evict(pod, v.Now)}, nil
}

// evict says in the pod why it is deleted, and deletes it.
func evict(pod *corev1.Pod, now time.Time) []controller.Action {
	c := pod.DeepCopy()
	c.Status.Conditions = slices.DeleteFunc(c.Status.Conditions, func(x corev1.PodCondition) bool { return x.Type == corev1.DisruptionTarget })
	c.Status.Conditions = append(c.Status.Conditions, corev1.PodCondition{
		Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(now).Rfc3339Copy(),
		Reason: "DeletionByTaintManager", Message: "Taint manager: deleting due to NoExecute taint",
	})
	return []controller.Action{
		told(pod, "Marking for deletion Pod "),
		{UpdateStatus: c, Then: func(api.Object) []controller.Action {
			return []controller.Action{{Delete: &controller.Delete{Object: pod, Options: metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &pod.UID}}}}}
		}, Else: func(err error) []controller.Action {
			if errors.IsNotFound(err) {
				return nil
			}
			return []controller.Action{{Fail: err}}
		}},
	}
}

func told(pod *corev1.Pod, what string) controller.Action {
	return controller.Action{Event: &controller.Event{
		About: pod, Type: corev1.EventTypeNormal, Reason: "TaintManagerEviction", Message: fmt.Sprintf("%s%s/%s", what, pod.Namespace, pod.Name),
	}}
}

func (e *eviction) since(k controller.Key, uid types.UID, now time.Time) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s, ok := e.pods[k]; ok && s.uid == uid {
		return s.since
	}
	e.pods[k] = stay{uid, now}
	return now
}

// cancel forgets that a pod has to go, and tells whether it had to.
func (e *eviction) cancel(k controller.Key) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, ok := e.pods[k]
	delete(e.pods, k)
	return ok
}

func expelling(n *corev1.Node) []corev1.Taint {
	var out []corev1.Taint
	for _, t := range n.Spec.Taints {
		if t.Effect == corev1.TaintEffectNoExecute {
			out = append(out, t)
		}
	}
	return out
}

// tolerated is for how long the tolerations bear with all of the taints.
func tolerated(taints []corev1.Taint, tolerations []corev1.Toleration) (allowed time.Duration, forever bool) {
	forever = true
	for i := range taints {
		borne := false
		for j := range tolerations {
			t := &tolerations[j]
			if !tolerates(t, &taints[i]) {
				continue
			}
			borne = true
			if t.TolerationSeconds == nil {
				continue
			}
			// The shortest of all that match counts.
			if d := time.Duration(max(0, *t.TolerationSeconds)) * time.Second; forever || d < allowed {
				allowed, forever = d, false
			}
		}
		if !borne {
			return 0, false
		}
	}
	return allowed, forever
}

func tolerates(t *corev1.Toleration, taint *corev1.Taint) bool {
	if t.Effect != "" && t.Effect != taint.Effect || t.Key != "" && t.Key != taint.Key {
		return false
	}
	switch t.Operator {
	case "", corev1.TolerationOpEqual:
		return t.Value == taint.Value
	case corev1.TolerationOpExists:
		return true
	}
	return false
}
