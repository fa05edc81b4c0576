// Package storagemigration holds the kinds of storagemigration/v1: one row and one file per kind.
package storagemigration

import "github.com/skiff-k8s/skiff/internal/api"

// Rows are the kinds of the group, in the order of discovery.
func Rows() []*api.Resource {
	return []*api.Resource{
		StorageVersionMigration.Row(),
	}
}
