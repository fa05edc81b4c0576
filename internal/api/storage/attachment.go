package storage

import (
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/core"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

const (
	maxAttachmentMetadata = 256 * 1024
	maxVolumeError        = 1024
)

func validateAttachment(o *storagev1.VolumeAttachment) field.ErrorList {
	s := &o.Spec
	errs := core.ValidateCSIDriverName(s.Attacher, specPath.Child("attacher"))
	if s.Attacher == "" {
		errs = errs[:1]
	}
	at := specPath.Child("source")
	switch {
	case s.Source.InlineVolumeSpec == nil && s.Source.PersistentVolumeName == nil:
		errs = append(errs, field.Required(at, "must specify exactly one of inlineVolumeSpec and persistentVolumeName"))
	case s.Source.InlineVolumeSpec != nil && s.Source.PersistentVolumeName != nil:
		errs = append(errs, field.Forbidden(at, "must specify exactly one of inlineVolumeSpec and persistentVolumeName"))
	case s.Source.InlineVolumeSpec != nil:
		errs = append(errs, validateInline(s.Source.InlineVolumeSpec, at.Child("inlineVolumeSpec"))...)
	case *s.Source.PersistentVolumeName == "":
		errs = append(errs, field.Required(at.Child("persistentVolumeName"), "must specify non empty persistentVolumeName"))
	}
	if name := s.Source.PersistentVolumeName; name != nil {
		errs = append(errs, meta.NameError(at.Child("persistentVolumeName"), *name, meta.DNSSubdomain)...)
	}
	return append(errs, meta.NameError(specPath.Child("nodeName"), s.NodeName, meta.DNSSubdomain)...)
}

func validateAttachmentUpdate(next, old *storagev1.VolumeAttachment) field.ErrorList {
	errs := validateAttachment(next)
	if !equality.Semantic.DeepEqual(next.Spec, old.Spec) {
		errs = append(errs, field.Invalid(specPath, meta.GoNames(next.Spec), meta.FieldImmutable))
	}
	return errs
}

// validateInline checks a volume of a driver that took the place of one in the tree: what claims say has no place there.
func validateInline(s *corev1.PersistentVolumeSpec, at *field.Path) field.ErrorList {
	const inline = "in the context of inline volumes"
	var errs field.ErrorList
	forbid := func(name string, set bool) {
		if set {
			errs = append(errs, field.Forbidden(at.Child(name), "may not be specified "+inline))
		}
	}
	forbid("claimRef", s.ClaimRef != nil)
	forbid("capacity", len(s.Capacity) > 0)
	if s.CSI == nil {
		errs = append(errs, field.Required(at.Child("csi"), "has to be specified "+inline))
	}
	if p := s.PersistentVolumeReclaimPolicy; p != "" && p != corev1.PersistentVolumeReclaimRetain {
		errs = append(errs, field.Forbidden(at.Child("persistentVolumeReclaimPolicy"), "may only be "+string(corev1.PersistentVolumeReclaimRetain)+" "+inline))
	}
	forbid("storageClassName", s.StorageClassName != "")
	if m := s.VolumeMode; m != nil && *m != corev1.PersistentVolumeFilesystem {
		errs = append(errs, field.Forbidden(at.Child("volumeMode"), "may not specify volumeMode other than "+string(corev1.PersistentVolumeFilesystem)+" "+inline))
	}
	forbid("nodeAffinity", s.NodeAffinity != nil)
	return append(errs, core.ValidateInlineVolume(s, at)...)
}

// validateAttachmentStatus bounds what drivers tell.
func validateAttachmentStatus(next, _ *storagev1.VolumeAttachment) field.ErrorList {
	s, at := &next.Status, field.NewPath("status")
	var errs field.ErrorList
	size, metadata := 0, at.Child("attachmentMetadata")
	for k, v := range s.AttachmentMetadata {
		size += len(k) + len(v)
	}
	if size > maxAttachmentMetadata {
		errs = append(errs, field.TooLong(metadata, "", maxAttachmentMetadata))
	}
	for _, f := range []struct {
		name string
		e    *storagev1.VolumeError
	}{{"attachError", s.AttachError}, {"detachError", s.DetachError}} {
		if f.e == nil {
			continue
		}
		if len(f.e.Message) > maxVolumeError {
			errs = append(errs, field.TooLong(at.Child(f.name, "message"), "", maxAttachmentMetadata)) // compat: the bound of another field is told
		}
		if c := f.e.ErrorCode; c != nil && *c < 0 {
			errs = append(errs, field.Invalid(at.Child(f.name, "errorCode"), *c, "must be between 0 and 2147483647, inclusive"))
		}
	}
	return errs
}
