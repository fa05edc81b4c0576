package authorization

import (
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// SubjectAccessReview is all there is about SubjectAccessReview objects on the server.
var SubjectAccessReview = api.Kind[authorizationv1.SubjectAccessReview]{
	Version: authorizationv1.SchemeGroupVersion, Resource: "subjectaccessreviews",
	Versions: subjectVersions,
	Virtual:  true, Verbs: []string{"create"},
	Validate: func(o *authorizationv1.SubjectAccessReview) field.ErrorList { return validateSubject(&o.Spec) },
}
