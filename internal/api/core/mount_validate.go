package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

func (p *podChecks) mounts(c *corev1.Container, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	var paths seen[string]
	ms := c.VolumeMounts
	for i := range ms {
		m := &ms[i]
		list := meta.Child(at, "volumeMounts")
		idx := meta.Index(list, i)
		if m.Name == "" {
			errs = append(errs, field.Required(idx.Child("name"), ""))
		}
		if p.volumes.named(m.Name) == nil {
			errs = append(errs, field.NotFound(idx.Child("name"), m.Name))
		}
		if m.MountPath == "" {
			errs = append(errs, field.Required(idx.Child("mountPath"), ""))
		}
		if paths.add(m.MountPath) {
			errs = append(errs, field.Invalid(idx.Child("mountPath"), m.MountPath, "must be unique"))
		}
		// compat: what follows is reported at the list, not at its element.
		if m.SubPath != "" {
			errs = append(errs, descendingPath(m.SubPath, meta.Child(list, "subPath"))...)
		}
		if m.SubPathExpr != "" {
			if m.SubPath != "" {
				errs = append(errs, field.Invalid(idx.Child("subPathExpr"), m.SubPathExpr, "subPathExpr and subPath are mutually exclusive"))
			}
			errs = append(errs, descendingPath(m.SubPathExpr, meta.Child(list, "subPathExpr"))...)
		}
		errs = append(errs, validatePropagation(m, c, list)...)
		errs = append(errs, validateRecursive(m, list)...)
	}
	return errs
}

func validatePropagation(m *corev1.VolumeMount, c *corev1.Container, list *field.Path) field.ErrorList {
	if m.MountPropagation == nil {
		return nil
	}
	errs := oneOf(list, "mountPropagation", *m.MountPropagation, propagations)
	privileged := c.SecurityContext != nil && c.SecurityContext.Privileged != nil && *c.SecurityContext.Privileged
	if *m.MountPropagation == corev1.MountPropagationBidirectional && !privileged {
		errs = append(errs, field.Forbidden(list.Child("mountPropagation"), "Bidirectional mount propagation is available only to privileged containers"))
	}
	return errs
}

func validateRecursive(m *corev1.VolumeMount, list *field.Path) field.ErrorList {
	if m.RecursiveReadOnly == nil {
		return nil
	}
	var errs field.ErrorList
	switch *m.RecursiveReadOnly {
	case corev1.RecursiveReadOnlyDisabled:
	case corev1.RecursiveReadOnlyEnabled, corev1.RecursiveReadOnlyIfPossible:
		if !m.ReadOnly {
			errs = append(errs, field.Forbidden(list.Child("recursiveReadOnly"), "may only be specified when readOnly is true"))
		}
		if m.MountPropagation != nil && *m.MountPropagation != corev1.MountPropagationNone {
			errs = append(errs, field.Forbidden(list.Child("recursiveReadOnly"), "may only be specified when mountPropagation is None or not specified"))
		}
	default:
		errs = append(errs, field.NotSupported(list.Child("recursiveReadOnly"), *m.RecursiveReadOnly, recursiveModes))
	}
	return errs
}

// devices checks raw devices, and that nothing is both a device and a mount.
func (p *podChecks) devices(c *corev1.Container, at *field.Path) field.ErrorList {
	if len(c.VolumeDevices) == 0 {
		return nil
	}
	var errs field.ErrorList
	var names, paths, mountNames, mountPaths seen[string]
	for i := range c.VolumeMounts {
		mountNames.add(c.VolumeMounts[i].Name)
		mountPaths.add(c.VolumeMounts[i].MountPath)
	}
	for i := range c.VolumeDevices {
		d := &c.VolumeDevices[i]
		idx := meta.Index(meta.Child(at, "volumeDevices"), i)
		if d.Name == "" {
			errs = append(errs, field.Required(idx.Child("name"), ""))
		}
		if d.DevicePath == "" {
			errs = append(errs, field.Required(idx.Child("devicePath"), ""))
		}
		if d.Name != "" && names.add(d.Name) {
			errs = append(errs, field.Invalid(idx.Child("name"), d.Name, "must be unique"))
		}
		if paths.add(d.DevicePath) {
			errs = append(errs, field.Invalid(idx.Child("devicePath"), d.DevicePath, "must be unique"))
		}
		if d.DevicePath != "" && len(noBacksteps(d.DevicePath, idx)) > 0 {
			errs = append(errs, field.Invalid(idx.Child("devicePath"), d.DevicePath, "can not contain backsteps ('..')"))
		}
		if mountNames.has(d.Name) {
			errs = append(errs, field.Invalid(idx.Child("name"), d.Name, "must not already exist in volumeMounts"))
		}
		if mountPaths.has(d.DevicePath) {
			errs = append(errs, field.Invalid(idx.Child("devicePath"), d.DevicePath, "must not already exist as a path in volumeMounts"))
		}
		switch v := p.volumes.named(d.Name); {
		case v == nil:
			errs = append(errs, field.NotFound(idx.Child("name"), d.Name))
		case v.PersistentVolumeClaim == nil && v.Ephemeral == nil:
			errs = append(errs, field.Invalid(idx.Child("name"), d.Name, "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"))
		}
	}
	for i := range c.VolumeMounts {
		m, idx := &c.VolumeMounts[i], meta.Index(meta.Child(at, "volumeMounts"), i)
		if names.has(m.Name) {
			errs = append(errs, field.Invalid(idx.Child("name"), m.Name, "must not already exist in volumeDevices"))
		}
		if paths.has(m.MountPath) {
			errs = append(errs, field.Invalid(idx.Child("mountPath"), m.MountPath, "must not already exist as a path in volumeDevices"))
		}
	}
	return errs
}
