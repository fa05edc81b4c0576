package node

import (
	nodev1 "k8s.io/api/node/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// RuntimeClass is all there is about RuntimeClass objects on the server.
var RuntimeClass = api.Kind[nodev1.RuntimeClass]{
	Version: nodev1.SchemeGroupVersion, Resource: "runtimeclasses",
	RequireVersion: true, LooseFinalizers: true,
	List:           &nodev1.RuntimeClassList{},
	Versions:       runtimeClassVersions,
	Validate:       validateRuntimeClass,
	ValidateUpdate: validateRuntimeClassUpdate,
	Columns: api.Columns[nodev1.RuntimeClass]{
		api.NameColumn[nodev1.RuntimeClass](),
		api.Text("Handler", "handler specifies the underlying runtime and configuration that the CRI implementation will use to handle pods of this class.", func(o *nodev1.RuntimeClass) any { return o.Handler }),
		api.AgeColumn[nodev1.RuntimeClass](),
	},
}
