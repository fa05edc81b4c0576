package authorization

import (
	authorizationv1 "k8s.io/api/authorization/v1"
	authorizationv1beta1 "k8s.io/api/authorization/v1beta1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// Reviews of v1beta1 say "group" where those of v1 say "groups".
var (
	subjectVersions = api.Versions{api.As[authorizationv1.SubjectAccessReview, authorizationv1beta1.SubjectAccessReview]{Version: authorizationv1beta1.SchemeGroupVersion,
		AfterRead: func(from *authorizationv1beta1.SubjectAccessReview, to *authorizationv1.SubjectAccessReview) {
			to.Spec.Groups = from.Spec.Groups
		},
		AfterShow: func(from *authorizationv1.SubjectAccessReview, to *authorizationv1beta1.SubjectAccessReview) {
			to.Spec.Groups = from.Spec.Groups
		}}}
	localVersions = api.Versions{api.As[authorizationv1.LocalSubjectAccessReview, authorizationv1beta1.LocalSubjectAccessReview]{Version: authorizationv1beta1.SchemeGroupVersion,
		AfterRead: func(from *authorizationv1beta1.LocalSubjectAccessReview, to *authorizationv1.LocalSubjectAccessReview) {
			to.Spec.Groups = from.Spec.Groups
		},
		AfterShow: func(from *authorizationv1.LocalSubjectAccessReview, to *authorizationv1beta1.LocalSubjectAccessReview) {
			to.Spec.Groups = from.Spec.Groups
		}}}
	selfVersions  = api.Versions{api.As[authorizationv1.SelfSubjectAccessReview, authorizationv1beta1.SelfSubjectAccessReview]{Version: authorizationv1beta1.SchemeGroupVersion}}
	rulesVersions = api.Versions{api.As[authorizationv1.SelfSubjectRulesReview, authorizationv1beta1.SelfSubjectRulesReview]{Version: authorizationv1beta1.SchemeGroupVersion}}
)
