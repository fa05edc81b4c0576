package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/skiff-k8s/skiff/internal/api"
)

// ReplicationController is all there is about ReplicationController objects on the server.
var ReplicationController = api.Kind[corev1.ReplicationController]{
	Version: corev1.SchemeGroupVersion, Resource: "replicationcontrollers", Short: []string{"rc"}, Categories: []string{"all"}, Namespaced: true,
	Storage: "controllers",
	List:    &corev1.ReplicationControllerList{},
	Status:  api.StatusOf(func(o *corev1.ReplicationController) *corev1.ReplicationControllerStatus { return &o.Status }),
	Spec:    func(o *corev1.ReplicationController) any { return &o.Spec },
	Scale: &api.Scale[corev1.ReplicationController]{
		Replicas:    func(o *corev1.ReplicationController) int32 { return *o.Spec.Replicas },
		SetReplicas: func(o *corev1.ReplicationController, n int32) { o.Spec.Replicas = &n },
		Observed:    func(o *corev1.ReplicationController) int32 { return o.Status.Replicas },
		Selector:    func(o *corev1.ReplicationController) string { return labels.SelectorFromSet(o.Spec.Selector).String() },
	},
}
