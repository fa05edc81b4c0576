// Package core holds the kinds of the core group (v1): one row and one file per kind.
package core

import "github.com/skiff-k8s/skiff/internal/api"

// Rows are the kinds of the group, in the order of discovery.
func Rows() []*api.Resource {
	return []*api.Resource{
		Binding.Row(),
		ComponentStatus.Row(),
		ConfigMap.Row(),
		Endpoints.Row(),
		Event.Row(),
		LimitRange.Row(),
		Namespace.Row(),
		Node.Row(),
		PersistentVolume.Row(),
		PersistentVolumeClaim.Row(),
		Pod.Row(),
		PodTemplate.Row(),
		ReplicationController.Row(),
		ResourceQuota.Row(),
		Secret.Row(),
		Service.Row(),
		ServiceAccount.Row(),
	}
}
