package scheduler

import corev1 "k8s.io/api/core/v1"

// lean is a pod without what scheduling never looks at: environment, probes, mounts, who
// manages which field. The scheduler keeps every pod of the cluster, and the rest is
// two thirds of their memory. It shares what it keeps with the object.
func lean(o *corev1.Pod) *corev1.Pod {
	p := &corev1.Pod{TypeMeta: o.TypeMeta, ObjectMeta: o.ObjectMeta, Spec: o.Spec, Status: o.Status}
	p.ManagedFields, p.Annotations = nil, nil
	p.Spec.Containers, p.Spec.InitContainers = leanContainers(o.Spec.Containers), leanContainers(o.Spec.InitContainers)
	p.Spec.EphemeralContainers = nil
	p.Spec.Volumes = leanVolumes(o.Spec.Volumes)
	p.Spec.SecurityContext, p.Spec.HostAliases, p.Spec.DNSConfig = nil, nil, nil
	// Requests follow the status where a pod was resized in place.
	p.Status.ContainerStatuses, p.Status.InitContainerStatuses = leanStatuses(o.Status.ContainerStatuses), leanStatuses(o.Status.InitContainerStatuses)
	p.Status.EphemeralContainerStatuses = nil
	return p
}

func leanContainers(cs []corev1.Container) []corev1.Container {
	out := make([]corev1.Container, len(cs))
	for i := range cs {
		c := &cs[i]
		out[i] = corev1.Container{Name: c.Name, Image: c.Image, Ports: c.Ports, Resources: c.Resources, RestartPolicy: c.RestartPolicy}
	}
	return out
}

// leanVolumes are those that may be claims, images or disks of a cloud.
func leanVolumes(vs []corev1.Volume) []corev1.Volume {
	var out []corev1.Volume
	for i := range vs {
		if v := &vs[i]; v.Projected == nil && v.ConfigMap == nil && v.Secret == nil && v.EmptyDir == nil && v.DownwardAPI == nil && v.HostPath == nil {
			out = append(out, *v)
		}
	}
	return out
}

func leanStatuses(ss []corev1.ContainerStatus) []corev1.ContainerStatus {
	if len(ss) == 0 {
		return nil
	}
	out := make([]corev1.ContainerStatus, len(ss))
	for i := range ss {
		out[i] = corev1.ContainerStatus{Name: ss[i].Name, Resources: ss[i].Resources, AllocatedResources: ss[i].AllocatedResources, State: ss[i].State, Started: ss[i].Started}
	}
	return out
}
