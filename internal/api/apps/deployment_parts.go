package apps

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/core"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

func defaultDeployment(o *appsv1.Deployment) {
	s := &o.Spec
	core.DefaultPodTemplate(&s.Template)
	meta.DefaultAt(&s.Replicas, 1)
	meta.Default(&s.Strategy.Type, appsv1.RollingUpdateDeploymentStrategyType)
	if s.Strategy.Type == appsv1.RollingUpdateDeploymentStrategyType {
		if s.Strategy.RollingUpdate == nil {
			s.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{}
		}
		meta.DefaultAt(&s.Strategy.RollingUpdate.MaxUnavailable, intstr.FromString("25%"))
		meta.DefaultAt(&s.Strategy.RollingUpdate.MaxSurge, intstr.FromString("25%"))
	}
	meta.DefaultAt(&s.RevisionHistoryLimit, 10)
	meta.DefaultAt(&s.ProgressDeadlineSeconds, 600)
}

func validateDeployment(o *appsv1.Deployment) field.ErrorList {
	s := &o.Spec
	errs := meta.NonNegativeAt(s.Replicas, specPath, "replicas")
	errs = append(errs, validateReplicas(s.Selector, &s.Template)...)
	errs = append(errs, validateStrategy(&s.Strategy, specPath.Child("strategy"))...)
	errs = append(errs, meta.NonNegative(s.MinReadySeconds, specPath, "minReadySeconds")...)
	errs = append(errs, meta.NonNegativeAt(s.RevisionHistoryLimit, specPath, "revisionHistoryLimit")...)
	if d := s.ProgressDeadlineSeconds; d != nil {
		errs = append(errs, meta.NonNegative(*d, specPath, "progressDeadlineSeconds")...)
		if *d <= s.MinReadySeconds {
			errs = append(errs, field.Invalid(specPath.Child("progressDeadlineSeconds"), *d, "must be greater than minReadySeconds"))
		}
	}
	return errs
}

func validateStrategy(s *appsv1.DeploymentStrategy, at *field.Path) field.ErrorList {
	switch s.Type {
	case appsv1.RecreateDeploymentStrategyType:
		if s.RollingUpdate != nil {
			return field.ErrorList{field.Forbidden(at.Child("rollingUpdate"), fmt.Sprintf("may not be specified when strategy `type` is '%s'", s.Type))}
		}
		return nil
	case appsv1.RollingUpdateDeploymentStrategyType:
		if s.RollingUpdate == nil {
			return field.ErrorList{field.Required(at.Child("rollingUpdate"), "this should be defaulted and never be nil")}
		}
		return validateRollingDeployment(s.RollingUpdate, at.Child("rollingUpdate"))
	}
	return field.ErrorList{field.NotSupported(at, meta.GoNames(shown(s)), []appsv1.DeploymentStrategyType{appsv1.RecreateDeploymentStrategyType, appsv1.RollingUpdateDeploymentStrategyType})}
}

// shown is a strategy as errors show it: what is not said is nothing.
func shown(s *appsv1.DeploymentStrategy) *appsv1.DeploymentStrategy {
	if s.RollingUpdate == nil {
		return s
	}
	r := *s.RollingUpdate
	meta.DefaultAt(&r.MaxUnavailable, intstr.FromInt32(0))
	meta.DefaultAt(&r.MaxSurge, intstr.FromInt32(0))
	return &appsv1.DeploymentStrategy{Type: s.Type, RollingUpdate: &r}
}

func validateRollingDeployment(r *appsv1.RollingUpdateDeployment, at *field.Path) field.ErrorList {
	errs := meta.NumberOrPercent(r.MaxUnavailable, at.Child("maxUnavailable"))
	errs = append(errs, meta.NumberOrPercent(r.MaxSurge, at.Child("maxSurge"))...)
	if meta.IsZero(r.MaxUnavailable) && meta.IsZero(r.MaxSurge) {
		errs = append(errs, field.Invalid(at.Child("maxUnavailable"), r.MaxUnavailable, "may not be 0 when `maxSurge` is 0"))
	}
	return append(errs, meta.PercentAtMost100(r.MaxUnavailable, at.Child("maxUnavailable"))...)
}

func validateDeploymentUpdate(next, old *appsv1.Deployment) field.ErrorList {
	return append(validateDeployment(next), sameSelector(next.Spec.Selector, old.Spec.Selector)...)
}

func warnDeployment(next, old *appsv1.Deployment) []string {
	if old != nil && old.Generation == next.Generation {
		return nil
	}
	return core.TemplateWarnings(nameIfNew(old == nil, next.Name), &next.Spec.Template, specPath.Child("template"))
}

// nameIfNew is the name to warn of: only when the object is new.
func nameIfNew(created bool, name string) string {
	if created {
		return name
	}
	return ""
}
