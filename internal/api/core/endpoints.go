package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
)

// Endpoints is all there is about Endpoints objects on the server.
var Endpoints = api.Kind[corev1.Endpoints]{
	Version: corev1.SchemeGroupVersion, Resource: "endpoints", Short: []string{"ep"}, Namespaced: true,
	Storage:        "services/endpoints",
	CreateOnUpdate: true,
	List:           &corev1.EndpointsList{},
	Default:        defaultEndpoints,
	Validate:       validateEndpoints,
	ValidateUpdate: func(next, _ *corev1.Endpoints) field.ErrorList { return validateEndpoints(next) },
	Warn:           warnEndpoints,
	Deprecated:     "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
	Columns: api.Columns[corev1.Endpoints]{
		api.NameColumn[corev1.Endpoints](),
		api.Text("Endpoints", "The set of all endpoints is the union of all subsets.", func(o *corev1.Endpoints) any { return endpointsText(o) }),
		api.AgeColumn[corev1.Endpoints](),
	},
}
