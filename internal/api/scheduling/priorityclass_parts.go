package scheduling

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/core"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// Above maxUserPriority are the priorities of the cluster itself.
const maxUserPriority = 1000000000

func defaultPriorityClass(o *schedulingv1.PriorityClass) {
	meta.DefaultAt(&o.PreemptionPolicy, corev1.PreemptLowerPriority)
}

var systemClasses = map[string]int32{"system-cluster-critical": 2 * maxUserPriority, "system-node-critical": 2*maxUserPriority + 1000}

func validatePriorityClass(o *schedulingv1.PriorityClass) field.ErrorList {
	var errs field.ErrorList
	if strings.HasPrefix(o.Name, "system-") {
		if v, ok := systemClasses[o.Name]; !ok || v != o.Value || o.GlobalDefault {
			errs = append(errs, field.Forbidden(field.NewPath("metadata", "name"), "priority class names with 'system-' prefix are reserved for system use only. error: "+reserved(o)))
		}
	} else if o.Value > maxUserPriority {
		errs = append(errs, field.Forbidden(field.NewPath("value"), fmt.Sprintf("maximum allowed value of a user defined priority is %v", maxUserPriority)))
	}
	if o.PreemptionPolicy != nil {
		errs = append(errs, core.ValidatePreemptionPolicy(*o.PreemptionPolicy, field.NewPath("preemptionPolicy"))...)
	}
	return errs
}

func reserved(o *schedulingv1.PriorityClass) string {
	v, ok := systemClasses[o.Name]
	switch {
	case !ok:
		return o.Name + " is not a known system priority class"
	case v != o.Value:
		return fmt.Sprintf("value of %v PriorityClass must be %v", o.Name, v)
	}
	return fmt.Sprintf("globalDefault of %v PriorityClass must be false", o.Name)
}

func validatePriorityClassUpdate(next, old *schedulingv1.PriorityClass) field.ErrorList {
	var errs field.ErrorList
	if next.Value != old.Value {
		errs = append(errs, field.Forbidden(field.NewPath("value"), "may not be changed in an update."))
	}
	if next.PreemptionPolicy != nil && old.PreemptionPolicy != nil && *next.PreemptionPolicy != *old.PreemptionPolicy {
		errs = append(errs, field.Invalid(field.NewPath("preemptionPolicy"), *next.PreemptionPolicy, meta.FieldImmutable))
	}
	return errs
}

func preemption(o *schedulingv1.PriorityClass) string {
	if o.PreemptionPolicy == nil {
		return "<unset>"
	}
	return string(*o.PreemptionPolicy)
}
