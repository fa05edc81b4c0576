// Package namespace empties the namespaces that are being deleted, and then lets
// them go.
//
// A step deletes what is there and not being deleted yet, pods first; when
// everything is, it tells in conditions what the namespace waits for; when
// nothing is left, it takes the finalizer off. Read this file, then conditions.go.
package namespace

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/controller"
)

const (
	// soon is when to look whether the deletes of a step have emptied the namespace.
	soon = time.Millisecond
	// later is when to look again at what has finalizers of others. Pods wake by themselves.
	later = 5 * time.Second
)

// Spec is the namespace-controller. rows are the kinds there are at the time.
func Spec(rows func() []*api.Resource) controller.Spec {
	return controller.Spec{
		Name: "namespace-controller", For: all.For[*corev1.Namespace](),
		Wakes: []controller.Wake{{On: all.For[*corev1.Pod](), Keys: func(v controller.View, o, _ api.Object) []controller.Key {
			// Only the end of a pod that was being deleted matters.
			if o.GetDeletionTimestamp() == nil {
				return nil
			}
			ns, err := client.Get[*corev1.Namespace](v.Context, v, "", o.GetNamespace())
			if err != nil || ns.DeletionTimestamp == nil {
				return nil
			}
			return []controller.Key{{Name: ns.Name}}
		}}},
		Step: func(v controller.View, k controller.Key) (controller.Plan, error) { return step(v, k, rows()) },
	}
}

// content is what there is of one kind in a namespace.
type content struct {
	row     *api.Resource
	objects []api.Object
}

func step(v controller.View, k controller.Key, rows []*api.Resource) (controller.Plan, error) {
	ns, err := client.Get[*corev1.Namespace](v.Context, v, "", k.Name)
	if errors.IsNotFound(err) {
		return controller.Plan{}, nil
	}
	if err != nil || ns.DeletionTimestamp == nil || !slices.Contains(ns.Spec.Finalizers, corev1.FinalizerKubernetes) {
		return controller.Plan{}, err
	}
	if ns.Status.Phase != corev1.NamespaceTerminating {
		c := ns.DeepCopy()
		c.Status.Phase = corev1.NamespaceTerminating
		return controller.Plan{Do: []controller.Action{{UpdateStatus: c}}}, nil
	}
	left, err := contents(v, ns.Name, rows)
	if err != nil {
		return controller.Plan{}, err
	}
	if doomed := standing(left); len(doomed) > 0 {
		return controller.Plan{Do: []controller.Action{empty(v, ns, left, doomed)}, After: soon}, nil
	}
	next := withConditions(ns, left, nil, v.Now)
	var do []controller.Action
	if !equality.Semantic.DeepEqual(ns.Status, next.Status) {
		do = append(do, controller.Action{UpdateStatus: next})
	}
	if len(left) > 0 {
		return controller.Plan{Do: do, After: later}, nil
	}
	return controller.Plan{Do: append(do, finalize(ns))}, nil
}

// contents lists everything in the namespace, kind by kind.
func contents(v controller.View, namespace string, rows []*api.Resource) ([]content, error) {
	var left []content
	for _, r := range rows {
		if !r.Namespaced || r.Virtual || !slices.Contains(r.Verbs, "delete") || !slices.Contains(r.Verbs, "list") {
			continue
		}
		objects, _, err := v.List(v.Context, r, namespace, client.Selector{})
		if err != nil {
			return nil, err
		}
		if len(objects) > 0 {
			left = append(left, content{r, objects})
		}
	}
	return left, nil
}

// standing is what to delete now: the pods, and when there are none any more, the rest. What
// pods use (network policies, secrets, claims) stays as long as they run.
func standing(left []content) []content {
	pods := slices.IndexFunc(left, func(c content) bool { return c.row.GVK.Kind == "Pod" && c.row.GVK.Group == "" })
	if pods >= 0 {
		left = left[pods : pods+1]
	}
	var doomed []content
	for _, c := range left {
		objects := slices.DeleteFunc(slices.Clone(c.objects), func(o api.Object) bool { return o.GetDeletionTimestamp() != nil })
		if len(objects) > 0 {
			doomed = append(doomed, content{c.row, objects})
		}
	}
	return doomed
}

// empty deletes; a failure is told in the conditions.
func empty(v controller.View, ns *corev1.Namespace, left, doomed []content) controller.Action {
	background := metav1.DeletePropagationBackground
	var do []controller.Action
	for _, c := range doomed {
		for _, o := range c.objects {
			uid := o.GetUID()
			do = append(do, controller.Action{Resource: c.row, Delete: &controller.Delete{Object: o, Options: metav1.DeleteOptions{
				PropagationPolicy: &background, Preconditions: &metav1.Preconditions{UID: &uid},
			}}})
		}
	}
	return controller.Action{SlowStart: do, Else: func(err error) []controller.Action {
		fail := controller.Action{Fail: err}
		if errors.IsConflict(err) {
			return []controller.Action{fail}
		}
		return []controller.Action{{UpdateStatus: withConditions(ns, left, err, v.Now)}, fail}
	}}
}

// finalize lets the namespace go, whatever was written to it meanwhile.
func finalize(ns *corev1.Namespace) controller.Action {
	c := ns.DeepCopy()
	c.ResourceVersion = ""
	c.Spec.Finalizers = slices.DeleteFunc(c.Spec.Finalizers, func(f corev1.FinalizerName) bool { return f == corev1.FinalizerKubernetes })
	return controller.Action{Update: c, Subresource: "finalize", Else: func(err error) []controller.Action {
		if errors.IsNotFound(err) {
			return nil
		}
		return []controller.Action{{Fail: err}}
	}}
}
