// Package replicaset keeps as many pods as a ReplicaSet or a ReplicationController
// asks for: it adopts, creates, deletes and counts them.
//
// Both kinds go through one step on a set, the few fields that matter of either.
// Read this file, then step.go, rank.go (which pods go first) and status.go.
package replicaset

import (
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/all"
	"github.com/skiff-k8s/skiff/internal/client"
	"github.com/skiff-k8s/skiff/internal/controller"
)

// set is a ReplicaSet or a ReplicationController.
type set struct {
	object   api.Object
	selector labels.Selector
	replicas int32
	minReady int32
	template *corev1.PodTemplateSpec
	status   appsv1.ReplicaSetStatus
	// withStatus returns a copy of the object with another status.
	withStatus func(appsv1.ReplicaSetStatus) api.Object
}

// Spec is the replicaset-controller.
func Spec() controller.Spec {
	r := all.For[*appsv1.ReplicaSet]()
	get := func(v controller.View, k controller.Key) (*set, error) {
		rs, err := client.Get[*appsv1.ReplicaSet](v.Context, v, k.Namespace, k.Name)
		if err != nil {
			return nil, err
		}
		return ofReplicaSet(rs)
	}
	return spec("replicaset-controller", r, get)
}

// ReplicationControllers is the replication-controller.
func ReplicationControllers() controller.Spec {
	r := all.For[*corev1.ReplicationController]()
	get := func(v controller.View, k controller.Key) (*set, error) {
		rc, err := client.Get[*corev1.ReplicationController](v.Context, v, k.Namespace, k.Name)
		if err != nil {
			return nil, err
		}
		return ofReplicationController(rc), nil
	}
	return spec("replication-controller", r, get)
}

func spec(name string, r *api.Resource, get func(controller.View, controller.Key) (*set, error)) controller.Spec {
	return controller.Spec{
		Name: name, For: r, Workers: 5,
		Wakes: []controller.Wake{{On: all.For[*corev1.Pod](), Keys: func(v controller.View, o, old api.Object) []controller.Key {
			keys := controller.OwnerKeys(r, o, old)
			if metav1.GetControllerOfNoCopy(o) == nil && len(o.GetLabels()) > 0 {
				keys = append(keys, wanting(v, r, get, o)...)
			}
			return keys
		}}},
		Step: func(v controller.View, k controller.Key) (controller.Plan, error) {
			s, err := get(v, k)
			if errors.IsNotFound(err) {
				return controller.Plan{}, nil
			}
			if err != nil {
				return controller.Plan{}, err
			}
			return step(v, s)
		},
	}
}

// wanting are the sets that would adopt a pod without controller.
func wanting(v controller.View, r *api.Resource, get func(controller.View, controller.Key) (*set, error), pod api.Object) []controller.Key {
	sets, _, err := v.List(v.Context, r, pod.GetNamespace(), client.Selector{})
	if err != nil {
		return nil
	}
	var keys []controller.Key
	for _, o := range sets {
		k := controller.KeyOf(o)
		if s, err := get(v, k); err == nil && !s.selector.Empty() && s.selector.Matches(labels.Set(pod.GetLabels())) {
			keys = append(keys, k)
		}
	}
	return keys
}

func ofReplicaSet(rs *appsv1.ReplicaSet) (*set, error) {
	sel, err := metav1.LabelSelectorAsSelector(rs.Spec.Selector)
	if err != nil {
		return nil, err
	}
	return &set{
		object: rs, selector: sel, replicas: count(rs.Spec.Replicas), minReady: rs.Spec.MinReadySeconds,
		template: &rs.Spec.Template, status: rs.Status,
		withStatus: func(s appsv1.ReplicaSetStatus) api.Object {
			c := rs.DeepCopy()
			c.Status = s
			return c
		},
	}, nil
}

func ofReplicationController(rc *corev1.ReplicationController) *set {
	s := &set{
		object: rc, selector: labels.SelectorFromSet(rc.Spec.Selector), replicas: count(rc.Spec.Replicas), minReady: rc.Spec.MinReadySeconds,
		template: rc.Spec.Template, status: appsv1.ReplicaSetStatus{
			Replicas: rc.Status.Replicas, FullyLabeledReplicas: rc.Status.FullyLabeledReplicas, ReadyReplicas: rc.Status.ReadyReplicas,
			AvailableReplicas: rc.Status.AvailableReplicas, ObservedGeneration: rc.Status.ObservedGeneration,
		},
	}
	if s.template == nil {
		s.template = &corev1.PodTemplateSpec{}
	}
	for _, c := range rc.Status.Conditions {
		s.status.Conditions = append(s.status.Conditions, appsv1.ReplicaSetCondition{
			Type: appsv1.ReplicaSetConditionType(c.Type), Status: c.Status, LastTransitionTime: c.LastTransitionTime, Reason: c.Reason, Message: c.Message,
		})
	}
	s.withStatus = func(st appsv1.ReplicaSetStatus) api.Object {
		c := rc.DeepCopy()
		c.Status = corev1.ReplicationControllerStatus{
			Replicas: st.Replicas, FullyLabeledReplicas: st.FullyLabeledReplicas, ReadyReplicas: st.ReadyReplicas,
			AvailableReplicas: st.AvailableReplicas, ObservedGeneration: st.ObservedGeneration,
		}
		for _, x := range st.Conditions {
			c.Status.Conditions = append(c.Status.Conditions, corev1.ReplicationControllerCondition{
				Type: corev1.ReplicationControllerConditionType(x.Type), Status: x.Status, LastTransitionTime: x.LastTransitionTime, Reason: x.Reason, Message: x.Message,
			})
		}
		return c
	}
	return s
}

// count is the number of replicas asked for; without one, it is one.
func count(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}
