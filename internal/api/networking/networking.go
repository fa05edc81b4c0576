// Package networking holds the kinds of networking/v1: one row and one file per kind.
package networking

import "github.com/skiff-k8s/skiff/internal/api"

// Rows are the kinds of the group, in the order of discovery.
func Rows() []*api.Resource {
	return []*api.Resource{
		Ingress.Row(),
		IngressClass.Row(),
		IPAddress.Row(),
		NetworkPolicy.Row(),
		ServiceCIDR.Row(),
	}
}
