// Package certificates holds the kinds of certificates/v1: one row and one file per kind.
package certificates

import "github.com/skiff-k8s/skiff/internal/api"

// Rows are the kinds of the group, in the order of discovery.
func Rows() []*api.Resource {
	return []*api.Resource{
		CertificateSigningRequest.Row(),
		ClusterTrustBundle.Row(),
		PodCertificateRequest.Row(),
	}
}
