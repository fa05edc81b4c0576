package core

import corev1 "k8s.io/api/core/v1"

// dropGated takes out what is behind gates that are off by default in Kubernetes: nothing
// here would do what these fields say. They are dropped, as Kubernetes does, not refused.
func dropGated(s *corev1.PodSpec) {
	s.EvictionResponders = nil // EvictionRequestAPI
	s.SchedulingGroup = nil    // GenericWorkload
	for i := range s.Volumes {
		dropVolumeGated(&s.Volumes[i])
	}
}

// dropVolumeGated drops who owns files (AtomicWriteVolumeUserFields) and the mode of empty directories (EmptyDirVolumeMode).
func dropVolumeGated(v *corev1.Volume) {
	switch {
	case v.EmptyDir != nil:
		v.EmptyDir.Mode = nil
	case v.Secret != nil:
		v.Secret.DefaultUser = nil
		dropOwners(v.Secret.Items)
	case v.ConfigMap != nil:
		v.ConfigMap.DefaultUser = nil
		dropOwners(v.ConfigMap.Items)
	case v.DownwardAPI != nil:
		v.DownwardAPI.DefaultUser = nil
		dropFileOwners(v.DownwardAPI.Items)
	case v.Projected != nil:
		v.Projected.DefaultUser = nil
		for i := range v.Projected.Sources {
			dropSourceOwners(&v.Projected.Sources[i])
		}
	}
}

func dropSourceOwners(s *corev1.VolumeProjection) {
	if s.Secret != nil {
		dropOwners(s.Secret.Items)
	}
	if s.ConfigMap != nil {
		dropOwners(s.ConfigMap.Items)
	}
	if s.DownwardAPI != nil {
		dropFileOwners(s.DownwardAPI.Items)
	}
	if s.ServiceAccountToken != nil {
		s.ServiceAccountToken.User = nil
	}
	if s.ClusterTrustBundle != nil {
		s.ClusterTrustBundle.User = nil
	}
	if s.PodCertificate != nil {
		s.PodCertificate.User = nil
	}
}

func dropOwners(items []corev1.KeyToPath) {
	for i := range items {
		items[i].User = nil
	}
}

func dropFileOwners(items []corev1.DownwardAPIVolumeFile) {
	for i := range items {
		items[i].User = nil
	}
}

// dropContainerGated drops how volumes are bound (VolumeBindMountOptions).
func dropContainerGated(c *corev1.Container) {
	for i := range c.VolumeMounts {
		c.VolumeMounts[i].BindMountOptions = nil
	}
}
