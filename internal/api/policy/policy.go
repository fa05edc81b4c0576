// Package policy holds the kinds of policy/v1: one row and one file per kind.
package policy

import "github.com/skiff-k8s/skiff/internal/api"

// Rows are the kinds of the group, in the order of discovery.
func Rows() []*api.Resource {
	return []*api.Resource{
		PodDisruptionBudget.Row(),
	}
}
