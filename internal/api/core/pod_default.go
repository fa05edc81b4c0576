package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	helper "k8s.io/component-helpers/resource"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// defaultPod fills in a pod: what templates get too, and what only pods get.
func defaultPod(p *corev1.Pod) {
	s := &p.Spec
	DefaultPodSpec(s)
	if *s.TerminationGracePeriodSeconds < 0 {
		// compat: only pods; templates keep what they say.
		s.TerminationGracePeriodSeconds = new(int64)
		*s.TerminationGracePeriodSeconds = 1
	}
	for i := range s.Containers {
		requestsFromLimits(&s.Containers[i].Resources)
	}
	for i := range s.InitContainers {
		requestsFromLimits(&s.InitContainers[i].Resources)
	}
	if s.Resources != nil {
		defaultPodResources(p)
	}
	meta.DefaultAt(&s.EnableServiceLinks, corev1.DefaultEnableServiceLinks)
	if s.HostNetwork {
		defaultHostPorts(s.Containers)
		defaultHostPorts(s.InitContainers)
	}
}

// defaultHostPorts names the port on the host that a container on the host's network has anyway.
func defaultHostPorts(cs []corev1.Container) {
	for i := range cs {
		for j := range cs[i].Ports {
			meta.Default(&cs[i].Ports[j].HostPort, cs[i].Ports[j].ContainerPort)
		}
	}
}

// defaultPodResources derives what the pod as a whole asks for, from its containers and then from its limits.
func defaultPodResources(p *corev1.Pod) {
	r := p.Spec.Resources
	if len(r.Requests)+len(r.Limits) == 0 {
		return
	}
	set := func(list *corev1.ResourceList, name corev1.ResourceName, q resource.Quantity) {
		if _, ok := (*list)[name]; ok || !helper.IsSupportedPodLevelResource(name) {
			return
		}
		if *list == nil {
			*list = corev1.ResourceList{}
		}
		(*list)[name] = q.DeepCopy()
	}
	for name, q := range helper.AggregateContainerLimits(p, helper.PodResourcesOptions{}) {
		if isHugePage(name) {
			set(&r.Limits, name, q)
		}
	}
	for name, q := range helper.AggregateContainerRequests(p, helper.PodResourcesOptions{}) {
		if !isHugePage(name) {
			set(&r.Requests, name, q)
		}
	}
	for name, q := range r.Limits {
		set(&r.Requests, name, q)
	}
}
