package apps

import (
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// StatefulSet is all there is about StatefulSet objects on the server.
var StatefulSet = api.Kind[appsv1.StatefulSet]{
	Version: appsv1.SchemeGroupVersion, Resource: "statefulsets", Short: []string{"sts"}, Categories: []string{"all"}, Namespaced: true,
	List:   &appsv1.StatefulSetList{},
	Status: api.StatusOf(func(o *appsv1.StatefulSet) *appsv1.StatefulSetStatus { return &o.Status }),
	Spec:   func(o *appsv1.StatefulSet) any { return &o.Spec },
	Scale: &api.Scale[appsv1.StatefulSet]{
		Replicas:    func(o *appsv1.StatefulSet) int32 { return *o.Spec.Replicas },
		SetReplicas: func(o *appsv1.StatefulSet, n int32) { o.Spec.Replicas = &n },
		Observed:    func(o *appsv1.StatefulSet) int32 { return o.Status.Replicas },
		Selector:    func(o *appsv1.StatefulSet) string { return metav1.FormatLabelSelector(o.Spec.Selector) },
	},
}
