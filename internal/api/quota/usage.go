package quota

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/skiff-k8s/skiff/internal/api"
)

const (
	storageClassSuffix = ".storageclass.storage.k8s.io/"
	deviceClassSuffix  = ".deviceclass.resource.k8s.io/devices"
)

// Usage is what an object counts for.
func Usage(r *api.Resource, o api.Object, now time.Time) corev1.ResourceList {
	if !Counted(r) {
		return nil
	}
	out := corev1.ResourceList{countName(r.GroupResource()): one()}
	switch o := o.(type) {
	case *corev1.Pod:
		podUsage(o, now, out)
	case *corev1.Service:
		serviceUsage(o, out)
	case *corev1.PersistentVolumeClaim:
		claimUsage(o, out)
	case *resourcev1.ResourceClaim:
		deviceUsage(o, out)
	case *corev1.ConfigMap, *corev1.Secret, *corev1.ReplicationController, *corev1.ResourceQuota:
		out[corev1.ResourceName(r.GVR.Resource)] = one()
	}
	return out
}

func serviceUsage(s *corev1.Service, out corev1.ResourceList) {
	ports := int64(len(s.Spec.Ports))
	out[corev1.ResourceServices] = one()
	out[corev1.ResourceServicesLoadBalancers], out[corev1.ResourceServicesNodePorts] = count(0), count(0)
	switch s.Spec.Type {
	case corev1.ServiceTypeNodePort:
		out[corev1.ResourceServicesNodePorts] = count(ports)
	case corev1.ServiceTypeLoadBalancer:
		// Where ports are given only on request, those count that were asked for.
		if a := s.Spec.AllocateLoadBalancerNodePorts; a != nil && !*a {
			ports = 0
			for _, p := range s.Spec.Ports {
				if p.NodePort != 0 {
					ports++
				}
			}
		}
		out[corev1.ResourceServicesNodePorts] = count(ports)
		out[corev1.ResourceServicesLoadBalancers] = one()
	}
}

func claimUsage(c *corev1.PersistentVolumeClaim, out corev1.ResourceList) {
	out[corev1.ResourcePersistentVolumeClaims] = one()
	class, ok := c.Annotations[corev1.BetaStorageClassAnnotation]
	if !ok && c.Spec.StorageClassName != nil {
		class = *c.Spec.StorageClassName
	}
	prefix := corev1.ResourceName(class + storageClassSuffix)
	if class != "" {
		out[prefix+corev1.ResourcePersistentVolumeClaims] = one()
	}
	size, ok := c.Spec.Resources.Requests[corev1.ResourceStorage]
	// A volume that could not shrink back counts for what it was given.
	if given, has := c.Status.AllocatedResources[corev1.ResourceStorage]; has && (!ok || given.Cmp(size) > 0) {
		size, ok = given, true
	}
	if !ok {
		return
	}
	size = wholeBytes(size)
	out[corev1.ResourceRequestsStorage] = size
	if class != "" {
		out[prefix+corev1.ResourceRequestsStorage] = size.DeepCopy()
	}
}

// wholeBytes rounds up: what is used must be a value that a quota may have.
func wholeBytes(q resource.Quantity) resource.Quantity {
	c := q.DeepCopy()
	if !c.RoundUp(0) {
		return c
	}
	return q.DeepCopy()
}

func deviceUsage(c *resourcev1.ResourceClaim, out corev1.ResourceList) {
	devices := func(mode resourcev1.DeviceAllocationMode, n int64) int64 {
		if mode == resourcev1.DeviceAllocationModeAll {
			return resourcev1.AllocationResultsMaxSize
		}
		return n
	}
	for _, r := range c.Spec.Devices.Requests {
		worst := map[string]int64{} // by device class: one of the alternatives is taken
		if e := r.Exactly; e != nil {
			worst[e.DeviceClassName] = devices(e.AllocationMode, e.Count)
		}
		for _, s := range r.FirstAvailable {
			worst[s.DeviceClassName] = max(worst[s.DeviceClassName], devices(s.AllocationMode, s.Count))
		}
		for class, n := range worst {
			name := corev1.ResourceName(class + deviceClassSuffix)
			q, ok := out[name]
			if !ok {
				q = count(0)
			}
			q.Add(count(n))
			out[name] = q
		}
	}
}
