package resource

import (
	"maps"
	"slices"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/core"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// driverName is the rule for drivers of all sorts.
func driverName(name string, at *field.Path) field.ErrorList {
	return core.ValidateCSIDriverName(name, at)
}

// validateCounterSets checks what the devices of a pool share.
func validateCounterSets(sets []resourcev1.CounterSet, at *field.Path) field.ErrorList {
	errs := atMost(len(sets), resourcev1.ResourceSliceMaxCounterSets, at)
	seen := make(map[string]bool, len(sets))
	for i := range sets {
		s, idx := &sets[i], at.Index(i)
		errs = append(errs, shortName(s.Name, idx.Child("name"))...)
		if seen[s.Name] {
			errs = append(errs, field.Duplicate(idx, s.Name))
		}
		seen[s.Name] = true
		errs = append(errs, validateCounters(s.Counters, resourcev1.ResourceSliceMaxCountersPerCounterSet, idx.Child("counters"))...)
	}
	return errs
}

// validateConsumption checks what a device takes of that.
func validateConsumption(list []resourcev1.DeviceCounterConsumption, at *field.Path) field.ErrorList {
	errs := atMost(len(list), resourcev1.ResourceSliceMaxDeviceCounterConsumptionsPerDevice, at)
	seen := make(map[string]bool, len(list))
	for i := range list {
		c, idx := &list[i], at.Index(i)
		errs = append(errs, shortName(c.CounterSet, idx.Child("counterSet"))...)
		if seen[c.CounterSet] {
			errs = append(errs, field.Duplicate(idx, c.CounterSet))
		}
		seen[c.CounterSet] = true
		errs = append(errs, validateCounters(c.Counters, resourcev1.ResourceSliceMaxCountersPerDeviceCounterConsumption, idx.Child("counters"))...)
		groups := idx.Child("compatibilityGroups")
		errs = append(errs, atMost(len(c.CompatibilityGroups), resourcev1.DeviceCompatibilityGroupsMaxSize, groups)...)
		known := make(map[string]bool, len(c.CompatibilityGroups))
		for j, g := range c.CompatibilityGroups {
			errs = append(errs, meta.NameError(groups.Index(j), g, meta.DNSLabel)...)
			if known[g] {
				errs = append(errs, field.Duplicate(groups.Index(j), g))
			}
			known[g] = true
		}
	}
	return errs
}

func validateCounters(counters map[string]resourcev1.Counter, most int, at *field.Path) field.ErrorList {
	if len(counters) == 0 {
		return field.ErrorList{field.Required(at, "")}
	}
	errs := atMost(len(counters), most, at)
	for _, name := range slices.Sorted(maps.Keys(counters)) {
		errs = append(errs, meta.NameError(at, name, meta.DNSLabel)...)
	}
	return errs
}

func shortName(name string, at *field.Path) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	return meta.NameError(at, name, meta.DNSLabel)
}

// validateBinding checks the conditions that devices must meet before a pod gets them.
func validateBinding(conditions, failures []string, at *field.Path) field.ErrorList {
	check := func(list []string, most int, at *field.Path) field.ErrorList {
		errs := atMost(len(list), most, at)
		seen := make(map[string]bool, len(list))
		for i, c := range list {
			errs = append(errs, meta.NameError(at.Index(i), c, meta.QualifiedName)...)
			if seen[c] {
				errs = append(errs, field.Duplicate(at.Index(i), c))
			}
			seen[c] = true
		}
		return errs
	}
	errs := check(conditions, resourcev1.BindingConditionsMaxSize, at.Child("bindingConditions"))
	errs = append(errs, check(failures, resourcev1.BindingFailureConditionsMaxSize, at.Child("bindingFailureConditions"))...)
	met := make(map[string]bool, len(conditions))
	for _, c := range conditions {
		met[c] = true
	}
	for i, f := range failures {
		if met[f] {
			errs = append(errs, field.Invalid(at.Child("bindingFailureConditions").Index(i), f, "bindingFailureConditions must not overlap with bindingConditions"))
		}
	}
	if len(failures) > 0 && len(conditions) == 0 {
		errs = append(errs, field.Invalid(at.Child("bindingConditions"), conditions, "bindingConditions are required to use bindingFailureConditions"))
	}
	return errs
}
