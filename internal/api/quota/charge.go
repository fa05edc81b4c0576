package quota

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/skiff-k8s/skiff/internal/api"
)

// Write is what is to be charged: an object that comes to be (Old is nil) or changes.
type Write struct {
	Resource    *api.Resource
	Subresource string
	Object      api.Object
	Old         api.Object
	Now         time.Time
}

// updatable kinds are charged when they grow, the others only when they come to be.
var updatable = []string{"services", "persistentvolumeclaims", "resourceclaims.resource.k8s.io"}

// Charges tells whether a kind of write is charged at all.
func (w *Write) Charges() bool {
	switch {
	case !Counted(w.Resource):
		return false
	case w.Old == nil:
		return w.Subresource == ""
	case w.Subresource == "resize":
		return w.Resource.GroupResource() == podResource
	}
	return w.Subresource == "" && slices.Contains(updatable, w.Resource.GroupResource().String())
}

// Charge holds a write against a quota. It returns what the write adds to the quota's
// use (nil: nothing), or why the quota refuses it. used is what is in use.
func (w *Write) Charge(q *corev1.ResourceQuota, used corev1.ResourceList) (corev1.ResourceList, error) {
	if !Looks(q, w.Resource) || !InScope(q, w.Object) {
		return nil, nil
	}
	if pod, ok := w.Object.(*corev1.Pod); ok {
		if err := podMust(q, pod); err != nil {
			return nil, fmt.Errorf("failed quota: %s: %w", q.Name, err)
		}
	}
	usage := Usage(w.Resource, w.Object, w.Now)
	var below []string
	for name, n := range usage {
		if n.Sign() < 0 {
			below = append(below, string(name))
		}
	}
	if len(below) > 0 {
		slices.Sort(below)
		return nil, fmt.Errorf("quota usage is negative for resource(s): %s", strings.Join(below, ","))
	}
	var before corev1.ResourceList
	// What the quota was not about before is new to it in full.
	if w.Old != nil && InScope(q, w.Old) {
		before = Usage(w.Resource, w.Old, w.Now)
	}
	limited := func(name corev1.ResourceName) bool { _, ok := q.Spec.Hard[name]; return ok }
	more := mask(growth(usage, before), limited)
	if len(more) == 0 {
		return nil, nil
	}
	next := add(mask(used, func(n corev1.ResourceName) bool { _, ok := more[n]; return ok }), more)
	exceeded := func(name corev1.ResourceName) bool {
		n, hard := next[name], q.Spec.Hard[name]
		_, asked := more[name]
		return asked && n.Cmp(hard) > 0
	}
	if over := mask(more, exceeded); len(over) > 0 {
		have := corev1.ResourceList{}
		for name := range over {
			have[name] = used[name]
		}
		return nil, fmt.Errorf("exceeded quota: %s, requested: %s, used: %s, limited: %s", q.Name, text(over), text(have), text(mask(q.Spec.Hard, exceeded)))
	}
	return more, nil
}

// Current tells whether the status of a quota counts what its spec asks for.
func Current(q *corev1.ResourceQuota) bool {
	return equality.Semantic.DeepEqual(q.Status.Hard, q.Spec.Hard) && (q.Status.Used != nil || len(q.Spec.Hard) == 0)
}

// WithUsed is the quota with its status brought up to date.
func WithUsed(q *corev1.ResourceQuota, used corev1.ResourceList) *corev1.ResourceQuota {
	c := q.DeepCopy()
	c.Status.Hard = corev1.ResourceList{}
	for k, v := range c.Spec.Hard {
		c.Status.Hard[k] = v.DeepCopy()
	}
	c.Status.Used = used
	return c
}

// Plus is used with more added.
func Plus(used, more corev1.ResourceList) corev1.ResourceList { return add(used, more) }
