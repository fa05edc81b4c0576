// Package authentication holds the kinds of authentication/v1: one row and one file per kind.
package authentication

import "github.com/skiff-k8s/skiff/internal/api"

// Rows are the kinds of the group, in the order of discovery.
func Rows() []*api.Resource {
	return []*api.Resource{
		SelfSubjectReview.Row(),
		TokenReview.Row(),
	}
}
