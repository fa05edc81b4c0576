// Package apps holds the kinds of apps/v1: one row and one file per kind.
package apps

import "github.com/skiff-k8s/skiff/internal/api"

// Rows are the kinds of the group, in the order of discovery.
func Rows() []*api.Resource {
	return []*api.Resource{
		ControllerRevision.Row(),
		DaemonSet.Row(),
		Deployment.Row(),
		ReplicaSet.Row(),
		StatefulSet.Row(),
	}
}
