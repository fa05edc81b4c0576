// Package podgc deletes pods that nobody else will: those of nodes that are gone,
// those that end on nodes taken out of service, and the oldest ended ones when there are too many.
//
// What it remembers between steps is since when a node has been missing, and
// which pods have ended.
package podgc

import (
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/api/core"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/controller"
)

const (
	// quarantine is how long a node has to be gone: it may have been made anew under its name.
	quarantine = 40 * time.Second
	// Threshold is how many ended pods are kept.
	Threshold = 12500
)

// Spec is the pod-garbage-collector-controller; threshold 0 keeps all ended pods.
func Spec(threshold int) controller.Spec {
	c := &collector{threshold: threshold, missing: map[string]time.Time{}, ended: map[controller.Key]bool{}}
	return controller.Spec{
		Name: "pod-garbage-collector-controller", For: all.For[*corev1.Pod](),
		Wakes: []controller.Wake{{On: all.For[*corev1.Node](), Keys: func(v controller.View, o, old api.Object) []controller.Key {
			node := o.(*corev1.Node)
			now, err := client.Get[*corev1.Node](v.Context, v, "", node.Name)
			if err == nil && now.UID == node.UID && (old == nil || outOfService(node) == outOfService(old.(*corev1.Node))) {
				return nil
			}
			pods, err := client.ByIndex[*corev1.Pod](v.Context, v, core.IndexNode, node.Name)
			if err != nil {
				return nil
			}
			var keys []controller.Key
			for _, p := range pods {
				keys = append(keys, controller.KeyOf(p))
			}
			return keys
		}}},
		Step: c.step,
	}
}

type collector struct {
	threshold int
	mu        sync.Mutex
	missing   map[string]time.Time
	ended     map[controller.Key]bool
}

func (c *collector) step(v controller.View, k controller.Key) (controller.Plan, error) {
	pod, err := client.Get[*corev1.Pod](v.Context, v, k.Namespace, k.Name)
	if err != nil && !errors.IsNotFound(err) {
		return controller.Plan{}, err
	}
	exists := err == nil
	if c.tooMany(k, exists && controller.PodTerminal(pod)) {
		return c.trim(v)
	}
	switch {
	case !exists:
		return controller.Plan{}, nil
	case pod.Spec.NodeName == "":
		if pod.DeletionTimestamp == nil {
			return controller.Plan{}, nil
		}
		return controller.Plan{Do: remove(pod, "PodGC: terminating pod was not scheduled", false, v.Now)}, nil
	}
	node, err := client.Get[*corev1.Node](v.Context, v, "", pod.Spec.NodeName)
	if err != nil && !errors.IsNotFound(err) {
		return controller.Plan{}, err
	}
	if err == nil {
		c.found(node.Name)
		if pod.DeletionTimestamp == nil || !outOfService(node) {
			return controller.Plan{}, nil
		}
		return controller.Plan{Do: remove(pod, "PodGC: node is out-of-service", true, v.Now)}, nil
	}
	if left := c.since(pod.Spec.NodeName, v.Now).Add(quarantine).Sub(v.Now); left > 0 {
		return controller.Plan{After: left}, nil
	}
	return controller.Plan{Do: remove(pod, "PodGC: node no longer exists", true, v.Now)}, nil
}

// outOfService tells whether somebody has declared a lost node dead.
func outOfService(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
			return false
		}
	}
	return slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == corev1.TaintNodeOutOfService })
}

// remove deletes a pod at once; one that had not ended fails, so that its controller knows.
func remove(pod *corev1.Pod, why string, disrupted bool, now time.Time) []controller.Action {
	none := int64(0)
	del := controller.Action{Delete: &controller.Delete{Object: pod, Options: metav1.DeleteOptions{
		GracePeriodSeconds: &none, Preconditions: &metav1.Preconditions{UID: &pod.UID},
	}}}
	if controller.PodTerminal(pod) {
		return []controller.Action{del}
	}
	c := pod.DeepCopy()
	c.Status.Phase = corev1.PodFailed
	if disrupted {
		c.Status.Conditions = slices.DeleteFunc(c.Status.Conditions, func(x corev1.PodCondition) bool { return x.Type == corev1.DisruptionTarget })
		c.Status.Conditions = append(c.Status.Conditions, corev1.PodCondition{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(now).Rfc3339Copy(),
			Reason: "DeletionByPodGC", Message: why,
		})
	}
	return []controller.Action{{UpdateStatus: c, Then: func(api.Object) []controller.Action { return []controller.Action{del} }}}
}

// tooMany keeps the set of ended pods, and tells whether it is too large.
func (c *collector) tooMany(k controller.Key, ended bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !ended {
		delete(c.ended, k)
		return false
	}
	c.ended[k] = true
	return c.threshold > 0 && len(c.ended) > c.threshold
}

// trim deletes the oldest ended pods.
func (c *collector) trim(v controller.View) (controller.Plan, error) {
	pods, err := client.List[*corev1.Pod](v.Context, v, "", nil)
	if err != nil {
		return controller.Plan{}, err
	}
	pods = slices.DeleteFunc(pods, func(p *corev1.Pod) bool { return !controller.PodTerminal(p) || p.DeletionTimestamp != nil })
	n := max(0, len(pods)-c.threshold)
	slices.SortFunc(pods, func(a, b *corev1.Pod) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	var do []controller.Action
	for _, p := range pods[:n] {
		do = append(do, remove(p, "", false, v.Now)...)
	}
	return controller.Plan{Do: do}, nil
}

func (c *collector) since(node string, now time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := c.missing[node]; ok {
		return at
	}
	c.missing[node] = now
	return now
}

func (c *collector) found(node string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.missing, node)
}
