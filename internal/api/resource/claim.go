package resource

import (
	"encoding/json"
	"strings"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

var specPath = field.NewPath("spec")

func defaultClaim(s *resourcev1.ResourceClaimSpec) {
	if len(s.Devices.Requests) == 0 {
		s.Devices.Requests = nil // stored, an empty list is none
	}
	for i := range s.Devices.Requests {
		r := &s.Devices.Requests[i]
		if r.Exactly != nil {
			defaultCount(&r.Exactly.AllocationMode, &r.Exactly.Count)
			defaultTolerations(r.Exactly.Tolerations)
		}
		for j := range r.FirstAvailable {
			defaultCount(&r.FirstAvailable[j].AllocationMode, &r.FirstAvailable[j].Count)
			defaultTolerations(r.FirstAvailable[j].Tolerations)
		}
	}
}

func defaultCount(mode *resourcev1.DeviceAllocationMode, count *int64) {
	meta.Default(mode, resourcev1.DeviceAllocationModeExactCount)
	if *mode == resourcev1.DeviceAllocationModeExactCount {
		meta.Default(count, 1)
	}
}

func validateClaim(s *resourcev1.ResourceClaimSpec, at *field.Path) field.ErrorList {
	at = at.Child("devices")
	var errs field.ErrorList
	known := map[string]bool{}
	for i := range s.Devices.Requests {
		r := &s.Devices.Requests[i]
		idx := at.Child("requests").Index(i)
		if known[r.Name] {
			errs = append(errs, field.Duplicate(idx.Child("name"), r.Name))
		}
		known[r.Name] = true
		errs = append(errs, meta.NameError(idx.Child("name"), r.Name, meta.DNSLabel)...)
		switch {
		case r.Exactly != nil && len(r.FirstAvailable) > 0:
			errs = append(errs, field.Invalid(idx, nil, "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set"))
		case r.Exactly != nil:
			errs = append(errs, validateRequest(r.Exactly.DeviceClassName, r.Exactly.Selectors, r.Exactly.AllocationMode, r.Exactly.Count, idx.Child("exactly"))...)
			errs = append(errs, validateTolerations(r.Exactly.Tolerations, idx.Child("exactly", "tolerations"))...)
			errs = append(errs, validateAmounts(r.Exactly.Capacity, idx.Child("exactly", "capacity"))...)
		case len(r.FirstAvailable) > 0:
			for j := range r.FirstAvailable {
				sub := &r.FirstAvailable[j]
				path := idx.Child("firstAvailable").Index(j)
				errs = append(errs, meta.NameError(path.Child("name"), sub.Name, meta.DNSLabel)...)
				errs = append(errs, validateRequest(sub.DeviceClassName, sub.Selectors, sub.AllocationMode, sub.Count, path)...)
				errs = append(errs, validateTolerations(sub.Tolerations, path.Child("tolerations"))...)
				errs = append(errs, validateAmounts(sub.Capacity, path.Child("capacity"))...)
				if known[r.Name+"/"+sub.Name] {
					errs = append(errs, field.Duplicate(path, sub.Name))
				}
				known[r.Name+"/"+sub.Name] = true
			}
			errs = append(errs, atMost(len(r.FirstAvailable), resourcev1.FirstAvailableDeviceRequestMaxSize, idx.Child("firstAvailable"))...)
		default:
			errs = append(errs, field.Required(idx, "exactly one of `exactly` or `firstAvailable` is required"))
		}
	}
	errs = append(errs, atMost(len(s.Devices.Requests), resourcev1.DeviceRequestsMaxSize, at.Child("requests"))...)
	for i := range s.Devices.Constraints {
		c, idx := &s.Devices.Constraints[i], at.Child("constraints").Index(i)
		errs = append(errs, validateNames(c.Requests, known, idx.Child("requests"))...)
		// compat: what must be the same goes before what must not be.
		if c.MatchAttribute != nil {
			errs = append(errs, validateFullName(c.MatchAttribute, idx.Child("matchAttribute"))...)
		} else {
			errs = append(errs, validateFullName(c.DistinctAttribute, idx.Child("distinctAttribute"))...)
		}
		if c.MatchAttribute == nil && c.DistinctAttribute == nil {
			// compat: the text is that of another mistake.
			errs = append(errs, field.Required(idx, `exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set`))
		}
	}
	errs = append(errs, atMost(len(s.Devices.Constraints), resourcev1.DeviceConstraintsMaxSize, at.Child("constraints"))...)
	for i := range s.Devices.Config {
		c := &s.Devices.Config[i]
		idx := at.Child("config").Index(i)
		errs = append(errs, validateNames(c.Requests, known, idx.Child("requests"))...)
		errs = append(errs, validateConfiguration(&c.DeviceConfiguration, false, idx)...)
	}
	return append(errs, atMost(len(s.Devices.Config), resourcev1.DeviceConfigMaxSize, at.Child("config"))...)
}

func atMost(n, most int, at *field.Path) field.ErrorList {
	if n > most {
		return field.ErrorList{field.TooMany(at, n, most)}
	}
	return nil
}

func validateRequest(class string, selectors []resourcev1.DeviceSelector, mode resourcev1.DeviceAllocationMode, count int64, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if class == "" {
		errs = append(errs, field.Required(at.Child("deviceClassName"), ""))
	} else {
		errs = append(errs, meta.NameError(at.Child("deviceClassName"), class, meta.DNSSubdomain)...)
	}
	errs = append(errs, validateSelectors(selectors, false, at)...)
	switch mode {
	case resourcev1.DeviceAllocationModeAll:
		if count != 0 {
			errs = append(errs, field.Invalid(at.Child("count"), count, "must not be specified when allocationMode is 'All'"))
		}
	case resourcev1.DeviceAllocationModeExactCount:
		if count <= 0 {
			errs = append(errs, field.Invalid(at.Child("count"), count, "must be greater than zero"))
		}
	default:
		errs = append(errs, field.NotSupported(at.Child("allocationMode"), mode, []resourcev1.DeviceAllocationMode{resourcev1.DeviceAllocationModeAll, resourcev1.DeviceAllocationModeExactCount}))
	}
	return errs
}

func validateNames(names []string, known map[string]bool, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := make(map[string]bool, len(names))
	for i, n := range names {
		if seen[n] {
			errs = append(errs, field.Duplicate(at.Index(i), n))
			continue
		}
		seen[n] = true
		errs = append(errs, validateName(n, known, at.Index(i))...)
	}
	return append(errs, atMost(len(names), resourcev1.DeviceRequestsMaxSize, at)...)
}

// validateName checks a reference to a request, or to one of its alternatives.
func validateName(n string, known map[string]bool, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if parts := strings.Split(n, "/"); len(parts) <= 2 {
		for _, part := range parts {
			errs = append(errs, meta.NameError(at, part, meta.DNSLabel)...)
		}
	}
	if !known[n] {
		errs = append(errs, field.Invalid(at, n, "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"))
	}
	return errs
}

// validateConfiguration lets parameters that were stored be as long as they are.
func validateConfiguration(c *resourcev1.DeviceConfiguration, stored bool, at *field.Path) field.ErrorList {
	at = at.Child("opaque")
	if c.Opaque == nil {
		return field.ErrorList{field.Required(at, "")}
	}
	var errs field.ErrorList
	errs = append(errs, validateDriver(c.Opaque.Driver, at.Child("driver"))...)
	at = at.Child("parameters")
	var parameters any
	switch raw := c.Opaque.Parameters.Raw; {
	case len(raw) == 0:
		errs = append(errs, field.Required(at, ""))
	case !stored && len(raw) > resourcev1.OpaqueParametersMaxLength:
		errs = append(errs, field.TooLong(at, "", resourcev1.OpaqueParametersMaxLength))
	default:
		if err := json.Unmarshal(raw, &parameters); err != nil {
			errs = append(errs, field.Invalid(at, "<value omitted>", "error parsing data as JSON: "+err.Error()))
		} else if parameters == nil {
			errs = append(errs, field.Required(at, ""))
		} else if _, ok := parameters.(map[string]any); !ok {
			errs = append(errs, field.Invalid(at, "<value omitted>", "must be a valid JSON object"))
		}
	}
	return errs
}

// validateDeviceClass looks at a class that replaces old, or at a new one.
func validateDeviceClass(o, old *resourcev1.DeviceClass) field.ErrorList {
	same := old != nil && equality.Semantic.DeepEqual(o.Spec.Selectors, old.Spec.Selectors)
	errs := validateSelectors(o.Spec.Selectors, same, specPath)
	same = old != nil && equality.Semantic.DeepEqual(o.Spec.Config, old.Spec.Config)
	for i := range o.Spec.Config {
		errs = append(errs, validateConfiguration(&o.Spec.Config[i].DeviceConfiguration, same, specPath.Child("config").Index(i))...)
	}
	return append(errs, atMost(len(o.Spec.Config), resourcev1.DeviceConfigMaxSize, specPath.Child("config"))...)
}

// claimState is what is known of a claim: allocated, reserved, about to go.
func claimState(o *resourcev1.ResourceClaim) string {
	var states []string
	if o.DeletionTimestamp != nil {
		states = append(states, "deleted")
	}
	if o.Status.Allocation == nil {
		if o.DeletionTimestamp == nil {
			states = append(states, "pending")
		}
	} else {
		states = append(states, "allocated")
		if len(o.Status.ReservedFor) > 0 {
			states = append(states, "reserved")
		}
	}
	return strings.Join(states, ",")
}
