package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// PersistentVolume is all there is about PersistentVolume objects on the server.
var PersistentVolume = api.Kind[corev1.PersistentVolume]{
	Version: corev1.SchemeGroupVersion, Resource: "persistentvolumes", Short: []string{"pv"},
	List:   &corev1.PersistentVolumeList{},
	Status: api.StatusOf(func(o *corev1.PersistentVolume) *corev1.PersistentVolumeStatus { return &o.Status }),
}
