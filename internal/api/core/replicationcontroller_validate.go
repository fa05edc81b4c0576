package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// defaultReplicationController takes selector and labels from the template.
func defaultReplicationController(o *corev1.ReplicationController) {
	meta.DefaultAt(&o.Spec.Replicas, 1)
	if o.Spec.Template == nil {
		return
	}
	DefaultPodTemplate(o.Spec.Template)
	if ls := o.Spec.Template.Labels; len(ls) > 0 {
		if len(o.Spec.Selector) == 0 {
			o.Spec.Selector = copyLabels(ls)
		}
		if len(o.Labels) == 0 {
			o.Labels = copyLabels(ls)
		}
	}
}

func copyLabels(m map[string]string) map[string]string {
	c := make(map[string]string, len(m))
	for k, v := range m {
		c[k] = v
	}
	return c
}

func validateReplicationController(o *corev1.ReplicationController) field.ErrorList {
	s, at := &o.Spec, specPath
	errs := meta.NonNegative(s.MinReadySeconds, at, "minReadySeconds")
	if len(s.Selector) == 0 {
		errs = append(errs, field.Required(at.Child("selector"), ""))
	}
	errs = append(errs, meta.NonNegativeAt(s.Replicas, at, "replicas")...)
	t := s.Template
	path := at.Child("template")
	if t == nil {
		return append(errs, field.Required(path, ""))
	}
	if !labels.SelectorFromSet(s.Selector).Matches(labels.Set(t.Labels)) {
		errs = append(errs, field.Invalid(path.Child("metadata", "labels"), t.Labels, "`selector` does not match template `labels`"))
	}
	errs = append(errs, ValidatePodTemplate(t, path)...)
	return append(errs, AlwaysRestarts(&t.Spec, path.Child("spec"), "ReplicationController")...)
}

// AlwaysRestarts refuses templates of pods that could end by themselves.
func AlwaysRestarts(s *corev1.PodSpec, at *field.Path, kind string) field.ErrorList {
	var errs field.ErrorList
	if s.RestartPolicy != corev1.RestartPolicyAlways {
		errs = append(errs, field.NotSupported(at.Child("restartPolicy"), s.RestartPolicy, []corev1.RestartPolicy{corev1.RestartPolicyAlways}))
	}
	if s.ActiveDeadlineSeconds != nil {
		errs = append(errs, field.Forbidden(at.Child("activeDeadlineSeconds"), "activeDeadlineSeconds in "+kind+" is not Supported"))
	}
	return errs
}
