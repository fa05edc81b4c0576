package apps

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/core"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

var specPath = field.NewPath("spec")

// validateTemplate checks a template whose pods run until they are told to stop.
func validateTemplate(t *corev1.PodTemplateSpec, at *field.Path, kind string) field.ErrorList {
	errs := core.ValidatePodTemplate(t, at)
	return append(errs, core.AlwaysRestarts(&t.Spec, at.Child("spec"), kind)...)
}

// validateReplicas checks pods that are all alike, and how they are selected.
func validateReplicas(s *metav1.LabelSelector, t *corev1.PodTemplateSpec) field.ErrorList {
	const broken = "invalid label selector"
	errs := validateSelects(s, t, "deployment", broken)
	if _, err := meta.SelectorMisses(s, t.Labels); err != nil {
		return errs
	}
	return append(errs, core.AlwaysRestarts(&t.Spec, specPath.Child("template", "spec"), "ReplicaSet")...)
}

// validateSelects checks the selector, the template, and that the one selects the pods of the other.
// broken is what is said of a selector that is none; nothing is said of the template then.
func validateSelects(s *metav1.LabelSelector, t *corev1.PodTemplateSpec, kind, broken string) field.ErrorList {
	at := specPath.Child("selector")
	var errs field.ErrorList
	if s == nil {
		errs = append(errs, field.Required(at, ""))
	} else {
		errs = append(errs, meta.LabelSelector(s, at)...)
		if meta.EmptySelector(s) {
			errs = append(errs, field.Invalid(at, s, "empty selector is invalid for "+kind))
		}
	}
	misses, err := meta.SelectorMisses(s, t.Labels)
	if err != nil {
		return append(errs, field.Invalid(at, s, broken))
	}
	if misses {
		errs = append(errs, field.Invalid(specPath.Child("template", "metadata", "labels"), t.Labels, "`selector` does not match template `labels`"))
	}
	return append(errs, core.ValidatePodTemplate(t, specPath.Child("template"))...)
}

// sameSelector keeps selectors: pods of another selector would be left behind.
func sameSelector(next, old *metav1.LabelSelector) field.ErrorList {
	if equality.Semantic.DeepEqual(next, old) {
		return nil
	}
	return field.ErrorList{field.Invalid(specPath.Child("selector"), next, meta.FieldImmutable)}
}
