package core

import (
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// ServiceAccount is all there is about ServiceAccount objects on the server.
var ServiceAccount = api.Kind[corev1.ServiceAccount]{
	Version: corev1.SchemeGroupVersion, Resource: "serviceaccounts", Short: []string{"sa"}, Namespaced: true,
	List: &corev1.ServiceAccountList{},
	Subresources: []api.Subresource{
		{Name: "token", Kind: authenticationv1.SchemeGroupVersion.WithKind("TokenRequest"), Verbs: []string{"create"}},
	},
}
