package core

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// Endpoints is all there is about Endpoints objects on the server.
var Endpoints = api.Kind[corev1.Endpoints]{
	Version: corev1.SchemeGroupVersion, Resource: "endpoints", Short: []string{"ep"}, Namespaced: true,
	Storage: "services/endpoints",
	List:    &corev1.EndpointsList{},
}
