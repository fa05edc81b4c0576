// Package discovery holds the kinds of discovery/v1: one row and one file per kind.
package discovery

import "github.com/skiff-k8s/skiff/internal/api"

// Rows are the kinds of the group, in the order of discovery.
func Rows() []*api.Resource {
	return []*api.Resource{
		EndpointSlice.Row(),
	}
}
