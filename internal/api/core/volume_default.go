package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// fileMode is the mode of files that volumes project: 0644.
const fileMode int32 = 0o644

func defaultVolume(v *corev1.Volume) {
	if v.VolumeSource == (corev1.VolumeSource{}) {
		v.EmptyDir = &corev1.EmptyDirVolumeSource{}
		return
	}
	switch {
	case v.Secret != nil:
		meta.DefaultAt(&v.Secret.DefaultMode, fileMode)
	case v.ConfigMap != nil:
		meta.DefaultAt(&v.ConfigMap.DefaultMode, fileMode)
	case v.DownwardAPI != nil:
		meta.DefaultAt(&v.DownwardAPI.DefaultMode, fileMode)
		defaultDownward(v.DownwardAPI.Items)
	case v.Projected != nil:
		defaultProjected(v.Projected)
	case v.HostPath != nil:
		meta.DefaultAt(&v.HostPath.Type, corev1.HostPathUnset)
	case v.Ephemeral != nil && v.Ephemeral.VolumeClaimTemplate != nil:
		DefaultClaimSpec(&v.Ephemeral.VolumeClaimTemplate.Spec)
	case v.Image != nil:
		if v.Image.PullPolicy == "" {
			v.Image.PullPolicy = pullPolicy(v.Image.Reference)
		}
	case v.ISCSI != nil:
		meta.Default(&v.ISCSI.ISCSIInterface, "default")
	case v.RBD != nil:
		meta.Default(&v.RBD.RBDPool, "rbd")
		meta.Default(&v.RBD.RadosUser, "admin")
		meta.Default(&v.RBD.Keyring, "/etc/ceph/keyring")
	case v.AzureDisk != nil:
		defaultAzureDisk(v.AzureDisk)
	case v.ScaleIO != nil:
		meta.Default(&v.ScaleIO.StorageMode, "ThinProvisioned")
		meta.Default(&v.ScaleIO.FSType, "xfs")
	}
}

func defaultAzureDisk(d *corev1.AzureDiskVolumeSource) {
	meta.DefaultAt(&d.CachingMode, corev1.AzureDataDiskCachingReadWrite)
	meta.DefaultAt(&d.Kind, corev1.AzureSharedBlobDisk)
	meta.DefaultAt(&d.FSType, "ext4")
	meta.DefaultAt(&d.ReadOnly, false)
}

func defaultDownward(items []corev1.DownwardAPIVolumeFile) {
	for i := range items {
		if f := items[i].FieldRef; f != nil {
			meta.Default(&f.APIVersion, "v1")
		}
	}
}

func defaultProjected(p *corev1.ProjectedVolumeSource) {
	meta.DefaultAt(&p.DefaultMode, fileMode)
	for i := range p.Sources {
		s := &p.Sources[i]
		if s.DownwardAPI != nil {
			defaultDownward(s.DownwardAPI.Items)
		}
		if s.ServiceAccountToken != nil {
			meta.DefaultAt(&s.ServiceAccountToken.ExpirationSeconds, 60*60)
		}
	}
}

// DefaultClaimSpec fills in what a claim, or a template of one, leaves out.
func DefaultClaimSpec(s *corev1.PersistentVolumeClaimSpec) {
	meta.DefaultAt(&s.VolumeMode, corev1.PersistentVolumeFilesystem)
	meta.RoundUpToMilli(s.Resources.Limits)
	meta.RoundUpToMilli(s.Resources.Requests)
}

// prepareClaimSource makes dataSource and dataSourceRef show the same. Only claims
// and snapshots may be named by the older field alone.
func prepareClaimSource(s *corev1.PersistentVolumeClaimSpec) {
	if r := s.DataSourceRef; r != nil && r.Namespace != nil && *r.Namespace != "" {
		// compat: sources in other namespaces are behind a gate that is off by default; the field is dropped whole.
		s.DataSourceRef = nil
	}
	if d := s.DataSource; d != nil && s.DataSourceRef == nil {
		group := ""
		if d.APIGroup != nil {
			group = *d.APIGroup
		}
		if !(group == "" && d.Kind == "PersistentVolumeClaim" || group == "snapshot.storage.k8s.io" && d.Kind == "VolumeSnapshot") {
			s.DataSource = nil
		}
	}
	switch {
	case s.DataSource != nil && s.DataSourceRef == nil:
		s.DataSourceRef = &corev1.TypedObjectReference{APIGroup: s.DataSource.APIGroup, Kind: s.DataSource.Kind, Name: s.DataSource.Name}
	case s.DataSource == nil && s.DataSourceRef != nil:
		r := s.DataSourceRef
		s.DataSource = &corev1.TypedLocalObjectReference{APIGroup: r.APIGroup, Kind: r.Kind, Name: r.Name}
	}
}
