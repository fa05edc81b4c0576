package apps

import (
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/core"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

func defaultReplicaSet(o *appsv1.ReplicaSet) {
	core.DefaultPodTemplate(&o.Spec.Template)
	meta.DefaultAt(&o.Spec.Replicas, 1)
}

func validateReplicaSet(o *appsv1.ReplicaSet) field.ErrorList {
	s := &o.Spec
	errs := meta.NonNegativeAt(s.Replicas, specPath, "replicas")
	errs = append(errs, meta.NonNegative(s.MinReadySeconds, specPath, "minReadySeconds")...)
	return append(errs, validateReplicas(s.Selector, &s.Template)...)
}

func validateReplicaSetUpdate(next, old *appsv1.ReplicaSet) field.ErrorList {
	return append(validateReplicaSet(next), sameSelector(next.Spec.Selector, old.Spec.Selector)...)
}

func validateReplicaSetStatus(next, _ *appsv1.ReplicaSet) field.ErrorList {
	s, at := &next.Status, field.NewPath("status")
	errs := meta.NonNegative(s.Replicas, at, "replicas")
	errs = append(errs, meta.NonNegative(s.FullyLabeledReplicas, at, "fullyLabeledReplicas")...)
	errs = append(errs, meta.NonNegative(s.ReadyReplicas, at, "readyReplicas")...)
	errs = append(errs, meta.NonNegative(s.AvailableReplicas, at, "availableReplicas")...)
	errs = append(errs, meta.NonNegative(s.ObservedGeneration, at, "observedGeneration")...)
	errs = append(errs, meta.NonNegativeAt(s.TerminatingReplicas, at, "terminatingReplicas")...)
	for _, c := range []struct {
		name string
		n    int32
		most int32
		text string
	}{
		{"fullyLabeledReplicas", s.FullyLabeledReplicas, s.Replicas, "cannot be greater than status.replicas"},
		{"readyReplicas", s.ReadyReplicas, s.Replicas, "cannot be greater than status.replicas"},
		{"availableReplicas", s.AvailableReplicas, s.Replicas, "cannot be greater than status.replicas"},
		{"availableReplicas", s.AvailableReplicas, s.ReadyReplicas, "cannot be greater than readyReplicas"},
	} {
		if c.n > c.most {
			errs = append(errs, field.Invalid(at.Child(c.name), c.n, c.text))
		}
	}
	return errs
}
