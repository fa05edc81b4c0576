package authorization

import (
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api/meta"
)

var specPath = field.NewPath("spec")

// validateAttributes checks that a review asks one question.
func validateAttributes(r *authorizationv1.ResourceAttributes, n *authorizationv1.NonResourceAttributes) field.ErrorList {
	switch {
	case r != nil && n != nil:
		return field.ErrorList{field.Invalid(specPath.Child("nonResourceAttributes"), meta.GoNames(n), "cannot be specified in combination with resourceAttributes")}
	case r == nil && n == nil:
		return field.ErrorList{field.Invalid(specPath.Child("resourceAttributes"), meta.GoNames(r), "exactly one of nonResourceAttributes or resourceAttributes must be specified")}
	}
	return validateSelectors(r)
}

func validateSubject(s *authorizationv1.SubjectAccessReviewSpec) field.ErrorList {
	errs := validateAttributes(s.ResourceAttributes, s.NonResourceAttributes)
	if s.User == "" && len(s.Groups) == 0 {
		errs = append(errs, field.Invalid(specPath.Child("user"), s.User, "at least one of user or group must be specified"))
	}
	return errs
}

func validateLocal(o *authorizationv1.LocalSubjectAccessReview) field.ErrorList {
	errs := validateSubject(&o.Spec)
	if r := o.Spec.ResourceAttributes; r != nil && r.Namespace != o.Namespace {
		errs = append(errs, field.Invalid(specPath.Child("resourceAttributes", "namespace"), r.Namespace, "must match metadata.namespace"))
	}
	if n := o.Spec.NonResourceAttributes; n != nil {
		errs = append(errs, field.Invalid(specPath.Child("nonResourceAttributes"), meta.GoNames(n), "disallowed on this kind of request"))
	}
	return errs
}
