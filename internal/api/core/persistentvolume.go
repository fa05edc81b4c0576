package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// PersistentVolume is all there is about PersistentVolume objects on the server.
var PersistentVolume = api.Kind[corev1.PersistentVolume]{
	Version: corev1.SchemeGroupVersion, Resource: "persistentvolumes", Short: []string{"pv"},
	List:           &corev1.PersistentVolumeList{},
	Status:         api.StatusOf(func(o *corev1.PersistentVolume) *corev1.PersistentVolumeStatus { return &o.Status }).WithPrepare(preparePersistentVolumeStatus),
	Default:        defaultPersistentVolume,
	Prepare:        preparePersistentVolume,
	Validate:       validatePersistentVolume,
	ValidateUpdate: validatePersistentVolumeUpdate,
	Warn:           warnPersistentVolume,
	Columns: api.Columns[corev1.PersistentVolume]{
		api.NameColumn[corev1.PersistentVolume](),
		api.Text("Capacity", "capacity is the description of the persistent volume's resources and capacity.", func(o *corev1.PersistentVolume) any { return storageText(o.Spec.Capacity) }),
		api.Text("Access Modes", "accessModes contains all ways the volume can be mounted.", func(o *corev1.PersistentVolume) any { return accessModeText(o.Spec.AccessModes) }),
		api.Text("Reclaim Policy", "persistentVolumeReclaimPolicy defines what happens to a persistent volume when released from its claim.", func(o *corev1.PersistentVolume) any { return string(o.Spec.PersistentVolumeReclaimPolicy) }),
		api.Text("Status", "phase indicates if a volume is available, bound to a claim, or released by a claim.", func(o *corev1.PersistentVolume) any { return endingOr(o, string(o.Status.Phase)) }),
		api.Text("Claim", "claimRef is part of a bi-directional binding between PersistentVolume and PersistentVolumeClaim.", func(o *corev1.PersistentVolume) any { return claimText(o) }),
		api.Text("StorageClass", "StorageClass of the pv", func(o *corev1.PersistentVolume) any { return volumeClass(o) }),
		api.Text("VolumeAttributesClass", "Name of VolumeAttributesClass to which this persistent volume belongs.", func(o *corev1.PersistentVolume) any { return orUnset(o.Spec.VolumeAttributesClassName) }),
		api.Text("Reason", "reason is a brief CamelCase string that describes any failure and is meant for machine parsing and tidy display in the CLI.", func(o *corev1.PersistentVolume) any { return o.Status.Reason }),
		api.AgeColumn[corev1.PersistentVolume](),
		api.Wide("VolumeMode", "volumeMode defines if a volume is intended to be used with a formatted filesystem or to remain in raw block state.", func(o *corev1.PersistentVolume) any { return orUnset(o.Spec.VolumeMode) }),
	},
}
