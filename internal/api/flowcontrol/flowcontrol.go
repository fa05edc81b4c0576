// Package flowcontrol holds the kinds of flowcontrol/v1: one row and one file per kind.
package flowcontrol

import "github.com/skiff-k8s/skiff/internal/api"

// Rows are the kinds of the group, in the order of discovery.
func Rows() []*api.Resource {
	return []*api.Resource{
		FlowSchema.Row(),
		PriorityLevelConfiguration.Row(),
	}
}
