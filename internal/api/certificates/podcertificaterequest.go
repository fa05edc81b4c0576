package certificates

import (
	certificatesv1 "k8s.io/api/certificates/v1"

	"github.com/skiff-k8s/skiff/internal/api"
)

// PodCertificateRequest is all there is about PodCertificateRequest objects on the server.
var PodCertificateRequest = api.Kind[certificatesv1.PodCertificateRequest]{
	Version: certificatesv1.SchemeGroupVersion, Resource: "podcertificaterequests", Namespaced: true,
	List:     &certificatesv1.PodCertificateRequestList{},
	Versions: podRequestVersions,
	Status: api.StatusOf(func(o *certificatesv1.PodCertificateRequest) *certificatesv1.PodCertificateRequestStatus {
		return &o.Status
	}),
}
