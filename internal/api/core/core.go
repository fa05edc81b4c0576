// Package core holds the rows of the core group, one file per kind. Start with
// configmap.go, the smallest; pod.go and its neighbours are the largest.
package core

import "github.com/skiff-k8s/skiff/internal/api"

// Rows are the kinds of the group in the order in which discovery lists them.
func Rows() []*api.Resource {
	return []*api.Resource{ConfigMap.Row()}
}
