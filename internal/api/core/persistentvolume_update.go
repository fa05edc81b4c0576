package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// validatePersistentVolumeUpdate keeps where the data is, and how it is used.
func validatePersistentVolumeUpdate(next, old *corev1.PersistentVolume) field.ErrorList {
	errs := validatePersistentVolume(next)
	n, o := &next.Spec, &old.Spec
	if was, is := o.PersistentVolumeSource, withoutExpansion(&n.PersistentVolumeSource, &o.PersistentVolumeSource); !meta.Equal(&is, &was) {
		errs = append(errs, field.Forbidden(specPath.Child("persistentvolumesource"), "spec.persistentvolumesource is immutable after creation\n"+meta.Diff(was, is)))
	}
	// compat: the paths of these two begin in the middle.
	if !equalAt(n.VolumeMode, o.VolumeMode) {
		errs = append(errs, field.Invalid(field.NewPath("volumeMode"), n.VolumeMode, meta.FieldImmutable))
	}
	if o.NodeAffinity != nil && !meta.Equal(renamed(o.NodeAffinity, n.NodeAffinity), n.NodeAffinity) {
		errs = append(errs, field.Invalid(field.NewPath("nodeAffinity"), meta.GoNames(n.NodeAffinity), meta.FieldImmutable+", except for updating from beta label to GA"))
	}
	if o.VolumeAttributesClassName != nil && n.VolumeAttributesClassName == nil {
		errs = append(errs, field.Forbidden(specPath.Child("volumeAttributesClassName"), "update from non-nil value to nil is forbidden"))
	}
	return errs
}

// withoutExpansion is a source without the secret for its expansion, which may come later.
func withoutExpansion(next, old *corev1.PersistentVolumeSource) corev1.PersistentVolumeSource {
	s := *next
	if s.CSI != nil && s.CSI.ControllerExpandSecretRef != nil && old.CSI != nil && old.CSI.ControllerExpandSecretRef == nil {
		c := *s.CSI
		c.ControllerExpandSecretRef = nil
		s.CSI = &c
	}
	return s
}

// stableNodeLabels are the names that labels of nodes got in the end.
var stableNodeLabels = map[string]string{
	corev1.LabelFailureDomainBetaZone:   corev1.LabelTopologyZone,
	corev1.LabelFailureDomainBetaRegion: corev1.LabelTopologyRegion,
	corev1.LabelInstanceType:            corev1.LabelInstanceTypeStable,
	"beta.kubernetes.io/os":             corev1.LabelOSStable,
	"beta.kubernetes.io/arch":           corev1.LabelArchStable,
}

// renamed is the affinity with the labels' later names where next has them.
func renamed(old, next *corev1.VolumeNodeAffinity) *corev1.VolumeNodeAffinity {
	if old.Required == nil || next == nil || next.Required == nil || len(old.Required.NodeSelectorTerms) != len(next.Required.NodeSelectorTerms) {
		return old
	}
	c := old.DeepCopy()
	for i := range c.Required.NodeSelectorTerms {
		was, is := c.Required.NodeSelectorTerms[i].MatchExpressions, next.Required.NodeSelectorTerms[i].MatchExpressions
		for j := range min(len(was), len(is)) {
			if name, ok := stableNodeLabels[was[j].Key]; ok && is[j].Key == name {
				was[j].Key = name
			}
		}
	}
	return c
}
