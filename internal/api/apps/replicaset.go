package apps

import (
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// ReplicaSet is all there is about ReplicaSet objects on the server.
var ReplicaSet = api.Kind[appsv1.ReplicaSet]{
	Version: appsv1.SchemeGroupVersion, Resource: "replicasets", Short: []string{"rs"}, Categories: []string{"all"}, Namespaced: true,
	List:   &appsv1.ReplicaSetList{},
	Status: api.StatusOf(func(o *appsv1.ReplicaSet) *appsv1.ReplicaSetStatus { return &o.Status }),
	Spec:   func(o *appsv1.ReplicaSet) any { return &o.Spec },
	Scale: &api.Scale[appsv1.ReplicaSet]{
		Replicas:    func(o *appsv1.ReplicaSet) int32 { return *o.Spec.Replicas },
		SetReplicas: func(o *appsv1.ReplicaSet, n int32) { o.Spec.Replicas = &n },
		Observed:    func(o *appsv1.ReplicaSet) int32 { return o.Status.Replicas },
		Selector:    func(o *appsv1.ReplicaSet) string { return metav1.FormatLabelSelector(o.Spec.Selector) },
	},
}
