package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// PersistentVolumeClaim is all there is about PersistentVolumeClaim objects on the server.
var PersistentVolumeClaim = api.Kind[corev1.PersistentVolumeClaim]{
	Version: corev1.SchemeGroupVersion, Resource: "persistentvolumeclaims", Short: []string{"pvc"}, Namespaced: true,
	List:    &corev1.PersistentVolumeClaimList{},
	Status:  api.StatusOf(func(o *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaimStatus { return &o.Status }).WithPrepare(prepareClaimStatus).WithValidate(validateClaimStatus),
	Default: func(o *corev1.PersistentVolumeClaim) { DefaultClaimSpec(&o.Spec) },
	Prepare: func(o *corev1.PersistentVolumeClaim) {
		o.Status.Phase = corev1.ClaimPending
		prepareClaimSource(&o.Spec)
	},
	Validate:       func(o *corev1.PersistentVolumeClaim) field.ErrorList { return checkClaimSpec(&o.Spec) },
	ValidateUpdate: validateClaimUpdate,
	Warn:           warnClaim,
	Columns: api.Columns[corev1.PersistentVolumeClaim]{
		api.NameColumn[corev1.PersistentVolumeClaim](),
		api.Text("Status", "phase represents the current phase of PersistentVolumeClaim.", func(o *corev1.PersistentVolumeClaim) any { return endingOr(o, string(o.Status.Phase)) }),
		api.Text("Volume", "volumeName is the binding reference to the PersistentVolume backing this claim.", func(o *corev1.PersistentVolumeClaim) any { return o.Spec.VolumeName }),
		api.Text("Capacity", "capacity represents the actual resources of the underlying volume.", func(o *corev1.PersistentVolumeClaim) any { return claimCapacity(o) }),
		api.Text("Access Modes", "accessModes contains the actual access modes the volume backing the PVC has.", func(o *corev1.PersistentVolumeClaim) any { return claimModes(o) }),
		api.Text("StorageClass", "StorageClass of the pvc", func(o *corev1.PersistentVolumeClaim) any { return claimClass(o) }),
		api.Text("VolumeAttributesClass", "volumeAttributesClassName may be used to set the VolumeAttributesClass used by this claim.", func(o *corev1.PersistentVolumeClaim) any { return orUnset(o.Spec.VolumeAttributesClassName) }),
		api.AgeColumn[corev1.PersistentVolumeClaim](),
		api.Wide("VolumeMode", "volumeMode defines what type of volume is required by the claim.", func(o *corev1.PersistentVolumeClaim) any { return orUnset(o.Spec.VolumeMode) }),
	},
}
