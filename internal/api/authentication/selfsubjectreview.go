package authentication

import (
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// SelfSubjectReview is all there is about SelfSubjectReview objects on the server.
var SelfSubjectReview = api.Kind[authenticationv1.SelfSubjectReview]{
	Version: authenticationv1.SchemeGroupVersion, Resource: "selfsubjectreviews",
	Versions: selfVersions,
	Virtual:  true, Verbs: []string{"create"},
}
