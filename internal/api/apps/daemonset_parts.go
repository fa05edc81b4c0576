package apps

import (
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/core"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

func defaultDaemonSet(o *appsv1.DaemonSet) {
	s := &o.Spec
	core.DefaultPodTemplate(&s.Template)
	meta.Default(&s.UpdateStrategy.Type, appsv1.RollingUpdateDaemonSetStrategyType)
	if s.UpdateStrategy.Type == appsv1.RollingUpdateDaemonSetStrategyType {
		if s.UpdateStrategy.RollingUpdate == nil {
			s.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateDaemonSet{}
		}
		meta.DefaultAt(&s.UpdateStrategy.RollingUpdate.MaxUnavailable, intstr.FromInt32(1))
		meta.DefaultAt(&s.UpdateStrategy.RollingUpdate.MaxSurge, intstr.FromInt32(0))
	}
	if r := s.UpdateStrategy.RollingUpdate; r != nil {
		// compat: what is not said is nothing, and told, for strategies of other types too.
		meta.DefaultAt(&r.MaxUnavailable, intstr.FromInt32(0))
		meta.DefaultAt(&r.MaxSurge, intstr.FromInt32(0))
	}
	meta.DefaultAt(&s.RevisionHistoryLimit, 10)
}

// compat: the generation of the template is still told in an annotation.
const templateGeneration = appsv1.DeprecatedTemplateGeneration

func setTemplateGeneration(o *appsv1.DaemonSet, n int64) {
	annotations := make(map[string]string, len(o.Annotations)+1)
	for k, v := range o.Annotations {
		annotations[k] = v
	}
	annotations[templateGeneration] = strconv.FormatInt(n, 10)
	o.Annotations = annotations
}

func prepareDaemonSet(o *appsv1.DaemonSet) { setTemplateGeneration(o, 1) }

func prepareDaemonSetUpdate(next, old *appsv1.DaemonSet) {
	n, _ := strconv.ParseInt(old.Annotations[templateGeneration], 10, 64)
	defaultDaemonSet(next)
	if !equality.Semantic.DeepEqual(next.Spec.Template, old.Spec.Template) {
		n++
	}
	setTemplateGeneration(next, n)
}

func validateDaemonSet(o *appsv1.DaemonSet) field.ErrorList {
	s := &o.Spec
	at := specPath.Child("selector")
	errs := meta.LabelSelector(s.Selector, at)
	if misses, err := meta.SelectorMisses(s.Selector, s.Template.Labels); err == nil && misses {
		errs = append(errs, field.Invalid(specPath.Child("template", "metadata", "labels"), s.Template.Labels, "`selector` does not match template `labels`"))
	}
	if s.Selector != nil && meta.EmptySelector(s.Selector) {
		errs = append(errs, field.Invalid(at, s.Selector, "empty selector is invalid for daemonset"))
	}
	errs = append(errs, validateTemplate(&s.Template, specPath.Child("template"), "DaemonSet")...)
	errs = append(errs, meta.NonNegative(s.MinReadySeconds, specPath, "minReadySeconds")...)
	errs = append(errs, validateDaemonStrategy(&s.UpdateStrategy, specPath.Child("updateStrategy"))...)
	return append(errs, meta.NonNegativeAt(s.RevisionHistoryLimit, specPath, "revisionHistoryLimit")...)
}

func validateDaemonStrategy(s *appsv1.DaemonSetUpdateStrategy, at *field.Path) field.ErrorList {
	switch s.Type {
	case appsv1.OnDeleteDaemonSetStrategyType:
		return nil
	case appsv1.RollingUpdateDaemonSetStrategyType:
	default:
		return field.ErrorList{field.NotSupported(at, meta.GoNames(s), []appsv1.DaemonSetUpdateStrategyType{appsv1.RollingUpdateDaemonSetStrategyType, appsv1.OnDeleteDaemonSetStrategyType})}
	}
	at = at.Child("rollingUpdate")
	r := s.RollingUpdate
	if r == nil {
		return field.ErrorList{field.Required(at, "")}
	}
	errs := meta.NumberOrPercent(r.MaxUnavailable, at.Child("maxUnavailable"))
	errs = append(errs, meta.NumberOrPercent(r.MaxSurge, at.Child("maxSurge"))...)
	switch out, more := !meta.IsZero(r.MaxUnavailable), !meta.IsZero(r.MaxSurge); {
	case out && more:
		errs = append(errs, field.Invalid(at.Child("maxSurge"), r.MaxSurge, "may not be set when maxUnavailable is non-zero"))
	case !out && !more:
		errs = append(errs, field.Required(at.Child("maxUnavailable"), "cannot be 0 when maxSurge is 0"))
	}
	errs = append(errs, meta.PercentAtMost100(r.MaxUnavailable, at.Child("maxUnavailable"))...)
	return append(errs, meta.PercentAtMost100(r.MaxSurge, at.Child("maxSurge"))...)
}

func validateDaemonSetUpdate(next, old *appsv1.DaemonSet) field.ErrorList {
	return append(validateDaemonSet(next), sameSelector(next.Spec.Selector, old.Spec.Selector)...)
}
