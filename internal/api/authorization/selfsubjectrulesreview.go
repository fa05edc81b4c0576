package authorization

import (
	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// SelfSubjectRulesReview is all there is about SelfSubjectRulesReview objects on the server.
var SelfSubjectRulesReview = api.Kind[authorizationv1.SelfSubjectRulesReview]{
	Version: authorizationv1.SchemeGroupVersion, Resource: "selfsubjectrulesreviews",
	Versions: rulesVersions,
	Virtual:  true, Verbs: []string{"create"},
}
