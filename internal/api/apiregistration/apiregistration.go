// Package apiregistration holds the kinds of apiregistration.k8s.io/v1: which
// server answers for which group version. What is done about them is in
// apiserver/aggregate. Read apiservice.go.
package apiregistration

import "github.com/skiff-k8s/skiff/internal/api"

// The aggregator reaches its kind by the row and may be built without the table.
var rows = []*api.Resource{APIService.Row()}

// Rows are the kinds of the group, in the order of discovery.
func Rows() []*api.Resource { return rows }
