package resource

import (
	"regexp"
	"slices"
	"strings"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

var semver = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$`)

func prepareSlice(o *resourcev1.ResourceSlice) {
	now := o.CreationTimestamp
	for i := range o.Spec.Devices {
		for j := range o.Spec.Devices[i].Taints {
			if t := &o.Spec.Devices[i].Taints[j]; t.TimeAdded == nil && !now.IsZero() {
				t.TimeAdded = &now
			}
		}
	}
}

func validateSlice(o *resourcev1.ResourceSlice) field.ErrorList {
	s := &o.Spec
	var errs field.ErrorList
	errs = append(errs, validateDriver(s.Driver, specPath.Child("driver"))...)
	pool := specPath.Child("pool")
	errs = append(errs, validatePoolName(s.Pool.Name, pool.Child("name"))...)
	if s.Pool.ResourceSliceCount <= 0 {
		errs = append(errs, field.Invalid(pool.Child("resourceSliceCount"), s.Pool.ResourceSliceCount, "must be greater than zero"))
	}
	errs = append(errs, meta.NonNegative(s.Pool.Generation, pool, "generation")...)
	errs = append(errs, validateSliceNodes(s)...)
	most := resourcev1.ResourceSliceMaxDevices
	if slices.ContainsFunc(s.Devices, func(d resourcev1.Device) bool { return len(d.Taints)+len(d.ConsumesCounters) > 0 }) {
		most = resourcev1.ResourceSliceMaxDevicesWithAdvancedFeatures
	}
	errs = append(errs, atMost(len(s.Devices), most, specPath.Child("devices"))...)
	errs = append(errs, validateCounterSets(s.SharedCounters, specPath.Child("sharedCounters"))...)
	if len(s.SharedCounters) > 0 && len(s.Devices) > 0 {
		errs = append(errs, field.Invalid(specPath, "{`sharedCounters`, `devices`}", "exactly one of `sharedCounters` or `devices` is required"))
	}
	seen := make(map[string]bool, len(s.Devices))
	for i := range s.Devices {
		d := &s.Devices[i]
		idx := specPath.Child("devices").Index(i)
		if seen[d.Name] {
			errs = append(errs, field.Duplicate(idx, d.Name))
		}
		seen[d.Name] = true
		errs = append(errs, validateDevice(d, s.PerDeviceNodeSelection != nil && *s.PerDeviceNodeSelection, idx)...)
	}
	return errs
}

// validateSliceNodes wants one way to say which nodes reach the devices.
func validateSliceNodes(s *resourcev1.ResourceSliceSpec) field.ErrorList {
	const one = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
	var errs field.ErrorList
	var set []string
	if s.NodeName != nil {
		if *s.NodeName == "" {
			errs = append(errs, field.Invalid(specPath.Child("nodeName"), "", "must be either unset or set to a non-empty string"))
		} else {
			set = append(set, "`nodeName`")
			errs = append(errs, meta.NameError(specPath.Child("nodeName"), *s.NodeName, meta.DNSSubdomain)...)
		}
	}
	if s.NodeSelector != nil {
		set = append(set, "`nodeSelector`")
		errs = append(errs, validateOneTerm(s.NodeSelector, specPath.Child("nodeSelector"))...)
	}
	for _, f := range []struct {
		name string
		v    *bool
	}{{"allNodes", s.AllNodes}, {"perDeviceNodeSelection", s.PerDeviceNodeSelection}} {
		switch {
		case f.v == nil:
		case *f.v:
			set = append(set, "`"+f.name+"`")
		default:
			errs = append(errs, field.Invalid(specPath.Child(f.name), false, "must be either unset or set to true"))
		}
	}
	switch {
	case len(set) == 0:
		errs = append(errs, field.Required(specPath, one))
	case len(set) > 1:
		errs = append(errs, field.Invalid(specPath, "{"+strings.Join(set, ", ")+"}", one+", but multiple fields are set"))
	}
	return errs
}

func validateAttribute(a *resourcev1.DeviceAttribute, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	n := len(a.StringValues) + len(a.IntValues) + len(a.BoolValues) + len(a.VersionValues)
	if n > 0 {
		n = 1
	}
	if a.StringValue != nil {
		n++
		if len(*a.StringValue) > resourcev1.DeviceAttributeMaxValueLength {
			errs = append(errs, field.TooLong(at.Child("string"), *a.StringValue, resourcev1.DeviceAttributeMaxValueLength))
		}
	}
	if a.VersionValue != nil {
		n++
		if !semver.MatchString(*a.VersionValue) {
			errs = append(errs, field.Invalid(at.Child("version"), *a.VersionValue, "must be a string compatible with semver.org spec 2.0.0"))
		}
	}
	if a.IntValue != nil {
		n++
	}
	if a.BoolValue != nil {
		n++
	}
	switch {
	case n == 0:
		errs = append(errs, field.Invalid(at, "", "exactly one value must be specified"))
	case n > 1:
		errs = append(errs, field.Invalid(at, meta.GoNames(a), "exactly one value must be specified"))
	}
	return errs
}

func validateSliceUpdate(next, old *resourcev1.ResourceSlice) field.ErrorList {
	errs := validateSlice(next)
	for _, f := range []struct {
		name      string
		at        *field.Path
		next, old any
	}{{"driver", specPath, next.Spec.Driver, old.Spec.Driver}, {"name", specPath.Child("pool"), next.Spec.Pool.Name, old.Spec.Pool.Name}} {
		if f.next != f.old {
			errs = append(errs, field.Invalid(f.at.Child(f.name), f.next, meta.FieldImmutable))
		}
	}
	if !meta.Equal(next.Spec.NodeName, old.Spec.NodeName) {
		errs = append(errs, field.Invalid(specPath.Child("nodeName"), next.Spec.NodeName, meta.FieldImmutable))
	}
	return errs
}
