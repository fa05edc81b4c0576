// Package rbac holds the kinds of rbac/v1: one row and one file per kind.
package rbac

import "github.com/skiff-k8s/skiff/internal/api"

// Rows are the kinds of the group, in the order of discovery.
func Rows() []*api.Resource {
	return []*api.Resource{
		ClusterRole.Row(),
		ClusterRoleBinding.Row(),
		Role.Row(),
		RoleBinding.Row(),
	}
}
