package resource

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	conditions "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/core"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// validatePoolName checks a name that may have segments, such as rack-1/node-2.
func validatePoolName(name string, at *field.Path) field.ErrorList {
	const most = 253
	if name == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	var errs field.ErrorList
	if len(name) > most {
		errs = append(errs, field.TooLong(at, name, most))
	}
	for _, part := range strings.Split(name, "/") {
		errs = append(errs, meta.NameError(at, part, meta.DNSSubdomain)...)
	}
	return errs
}

// validateDevice checks one device of a slice. Where devices are is told of each one only if perDevice.
func validateDevice(d *resourcev1.Device, perDevice bool, at *field.Path) field.ErrorList {
	errs := meta.NameError(at.Child("name"), d.Name, meta.DNSLabel)
	if n := len(d.Attributes) + len(d.Capacity); n > resourcev1.ResourceSliceMaxAttributesAndCapacitiesPerDevice {
		errs = append(errs, field.Invalid(at, n, fmt.Sprintf("the total number of attributes and capacities must not exceed %d", resourcev1.ResourceSliceMaxAttributesAndCapacitiesPerDevice)))
	}
	for _, name := range slices.Sorted(maps.Keys(d.Attributes)) {
		a := d.Attributes[name]
		key := at.Child("attributes").Key(string(name))
		errs = append(errs, validateQualified(string(name), key)...)
		errs = append(errs, validateAttribute(&a, key)...)
	}
	errs = append(errs, validateCapacities(d, at.Child("capacity"))...)
	errs = append(errs, validateConsumption(d.ConsumesCounters, at.Child("consumesCounters"))...)
	errs = append(errs, validateBinding(d.BindingConditions, d.BindingFailureConditions, at)...)
	for i := range d.Taints {
		errs = append(errs, validateTaint(&d.Taints[i], at.Child("taints").Index(i))...)
	}
	errs = append(errs, atMost(len(d.Taints), resourcev1.DeviceTaintsMaxLength, at.Child("taints"))...)
	return append(errs, validateDevicePlace(d, perDevice, at)...)
}

func validateDevicePlace(d *resourcev1.Device, perDevice bool, at *field.Path) field.ErrorList {
	const one = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required"
	var errs field.ErrorList
	var set []string
	if d.NodeName != nil {
		set = append(set, "nodeName")
		errs = append(errs, meta.NameError(at.Child("nodeName"), *d.NodeName, meta.DNSSubdomain)...)
	}
	if d.NodeSelector != nil {
		set = append(set, "nodeSelector")
		errs = append(errs, validateOneTerm(d.NodeSelector, at.Child("nodeSelector"))...)
	}
	if d.AllNodes != nil {
		set = append(set, "allNodes")
		if !*d.AllNodes {
			errs = append(errs, field.Invalid(at.Child("allNodes"), false, "must be either unset or set to true"))
		}
	}
	switch {
	case !perDevice:
		for _, name := range set {
			errs = append(errs, field.Invalid(at.Child(name), nil, "`"+name+"` field may only be set if `perDeviceNodeSelection` is true"))
		}
	case len(set) == 0:
		errs = append(errs, field.Required(at, one+" when `perDeviceNodeSelection` is set to true in the ResourceSlice spec"))
	case len(set) > 1:
		errs = append(errs, field.Invalid(at, "{"+strings.Join(set, ", ")+"}", one+" when `perDeviceNodeSelection` is set to true in the ResourceSlice spec"))
	}
	return errs
}

// validateQualified checks a C identifier that may have a domain before it.
func validateQualified(name string, at *field.Path) field.ErrorList {
	domain, id, has := strings.Cut(name, "/")
	var errs field.ErrorList
	if !has {
		id = domain
	} else if domain == "" {
		errs = append(errs, field.Required(at, "the domain must not be empty"))
	} else {
		if len(domain) > resourcev1.DeviceMaxDomainLength {
			errs = append(errs, field.TooLong(at, domain, resourcev1.DeviceMaxDomainLength))
		}
		errs = append(errs, meta.NameError(at, domain, meta.DNSSubdomain)...)
	}
	if id == "" {
		return append(errs, field.Required(at, "the name must not be empty"))
	}
	if len(id) > resourcev1.DeviceMaxIDLength {
		errs = append(errs, field.TooLong(at, id, resourcev1.DeviceMaxIDLength))
	}
	return append(errs, meta.Invalids(at, id, validation.IsCIdentifier(id))...)
}

var taintEffects = []resourcev1.DeviceTaintEffect{resourcev1.DeviceTaintEffectNoExecute, resourcev1.DeviceTaintEffectNoSchedule, resourcev1.DeviceTaintEffectNone}

func validateTaint(t *resourcev1.DeviceTaint, at *field.Path) field.ErrorList {
	errs := meta.LabelName(t.Key, at.Child("key"))
	errs = append(errs, meta.NameError(at.Child("value"), t.Value, meta.LabelValue)...)
	if t.Effect == "" {
		errs = append(errs, field.Required(at.Child("effect"), ""))
	} else if !slices.Contains(taintEffects, t.Effect) {
		errs = append(errs, field.NotSupported(at.Child("effect"), t.Effect, taintEffects))
	}
	return errs
}

// validateTaintRule checks which devices are tainted, and with what.
func validateTaintRule(o *resourcev1.DeviceTaintRule) field.ErrorList {
	errs := validateTaint(&o.Spec.Taint, specPath.Child("taint"))
	s := o.Spec.DeviceSelector
	if s == nil {
		return errs
	}
	at := specPath.Child("deviceSelector")
	if s.Driver != nil {
		errs = append(errs, driverName(*s.Driver, at.Child("driver"))...)
	}
	if s.Pool != nil {
		errs = append(errs, validatePoolName(*s.Pool, at.Child("pool"))...)
	}
	if s.Device != nil {
		errs = append(errs, meta.NameError(at.Child("device"), *s.Device, meta.DNSLabel)...)
	}
	return errs
}

func validateTaintRuleStatus(next, _ *resourcev1.DeviceTaintRule) field.ErrorList {
	at := field.NewPath("status", "conditions")
	errs := atMost(len(next.Status.Conditions), resourcev1.DeviceTaintRuleStatusMaxConditions, at)
	return append(errs, conditions.ValidateConditions(next.Status.Conditions, at)...)
}

// validateOneTerm checks a selector of nodes that has one alternative.
func validateOneTerm(s *corev1.NodeSelector, at *field.Path) field.ErrorList {
	if len(s.NodeSelectorTerms) != 1 {
		return field.ErrorList{field.Invalid(at.Child("nodeSelectorTerms"), s.NodeSelectorTerms, "must have exactly one node selector term")}
	}
	return core.ValidateNodeSelector(s, at)
}
