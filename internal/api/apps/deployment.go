package apps

import (
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// Deployment is all there is about Deployment objects on the server.
var Deployment = api.Kind[appsv1.Deployment]{
	Version: appsv1.SchemeGroupVersion, Resource: "deployments", Short: []string{"deploy"}, Categories: []string{"all"}, Namespaced: true,
	List:   &appsv1.DeploymentList{},
	Status: api.StatusOf(func(o *appsv1.Deployment) *appsv1.DeploymentStatus { return &o.Status }),
	Spec:   func(o *appsv1.Deployment) any { return &o.Spec },
	Scale: &api.Scale[appsv1.Deployment]{
		Replicas:    func(o *appsv1.Deployment) int32 { return *o.Spec.Replicas },
		SetReplicas: func(o *appsv1.Deployment, n int32) { o.Spec.Replicas = &n },
		Observed:    func(o *appsv1.Deployment) int32 { return o.Status.Replicas },
		Selector:    func(o *appsv1.Deployment) string { return metav1.FormatLabelSelector(o.Spec.Selector) },
	},
}
