package authorization

import (
	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// SubjectAccessReview is all there is about SubjectAccessReview objects on the server.
var SubjectAccessReview = api.Kind[authorizationv1.SubjectAccessReview]{
	Version: authorizationv1.SchemeGroupVersion, Resource: "subjectaccessreviews",
	Virtual: true, Verbs: []string{"create"},
}
