package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

var (
	specPath        = field.NewPath("spec")
	annotationsPath = field.NewPath("metadata", "annotations")
)

func validatePod(p *corev1.Pod) field.ErrorList {
	errs := validatePodAlways(p)
	if len(p.Spec.EphemeralContainers) > 0 {
		errs = append(errs, field.Forbidden(specPath.Child("ephemeralContainers"), "cannot be set on create"))
	}
	if p.Spec.NodeName != "" && len(p.Spec.SchedulingGates) > 0 {
		errs = append(errs, field.Forbidden(specPath.Child("nodeName"), "cannot be set until all schedulingGates have been cleared"))
	}
	if len(p.Annotations) > 0 {
		errs = append(errs, validateProfilesMatch(p.Annotations, &p.Spec, specPath)...)
	}
	return errs
}

// validatePodAlways is what must hold of pods at all times.
func validatePodAlways(p *corev1.Pod) field.ErrorList {
	var errs field.ErrorList
	if len(p.Annotations) > 0 {
		errs = validatePodAnnotations(p.Annotations, &p.Spec, annotationsPath)
	}
	return append(errs, meta.Checked(specPath, func(at *field.Path) field.ErrorList {
		return validatePodSpec(&p.Spec, &p.ObjectMeta, at, false)
	})...)
}
