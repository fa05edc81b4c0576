// Package node holds the kinds of node/v1: one row and one file per kind.
package node

import "github.com/skiff-k8s/skiff/internal/api"

// Rows are the kinds of the group, in the order of discovery.
func Rows() []*api.Resource {
	return []*api.Resource{
		RuntimeClass.Row(),
	}
}
