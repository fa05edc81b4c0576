package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func warnReplicationController(next, old *corev1.ReplicationController) []string {
	if old != nil && old.Generation == next.Generation || next.Spec.Template == nil {
		return nil
	}
	name := ""
	if old == nil {
		name = next.Name
	}
	return TemplateWarnings(name, next.Spec.Template, specPath.Child("template"))
}

func warnPodTemplate(next, old *corev1.PodTemplate) []string {
	if old != nil && old.Generation == next.Generation {
		return nil
	}
	return TemplateWarnings("", &next.Template, field.NewPath("template"))
}

// warnPersistentVolume tells of what has another place today, and of volumes that nobody mounts any more.
func warnPersistentVolume(next, _ *corev1.PersistentVolume) []string {
	w := warnings{}
	annotations := field.NewPath("metadata", "annotations")
	if _, ok := next.Annotations[corev1.BetaStorageClassAnnotation]; ok {
		w.add(annotations.Key(corev1.BetaStorageClassAnnotation), `deprecated since v1.8; use "storageClassName" attribute instead`)
	}
	if _, ok := next.Annotations[corev1.MountOptionAnnotation]; ok {
		w.add(annotations.Key(corev1.MountOptionAnnotation), `deprecated since v1.31; use "mountOptions" attribute instead`)
	}
	s := &next.Spec
	if s.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimRecycle {
		w.add(specPath.Child("persistentVolumeReclaimPolicy"), "The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.")
	}
	if a := s.NodeAffinity; a != nil && a.Required != nil {
		w.nodeSelector(a.Required, specPath.Child("nodeAffinity", "required"))
	}
	for _, d := range []deprecatedSource{
		{s.PhotonPersistentDisk != nil, "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"},
		{s.ScaleIO != nil, "scaleIO", "deprecated in v1.16, non-functional in v1.22+"},
		{s.StorageOS != nil, "storageOS", "deprecated in v1.22, non-functional in v1.25+"},
		{s.Glusterfs != nil, "glusterfs", "deprecated in v1.25, non-functional in v1.26+"},
		{s.CephFS != nil, "cephfs", "deprecated in v1.28, non-functional in v1.31+"},
		{s.RBD != nil, "rbd", "deprecated in v1.28, non-functional in v1.31+"},
	} {
		if d.set {
			w.add(specPath.Child(d.name), d.text)
		}
	}
	return w
}

// enforceMountable once kept pods from secrets that their account does not list.
const enforceMountable = "kubernetes.io/enforce-mountable-secrets"

func warnServiceAccount(next, _ *corev1.ServiceAccount) []string {
	w := warnings{}
	if _, ok := next.Annotations[enforceMountable]; ok {
		w.add(field.NewPath("metadata", "annotations").Key(enforceMountable), "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets")
	}
	return w
}
