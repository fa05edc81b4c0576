package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// PersistentVolumeClaim is all there is about PersistentVolumeClaim objects on the server.
var PersistentVolumeClaim = api.Kind[corev1.PersistentVolumeClaim]{
	Version: corev1.SchemeGroupVersion, Resource: "persistentvolumeclaims", Short: []string{"pvc"}, Namespaced: true,
	List:   &corev1.PersistentVolumeClaimList{},
	Status: api.StatusOf(func(o *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaimStatus { return &o.Status }),
}
