package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// Binding is all there is about Binding objects on the server.
var Binding = api.Kind[corev1.Binding]{
	Version: corev1.SchemeGroupVersion, Resource: "bindings", Namespaced: true,
	Virtual: true, Verbs: []string{"create"},
}
