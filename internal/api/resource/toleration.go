package resource

import (
	"slices"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

func defaultTolerations(ts []resourcev1.DeviceToleration) {
	for i := range ts {
		meta.Default(&ts[i].Operator, resourcev1.DeviceTolerationOpEqual)
	}
}

var (
	tolerationOperators = []resourcev1.DeviceTolerationOperator{resourcev1.DeviceTolerationOpEqual, resourcev1.DeviceTolerationOpExists}
	toleratedEffects    = []resourcev1.DeviceTaintEffect{resourcev1.DeviceTaintEffectNoExecute, resourcev1.DeviceTaintEffectNoSchedule}
)

// validateTolerations checks which taints of devices a request puts up with.
func validateTolerations(ts []resourcev1.DeviceToleration, at *field.Path) field.ErrorList {
	errs := atMost(len(ts), resourcev1.DeviceTolerationsMaxLength, at)
	for i := range ts {
		t, idx := &ts[i], at.Index(i)
		if t.Key != "" {
			errs = append(errs, meta.LabelName(t.Key, idx.Child("key"))...)
		} else if t.Operator != resourcev1.DeviceTolerationOpExists {
			errs = append(errs, field.Invalid(idx.Child("operator"), t.Operator, "operator must be Exists when `key` is empty, which means \"match all values and all keys\""))
		}
		switch t.Operator {
		case resourcev1.DeviceTolerationOpExists:
			if t.Value != "" {
				errs = append(errs, field.Invalid(idx.Child("value"), t.Value, "must be empty for operator `Exists`"))
			}
		case resourcev1.DeviceTolerationOpEqual:
			errs = append(errs, meta.NameError(idx.Child("value"), t.Value, meta.LabelValue)...)
		case "":
			errs = append(errs, field.Required(idx.Child("operator"), ""))
		default:
			errs = append(errs, field.NotSupported(idx.Child("operator"), t.Operator, tolerationOperators))
		}
		if t.Effect != "" && !slices.Contains(toleratedEffects, t.Effect) {
			errs = append(errs, field.NotSupported(idx.Child("effect"), t.Effect, toleratedEffects))
		}
	}
	return errs
}

// validateDriver checks the name of a driver that must be there.
func validateDriver(name string, at *field.Path) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	return driverName(name, at)
}
