// Package autoscaling holds the kinds of autoscaling/v2: one row and one file per kind.
package autoscaling

import "github.com/skiff-k8s/skiff/internal/api"

// Rows are the kinds of the group, in the order of discovery.
func Rows() []*api.Resource {
	return []*api.Resource{
		HorizontalPodAutoscaler.Row(),
	}
}
