package admission

import (
	corev1 "k8s.io/api/core/v1"
)

// containersOf calls f with the init containers, the containers and the ephemeral
// containers of a pod; ephemeral ones are seen as the part that they share with the others.
func containersOf(s *corev1.PodSpec, f func(kind string, c *corev1.Container)) {
	for i := range s.InitContainers {
		f("init container", &s.InitContainers[i])
	}
	for i := range s.Containers {
		f("container", &s.Containers[i])
	}
	for i := range s.EphemeralContainers {
		c := corev1.Container(s.EphemeralContainers[i].EphemeralContainerCommon)
		f("ephemeral container", &c)
	}
}

// usesSecret tells whether the pod names a Secret anywhere.
func usesSecret(s *corev1.PodSpec) bool {
	if len(s.ImagePullSecrets) > 0 {
		return true
	}
	found := false
	containersOf(s, func(_ string, c *corev1.Container) {
		for _, e := range c.EnvFrom {
			found = found || e.SecretRef != nil
		}
		for _, e := range c.Env {
			found = found || e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil
		}
	})
	for i := range s.Volumes {
		found = found || volumeSecret(&s.Volumes[i])
	}
	return found
}

func volumeSecret(v *corev1.Volume) bool {
	switch {
	case v.Secret != nil, v.AzureFile != nil:
		return true
	case v.CephFS != nil:
		return v.CephFS.SecretRef != nil
	case v.Cinder != nil:
		return v.Cinder.SecretRef != nil
	case v.FlexVolume != nil:
		return v.FlexVolume.SecretRef != nil
	case v.RBD != nil:
		return v.RBD.SecretRef != nil
	case v.ScaleIO != nil:
		return v.ScaleIO.SecretRef != nil
	case v.ISCSI != nil:
		return v.ISCSI.SecretRef != nil
	case v.StorageOS != nil:
		return v.StorageOS.SecretRef != nil
	case v.CSI != nil:
		return v.CSI.NodePublishSecretRef != nil
	case v.Projected != nil:
		for _, p := range v.Projected.Sources {
			if p.Secret != nil {
				return true
			}
		}
	}
	return false
}

// usesConfigMap tells whether the pod names a ConfigMap anywhere.
func usesConfigMap(s *corev1.PodSpec) bool {
	found := false
	containersOf(s, func(_ string, c *corev1.Container) {
		for _, e := range c.EnvFrom {
			found = found || e.ConfigMapRef != nil
		}
		for _, e := range c.Env {
			found = found || e.ValueFrom != nil && e.ValueFrom.ConfigMapKeyRef != nil
		}
	})
	for _, v := range s.Volumes {
		if v.ConfigMap != nil {
			return true
		}
		if v.Projected == nil {
			continue
		}
		for _, p := range v.Projected.Sources {
			found = found || p.ConfigMap != nil
		}
	}
	return found
}
