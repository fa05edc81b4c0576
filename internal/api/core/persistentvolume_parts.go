package core

import (
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

func defaultPersistentVolume(o *corev1.PersistentVolume) {
	meta.Default(&o.Status.Phase, corev1.VolumePending)
	s := &o.Spec
	meta.Default(&s.PersistentVolumeReclaimPolicy, corev1.PersistentVolumeReclaimRetain)
	meta.DefaultAt(&s.VolumeMode, corev1.PersistentVolumeFilesystem)
	meta.RoundUpToMilli(s.Capacity)
	switch {
	case s.HostPath != nil:
		meta.DefaultAt(&s.HostPath.Type, corev1.HostPathUnset)
	case s.ISCSI != nil:
		meta.Default(&s.ISCSI.ISCSIInterface, "default")
	case s.RBD != nil:
		meta.Default(&s.RBD.RBDPool, "rbd")
		meta.Default(&s.RBD.RadosUser, "admin")
		meta.Default(&s.RBD.Keyring, "/etc/ceph/keyring")
	case s.AzureDisk != nil:
		defaultAzureDisk(s.AzureDisk)
	case s.ScaleIO != nil:
		meta.Default(&s.ScaleIO.StorageMode, "ThinProvisioned")
		meta.Default(&s.ScaleIO.FSType, "xfs")
	}
}

func preparePersistentVolume(o *corev1.PersistentVolume) {
	o.Status.Phase = corev1.VolumePending
	now := o.CreationTimestamp
	o.Status.LastPhaseTransitionTime = &now
}

// preparePersistentVolumeStatus dates a change of the phase.
func preparePersistentVolumeStatus(next, old *corev1.PersistentVolume) {
	meta.Default(&next.Status.Phase, corev1.VolumePending)
	switch {
	case next.Status.LastPhaseTransitionTime != nil && !next.Status.LastPhaseTransitionTime.Equal(old.Status.LastPhaseTransitionTime):
	case next.Status.Phase != old.Status.Phase:
		now := metav1.Now()
		next.Status.LastPhaseTransitionTime = &now
	default:
		next.Status.LastPhaseTransitionTime = old.Status.LastPhaseTransitionTime
	}
}

var reclaimPolicies = []corev1.PersistentVolumeReclaimPolicy{corev1.PersistentVolumeReclaimDelete, corev1.PersistentVolumeReclaimRecycle, corev1.PersistentVolumeReclaimRetain}

func validatePersistentVolume(o *corev1.PersistentVolume) field.ErrorList {
	s, at := &o.Spec, specPath
	var errs field.ErrorList
	if len(s.AccessModes) == 0 {
		errs = append(errs, field.Required(at.Child("accessModes"), ""))
	}
	errs = append(errs, validateAccessModes(s.AccessModes, at.Child("accessModes"))...)
	capacity := at.Child("capacity")
	if len(s.Capacity) == 0 {
		errs = append(errs, field.Required(capacity, ""))
	}
	if _, ok := s.Capacity[corev1.ResourceStorage]; !ok || len(s.Capacity) > 1 {
		errs = append(errs, field.NotSupported(capacity, s.Capacity, []corev1.ResourceName{corev1.ResourceStorage}))
	}
	for name, q := range s.Capacity {
		if q.Sign() < 0 {
			errs = append(errs, field.Invalid(capacity.Key(string(name)), q.Value(), "must be a valid resource quantity"))
		}
		if q.Sign() <= 0 {
			errs = append(errs, field.Invalid(capacity.Key(string(name)), q.String(), "must be greater than zero"))
		}
	}
	errs = append(errs, supported(at.Child("persistentVolumeReclaimPolicy"), s.PersistentVolumeReclaimPolicy, reclaimPolicies)...)
	if s.NodeAffinity != nil {
		if s.NodeAffinity.Required == nil {
			errs = append(errs, field.Required(at.Child("nodeAffinity", "required"), "must specify required node constraints"))
		} else {
			errs = append(errs, ValidateNodeSelector(s.NodeAffinity.Required, at.Child("nodeAffinity", "required"))...)
		}
	}
	errs = append(errs, validatePersistentSource(s, o.Name, at)...)
	if s.HostPath != nil && s.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimRecycle && path.Clean(s.HostPath.Path) == "/" {
		errs = append(errs, field.Forbidden(at.Child("persistentVolumeReclaimPolicy"), "may not be 'recycle' for a hostPath mount of '/'"))
	}
	if s.StorageClassName != "" {
		errs = append(errs, meta.NameError(at.Child("storageClassName"), s.StorageClassName, meta.DNSSubdomain)...)
	}
	if s.VolumeMode != nil {
		errs = append(errs, supported(at.Child("volumeMode"), *s.VolumeMode, volumeModes)...)
	}
	if _, ok := o.Annotations[corev1.MountOptionAnnotation]; ok && !mountsWithOptions(s) {
		errs = append(errs, field.Forbidden(field.NewPath("metadata", "annotations", corev1.MountOptionAnnotation), "may not specify mount options for this volume type"))
	}
	if c := s.VolumeAttributesClassName; c != nil {
		if *c == "" {
			errs = append(errs, field.Required(at.Child("volumeAttributesClassName"), "an empty string is disallowed"))
		} else {
			errs = append(errs, meta.NameError(at.Child("volumeAttributesClassName"), *c, meta.DNSSubdomain)...)
		}
		if s.CSI == nil {
			errs = append(errs, field.Required(at.Child("csi"), "has to be specified when using volumeAttributesClassName"))
		}
	}
	return errs
}

// validatePersistentSource looks for the types of volumes in their order: the first that is there is judged,
// the others are too many.
func validatePersistentSource(s *corev1.PersistentVolumeSpec, name string, spec *field.Path) field.ErrorList {
	at := spec
	var errs field.ErrorList
	n := 0
	// compat: some types are called otherwise where they are too many, and some in errors about their own fields.
	named := func(alias, inside string, set bool, check func(at *field.Path) field.ErrorList) {
		if !set {
			return
		}
		if n++; n > 1 {
			errs = append(errs, field.Forbidden(at.Child(alias), "may not specify more than 1 volume type"))
			return
		}
		errs = append(errs, check(at.Child(inside))...)
	}
	one := func(name string, set bool, check func(at *field.Path) field.ErrorList) { named(name, name, set, check) }
	one("hostPath", s.HostPath != nil, func(at *field.Path) field.ErrorList { return ValidateHostPath(s.HostPath, at) })
	named("gcePersistentDisk", "persistentDisk", s.GCEPersistentDisk != nil, func(at *field.Path) field.ErrorList {
		return append(required(at, "pdName", s.GCEPersistentDisk.PDName), validatePartition(s.GCEPersistentDisk.Partition, at)...)
	})
	one("awsElasticBlockStore", s.AWSElasticBlockStore != nil, func(at *field.Path) field.ErrorList {
		return append(required(at, "volumeID", s.AWSElasticBlockStore.VolumeID), validatePartition(s.AWSElasticBlockStore.Partition, at)...)
	})
	one("glusterfs", s.Glusterfs != nil, func(at *field.Path) field.ErrorList { return validateGlusterfs(s.Glusterfs, at) })
	one("flocker", s.Flocker != nil, func(at *field.Path) field.ErrorList { return validateFlocker(s.Flocker, at) })
	one("nfs", s.NFS != nil, func(at *field.Path) field.ErrorList { return ValidateNFS(s.NFS, at) })
	one("rbd", s.RBD != nil, func(at *field.Path) field.ErrorList {
		return validateMonitors(s.RBD.CephMonitors, at, "image", s.RBD.RBDImage)
	})
	one("quobyte", s.Quobyte != nil, func(at *field.Path) field.ErrorList { return validateQuobyte(s.Quobyte, at) })
	named("cephFS", "cephfs", s.CephFS != nil, func(at *field.Path) field.ErrorList { return validateMonitors(s.CephFS.Monitors, at) })
	one("iscsi", s.ISCSI != nil, func(at *field.Path) field.ErrorList { return validatePersistentISCSI(s.ISCSI, name, at) })
	one("cinder", s.Cinder != nil, func(at *field.Path) field.ErrorList {
		return append(required(at, "volumeID", s.Cinder.VolumeID), validateSecretPlace(s.Cinder.SecretRef, at)...)
	})
	one("fc", s.FC != nil, func(at *field.Path) field.ErrorList { return validateFC(s.FC, at) })
	if s.FlexVolume != nil {
		// compat: it counts, and may be one of several itself.
		n++
		errs = append(errs, required(at.Child("flexVolume"), "driver", s.FlexVolume.Driver)...)
	}
	one("azureFile", s.AzureFile != nil, func(at *field.Path) field.ErrorList {
		errs := required(at, "secretName", s.AzureFile.SecretName, "shareName", s.AzureFile.ShareName)
		if ns := s.AzureFile.SecretNamespace; ns != nil && *ns == "" {
			errs = append(errs, field.Required(at.Child("secretNamespace"), ""))
		}
		return errs
	})
	one("vsphereVolume", s.VsphereVolume != nil, func(at *field.Path) field.ErrorList { return required(at, "volumePath", s.VsphereVolume.VolumePath) })
	one("photonPersistentDisk", s.PhotonPersistentDisk != nil, func(at *field.Path) field.ErrorList { return required(at, "pdID", s.PhotonPersistentDisk.PdID) })
	one("portworxVolume", s.PortworxVolume != nil, func(at *field.Path) field.ErrorList { return required(at, "volumeID", s.PortworxVolume.VolumeID) })
	one("azureDisk", s.AzureDisk != nil, func(at *field.Path) field.ErrorList { return validateAzureDisk(s.AzureDisk, at) })
	one("scaleIO", s.ScaleIO != nil, func(at *field.Path) field.ErrorList {
		return required(at, "gateway", s.ScaleIO.Gateway, "system", s.ScaleIO.System, "volumeName", s.ScaleIO.VolumeName)
	})
	one("local", s.Local != nil, func(at *field.Path) field.ErrorList {
		errs := append(required(at, "path", s.Local.Path), noBacksteps(s.Local.Path, at.Child("path"))...)
		if s.NodeAffinity == nil {
			errs = append(errs, field.Required(spec.Child("nodeAffinity"), "Local volume requires node affinity"))
		}
		return errs
	})
	one("storageos", s.StorageOS != nil, func(at *field.Path) field.ErrorList {
		errs := validateStorageOS(&corev1.StorageOSVolumeSource{VolumeName: s.StorageOS.VolumeName, VolumeNamespace: s.StorageOS.VolumeNamespace}, at)
		if r := s.StorageOS.SecretRef; r != nil {
			errs = append(errs, required(at.Child("secretRef"), "name", r.Name, "namespace", r.Namespace)...)
		}
		return errs
	})
	one("csi", s.CSI != nil, func(at *field.Path) field.ErrorList { return validateCSIPersistent(s.CSI, at) })
	if n == 0 {
		errs = append(errs, field.Required(at, "must specify a volume type"))
	}
	return errs
}

func validateGlusterfs(s *corev1.GlusterfsPersistentVolumeSource, at *field.Path) field.ErrorList {
	errs := required(at, "endpoints", s.EndpointsName, "path", s.Path)
	switch ns := s.EndpointsNamespace; {
	case ns == nil:
	case *ns == "":
		errs = append(errs, field.Invalid(at.Child("endpointsNamespace"), *ns, "if the endpointnamespace is set, it must be a valid namespace name"))
	default:
		errs = append(errs, meta.NameError(at.Child("endpointsNamespace"), *ns, meta.DNSLabel)...)
	}
	return errs
}

// validateSecretPlace checks a secret that has to be named with its namespace, where there is one.
func validateSecretPlace(r *corev1.SecretReference, at *field.Path) field.ErrorList {
	if r == nil {
		return nil
	}
	return required(at.Child("secretRef"), "name", r.Name, "namespace", r.Namespace)
}

func validatePersistentISCSI(i *corev1.ISCSIPersistentVolumeSource, name string, at *field.Path) field.ErrorList {
	v := corev1.ISCSIVolumeSource{TargetPortal: i.TargetPortal, IQN: i.IQN, Lun: i.Lun, InitiatorName: i.InitiatorName, DiscoveryCHAPAuth: i.DiscoveryCHAPAuth, SessionCHAPAuth: i.SessionCHAPAuth}
	if i.SecretRef != nil {
		v.SecretRef = &corev1.LocalObjectReference{Name: i.SecretRef.Name}
	}
	errs := validateISCSISource(&v, "must be valid format", at)
	if i.SecretRef != nil {
		errs = append(errs, required(at.Child("secretRef"), "name", i.SecretRef.Name)...)
	}
	if i.InitiatorName != nil && len(name)+len(":")+len(i.TargetPortal) > 64 {
		// compat: the field is spelled without a capital.
		errs = append(errs, field.Invalid(at.Child("targetportal"), i.TargetPortal, longInitiator))
	}
	return errs
}

// mountsWithOptions tells of volumes whose options the annotation may name.
func mountsWithOptions(s *corev1.PersistentVolumeSpec) bool {
	return s.GCEPersistentDisk != nil || s.AWSElasticBlockStore != nil || s.Glusterfs != nil || s.NFS != nil || s.RBD != nil ||
		s.Quobyte != nil || s.CephFS != nil || s.ISCSI != nil || s.Cinder != nil || s.AzureFile != nil || s.AzureDisk != nil ||
		s.VsphereVolume != nil || s.PhotonPersistentDisk != nil
}

// ValidateInlineVolume checks of a volume that no claim knows how it may be used and where it is.
func ValidateInlineVolume(s *corev1.PersistentVolumeSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(s.AccessModes) == 0 {
		errs = append(errs, field.Required(at.Child("accessModes"), ""))
	}
	errs = append(errs, validateAccessModes(s.AccessModes, at.Child("accessModes"))...)
	return append(errs, validatePersistentSource(s, "", at)...)
}

func validateMonitors(monitors []string, at *field.Path, pairs ...string) field.ErrorList {
	errs := required(at, pairs...)
	if len(monitors) == 0 {
		errs = append(errs, field.Required(at.Child("monitors"), ""))
	}
	return errs
}

func validateCSIPersistent(s *corev1.CSIPersistentVolumeSource, at *field.Path) field.ErrorList {
	errs := ValidateCSIDriverName(s.Driver, at.Child("driver"))
	errs = append(errs, required(at, "volumeHandle", s.VolumeHandle)...)
	for _, r := range []struct {
		name string
		ref  *corev1.SecretReference
	}{
		{"controllerPublishSecretRef", s.ControllerPublishSecretRef}, {"controllerExpandSecretRef", s.ControllerExpandSecretRef},
		{"nodePublishSecretRef", s.NodePublishSecretRef}, {"nodeExpandSecretRef", s.NodeExpandSecretRef},
	} {
		if r.ref == nil {
			continue
		}
		path := at.Child(r.name)
		if r.ref.Name == "" {
			errs = append(errs, field.Required(path.Child("name"), ""))
		} else {
			errs = append(errs, meta.NameError(path.Child("name"), r.ref.Name, meta.DNSSubdomain)...)
		}
		if r.ref.Namespace == "" {
			errs = append(errs, field.Required(path.Child("namespace"), ""))
		} else {
			errs = append(errs, meta.NameError(path.Child("namespace"), r.ref.Namespace, meta.DNSLabel)...)
		}
	}
	return errs
}

func storageText(l corev1.ResourceList) string {
	q := l[corev1.ResourceStorage]
	return q.String()
}

func accessModeText(modes []corev1.PersistentVolumeAccessMode) string {
	var out []string
	for _, m := range []struct {
		mode corev1.PersistentVolumeAccessMode
		text string
	}{{corev1.ReadWriteOnce, "RWO"}, {corev1.ReadOnlyMany, "ROX"}, {corev1.ReadWriteMany, "RWX"}, {corev1.ReadWriteOncePod, "RWOP"}} {
		for _, have := range modes {
			if have == m.mode {
				out = append(out, m.text)
				break
			}
		}
	}
	return strings.Join(out, ",")
}

// endingOr is Terminating for objects that are being deleted.
func endingOr(o metav1.Object, text string) string {
	if o.GetDeletionTimestamp() != nil {
		return "Terminating"
	}
	return text
}

func orUnset[T ~string](s *T) string {
	if s == nil {
		return "<unset>"
	}
	return string(*s)
}

func claimText(o *corev1.PersistentVolume) string {
	if r := o.Spec.ClaimRef; r != nil {
		return r.Namespace + "/" + r.Name
	}
	return ""
}

func volumeClass(o *corev1.PersistentVolume) string {
	if c, ok := o.Annotations[corev1.BetaStorageClassAnnotation]; ok {
		return c
	}
	return o.Spec.StorageClassName
}
