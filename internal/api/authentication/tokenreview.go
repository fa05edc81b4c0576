package authentication

import (
	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// TokenReview is all there is about TokenReview objects on the server.
var TokenReview = api.Kind[authenticationv1.TokenReview]{
	Version: authenticationv1.SchemeGroupVersion, Resource: "tokenreviews",
	Versions: tokenVersions,
	Virtual:  true, Verbs: []string{"create"},
}
