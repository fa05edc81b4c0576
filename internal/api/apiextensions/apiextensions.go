// Package apiextensions holds the kind CustomResourceDefinition: its row, its validation, and the pure part
// of the controllers that write its status.
//
// In comes a definition as clients send it (apiextensions.k8s.io/v1); out go its defaults, the errors and
// warnings that Kubernetes has for it, and, from Conditions and Terminating, the status that follows from it
// and its neighbours.
//
// Definitions are validated in the form in which Kubernetes keeps them in memory: what all versions have in
// common (schema, subresources, columns, selectable fields) is one field of the spec, and the versions have
// none. That form decides where errors point to (spec.validation.openAPIV3Schema for a definition of one
// version) and how their values are printed, so both are part of what users see.
//
// Invariants: nothing here changes the definition that is validated; what a stored definition already breaks
// it may go on breaking (demand); the same definition always has the same errors in the same order, so maps are
// walked in the order of their keys where errors come out.
//
// Read customresourcedefinition.go first, then validate.go, spec.go, schema.go; the status is in condition.go.
package apiextensions

import "github.com/skiff-k8s/skiff/internal/api"

// Rows are the kinds of the group, in the order of discovery.
func Rows() []*api.Resource {
	return []*api.Resource{
		CustomResourceDefinition.Row(),
	}
}
