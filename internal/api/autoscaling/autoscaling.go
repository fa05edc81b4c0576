// Package autoscaling holds the kinds of autoscaling/v2: one row and one file per kind. The folders below it hold
// the types of versions that k8s.io/api has no more; the files named after a version convert them.
package autoscaling

import "github.com/skiff-k8s/skiff/internal/api"

// Rows are the kinds of the group, in the order of discovery.
func Rows() []*api.Resource {
	return []*api.Resource{
		HorizontalPodAutoscaler.Row(),
	}
}
