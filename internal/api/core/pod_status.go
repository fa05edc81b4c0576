package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// validatePodConditions checks the names of conditions that Kubernetes does not know.
func validatePodConditions(cs []corev1.PodCondition, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range cs {
		c := &cs[i]
		if c.ObservedGeneration < 0 {
			errs = append(errs, field.Invalid(meta.Child(meta.Index(at, i), "observedGeneration"), c.ObservedGeneration, "must be a non-negative integer"))
		}
		switch c.Type {
		case corev1.PodScheduled, corev1.PodReady, corev1.PodInitialized:
			continue
		}
		// compat: the field is spelled with a capital.
		errs = append(errs, meta.NameError(meta.Child(meta.Index(at, i), "Type"), string(c.Type), meta.QualifiedName)...)
	}
	return errs
}

// validateEphemeralRevival refuses that an ephemeral container runs again: none may.
func validateEphemeralRevival(next, old []corev1.ContainerStatus, at *field.Path) field.ErrorList {
	var ended seen[string]
	for i := range old {
		if old[i].State.Terminated != nil {
			ended.add(old[i].Name)
		}
	}
	var errs field.ErrorList
	for i := range next {
		if next[i].State.Terminated == nil && ended.has(next[i].Name) {
			errs = append(errs, field.Forbidden(meta.Child(meta.Index(at, i), "state"), "may not be transitioned to non-terminated state"))
		}
	}
	return errs
}

// mapping is what requests for devices behind other resources have to differ in.
type mapping struct{ container, resource, request string }

// validateExtendedClaim checks the claim that was made for resources which are devices.
func validateExtendedClaim(p *corev1.Pod, at *field.Path) field.ErrorList {
	s := p.Status.ExtendedResourceClaimStatus
	if s == nil {
		return nil
	}
	var errs field.ErrorList
	list := meta.Child(at, "requestMappings")
	if len(s.RequestMappings) == 0 {
		errs = append(errs, field.Required(list, "at least one request mapping is required"))
	}
	containers := make(map[string]*corev1.Container, len(p.Spec.Containers)+len(p.Spec.InitContainers))
	for _, cs := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range cs {
			containers[cs[i].Name] = &cs[i]
		}
	}
	var told seen[mapping]
	for i, m := range s.RequestMappings {
		idx := meta.Index(list, i)
		if c := containers[m.ContainerName]; c == nil {
			errs = append(errs, field.Invalid(meta.Child(idx, "containerName"), m.ContainerName, "must match the name of an entry in spec.initContainers.name or spec.containers.name"))
		} else if _, ok := c.Resources.Requests[corev1.ResourceName(m.ResourceName)]; !ok {
			errs = append(errs, field.Invalid(meta.Child(idx, "resourceName"), m.ResourceName, "must match the extended resource name of an entry in spec.initContainers.resources.requests or spec.containers.resources.requests"))
		}
		// compat: the path leaves out where in the list.
		errs = append(errs, meta.NameError(meta.Child(at, "requestName"), m.RequestName, meta.DNSLabel)...)
		if told.add(mapping{m.ContainerName, m.ResourceName, m.RequestName}) {
			errs = append(errs, field.Duplicate(meta.Child(idx, "containerName"), m.ContainerName),
				field.Duplicate(meta.Child(idx, "resourceName"), m.ResourceName), field.Duplicate(meta.Child(idx, "requestName"), m.RequestName))
		}
	}
	if s.ResourceClaimName == "" {
		return append(errs, field.Required(meta.Child(at, "resourceClaimName"), ""))
	}
	return append(errs, meta.NameError(meta.Child(at, "resourceClaimName"), s.ResourceClaimName, meta.DNSSubdomain)...)
}

// warnPodStatus tells of addresses in another spelling than the usual.
func warnPodStatus(next, _ *corev1.Pod) []string {
	var w []string
	for i := range next.Status.PodIPs {
		if ip := next.Status.PodIPs[i].IP; !meta.CanonicalIP(ip) {
			w = append(w, validation.GetWarningsForIP(statusPath.Child("podIPs").Index(i).Child("ip"), ip)...)
		}
	}
	for i := range next.Status.HostIPs {
		if ip := next.Status.HostIPs[i].IP; !meta.CanonicalIP(ip) {
			w = append(w, validation.GetWarningsForIP(statusPath.Child("hostIPs").Index(i).Child("ip"), ip)...)
		}
	}
	return w
}
