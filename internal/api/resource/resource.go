// Package resource holds the kinds of resource/v1: one row and one file per kind.
package resource

import "github.com/skiff-k8s/skiff/internal/api"

// Rows are the kinds of the group, in the order of discovery.
func Rows() []*api.Resource {
	return []*api.Resource{
		DeviceClass.Row(),
		DeviceTaintRule.Row(),
		ResourceClaim.Row(),
		ResourceClaimTemplate.Row(),
		ResourceSlice.Row(),
	}
}
