package coordination

import (
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

var specPath = field.NewPath("spec")

// prepareLease drops what coordinated elections need, which are off: nobody would pick a leader.
func prepareLease(o *coordinationv1.Lease) {
	o.Spec.Strategy, o.Spec.PreferredHolder = nil, nil
}

// prepareLeaseUpdate does the same to what was not there before.
func prepareLeaseUpdate(next, old *coordinationv1.Lease) {
	if old.Spec.Strategy == nil {
		next.Spec.Strategy = nil
	}
	if old.Spec.PreferredHolder == nil {
		next.Spec.PreferredHolder = nil
	}
}

func validateLease(o *coordinationv1.Lease) field.ErrorList {
	var errs field.ErrorList
	s := &o.Spec
	if d := s.LeaseDurationSeconds; d != nil && *d <= 0 {
		errs = append(errs, field.Invalid(specPath.Child("leaseDurationSeconds"), *d, "must be greater than 0"))
	}
	errs = append(errs, meta.NonNegativeAt(s.LeaseTransitions, specPath, "leaseTransitions")...)
	if s.Strategy != nil {
		errs = append(errs, meta.NameError(specPath.Child("strategy"), string(*s.Strategy), meta.QualifiedName)...)
	}
	if s.PreferredHolder != nil && *s.PreferredHolder != "" && (s.Strategy == nil || *s.Strategy == "") {
		errs = append(errs, field.Forbidden(specPath.Child("preferredHolder"), "may only be specified when `strategy` is defined"))
	}
	return errs
}

func holder(o *coordinationv1.Lease) string {
	if o.Spec.HolderIdentity == nil {
		return ""
	}
	return *o.Spec.HolderIdentity
}
