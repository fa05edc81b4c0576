package authorization

import (
	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// LocalSubjectAccessReview is all there is about LocalSubjectAccessReview objects on the server.
var LocalSubjectAccessReview = api.Kind[authorizationv1.LocalSubjectAccessReview]{
	Version: authorizationv1.SchemeGroupVersion, Resource: "localsubjectaccessreviews", Namespaced: true,
	Versions: localVersions,
	Virtual:  true, Verbs: []string{"create"},
	Validate: validateLocal,
}
