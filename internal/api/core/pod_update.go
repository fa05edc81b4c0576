package core

import (
	"fmt"
	"math"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

const podMayChange = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"

// validatePodUpdate lets little of a pod change: images, deadline, more
// tolerations; while gates hold it, also where it may be scheduled.
func validatePodUpdate(next, old *corev1.Pod) field.ErrorList {
	errs := validatePodAlways(next)
	if len(next.Annotations)+len(old.Annotations) > 0 {
		errs = append(errs, validateAnnotationUpdate(next.Annotations, old.Annotations)...)
	}
	errs = append(errs, validateNewGates(next, old)...)
	if len(next.Spec.Containers) != len(old.Spec.Containers) {
		return append(errs, field.Forbidden(specPath.Child("containers"), "pod updates may not add or remove containers"))
	}
	if len(next.Spec.InitContainers) != len(old.Spec.InitContainers) {
		return append(errs, field.Forbidden(specPath.Child("initContainers"), "pod updates may not add or remove containers"))
	}
	errs = append(errs, validateDeadline(next.Spec.ActiveDeadlineSeconds, old.Spec.ActiveDeadlineSeconds)...)
	errs = append(errs, validateMoreTolerations(next.Spec.Tolerations, old.Spec.Tolerations)...)
	if len(errs) > 0 {
		return errs
	}
	if meta.Equal(&next.Spec, &old.Spec) {
		return nil
	}
	rest := next.Spec // what is changed below is copied before
	carryMutable(&rest, &old.Spec)
	if len(old.Spec.SchedulingGates) > 0 {
		errs = append(errs, carryScheduling(&rest, &old.Spec)...)
	}
	if !meta.Equal(&rest, &old.Spec) {
		errs = append(errs, field.Forbidden(specPath, podMayChange+"\n"+meta.Diff(old.Spec, rest)))
	}
	return errs
}

// carryMutable undoes in rest what may change.
func carryMutable(rest, old *corev1.PodSpec) {
	rest.Containers = carryImages(rest.Containers, old.Containers)
	rest.InitContainers = carryImages(rest.InitContainers, old.InitContainers)
	rest.ActiveDeadlineSeconds = old.ActiveDeadlineSeconds
	rest.Tolerations = old.Tolerations
	rest.SchedulingGates = old.SchedulingGates
	if g := old.TerminationGracePeriodSeconds; g != nil && *g < 0 && rest.TerminationGracePeriodSeconds != nil && *rest.TerminationGracePeriodSeconds == 1 {
		rest.TerminationGracePeriodSeconds = g
	}
}

// carryImages returns a copy of the containers with the images of those before.
func carryImages(cs, old []corev1.Container) []corev1.Container {
	cs = slices.Clone(cs)
	for i := range cs {
		cs[i].Image = old[i].Image
	}
	return cs
}

func validateNewGates(next, old *corev1.Pod) field.ErrorList {
	var errs field.ErrorList
	var before seen[corev1.PodSchedulingGate]
	for _, g := range old.Spec.SchedulingGates {
		before.add(g)
	}
	for i, g := range next.Spec.SchedulingGates {
		if !before.has(g) {
			errs = append(errs, field.Forbidden(specPath.Child("schedulingGates").Index(i), fmt.Sprintf("only deletion is allowed, but found new scheduling gate '%s'", g.Name)))
		}
	}
	return errs
}

func validateDeadline(next, old *int64) field.ErrorList {
	if next == nil && old == nil {
		return nil
	}
	at := specPath.Child("activeDeadlineSeconds")
	switch {
	case next == nil && old != nil:
		return field.ErrorList{field.Invalid(at, next, "must not update from a positive integer to nil value")}
	case next == nil:
		return nil
	case *next < 0 || *next > math.MaxInt32:
		return field.ErrorList{field.Invalid(at, *next, validation.InclusiveRangeError(0, math.MaxInt32))}
	case old != nil && *old < *next:
		return field.ErrorList{field.Invalid(at, *next, "must be less than or equal to previous value")}
	}
	return nil
}

func validateMoreTolerations(next, old []corev1.Toleration) field.ErrorList {
	if len(old) == 0 {
		return nil
	}
	var has seen[corev1.Toleration]
	for _, n := range next {
		n.TolerationSeconds = nil
		has.add(n)
	}
	for _, o := range old {
		if o.TolerationSeconds = nil; !has.has(o) {
			return field.ErrorList{field.Forbidden(specPath.Child("tolerations"), "existing toleration can not be modified except its tolerationSeconds")}
		}
	}
	return nil
}

// carryScheduling lets a gated pod be sent to fewer nodes, and undoes that in rest.
func carryScheduling(rest, old *corev1.PodSpec) field.ErrorList {
	var errs field.ErrorList
	for k, v := range old.NodeSelector {
		if now, ok := rest.NodeSelector[k]; !ok || now != v {
			errs = append(errs, field.Invalid(specPath.Child("nodeSelector"), rest.NodeSelector, "only additions to spec.nodeSelector are allowed (no mutations or deletions)"))
			break
		}
	}
	rest.NodeSelector = old.NodeSelector
	var was, is *corev1.NodeSelector
	if old.Affinity != nil && old.Affinity.NodeAffinity != nil {
		was = old.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	}
	if rest.Affinity != nil && rest.Affinity.NodeAffinity != nil {
		is = rest.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	}
	path := specPath.Child("affinity", "nodeAffinity", duringScheduling, "nodeSelectorTerms")
	var before, after []corev1.NodeSelectorTerm
	if was != nil {
		before = was.NodeSelectorTerms
	}
	if is != nil {
		after = is.NodeSelectorTerms
	}
	if len(before) > 0 && len(after) != len(before) {
		errs = append(errs, field.Invalid(path, meta.GoNames(after), "no additions/deletions to non-empty NodeSelectorTerms list are allowed"))
	} else {
		for i := range before {
			if !extends(&after[i], &before[i]) {
				errs = append(errs, field.Invalid(path.Index(i), meta.GoNames(after[i]), "only additions are allowed (no mutations or deletions)"))
			}
		}
	}
	var kept *corev1.NodeAffinity
	if old.Affinity != nil {
		kept = old.Affinity.NodeAffinity
	}
	switch a := rest.Affinity; {
	case a == nil && kept != nil:
		rest.Affinity = &corev1.Affinity{NodeAffinity: kept}
	case a == nil:
	case old.Affinity == nil && a.PodAffinity == nil && a.PodAntiAffinity == nil:
		rest.Affinity = nil
	default:
		rest.Affinity = &corev1.Affinity{NodeAffinity: kept, PodAffinity: a.PodAffinity, PodAntiAffinity: a.PodAntiAffinity}
	}
	return errs
}

func extends(next, old *corev1.NodeSelectorTerm) bool {
	n, o := next.MatchExpressions, old.MatchExpressions
	return len(n) >= len(o) && meta.Equal(n[:len(o)], o) && len(next.MatchFields) >= len(old.MatchFields) && meta.Equal(next.MatchFields[:len(old.MatchFields)], old.MatchFields)
}

// preparePodStatus keeps the class of service that the pod began with, and podIP in step with podIPs.
func preparePodStatus(next, old *corev1.Pod) {
	s := &next.Status
	meta.Default(&s.QOSClass, old.Status.QOSClass)
	switch {
	case s.PodIP == "" && len(s.PodIPs) > 0:
		s.PodIP = s.PodIPs[0].IP
	case s.PodIP != "" && (len(s.PodIPs) == 0 || s.PodIPs[0].IP != s.PodIP):
		// compat: the older field wins where they differ.
		s.PodIPs = []corev1.PodIP{{IP: s.PodIP}}
	}
}

func validatePodStatusUpdate(next, old *corev1.Pod) field.ErrorList {
	return meta.Checked(statusPath, func(at *field.Path) field.ErrorList { return validatePodStatus(next, old, at) })
}

func validatePodStatus(next, old *corev1.Pod, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(next.Annotations)+len(old.Annotations) > 0 {
		errs = append(errs, validateAnnotationUpdate(next.Annotations, old.Annotations)...)
	}
	s := &next.Status
	if s.NominatedNodeName != "" {
		errs = append(errs, meta.NameError(meta.Child(at, "nominatedNodeName"), s.NominatedNodeName, meta.DNSSubdomain)...)
	}
	if s.ObservedGeneration < 0 {
		errs = append(errs, field.Invalid(at.Child("observedGeneration"), s.ObservedGeneration, "must be a non-negative integer"))
	}
	if s.QOSClass != old.Status.QOSClass && old.Status.QOSClass != "" {
		errs = append(errs, field.Invalid(at.Child("qosClass"), s.QOSClass, meta.FieldImmutable))
	}
	errs = append(errs, validateIPs(s.PodIPs, func(ip corev1.PodIP) string { return ip.IP }, meta.Child(at, "podIPs"))...)
	for i, ip := range s.HostIPs {
		if i == 0 && ip.IP != s.HostIP {
			errs = append(errs, field.Invalid(meta.Child(meta.Index(meta.Child(at, "hostIPs"), 0), "ip"), ip.IP, "must be equal to `hostIP`"))
		}
	}
	errs = append(errs, validateIPs(s.HostIPs, func(ip corev1.HostIP) string { return ip.IP }, meta.Child(at, "hostIPs"))...)
	errs = append(errs, validatePodConditions(s.Conditions, meta.Child(at, "conditions"))...)
	errs = append(errs, validateClaimStatuses(next, meta.Child(at, "resourceClaimStatuses"))...)
	errs = append(errs, validateExtendedClaim(next, meta.Child(at, "extendedResourceClaimStatus"))...)
	errs = append(errs, validateEphemeralRevival(s.EphemeralContainerStatuses, old.Status.EphemeralContainerStatuses, meta.Child(at, "ephemeralContainerStatuses"))...)
	errs = append(errs, validateRevival(next, s.ContainerStatuses, old.Status.ContainerStatuses, meta.Child(at, "containerStatuses"))...)
	return append(errs, validateRevival(next, s.InitContainerStatuses, old.Status.InitContainerStatuses, meta.Child(at, "initContainerStatuses"))...)
}

// validateIPs accepts one address of each family.
func validateIPs[T any](ips []T, text func(T) string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	odd := -1
	for i := range ips {
		bad := meta.IP(meta.Index(at, i), text(ips[i]))
		if errs = append(errs, bad...); len(bad) > 0 && odd < 0 {
			odd = i
		}
	}
	if len(ips) < 2 {
		return errs
	}
	if odd >= 0 {
		errs = append(errs, field.InternalError(at, fmt.Errorf("failed to check for dual stack with error:invalid IP[%d]: %s", odd, text(ips[odd]))))
	}
	if len(ips) > 2 || odd >= 0 || isIPv6(text(ips[0])) == isIPv6(text(ips[1])) {
		errs = append(errs, field.Invalid(at, meta.GoNames(ips), "may specify no more than one IP for each IP family"))
	}
	return errs
}

// validateClaimStatuses checks what is told of the claims that the pod names.
func validateClaimStatuses(p *corev1.Pod, at *field.Path) field.ErrorList {
	if len(p.Status.ResourceClaimStatuses) == 0 {
		return nil
	}
	var errs field.ErrorList
	var claims, told seen[string]
	for i := range p.Spec.ResourceClaims {
		claims.add(p.Spec.ResourceClaims[i].Name)
	}
	for i := range p.Status.ResourceClaimStatuses {
		s, idx := &p.Status.ResourceClaimStatuses[i], meta.Index(at, i)
		if !claims.has(s.Name) {
			errs = append(errs, field.Invalid(meta.Child(idx, "name"), s.Name, "must match the name of an entry in `spec.resourceClaims`"))
		}
		if told.add(s.Name) {
			errs = append(errs, field.Duplicate(meta.Child(idx, "name"), s.Name))
		}
		if s.ResourceClaimName != nil {
			errs = append(errs, meta.NameError(meta.Child(idx, "resourceClaimName"), *s.ResourceClaimName, meta.DNSSubdomain)...)
		}
	}
	return errs
}

// validateRevival refuses that a container runs again which may not.
func validateRevival(p *corev1.Pod, next, old []corev1.ContainerStatus, at *field.Path) field.ErrorList {
	if p.Spec.RestartPolicy == corev1.RestartPolicyAlways {
		return nil
	}
	var ended map[string]bool
	for i := range old {
		t := old[i].State.Terminated
		if t == nil || p.Spec.RestartPolicy == corev1.RestartPolicyOnFailure && t.ExitCode != 0 {
			continue
		}
		if ended == nil {
			ended = map[string]bool{}
		}
		ended[old[i].Name] = true
	}
	if ended == nil {
		return nil
	}
	// Containers with rules of their own may.
	for _, cs := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range cs {
			if cs[i].RestartPolicy != nil || len(cs[i].RestartPolicyRules) > 0 {
				delete(ended, cs[i].Name)
			}
		}
	}
	var errs field.ErrorList
	for i := range next {
		if ended[next[i].Name] && next[i].State.Terminated == nil {
			errs = append(errs, field.Forbidden(at.Index(i).Child("state"), "may not be transitioned to non-terminated state"))
		}
	}
	return errs
}

// validateEphemeralUpdate lets ephemeral containers be added, and stay as they are.
func validateEphemeralUpdate(n, o api.Object) field.ErrorList {
	next, old := n.(*corev1.Pod), o.(*corev1.Pod)
	at := specPath.Child("ephemeralContainers")
	errs := validatePodAlways(next)
	now := make(map[string]*corev1.EphemeralContainer, len(next.Spec.EphemeralContainers))
	for i := range next.Spec.EphemeralContainers {
		e := &next.Spec.EphemeralContainers[i]
		now[e.Name] = e
	}
	for i := range old.Spec.EphemeralContainers {
		was := &old.Spec.EphemeralContainers[i]
		if is := now[was.Name]; is == nil {
			errs = append(errs, field.Forbidden(at, fmt.Sprintf("existing ephemeral containers %q may not be removed\n", was.Name)))
		} else if !meta.Equal(was, is) {
			errs = append(errs, field.Forbidden(at, fmt.Sprintf("existing ephemeral containers %q may not be changed\n%s", was.Name, meta.Diff(was, is))))
		}
	}
	return errs
}
