package quota

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// InScope tells whether a quota is about an object: all of its scopes must hold.
func InScope(q *corev1.ResourceQuota, o api.Object) bool {
	for _, s := range q.Spec.Scopes {
		if !holds(corev1.ScopedResourceSelectorRequirement{ScopeName: s, Operator: corev1.ScopeSelectorOpExists}, o) {
			return false
		}
	}
	if q.Spec.ScopeSelector != nil {
		for _, r := range q.Spec.ScopeSelector.MatchExpressions {
			if !holds(r, o) {
				return false
			}
		}
	}
	return true
}

// holds: scopes are about pods, one is about claims; of other kinds none holds.
func holds(r corev1.ScopedResourceSelectorRequirement, o api.Object) bool {
	switch o := o.(type) {
	case *corev1.Pod:
		return podHolds(r, o)
	case *corev1.PersistentVolumeClaim:
		return r.ScopeName == corev1.ResourceQuotaScopeVolumeAttributesClass && matches(r, attributesClasses(o))
	}
	return false
}

func podHolds(r corev1.ScopedResourceSelectorRequirement, p *corev1.Pod) bool {
	ends := p.Spec.ActiveDeadlineSeconds != nil && *p.Spec.ActiveDeadlineSeconds >= 0
	switch r.ScopeName {
	case corev1.ResourceQuotaScopeTerminating:
		return ends
	case corev1.ResourceQuotaScopeNotTerminating:
		return !ends
	case corev1.ResourceQuotaScopeBestEffort:
		return p.Status.QOSClass == corev1.PodQOSBestEffort
	case corev1.ResourceQuotaScopeNotBestEffort:
		return p.Status.QOSClass != corev1.PodQOSBestEffort
	case corev1.ResourceQuotaScopePriorityClass:
		return matches(r, named(p.Spec.PriorityClassName))
	case corev1.ResourceQuotaScopeCrossNamespacePodAffinity:
		return crossesNamespaces(p.Spec.Affinity)
	}
	return false
}

func named(names ...string) []string {
	return slices.DeleteFunc(names, func(s string) bool { return s == "" })
}

// matches applies the operator to the names that an object has.
func matches(r corev1.ScopedResourceSelectorRequirement, have []string) bool {
	in := slices.ContainsFunc(have, func(s string) bool { return slices.Contains(r.Values, s) })
	switch r.Operator {
	case corev1.ScopeSelectorOpExists:
		return len(have) > 0
	case corev1.ScopeSelectorOpDoesNotExist:
		return len(have) == 0
	case corev1.ScopeSelectorOpIn:
		return in
	case corev1.ScopeSelectorOpNotIn:
		return !in
	}
	return false
}

// attributesClasses are all that a claim has, had or is on its way to.
func attributesClasses(c *corev1.PersistentVolumeClaim) []string {
	var out []string
	if n := c.Spec.VolumeAttributesClassName; n != nil {
		out = append(out, *n)
	}
	if n := c.Status.CurrentVolumeAttributesClassName; n != nil {
		out = append(out, *n)
	}
	if m := c.Status.ModifyVolumeStatus; m != nil {
		out = append(out, m.TargetVolumeAttributesClassName)
	}
	return named(out...)
}

func crossesNamespaces(a *corev1.Affinity) bool {
	if a == nil {
		return false
	}
	crosses := func(t *corev1.PodAffinityTerm) bool { return len(t.Namespaces) > 0 || t.NamespaceSelector != nil }
	terms := func(must []corev1.PodAffinityTerm, may []corev1.WeightedPodAffinityTerm) bool {
		for i := range must {
			if crosses(&must[i]) {
				return true
			}
		}
		for i := range may {
			if crosses(&may[i].PodAffinityTerm) {
				return true
			}
		}
		return false
	}
	if p := a.PodAffinity; p != nil && terms(p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution) {
		return true
	}
	p := a.PodAntiAffinity
	return p != nil && terms(p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution)
}
