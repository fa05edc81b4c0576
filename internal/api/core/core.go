// Package core holds the kinds of the core group (v1): one row and one file per kind.
//
// Checks of what is written often (pods, templates, services, nodes, claims,
// endpoints, statuses) run twice where something is wrong: first without paths,
// which costs no allocation, then with them (meta.Checked). They make paths that
// they hand on with meta.Child, Index and Key, so that there are none below none;
// the path of an error itself may be made in any way.
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
