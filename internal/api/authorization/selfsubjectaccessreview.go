package authorization

import (
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// SelfSubjectAccessReview is all there is about SelfSubjectAccessReview objects on the server.
var SelfSubjectAccessReview = api.Kind[authorizationv1.SelfSubjectAccessReview]{
	Version: authorizationv1.SchemeGroupVersion, Resource: "selfsubjectaccessreviews",
	Versions: selfVersions,
	Virtual:  true, Verbs: []string{"create"},
	Validate: func(o *authorizationv1.SelfSubjectAccessReview) field.ErrorList {
		return validateAttributes(o.Spec.ResourceAttributes, o.Spec.NonResourceAttributes)
	},
}
