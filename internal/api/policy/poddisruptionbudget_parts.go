package policy

import (
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

var specPath = field.NewPath("spec")

func validateBudget(o *policyv1.PodDisruptionBudget) field.ErrorList {
	s := &o.Spec
	var errs field.ErrorList
	if s.MinAvailable != nil && s.MaxUnavailable != nil {
		errs = append(errs, field.Invalid(specPath, meta.GoNames(s), "minAvailable and maxUnavailable cannot be both set"))
	}
	for _, f := range []struct {
		name string
		v    *intstr.IntOrString
	}{{"minAvailable", s.MinAvailable}, {"maxUnavailable", s.MaxUnavailable}} {
		errs = append(errs, meta.NumberOrPercent(f.v, specPath.Child(f.name))...)
		errs = append(errs, meta.PercentAtMost100(f.v, specPath.Child(f.name))...)
	}
	errs = append(errs, meta.LabelSelector(s.Selector, specPath.Child("selector"))...)
	if p := s.UnhealthyPodEvictionPolicy; p != nil && *p != policyv1.AlwaysAllow && *p != policyv1.IfHealthyBudget {
		errs = append(errs, field.NotSupported(specPath.Child("unhealthyPodEvictionPolicy"), *p, []policyv1.UnhealthyPodEvictionPolicyType{policyv1.AlwaysAllow, policyv1.IfHealthyBudget}))
	}
	return errs
}

func validateBudgetStatus(next, _ *policyv1.PodDisruptionBudget) field.ErrorList {
	s, at := &next.Status, field.NewPath("status")
	errs := meta.NonNegative(s.DisruptionsAllowed, at, "disruptionsAllowed")
	errs = append(errs, meta.NonNegative(s.CurrentHealthy, at, "currentHealthy")...)
	errs = append(errs, meta.NonNegative(s.DesiredHealthy, at, "desiredHealthy")...)
	errs = append(errs, meta.NonNegative(s.ExpectedPods, at, "expectedPods")...)
	return append(errs, validation.ValidateConditions(s.Conditions, at.Child("conditions"))...)
}

func orNA(v *intstr.IntOrString) string {
	if v == nil {
		return "N/A"
	}
	return v.String()
}
