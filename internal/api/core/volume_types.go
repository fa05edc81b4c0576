package core

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

var hostPathTypes = []corev1.HostPathType{"", corev1.HostPathBlockDev, corev1.HostPathCharDev, corev1.HostPathDirectory, corev1.HostPathDirectoryOrCreate, corev1.HostPathFile, corev1.HostPathFileOrCreate, corev1.HostPathSocket}

// ValidateHostPath checks a path on a node.
func ValidateHostPath(s *corev1.HostPathVolumeSource, at *field.Path) field.ErrorList {
	if s.Path == "" {
		return required(at, "path", "")
	}
	errs := noBacksteps(s.Path, meta.Child(at, "path"))
	if s.Type != nil {
		errs = append(errs, supported(meta.Child(at, "type"), *s.Type, hostPathTypes)...)
	}
	return errs
}

// supported refuses values that are not on the list.
func supported[T ~string](at *field.Path, v T, list []T) field.ErrorList {
	for _, x := range list {
		if x == v {
			return nil
		}
	}
	return field.ErrorList{field.NotSupported(at, v, list)}
}

func validateAzureDisk(s *corev1.AzureDiskVolumeSource, at *field.Path) field.ErrorList {
	errs := required(at, "diskName", s.DiskName, "diskURI", s.DataDiskURI)
	if s.CachingMode != nil {
		errs = append(errs, supported(meta.Child(at, "cachingMode"), *s.CachingMode, []corev1.AzureDataDiskCachingMode{corev1.AzureDataDiskCachingNone, corev1.AzureDataDiskCachingReadOnly, corev1.AzureDataDiskCachingReadWrite})...)
	}
	if s.Kind != nil {
		errs = append(errs, supported(meta.Child(at, "kind"), *s.Kind, []corev1.AzureDataDiskKind{corev1.AzureDedicatedBlobDisk, corev1.AzureManagedDisk, corev1.AzureSharedBlobDisk})...)
		managed := *s.Kind == corev1.AzureManagedDisk
		if managed && !strings.HasPrefix(s.DataDiskURI, "/subscriptions/") {
			errs = append(errs, field.NotSupported(at.Child("diskURI"), s.DataDiskURI, []string{"/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"}))
		}
		if !managed && !strings.HasPrefix(s.DataDiskURI, "https://") {
			errs = append(errs, field.NotSupported(at.Child("diskURI"), s.DataDiskURI, []string{"https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"}))
		}
	}
	return errs
}

func validateFlocker(s *corev1.FlockerVolumeSource, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch {
	case s.DatasetName == "" && s.DatasetUUID == "":
		errs = append(errs, field.Required(at, "one of datasetName and datasetUUID is required"))
	case s.DatasetName != "" && s.DatasetUUID != "":
		errs = append(errs, field.Invalid(at, "resource", "datasetName and datasetUUID can not be specified simultaneously"))
	}
	if strings.Contains(s.DatasetName, "/") {
		errs = append(errs, field.Invalid(at.Child("datasetName"), s.DatasetName, "must not contain '/'"))
	}
	return errs
}

func validateQuobyte(s *corev1.QuobyteVolumeSource, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s.Registry == "" {
		errs = append(errs, field.Required(at.Child("registry"), "must be a host:port pair or multiple pairs separated by commas"))
	} else if len(s.Tenant) >= 65 {
		errs = append(errs, field.Required(at.Child("tenant"), "must be a UUID and may not exceed a length of 64 characters"))
	} else {
		for _, hostPort := range strings.Split(s.Registry, ",") {
			if host, port, ok := strings.Cut(hostPort, ":"); !ok || host == "" || port == "" || strings.Contains(port, ":") {
				errs = append(errs, field.Invalid(at.Child("registry"), s.Registry, "must be a host:port pair or multiple pairs separated by commas"))
			}
		}
	}
	return append(errs, required(at, "volume", s.Volume)...)
}

func validateScaleIO(s *corev1.ScaleIOVolumeSource, at *field.Path) field.ErrorList {
	return required(at, "gateway", s.Gateway, "system", s.System, "volumeName", s.VolumeName)
}

func validateStorageOS(s *corev1.StorageOSVolumeSource, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s.VolumeName == "" {
		errs = append(errs, field.Required(at.Child("volumeName"), ""))
	} else {
		errs = append(errs, meta.NameError(meta.Child(at, "volumeName"), s.VolumeName, meta.DNSLabel)...)
	}
	if s.VolumeNamespace != "" {
		errs = append(errs, meta.NameError(meta.Child(at, "volumeNamespace"), s.VolumeNamespace, meta.DNSLabel)...)
	}
	if s.SecretRef != nil {
		errs = append(errs, required(meta.Child(at, "secretRef"), "name", s.SecretRef.Name)...)
	}
	return errs
}

func validateImageVolume(s *corev1.ImageVolumeSource, at *field.Path) field.ErrorList {
	return supported(meta.Child(at, "pullPolicy"), s.PullPolicy, pullPolicies)
}

// named says what a type is called in errors, where that is not what its field is called.
func (t volumeType) named(alias, inside string) volumeType {
	t.alias, t.inside = alias, inside
	return t
}

// source adapts a check that needs only its own part of the volume.
func source[T any](name string, part func(*corev1.VolumeSource) *T, validate func(*T, *field.Path) field.ErrorList) volumeType {
	return volumeType{
		name: name,
		set:  func(s *corev1.VolumeSource) bool { return part(s) != nil },
		validate: func(v *corev1.Volume, _ *metav1.ObjectMeta, at *field.Path) field.ErrorList {
			return validate(part(&v.VolumeSource), at)
		},
	}
}

// volumeTypes are all types of volumes.
var volumeTypes = []volumeType{
	source("emptyDir", func(s *corev1.VolumeSource) *corev1.EmptyDirVolumeSource { return s.EmptyDir }, func(s *corev1.EmptyDirVolumeSource, at *field.Path) field.ErrorList {
		if s.SizeLimit != nil && s.SizeLimit.Sign() < 0 {
			return field.ErrorList{field.Forbidden(at.Child("sizeLimit"), "SizeLimit field must be a valid resource quantity")}
		}
		return nil
	}),
	source("hostPath", func(s *corev1.VolumeSource) *corev1.HostPathVolumeSource { return s.HostPath }, ValidateHostPath),
	source("gitRepo", func(s *corev1.VolumeSource) *corev1.GitRepoVolumeSource { return s.GitRepo }, func(s *corev1.GitRepoVolumeSource, at *field.Path) field.ErrorList {
		return append(required(at, "repository", s.Repository), descendingPath(s.Directory, meta.Child(at, "directory"))...)
	}),
	source("gcePersistentDisk", func(s *corev1.VolumeSource) *corev1.GCEPersistentDiskVolumeSource { return s.GCEPersistentDisk }, func(s *corev1.GCEPersistentDiskVolumeSource, at *field.Path) field.ErrorList {
		return append(required(at, "pdName", s.PDName), validatePartition(s.Partition, at)...)
	}).named("", "persistentDisk"),
	source("awsElasticBlockStore", func(s *corev1.VolumeSource) *corev1.AWSElasticBlockStoreVolumeSource { return s.AWSElasticBlockStore }, func(s *corev1.AWSElasticBlockStoreVolumeSource, at *field.Path) field.ErrorList {
		return append(required(at, "volumeID", s.VolumeID), validatePartition(s.Partition, at)...)
	}),
	source("secret", func(s *corev1.VolumeSource) *corev1.SecretVolumeSource { return s.Secret }, func(s *corev1.SecretVolumeSource, at *field.Path) field.ErrorList {
		errs := append(required(at, "secretName", s.SecretName), validateMode(s.DefaultMode, at, "defaultMode")...)
		return append(errs, validateItems(s.Items, at)...)
	}),
	source("nfs", func(s *corev1.VolumeSource) *corev1.NFSVolumeSource { return s.NFS }, ValidateNFS),
	source("iscsi", func(s *corev1.VolumeSource) *corev1.ISCSIVolumeSource { return s.ISCSI }, validateISCSI),
	source("glusterfs", func(s *corev1.VolumeSource) *corev1.GlusterfsVolumeSource { return s.Glusterfs }, func(s *corev1.GlusterfsVolumeSource, at *field.Path) field.ErrorList {
		return required(at, "endpoints", s.EndpointsName, "path", s.Path)
	}),
	source("flocker", func(s *corev1.VolumeSource) *corev1.FlockerVolumeSource { return s.Flocker }, validateFlocker),
	source("persistentVolumeClaim", func(s *corev1.VolumeSource) *corev1.PersistentVolumeClaimVolumeSource { return s.PersistentVolumeClaim }, func(s *corev1.PersistentVolumeClaimVolumeSource, at *field.Path) field.ErrorList {
		return required(at, "claimName", s.ClaimName)
	}),
	source("rbd", func(s *corev1.VolumeSource) *corev1.RBDVolumeSource { return s.RBD }, func(s *corev1.RBDVolumeSource, at *field.Path) field.ErrorList {
		var errs field.ErrorList
		if len(s.CephMonitors) == 0 {
			errs = append(errs, field.Required(at.Child("monitors"), ""))
		}
		return append(errs, required(at, "image", s.RBDImage)...)
	}),
	source("cinder", func(s *corev1.VolumeSource) *corev1.CinderVolumeSource { return s.Cinder }, func(s *corev1.CinderVolumeSource, at *field.Path) field.ErrorList {
		errs := required(at, "volumeID", s.VolumeID)
		if s.SecretRef != nil {
			errs = append(errs, required(meta.Child(at, "secretRef"), "name", s.SecretRef.Name)...)
		}
		return errs
	}),
	source("cephfs", func(s *corev1.VolumeSource) *corev1.CephFSVolumeSource { return s.CephFS }, func(s *corev1.CephFSVolumeSource, at *field.Path) field.ErrorList {
		if len(s.Monitors) == 0 {
			return field.ErrorList{field.Required(at.Child("monitors"), "")}
		}
		return nil
	}).named("cephFS", ""),
	source("quobyte", func(s *corev1.VolumeSource) *corev1.QuobyteVolumeSource { return s.Quobyte }, validateQuobyte),
	source("downwardAPI", func(s *corev1.VolumeSource) *corev1.DownwardAPIVolumeSource { return s.DownwardAPI }, func(s *corev1.DownwardAPIVolumeSource, at *field.Path) field.ErrorList {
		errs := validateMode(s.DefaultMode, at, "defaultMode")
		for i := range s.Items {
			errs = append(errs, validateDownwardFile(&s.Items[i], at)...)
		}
		return errs
	}).named("downwarAPI", ""),
	source("fc", func(s *corev1.VolumeSource) *corev1.FCVolumeSource { return s.FC }, validateFC),
	source("flexVolume", func(s *corev1.VolumeSource) *corev1.FlexVolumeSource { return s.FlexVolume }, func(s *corev1.FlexVolumeSource, at *field.Path) field.ErrorList {
		errs := required(at, "driver", s.Driver)
		for k := range s.Options {
			if domain, _, ok := strings.Cut(strings.ToLower(k), "/"); ok && (domain == "kubernetes.io" || strings.HasSuffix(domain, ".kubernetes.io") || domain == "k8s.io" || strings.HasSuffix(domain, ".k8s.io")) {
				errs = append(errs, field.Invalid(at.Child("options").Key(k), k, "kubernetes.io and k8s.io namespaces are reserved"))
			}
		}
		return errs
	}),
	source("configMap", func(s *corev1.VolumeSource) *corev1.ConfigMapVolumeSource { return s.ConfigMap }, func(s *corev1.ConfigMapVolumeSource, at *field.Path) field.ErrorList {
		errs := append(required(at, "name", s.Name), validateMode(s.DefaultMode, at, "defaultMode")...)
		return append(errs, validateItems(s.Items, at)...)
	}),
	source("azureFile", func(s *corev1.VolumeSource) *corev1.AzureFileVolumeSource { return s.AzureFile }, func(s *corev1.AzureFileVolumeSource, at *field.Path) field.ErrorList {
		return required(at, "secretName", s.SecretName, "shareName", s.ShareName)
	}),
	source("vsphereVolume", func(s *corev1.VolumeSource) *corev1.VsphereVirtualDiskVolumeSource { return s.VsphereVolume }, func(s *corev1.VsphereVirtualDiskVolumeSource, at *field.Path) field.ErrorList {
		return required(at, "volumePath", s.VolumePath)
	}),
	source("photonPersistentDisk", func(s *corev1.VolumeSource) *corev1.PhotonPersistentDiskVolumeSource { return s.PhotonPersistentDisk }, func(s *corev1.PhotonPersistentDiskVolumeSource, at *field.Path) field.ErrorList {
		return required(at, "pdID", s.PdID)
	}),
	source("portworxVolume", func(s *corev1.VolumeSource) *corev1.PortworxVolumeSource { return s.PortworxVolume }, func(s *corev1.PortworxVolumeSource, at *field.Path) field.ErrorList {
		return required(at, "volumeID", s.VolumeID)
	}),
	source("azureDisk", func(s *corev1.VolumeSource) *corev1.AzureDiskVolumeSource { return s.AzureDisk }, validateAzureDisk),
	source("storageos", func(s *corev1.VolumeSource) *corev1.StorageOSVolumeSource { return s.StorageOS }, validateStorageOS),
	source("projected", func(s *corev1.VolumeSource) *corev1.ProjectedVolumeSource { return s.Projected }, validateProjected),
	source("scaleIO", func(s *corev1.VolumeSource) *corev1.ScaleIOVolumeSource { return s.ScaleIO }, validateScaleIO),
	source("csi", func(s *corev1.VolumeSource) *corev1.CSIVolumeSource { return s.CSI }, validateCSIVolume),
	{name: "ephemeral", set: func(s *corev1.VolumeSource) bool { return s.Ephemeral != nil }, validate: validateEphemeral},
	source("image", func(s *corev1.VolumeSource) *corev1.ImageVolumeSource { return s.Image }, validateImageVolume),
}

// ValidateNFS checks a share of an NFS server.
func ValidateNFS(s *corev1.NFSVolumeSource, at *field.Path) field.ErrorList {
	errs := required(at, "server", s.Server, "path", s.Path)
	if !strings.HasPrefix(s.Path, "/") {
		errs = append(errs, field.Invalid(at.Child("path"), s.Path, "must be an absolute path"))
	}
	return errs
}
