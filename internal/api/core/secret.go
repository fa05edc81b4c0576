package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// Secret is all there is about Secret objects on the server.
var Secret = api.Kind[corev1.Secret]{
	Version: corev1.SchemeGroupVersion, Resource: "secrets", Namespaced: true,
	List: &corev1.SecretList{},
}
