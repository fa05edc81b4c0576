// Package deployment rolls Deployments out: it makes a ReplicaSet per pod
// template and moves replicas from the old ones to the new one, within the bounds that the
// strategy sets.
//
// A step works on copies of the Deployment and its ReplicaSets (rollout), and
// what it changed in them becomes the plan. Read this file, then step.go, and
// from there rolling.go, recreate.go, scale.go, revision.go, rollback.go and status.go.
package deployment

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/controller"
)

// Spec is the deployment-controller.
func Spec() controller.Spec {
	r := all.For[*appsv1.Deployment]()
	return controller.Spec{
		Name: "deployment-controller", For: r, Workers: 5,
		Wakes: []controller.Wake{
			{On: all.For[*appsv1.ReplicaSet](), Keys: func(v controller.View, o, old api.Object) []controller.Key {
				keys := controller.OwnerKeys(r, o, old)
				if metav1.GetControllerOfNoCopy(o) == nil {
					keys = append(keys, wanting(v, o)...)
				}
				return keys
			}},
			{On: all.For[*corev1.Pod](), Keys: recreated},
		},
		Step: Step,
	}
}

// wanting are the Deployments that would adopt a ReplicaSet without controller.
func wanting(v controller.View, rs api.Object) []controller.Key {
	if len(rs.GetLabels()) == 0 {
		return nil
	}
	ds, err := client.List[*appsv1.Deployment](v.Context, v, rs.GetNamespace(), nil)
	if err != nil {
		return nil
	}
	var keys []controller.Key
	for _, d := range ds {
		if sel, err := metav1.LabelSelectorAsSelector(d.Spec.Selector); err == nil && !sel.Empty() && sel.Matches(labels.Set(rs.GetLabels())) {
			keys = append(keys, controller.KeyOf(d))
		}
	}
	return keys
}

// recreated wakes Deployments that wait for the last of their old pods to go.
func recreated(v controller.View, o, _ api.Object) []controller.Key {
	ref := metav1.GetControllerOfNoCopy(o)
	if ref == nil || !controller.IsKind(ref, all.For[*appsv1.ReplicaSet]()) {
		return nil
	}
	// Nothing but a pod's end matters; it is either terminal or deleted then.
	if pod := o.(*corev1.Pod); pod.DeletionTimestamp == nil && !controller.PodTerminal(pod) {
		return nil
	}
	rs, err := client.Get[*appsv1.ReplicaSet](v.Context, v, o.GetNamespace(), ref.Name)
	if err != nil || rs.UID != ref.UID {
		return nil
	}
	keys := controller.OwnerKeys(all.For[*appsv1.Deployment](), rs, nil)
	for _, k := range keys {
		d, err := client.Get[*appsv1.Deployment](v.Context, v, k.Namespace, k.Name)
		if err != nil || d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType {
			return nil
		}
	}
	return keys
}
