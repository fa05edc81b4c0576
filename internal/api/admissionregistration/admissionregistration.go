// Package admissionregistration holds the kinds of admissionregistration/v1: one row and one file per kind.
package admissionregistration

import "github.com/skiff-k8s/skiff/internal/api"

// Rows are the kinds of the group, in the order of discovery.
func Rows() []*api.Resource {
	return []*api.Resource{
		MutatingAdmissionPolicy.Row(),
		MutatingAdmissionPolicyBinding.Row(),
		MutatingWebhookConfiguration.Row(),
		ValidatingAdmissionPolicy.Row(),
		ValidatingAdmissionPolicyBinding.Row(),
		ValidatingWebhookConfiguration.Row(),
	}
}
