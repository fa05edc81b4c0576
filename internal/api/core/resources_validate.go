package core

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"
	helper "k8s.io/component-helpers/resource"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// nativeResource tells whether the resource is Kubernetes' own and not an extension.
func nativeResource(name corev1.ResourceName) bool {
	return !strings.Contains(string(name), "/") || strings.Contains(string(name), corev1.ResourceDefaultNamespacePrefix)
}

// extendedResource tells whether the name is one of a device or anything else that nodes count.
func extendedResource(name corev1.ResourceName) bool {
	if nativeResource(name) || strings.HasPrefix(string(name), corev1.DefaultResourceRequestsPrefix) {
		return false
	}
	if len(name) < 200 && meta.QualifiedName(string(name)) == nil {
		return true // with one more label in front it is as good
	}
	return meta.QualifiedName(corev1.DefaultResourceRequestsPrefix+string(name)) == nil
}

func overcommits(name corev1.ResourceName) bool { return nativeResource(name) && !isHugePage(name) }

func containerResource(name corev1.ResourceName) bool {
	return name == corev1.ResourceCPU || name == corev1.ResourceMemory || name == corev1.ResourceEphemeralStorage || isHugePage(name)
}

var standardResources = []corev1.ResourceName{
	corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage, corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory,
	corev1.ResourceRequestsEphemeralStorage, corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory, corev1.ResourceLimitsEphemeralStorage,
	corev1.ResourcePods, corev1.ResourceQuotas, corev1.ResourceServices, corev1.ResourceReplicationControllers, corev1.ResourceSecrets,
	corev1.ResourceConfigMaps, corev1.ResourcePersistentVolumeClaims, corev1.ResourceStorage, corev1.ResourceRequestsStorage,
	corev1.ResourceServicesNodePorts, corev1.ResourceServicesLoadBalancers,
}

// countedResources are whole numbers by nature.
var countedResources = []corev1.ResourceName{
	corev1.ResourcePods, corev1.ResourceQuotas, corev1.ResourceServices, corev1.ResourceReplicationControllers, corev1.ResourceSecrets,
	corev1.ResourceConfigMaps, corev1.ResourcePersistentVolumeClaims, corev1.ResourceServicesNodePorts, corev1.ResourceServicesLoadBalancers,
}

func standardResource(name corev1.ResourceName) bool {
	return slices.Contains(standardResources, name) || isHugePage(name) || strings.HasPrefix(string(name), corev1.ResourceRequestsHugePagesPrefix)
}

// validateResourceName checks a name that may be any resource's.
func validateResourceName(name corev1.ResourceName, at *field.Path) field.ErrorList {
	errs := meta.NameError(at, string(name), meta.QualifiedName)
	if len(errs) == 0 && !strings.Contains(string(name), "/") && !standardResource(name) {
		errs = append(errs, field.Invalid(at, string(name), "must be a standard resource type or fully qualified"))
	}
	return errs
}

func validateContainerResourceName(name corev1.ResourceName, at *field.Path) field.ErrorList {
	errs := validateResourceName(name, at)
	switch {
	case !strings.Contains(string(name), "/"):
		if !containerResource(name) {
			errs = append(errs, field.Invalid(at, string(name), "must be a standard resource for containers"))
		}
	case !nativeResource(name) && !extendedResource(name):
		errs = append(errs, field.Invalid(at, string(name), "doesn't follow extended resource name standard"))
	}
	return errs
}

// validateQuantity refuses negative amounts, and fractions of what comes in pieces.
func validateQuantity(name corev1.ResourceName, q resource.Quantity, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if q.Sign() < 0 {
		errs = append(errs, field.Invalid(at, q.String(), "must be greater than or equal to 0"))
	}
	if (slices.Contains(countedResources, name) || extendedResource(name)) && q.MilliValue()%1000 != 0 {
		errs = append(errs, field.Invalid(at, q.DeepCopy(), "must be an integer"))
	}
	return errs
}

func validateHugePageAmount(name corev1.ResourceName, q resource.Quantity, at *field.Path) field.ErrorList {
	amount := strings.TrimPrefix(string(name), corev1.ResourceHugePagesPrefix)
	if meta.HugeExponent(amount) {
		amount = ""
	}
	size, err := resource.ParseQuantity(amount)
	if err != nil || size.Sign() <= 0 || size.MilliValue()%1000 != 0 {
		return field.ErrorList{field.Invalid(at, q.String(), fmt.Sprintf("%s is not positive integer multiple of %s", q.String(), name))}
	}
	if q.Value()%size.Value() != 0 {
		return field.ErrorList{field.Invalid(at, q.String(), fmt.Sprintf("%s is not positive integer multiple of %s", q.String(), name))}
	}
	return nil
}

// plainResource is what nearly all containers name, and needs no check of its name.
func plainResource(name corev1.ResourceName) bool {
	return name == corev1.ResourceCPU || name == corev1.ResourceMemory
}

// validateResources checks what a container asks for. claims are those of its pod.
func validateResources(r *corev1.ResourceRequirements, claims map[string]bool, at *field.Path) field.ErrorList {
	return validateNamedResources(r, claims, validateContainerResourceName, at)
}

func validateNamedResources(r *corev1.ResourceRequirements, claims map[string]bool, named func(corev1.ResourceName, *field.Path) field.ErrorList, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	huge, base := false, false
	one := func(list string, name corev1.ResourceName, q resource.Quantity) {
		if plainResource(name) {
			base = true
			if q.Sign() >= 0 {
				return
			}
		}
		key := meta.Key(meta.Child(at, list), string(name))
		errs = append(errs, named(name, key)...)
		errs = append(errs, validateQuantity(name, q, key)...)
		if isHugePage(name) {
			huge = true
			errs = append(errs, validateHugePageAmount(name, q, key)...)
		}
	}
	for name, q := range r.Limits {
		one("limits", name, q)
	}
	for name, q := range r.Requests {
		one("requests", name, q)
		limit, limited := r.Limits[name]
		switch {
		case limited && !overcommits(name) && q.Cmp(limit) != 0:
			errs = append(errs, field.Invalid(at.Child("requests"), q.String(), fmt.Sprintf("must be equal to %s limit of %s", name, limit.String())))
		case limited && q.Cmp(limit) > 0:
			errs = append(errs, field.Invalid(at.Child("requests"), q.String(), fmt.Sprintf("must be less than or equal to %s limit of %s", name, limit.String())))
		case !limited && !overcommits(name):
			errs = append(errs, field.Required(at.Child("limits"), "Limit must be set for non overcommitable resources"))
		}
	}
	if huge && !base {
		errs = append(errs, field.Forbidden(at, "HugePages require cpu or memory"))
	}
	if len(r.Claims) > 0 {
		errs = append(errs, validateClaimNames(r.Claims, claims, meta.Child(at, "claims"))...)
	}
	return errs
}

func validateClaimNames(cs []corev1.ResourceClaim, known map[string]bool, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	detail := ""
	seen := map[string]bool{}
	for i, c := range cs {
		idx := meta.Index(at, i)
		if c.Name == "" {
			errs = append(errs, field.Required(idx, ""))
			continue
		}
		full := c.Name
		if c.Request != "" {
			full += "/" + c.Request
		}
		switch {
		case seen[c.Name]:
			errs = append(errs, field.Duplicate(idx, c.Name))
		case c.Request != "":
			errs = append(errs, meta.NameError(meta.Child(idx, "request"), c.Request, meta.DNSLabel)...)
			if seen[full] {
				errs = append(errs, field.Duplicate(idx, full))
			}
		default:
			// compat: it is told once for each request that was named before.
			for other := range seen {
				if strings.HasPrefix(other, c.Name+"/") {
					errs = append(errs, field.Duplicate(idx, c.Name))
				}
			}
		}
		seen[full] = true
		if !known[c.Name] {
			if detail == "" {
				detail = knownClaims(known)
			}
			e := field.NotFound(idx, c.Name)
			e.Detail = detail
			errs = append(errs, e)
		}
	}
	return errs
}

// knownClaims says which names there are, or, of very many, the first.
func knownClaims(known map[string]bool) string {
	const text, most = "must be one of the names in pod.spec.resourceClaims", 100
	if len(known) == 0 {
		return text + " which is empty"
	}
	names := slices.Sorted(maps.Keys(known))
	if len(names) > most {
		names = append(names[:most], "...")
	}
	return text + ": " + strings.Join(names, ", ")
}

// podResources checks what the pod as a whole asks for against what its containers do.
func (p *podChecks) podResources(at *field.Path) field.ErrorList {
	r := p.spec.Resources
	var errs field.ErrorList
	if r.Claims != nil {
		errs = append(errs, field.Forbidden(at.Child("claims"), "claims may not be set for Resources at pod-level"))
	}
	errs = append(errs, validateNamedResources(r, p.claims, validatePodResourceName, at)...)
	pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: p.spec.Containers, InitContainers: p.spec.InitContainers}}
	asked := helper.AggregateContainerRequests(pod, helper.PodResourcesOptions{})
	for name, want := range r.Requests {
		if sum, ok := asked[name]; ok && want.Cmp(sum) < 0 {
			errs = append(errs, field.Invalid(at.Child("requests").Key(string(name)), want.String(), fmt.Sprintf("must be greater than or equal to aggregate container requests of %s", sum.String())))
		}
	}
	for i := range p.spec.Containers {
		for name, q := range p.spec.Containers[i].Resources.Limits {
			if limit, ok := r.Limits[name]; ok && q.Cmp(limit) > 0 {
				errs = append(errs, field.Invalid(at.Child("containers").Index(i).Key(string(name)).Child("limits"), q.String(), fmt.Sprintf("must be less than or equal to pod limits of %s", limit.String())))
			}
		}
	}
	return errs
}

func validatePodResourceName(name corev1.ResourceName, at *field.Path) field.ErrorList {
	errs := validateResourceName(name, at)
	if len(errs) == 0 && !helper.IsSupportedPodLevelResource(name) {
		errs = append(errs, field.NotSupported(at, name, []corev1.ResourceName{corev1.ResourceCPU, "hugepages-", corev1.ResourceMemory}))
	}
	return errs
}

// ValidateOverhead checks what a pod costs beyond its containers.
func ValidateOverhead(l corev1.ResourceList, at *field.Path) field.ErrorList {
	return validateResources(&corev1.ResourceRequirements{Limits: l}, nil, at)
}
