package core

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

func defaultResourceQuota(o *corev1.ResourceQuota) {
	meta.RoundUpToMilli(o.Spec.Hard)
	meta.RoundUpToMilli(o.Status.Hard)
	meta.RoundUpToMilli(o.Status.Used)
}

var quotaScopes = []corev1.ResourceQuotaScope{
	corev1.ResourceQuotaScopeTerminating, corev1.ResourceQuotaScopeNotTerminating, corev1.ResourceQuotaScopeBestEffort, corev1.ResourceQuotaScopeNotBestEffort,
	corev1.ResourceQuotaScopePriorityClass, corev1.ResourceQuotaScopeCrossNamespacePodAffinity, corev1.ResourceQuotaScopeVolumeAttributesClass,
}

// computeResources are those that quotas with scopes about running pods may count.
var computeResources = []corev1.ResourceName{
	corev1.ResourcePods, corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory, corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory,
}

func validateResourceQuota(o *corev1.ResourceQuota) field.ErrorList {
	errs := validateHard(o.Spec.Hard, specPath.Child("hard"))
	if o.Spec.Scopes != nil {
		errs = append(errs, validateScopes(o.Spec.Scopes, o.Spec.Hard, specPath.Child("scopes"))...)
	}
	if o.Spec.ScopeSelector != nil {
		errs = append(errs, validateScopeSelector(&o.Spec, specPath.Child("scopeSelector"))...)
	}
	errs = append(errs, validateHard(o.Status.Hard, field.NewPath("status", "hard"))...)
	return append(errs, validateHard(o.Status.Used, field.NewPath("status", "used"))...)
}

func validateHard(l corev1.ResourceList, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for name, q := range l {
		key := at.Key(string(name))
		errs = append(errs, validateResourceName(name, key)...)
		if !strings.Contains(string(name), "/") && !quotaResource(name) {
			errs = append(errs, field.Invalid(key, string(name), "must be a standard resource for quota"))
		}
		errs = append(errs, validateQuantity(name, q, key)...)
	}
	return errs
}

func quotaResource(name corev1.ResourceName) bool {
	return standardResource(name) && name != corev1.ResourceStorage
}

func validateScopes(scopes []corev1.ResourceQuotaScope, hard corev1.ResourceList, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	set := map[corev1.ResourceQuotaScope]bool{}
	wrong := misfits{hard: hard}
	for _, s := range scopes {
		if len(errs) > enoughErrors {
			return errs
		}
		if !slices.Contains(quotaScopes, s) {
			errs = append(errs, field.Invalid(at, scopes, "unsupported scope"))
		}
		for range wrong.of(s) {
			errs = append(errs, field.Invalid(at, scopes, "unsupported scope applied to resource"))
		}
		set[s] = true
	}
	return append(errs, conflictingScopes(set, scopes, at)...)
}

func conflictingScopes(set map[corev1.ResourceQuotaScope]bool, shown []corev1.ResourceQuotaScope, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if set[corev1.ResourceQuotaScopeBestEffort] && set[corev1.ResourceQuotaScopeNotBestEffort] {
		errs = append(errs, field.Invalid(at, shown, "conflicting scopes"))
	}
	if set[corev1.ResourceQuotaScopeTerminating] && set[corev1.ResourceQuotaScopeNotTerminating] {
		errs = append(errs, field.Invalid(at, shown, "conflicting scopes"))
	}
	return errs
}

// enoughErrors are so many that no more are looked for: each shows all the scopes.
const enoughErrors = 100

// misfits counts, once for each scope, the resources that it is not about.
type misfits struct {
	hard    corev1.ResourceList
	byScope map[corev1.ResourceQuotaScope]int
}

func (m *misfits) of(s corev1.ResourceQuotaScope) int {
	n, ok := m.byScope[s]
	if ok {
		return n
	}
	for name := range m.hard {
		if quotaResource(name) && !scopeCounts(s, name) {
			n++
		}
	}
	if m.byScope == nil {
		m.byScope = map[corev1.ResourceQuotaScope]int{}
	}
	n = min(n, enoughErrors)
	m.byScope[s] = n
	return n
}

func scopeCounts(s corev1.ResourceQuotaScope, name corev1.ResourceName) bool {
	switch s {
	case corev1.ResourceQuotaScopeTerminating, corev1.ResourceQuotaScopeNotTerminating, corev1.ResourceQuotaScopeNotBestEffort,
		corev1.ResourceQuotaScopePriorityClass, corev1.ResourceQuotaScopeCrossNamespacePodAffinity:
		return slices.Contains(computeResources, name)
	case corev1.ResourceQuotaScopeBestEffort:
		return name == corev1.ResourcePods
	case corev1.ResourceQuotaScopeVolumeAttributesClass:
		return name == corev1.ResourcePersistentVolumeClaims || name == corev1.ResourceRequestsStorage
	}
	return true
}

func validateScopeSelector(spec *corev1.ResourceQuotaSpec, at *field.Path) field.ErrorList {
	s := spec.ScopeSelector
	var errs field.ErrorList
	path := at.Child("matchExpressions")
	wrong := misfits{hard: spec.Hard}
	set := map[corev1.ResourceQuotaScope]bool{}
	for _, r := range s.MatchExpressions {
		if len(errs) > enoughErrors {
			return errs
		}
		if !slices.Contains(quotaScopes, r.ScopeName) {
			errs = append(errs, field.Invalid(path.Child("scopeName"), r.ScopeName, "unsupported scope"))
		}
		for range wrong.of(r.ScopeName) {
			errs = append(errs, field.Invalid(path, meta.GoNames(s), "unsupported scope applied to resource"))
		}
		switch r.ScopeName {
		case corev1.ResourceQuotaScopeBestEffort, corev1.ResourceQuotaScopeNotBestEffort, corev1.ResourceQuotaScopeTerminating, corev1.ResourceQuotaScopeNotTerminating, corev1.ResourceQuotaScopeCrossNamespacePodAffinity:
			if r.Operator != corev1.ScopeSelectorOpExists {
				errs = append(errs, field.Invalid(path.Child("operator"), r.Operator, "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"))
			}
		}
		switch r.Operator {
		case corev1.ScopeSelectorOpIn, corev1.ScopeSelectorOpNotIn:
			if len(r.Values) == 0 {
				errs = append(errs, field.Required(path.Child("values"), "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"))
			}
		case corev1.ScopeSelectorOpExists, corev1.ScopeSelectorOpDoesNotExist:
			if len(r.Values) > 0 {
				errs = append(errs, field.Invalid(path.Child("values"), r.Values, "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"))
			}
		default:
			errs = append(errs, field.Invalid(path.Child("operator"), r.Operator, "not a valid selector operator"))
		}
		set[r.ScopeName] = true
	}
	// compat: the scopes that are shown are those of the other field.
	return append(errs, conflictingScopes(set, spec.Scopes, path)...)
}

func validateResourceQuotaUpdate(next, old *corev1.ResourceQuota) field.ErrorList {
	errs := validateResourceQuota(next)
	a, b := slices.Clone(next.Spec.Scopes), slices.Clone(old.Spec.Scopes)
	slices.Sort(a)
	slices.Sort(b)
	if !slices.Equal(slices.Compact(a), slices.Compact(b)) {
		errs = append(errs, field.Invalid(specPath.Child("scopes"), next.Spec.Scopes, meta.FieldImmutable))
	}
	return errs
}

// quotaText lists what is used of what there is, limits or everything else.
func quotaText(o *corev1.ResourceQuota, limits bool) string {
	names := make([]string, 0, len(o.Status.Hard))
	for name := range o.Status.Hard {
		if strings.Contains(string(name), "limits") == limits {
			names = append(names, string(name))
		}
	}
	sort.Strings(names)
	parts := make([]string, len(names))
	for i, name := range names {
		hard, used := o.Status.Hard[corev1.ResourceName(name)], o.Status.Used[corev1.ResourceName(name)]
		parts[i] = fmt.Sprintf("%s: %s/%s", name, used.String(), hard.String())
	}
	return strings.Join(parts, ", ")
}
