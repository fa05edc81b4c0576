// Package storage holds the kinds of storage/v1: one row and one file per kind.
package storage

import "github.com/skiff-k8s/skiff/internal/api"

// Rows are the kinds of the group, in the order of discovery.
func Rows() []*api.Resource {
	return []*api.Resource{
		CSIDriver.Row(),
		CSINode.Row(),
		CSIStorageCapacity.Row(),
		StorageClass.Row(),
		VolumeAttachment.Row(),
		VolumeAttributesClass.Row(),
	}
}
