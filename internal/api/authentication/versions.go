package authentication

import (
	authenticationv1 "k8s.io/api/authentication/v1"
	authenticationv1beta1 "k8s.io/api/authentication/v1beta1"

	"github.com/skiff-k8s/skiff/internal/api"
)

var (
	selfVersions  = api.Versions{api.As[authenticationv1.SelfSubjectReview, authenticationv1beta1.SelfSubjectReview]{Version: authenticationv1beta1.SchemeGroupVersion}}
	tokenVersions = api.Versions{api.As[authenticationv1.TokenReview, authenticationv1beta1.TokenReview]{Version: authenticationv1beta1.SchemeGroupVersion}}
)
