package certificates

import (
	certificatesv1 "k8s.io/api/certificates/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// CertificateSigningRequest is all there is about CertificateSigningRequest objects on the server.
var CertificateSigningRequest = api.Kind[certificatesv1.CertificateSigningRequest]{
	Version: certificatesv1.SchemeGroupVersion, Resource: "certificatesigningrequests", Short: []string{"csr"},
	List: &certificatesv1.CertificateSigningRequestList{},
	Status: api.StatusOf(func(o *certificatesv1.CertificateSigningRequest) *certificatesv1.CertificateSigningRequestStatus {
		return &o.Status
	}),
	Name: api.NameIsPathSegment,
	Subresources: []api.Subresource{
		{Name: "approval", Kind: certificatesv1.SchemeGroupVersion.WithKind("CertificateSigningRequest"), Verbs: []string{"get", "patch", "update"}},
	},
}
