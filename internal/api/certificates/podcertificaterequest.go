package certificates

import (
	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/skiff-k8s/skiff/internal/api"
	"github.com/skiff-k8s/skiff/internal/api/meta"
)

// PodCertificateRequest is all there is about PodCertificateRequest objects on the server.
var PodCertificateRequest = api.Kind[certificatesv1.PodCertificateRequest]{
	Version: certificatesv1.SchemeGroupVersion, Resource: "podcertificaterequests", Namespaced: true,
	List:     &certificatesv1.PodCertificateRequestList{},
	Versions: podRequestVersions,
	Status: api.StatusOf(func(o *certificatesv1.PodCertificateRequest) *certificatesv1.PodCertificateRequestStatus {
		return &o.Status
	}).WithValidate(validatePodRequestStatus),
	Default:        func(o *certificatesv1.PodCertificateRequest) { meta.DefaultAt(&o.Spec.MaxExpirationSeconds, oneDay) },
	Validate:       validatePodRequest,
	ValidateUpdate: validatePodRequestUpdate,
	Fields: map[string]func(*certificatesv1.PodCertificateRequest) string{
		"spec.signerName": func(o *certificatesv1.PodCertificateRequest) string { return o.Spec.SignerName },
		"spec.podName":    func(o *certificatesv1.PodCertificateRequest) string { return o.Spec.PodName },
		"spec.nodeName":   func(o *certificatesv1.PodCertificateRequest) string { return string(o.Spec.NodeName) },
	},
	Columns: api.Columns[certificatesv1.PodCertificateRequest]{
		api.NameColumn[certificatesv1.PodCertificateRequest](),
		api.Text("PodName", "podName is the name of the pod into which the certificate will be mounted.", func(o *certificatesv1.PodCertificateRequest) any { return o.Spec.PodName }),
		api.Text("ServiceAccountName", "serviceAccountName is the name of the service account the pod is running as.", func(o *certificatesv1.PodCertificateRequest) any { return o.Spec.ServiceAccountName }),
		api.Text("NodeName", "nodeName is the name of the node the pod is assigned to.", func(o *certificatesv1.PodCertificateRequest) any { return string(o.Spec.NodeName) }),
		api.Text("SignerName", "signerName indicates the requested signer.", func(o *certificatesv1.PodCertificateRequest) any { return o.Spec.SignerName }),
		api.Text("State", "What became of the request.", func(o *certificatesv1.PodCertificateRequest) any { return state(o) }),
	},
}

func state(o *certificatesv1.PodCertificateRequest) string {
	if d := decided(&o.Status); d != "" {
		return d
	}
	return "Pending"
}

func validatePodRequestUpdate(next, old *certificatesv1.PodCertificateRequest) field.ErrorList {
	if !meta.Equal(&next.Spec, &old.Spec) {
		return field.ErrorList{field.Invalid(specPath, meta.GoNames(next.Spec), meta.FieldImmutable)}
	}
	return nil
}
