// Package authorization holds the kinds of authorization/v1: one row and one file per kind.
package authorization

import "github.com/skiff-k8s/skiff/internal/api"

// Rows are the kinds of the group, in the order of discovery.
func Rows() []*api.Resource {
	return []*api.Resource{
		LocalSubjectAccessReview.Row(),
		SelfSubjectAccessReview.Row(),
		SelfSubjectRulesReview.Row(),
		SubjectAccessReview.Row(),
	}
}
